//! The table of quality, or one study of it, to see while something is tried:
//! `cargo run -p evener-lab --example quality [STUDY]`; with `page` the page of the documentation.

use evener_lab::LabError;
use evener_lab::quality::{STUDIES, page};

fn main() -> Result<(), LabError> {
    let wanted = std::env::args().nth(1);
    if wanted.as_deref() == Some("page") {
        let rows: Result<Vec<_>, _> = STUDIES.iter().map(|study| study.rows()).collect();
        print!("{}", page(&rows?));
        return Ok(());
    }
    for study in STUDIES.iter().filter(|study| wanted.as_ref().is_none_or(|it| it == study.name)) {
        println!("{}", study.title);
        for row in study.rows()? {
            let mark = if row.holds() { "ok  " } else { "LEFT" };
            println!("  {mark} {} {:.4?}", row.head(), row.found);
        }
    }
    Ok(())
}

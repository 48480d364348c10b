//! Draws the pictures of `docs/concepts/schedulers`: from the root of the repository
//! `cargo run -p evener-lab --example sketches`.

use std::collections::BTreeSet;
use std::error::Error;

#[path = "../../evener-balance/tests/pools/schedulers.rs"]
mod schedulers;

fn main() -> Result<(), Box<dyn Error>> {
    let mut drawn = BTreeSet::new();
    for (_, scheduler) in schedulers::all() {
        let plan = serde_json::to_value(&scheduler)?;
        let name = plan["name"].as_str().unwrap_or_default();
        // The first of a name is its usual form; a policy's picks are its author's.
        if name == "evener/python" || !drawn.insert(name.to_owned()) {
            continue;
        }
        let file = format!("docs/concepts/schedulers/{}.svg", name.replace('/', "-"));
        std::fs::write(&file, evener_lab::sketch(name, &scheduler)?)?;
    }
    Ok(())
}

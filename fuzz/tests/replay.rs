//! Every seed and every input that once broke an invariant, by plain `cargo test`.

use std::path::Path;

/// Runs `target` on every file of the folder; how many there were.
fn replay(folder: &str, name: &str, target: impl Fn(&[u8])) -> usize {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder).join(name);
    let entries = std::fs::read_dir(&folder).unwrap_or_else(|e| panic!("{folder:?}: {e}"));
    let files = entries.map(|entry| entry.unwrap().path());
    let files: Vec<_> = files.filter(|path| path.file_name().unwrap() != ".gitkeep").collect();
    for path in &files {
        println!("{}", path.display());
        target(&std::fs::read(path).unwrap());
    }
    files.len()
}

#[test]
fn seeds_keep_the_invariants_whole_and_cut_at_every_byte() {
    for (name, target) in evener_fuzz::TARGETS {
        let cut = |data: &[u8]| (0..=data.len()).for_each(|end| target(&data[..end]));
        assert!(replay("seeds", name, cut) >= 5, "{name} has too few seeds");
    }
}

#[test]
fn what_once_broke_an_invariant_does_not_any_more() {
    for (name, target) in evener_fuzz::TARGETS {
        replay("regressions", name, target);
    }
}

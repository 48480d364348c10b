//! Recorded picks of the real programs, replayed: a scheduler spelled as a program spells it picks
//! as that program did.
//!
//! Reads `$EVENER_ORACLES` when set, else `tests/conformance/oracles`. Prints a line per scenario
//! that differs and closes with `N of M scenarios agree`. Picks that hang on a port that was not
//! recorded are compared as a distribution, beside those.

mod oracles {
    pub(crate) mod lvs;
    pub(crate) mod peers;
}
mod pools;

use std::path::PathBuf;

use serde_json::Value;

/// What one scenario came to.
pub(crate) struct Verdict {
    name: String,
    found: String,
    recorded: String,
}

pub(crate) fn recordings(name: &str) -> Value {
    let checkout = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/conformance/oracles");
    let folder = std::env::var_os("EVENER_ORACLES").map_or_else(|| checkout.into(), PathBuf::from);
    let text = std::fs::read_to_string(folder.join(name)).expect("recordings");
    serde_json::from_str(&text).expect("JSON")
}

#[test]
fn picks_are_those_recorded() {
    let mut verdicts = oracles::peers::replay_all();
    verdicts.extend(oracles::lvs::replay_all());
    let agree = verdicts.iter().filter(|verdict| verdict.found == verdict.recorded).count();
    for verdict in verdicts.iter().filter(|verdict| verdict.found != verdict.recorded) {
        println!("{}: {}, recorded {}", verdict.name, verdict.found, verdict.recorded);
    }
    println!("{agree} of {} scenarios agree", verdicts.len());
    assert!(!verdicts.is_empty(), "no recording was compared");
    assert_eq!(agree, verdicts.len());
}

#[test]
fn picks_that_hang_on_a_port_are_spread_as_recorded() {
    assert!(oracles::lvs::compare_spreads() > 0, "no recording was compared");
}

//! Recorded picks of the real programs, replayed: a scheduler spelled as a program spells it picks
//! as that program did.
//!
//! Reads `$EVENER_ORACLES` when set, else `tests/conformance/oracles`. Prints a line per scenario
//! that differs and closes with `N of M scenarios agree`.

mod pools;

use std::path::PathBuf;

use evener_balance::{Birth, Group, Outcome, Tried};
use evener_plan::Scheduler;
use pools::pool;
use serde_json::Value;

/// What this build has of what was recorded: program, spelling in its configuration, scheduler.
fn scheduler(peer: &str, algorithm: &str) -> Option<Scheduler> {
    match (peer, algorithm) {
        ("nginx", "round_robin") => Some(Scheduler::NginxRoundRobin {}),
        ("nginx", "least_conn;") => Some(Scheduler::NginxLeastConn {}),
        _ => None,
    }
}
fn folder() -> PathBuf {
    let checkout = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/conformance/oracles");
    std::env::var_os("EVENER_ORACLES").map_or_else(|| checkout.into(), PathBuf::from)
}

/// One request after another, none open at the same time.
fn replay(scheduler: Scheduler, weights: &[u32], picks: usize) -> String {
    let mut pool = pool(weights);
    pool.scheduler = scheduler;
    let group = Group::new(&pool, None, Birth::Start, 0);
    let mut pick = |_| {
        let lease = group.pick(&Tried::new(), 0).expect("all are up");
        group.report(&lease, Outcome::Answered { status: 200 }, 0);
        lease.server().id().to_owned()
    };
    (0..picks).map(&mut pick).collect()
}

#[test]
fn picks_are_those_recorded_of_nginx() {
    let text = std::fs::read_to_string(folder().join("peer_picks.json")).expect("recordings");
    let recordings: Value = serde_json::from_str(&text).expect("JSON");
    let cases = recordings["cases"].as_array().expect("a list of cases");
    let (mut compared, mut agree) = (0, 0);
    for case in cases.iter().filter(|case| case["mode"] == "seq") {
        let word = |key: &str| case[key].as_str().expect("a word");
        let Some(scheduler) = scheduler(word("peer"), word("algorithm")) else {
            continue;
        };
        let weights: Vec<u32> =
            serde_json::from_value(case["weights"].clone()).expect("weights are numbers");
        let wanted = word("picks");
        let found = replay(scheduler, &weights, wanted.len());
        compared += 1;
        if found == wanted {
            agree += 1;
        } else {
            println!("{} {weights:?}: {found}, recorded {wanted}", word("algorithm"));
        }
    }
    println!("{agree} of {compared} scenarios agree");
    assert!(compared > 0, "no recording was compared");
    assert_eq!(agree, compared);
}

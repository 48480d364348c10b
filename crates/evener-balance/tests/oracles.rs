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

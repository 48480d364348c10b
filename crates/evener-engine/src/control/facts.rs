//! FACTS: what is known of a server, as it crosses the control socket in both directions.
//!
//! Rules kept here:
//! - Points in time are milliseconds since 1970 outside and monotonic inside; 0 stays 0 (never).
//! - What is derived goes out for people and is not read back.

use std::collections::HashMap;

use evener_balance::{Facts, Seed};
use evener_plan::{Admin, HealthState};
use serde::{Deserialize, Serialize};

use crate::clock;
use crate::prober::LastCheck;
use crate::running::Running;

/// FACTS as they are told.
#[derive(Debug, Serialize)]
pub struct Form {
    pool: String,
    server: String,
    address: String,
    weight: u32,
    tier: u32,
    admin: Admin,
    health: HealthState,
    ejected_until: u64,
    changed: u64,
    state: &'static str,
    reason: String,
    in_flight: u32,
    check: Option<LastCheck>,
}

/// FACTS as an earlier worker told them.
#[derive(Debug, Deserialize)]
pub struct Seen {
    pool: String,
    server: String,
    address: String,
    health: HealthState,
    ejected_until: u64,
    changed: u64,
    state: String,
    reason: String,
    check: Option<LastCheck>,
}

impl Form {
    /// The form of facts.
    pub fn of(pool: &str, facts: Facts, check: Option<LastCheck>) -> Form {
        Form {
            pool: pool.to_owned(),
            server: facts.id,
            address: facts.address,
            weight: facts.weight,
            tier: facts.tier,
            admin: facts.admin,
            health: facts.health,
            ejected_until: if facts.ejected_until == 0 {
                0
            } else {
                clock::to_unix(facts.ejected_until)
            },
            changed: clock::to_unix(facts.changed),
            state: facts.state.as_str(),
            reason: facts.reason.to_string(),
            in_flight: facts.in_flight,
            check,
        }
    }

    /// Requests and sessions it has in hand.
    pub fn in_flight(&self) -> u64 {
        u64::from(self.in_flight)
    }
}

/// Seeds a generation that does not serve yet with what an earlier worker knew of the servers that
/// it has, too. Gives their last checks: pool, server, check.
pub fn seed(running: &Running, seen: Vec<Seen>) -> Vec<(String, String, LastCheck)> {
    let pools: HashMap<&str, _> =
        running.pools.iter().map(|pool| (pool.spec.name.as_str(), pool)).collect();
    let mut checks = Vec::new();
    for mut one in seen {
        let Some(pool) = pools.get(one.pool.as_str()) else { continue };
        let Some(index) = pool.group.index_of(&one.server) else { continue };
        if pool.group.server(index).is_none_or(|server| **server.address() != *one.address) {
            continue;
        }
        if let Some(check) = one.check.take() {
            checks.push((one.pool.clone(), one.server.clone(), check));
        }
        pool.group.seed(index, &one.into_seed());
    }
    checks
}

impl Seen {
    fn into_seed(self) -> Seed {
        // While people's words stood over it, the reason was theirs and not that of its health.
        let asked = self.state == "draining" || self.state == "maintenance";
        let reason = if asked { "found so by an earlier worker".to_owned() } else { self.reason };
        let ejected_until = match self.ejected_until {
            0 => 0,
            at => clock::from_unix(at).max(1),
        };
        let changed = clock::from_unix(self.changed);
        Seed { health: self.health, ejected_until, changed, reason }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(state: &str, ejected_until: u64) -> Seen {
        Seen {
            pool: "web".to_owned(),
            server: "a".to_owned(),
            address: "127.0.0.1:1".to_owned(),
            health: HealthState::Up,
            ejected_until,
            changed: clock::unix_millis(),
            state: state.to_owned(),
            reason: "connection refused".to_owned(),
            check: None,
        }
    }

    #[test]
    fn an_ejection_that_is_over_is_due_and_not_forgotten() {
        assert_eq!(seen("ejected", 1).into_seed().ejected_until, 1);
        assert_eq!(seen("up", 0).into_seed().ejected_until, 0);
    }

    #[test]
    fn an_ejection_goes_on_until_the_same_moment() {
        let until = clock::unix_millis() + 5_000;
        let inside = seen("ejected", until).into_seed().ejected_until;
        assert!(clock::to_unix(inside).abs_diff(until) <= 2);
    }

    #[test]
    fn people_s_words_are_no_reason_of_its_health() {
        assert_eq!(seen("ejected", 1).into_seed().reason, "connection refused");
        assert_eq!(seen("draining", 0).into_seed().reason, "found so by an earlier worker");
    }
}

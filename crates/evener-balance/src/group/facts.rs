//! What is known of a server, as it is shown and as the next worker is seeded with it.
//!
//! Rules kept here:
//! - Stored facts and the derived word stand side by side; only the stored ones are seeds.
//! - Times are monotonic milliseconds of this worker; who crosses processes converts them.

use evener_plan::{Admin, HealthState};

use crate::health::{Reason, State};
use crate::server::ServerState;

/// What is known of a server.
#[derive(Debug, Clone, PartialEq)]
pub struct Facts {
    /// Its id in the pool.
    pub id: String,
    /// Where it is.
    pub address: String,
    /// Share of picks under this plan.
    pub weight: u32,
    /// Its tier under this plan.
    pub tier: u32,
    /// What people want of it.
    pub admin: Admin,
    /// What checks have found.
    pub health: HealthState,
    /// When an ejection may end at the earliest; 0 is not ejected.
    pub ejected_until: u64,
    /// When the word last changed.
    pub changed: u64,
    /// The word, derived.
    pub state: State,
    /// Why.
    pub reason: Reason,
    /// Leases that have not ended.
    pub in_flight: u32,
}

/// What an earlier worker knew of a server, in this worker's time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seed {
    /// What checks had found.
    pub health: HealthState,
    /// When an ejection may end at the earliest; 0 is not ejected. A time that is past is due.
    pub ejected_until: u64,
    /// When the word last changed.
    pub changed: u64,
    /// Why, in words.
    pub reason: String,
}

impl Facts {
    pub(crate) fn of(state: &ServerState, weight: u32, tier: u32) -> Facts {
        let health = state.health();
        Facts {
            id: state.id().to_owned(),
            address: state.address().to_string(),
            weight,
            tier,
            admin: health.admin(),
            health: health.found(),
            ejected_until: health.ejected_until(),
            changed: health.changed(),
            state: health.state(),
            reason: health.reason(),
            in_flight: state.in_flight(),
        }
    }
}

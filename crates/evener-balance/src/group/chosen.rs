//! Servers that somebody other than a scheduler chooses: a policy of the user's.
//!
//! Rules kept here:
//! - Whoever chooses is given those that may be chosen, and asked again here whether it still holds:
//!   a server that went out or became full meanwhile is not chosen.
//! - A server whose trial is due has it whatever the chooser would say: else it never came back.
//! - The chooser's leases are counted like all others; the fallback scheduler hears the count only.

use std::sync::atomic::Ordering;

use super::Group;
use crate::health::State;
use crate::lease::Lease;
use crate::server::Standing;
use crate::tried::Tried;

impl Group {
    /// Servers that may be chosen now besides those tried, of the lowest tier that has one.
    pub fn free(&self, tried: &Tried) -> Vec<usize> {
        self.roster.free(tried)
    }

    /// The word shown of a server. `None` past the last.
    pub fn state(&self, index: usize) -> Option<State> {
        self.server(index).map(|server| server.health().state())
    }

    /// This very server; `None` where it takes no traffic, is full, or was tried.
    pub fn choose(&self, index: usize, tried: &Tried, shard: usize, now: u64) -> Option<Lease> {
        let shard = self.roster.own(shard);
        if tried.contains(index) || !self.roster.choose(index, shard) {
            return None;
        }
        let state = self.roster.state(index);
        if state.is_watched() {
            state.change(|health| health.on_pick(&self.rules, now));
        }
        Some(self.pinned(index, shard, now))
    }

    /// A server whose time out is over, for the one request that decides about it
    /// (`passive.readmit: request`).
    pub fn trial(&self, tried: &Tried, shard: usize, now: u64) -> Option<Lease> {
        if !self.rules.tries_by_request() {
            return None;
        }
        if now >= self.roster.house().next_trial.load(Ordering::Relaxed) {
            self.open_trials(now);
        }
        let seats = self.roster.seats().iter().enumerate();
        let on_trial = seats.filter(|(_, seat)| seat.weight > 0);
        let mut on_trial = on_trial.filter(|(_, seat)| seat.state.standing() == Standing::Trial);
        let shard = self.roster.own(shard);
        let (index, seat) = on_trial
            .find(|(index, _)| !tried.contains(*index) && self.roster.try_out(*index, shard))?;
        seat.state.change(|health| health.on_pick(&self.rules, now));
        self.note_trial(&seat.state);
        Some(self.pinned(index, shard, now))
    }
}

//! `nginx/round_robin`: smooth weighted round robin, pick for pick as nginx.
//!
//! Rules kept here: see `smooth`.

use super::smooth::Smooth;
use crate::schedule::{Position, Schedule};

/// Smooth weighted round robin.
pub(crate) struct NginxRoundRobin {
    smooth: Smooth,
    active: Vec<bool>,
}

impl NginxRoundRobin {
    pub(crate) fn new(weights: &[u32]) -> NginxRoundRobin {
        NginxRoundRobin { smooth: Smooth::new(weights), active: vec![false; weights.len()] }
    }
}

impl Schedule for NginxRoundRobin {
    fn pick(&mut self, tried: &[u32]) -> Option<usize> {
        let active = &self.active;
        let takes_part = |place: &usize| active[*place] && !tried.contains(&(*place as u32));
        self.smooth.pick((0..active.len()).filter(takes_part))
    }

    fn set_active(&mut self, place: usize, active: bool) {
        self.active[place] = active;
    }

    fn set_in_flight(&mut self, _place: usize, _leases: u32) {}

    fn counts_leases(&self) -> bool {
        false
    }

    fn on_failure(&mut self, place: usize, allowed: u32) {
        self.smooth.on_failure(place, allowed);
    }

    fn position(&self, place: usize) -> Position {
        self.smooth.position(place)
    }

    fn resume(&mut self, place: usize, position: Position) {
        self.smooth.resume(place, position);
    }
}

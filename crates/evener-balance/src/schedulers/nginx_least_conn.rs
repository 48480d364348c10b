//! `nginx/least_conn`: fewest leases by weight, ties by smooth weighted round robin.
//!
//! Rules kept here (nginx, `ngx_http_upstream_get_least_conn_peer`):
//! - `leases / weight` is compared by cross-multiplication; the first of the least is picked.
//! - Where several are least, smooth weighted round robin runs among them alone; where one is, it
//!   is owed and pays nothing.

use super::smooth::Smooth;
use crate::schedule::{Position, Schedule};

/// Fewest leases by weight.
pub(crate) struct NginxLeastConn {
    smooth: Smooth,
    weight: Vec<u64>,
    leases: Vec<u64>,
    active: Vec<bool>,
}

impl NginxLeastConn {
    pub(crate) fn new(weights: &[u32]) -> NginxLeastConn {
        NginxLeastConn {
            smooth: Smooth::new(weights),
            weight: weights.iter().copied().map(u64::from).collect(),
            leases: vec![0; weights.len()],
            active: vec![false; weights.len()],
        }
    }
}

impl Schedule for NginxLeastConn {
    fn pick(&mut self, tried: &[u32]) -> Option<usize> {
        let (weight, leases, active) = (&self.weight, &self.leases, &self.active);
        let takes_part = |place: &usize| active[*place] && !tried.contains(&(*place as u32));
        let (mut best, mut many) = (None, false);
        for place in (0..active.len()).filter(takes_part) {
            let order = best.map_or(std::cmp::Ordering::Less, |best: usize| {
                (leases[place] * weight[best]).cmp(&(leases[best] * weight[place]))
            });
            if order.is_lt() {
                best = Some(place);
            }
            many = order.is_eq() || (many && order.is_gt());
        }
        let best = best?;
        if !many {
            return Some(best);
        }
        let tied = |place: &usize| leases[*place] * weight[best] == leases[best] * weight[*place];
        let least = (best..active.len()).filter(takes_part).filter(tied);
        self.smooth.pick(least)
    }

    fn set_active(&mut self, place: usize, active: bool) {
        self.active[place] = active;
    }

    fn set_in_flight(&mut self, place: usize, leases: u32) {
        self.leases[place] = u64::from(leases);
    }

    fn counts_leases(&self) -> bool {
        true
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

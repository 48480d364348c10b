//! `lvs/lc`: fewest connections; weights only say who takes part.
//!
//! Source: Linux `net/netfilter/ipvs/ip_vs_lc.c`.

use super::least::Score;
use super::roll::Roll;

/// Fewest connections.
pub(crate) struct Lc;

impl Score for Lc {
    type Value = u64;

    fn of(roll: &Roll, place: usize) -> Option<u64> {
        Some(roll.overhead(place))
    }
}

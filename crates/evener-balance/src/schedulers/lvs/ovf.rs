//! `lvs/ovf`: overflow: the highest weight that its active connections do not exceed.
//!
//! Source: Linux `net/netfilter/ipvs/ip_vs_ovf.c`.

use std::cmp::Reverse;

use super::least::Score;
use super::roll::Roll;

/// The highest weight that is not exceeded.
pub(crate) struct Ovf;

impl Score for Ovf {
    type Value = Reverse<u32>;

    fn of(roll: &Roll, place: usize) -> Option<Reverse<u32>> {
        let weight = roll.weight(place);
        (roll.active(place) <= weight).then_some(Reverse(weight))
    }
}

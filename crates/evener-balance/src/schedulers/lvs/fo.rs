//! `lvs/fo`: weighted fail-over: the highest weight takes everything.
//!
//! Source: Linux `net/netfilter/ipvs/ip_vs_fo.c`.

use std::cmp::Reverse;

use super::least::Score;
use super::roll::Roll;

/// The highest weight.
pub(crate) struct Fo;

impl Score for Fo {
    type Value = Reverse<u32>;

    fn of(roll: &Roll, place: usize) -> Option<Reverse<u32>> {
        Some(Reverse(roll.weight(place)))
    }
}

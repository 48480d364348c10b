//! `lvs/wlc`: fewest connections by weight.
//!
//! Source: Linux `net/netfilter/ipvs/ip_vs_wlc.c`.

use super::least::Score;
use super::roll::Roll;
use crate::structures::Ratio;

/// Fewest connections by weight.
pub(crate) struct Wlc;

impl Score for Wlc {
    type Value = Ratio;

    fn of(roll: &Roll, place: usize) -> Option<Ratio> {
        Some(Ratio { load: roll.overhead(place), weight: roll.weight(place) })
    }
}

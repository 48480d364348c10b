//! `lvs/sed`: shortest expected delay: active connections, and the one to come, by weight.
//!
//! Source: Linux `net/netfilter/ipvs/ip_vs_sed.c`.

use super::least::Score;
use super::roll::Roll;
use crate::structures::Ratio;

/// Shortest expected delay.
pub(crate) struct Sed;

impl Score for Sed {
    type Value = Ratio;

    fn of(roll: &Roll, place: usize) -> Option<Ratio> {
        Some(Ratio { load: u64::from(roll.active(place)) + 1, weight: roll.weight(place) })
    }
}

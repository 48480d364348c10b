//! `lvs/sed`: shortest expected delay: active connections, and the one to come, by weight.
//!
//! Source: Linux `net/netfilter/ipvs/ip_vs_sed.c`.

use super::least::{Score, Share};
use super::roll::Roll;

/// Shortest expected delay.
pub(crate) struct Sed;

impl Score for Sed {
    type Value = Share;

    fn of(roll: &Roll, place: usize) -> Option<Share> {
        Some(Share { load: u64::from(roll.active(place)) + 1, weight: roll.weight(place) })
    }
}

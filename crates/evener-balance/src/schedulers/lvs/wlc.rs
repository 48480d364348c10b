//! `lvs/wlc`: fewest connections by weight.
//!
//! Source: Linux `net/netfilter/ipvs/ip_vs_wlc.c`.

use super::least::{Score, Share};
use super::roll::Roll;

/// Fewest connections by weight.
pub(crate) struct Wlc;

impl Score for Wlc {
    type Value = Share;

    fn of(roll: &Roll, place: usize) -> Option<Share> {
        Some(Share { load: roll.overhead(place), weight: roll.weight(place) })
    }
}

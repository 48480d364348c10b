//! `lvs/nq`: never queue: the first idle server of the list, else shortest expected delay.
//!
//! Source: Linux `net/netfilter/ipvs/ip_vs_nq.c`.

use super::least::Score;
use super::roll::Roll;
use crate::structures::Ratio;

/// An idle server, else shortest expected delay.
pub(crate) struct Nq;

impl Score for Nq {
    type Value = (bool, Ratio);

    fn of(roll: &Roll, place: usize) -> Option<(bool, Ratio)> {
        let delay = Ratio { load: u64::from(roll.active(place)) + 1, weight: roll.weight(place) };
        match roll.active(place) {
            // All idle ones are equal: a big weight gives no advantage.
            0 => Some((false, Ratio { load: 0, weight: 1 })),
            _ => Some((true, delay)),
        }
    }
}

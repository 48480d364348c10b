//! `lvs/lblc`: a server per address asked for, until it is overloaded.
//!
//! Rules kept here:
//! - The server remembered is used while its weight is above 0, unless it has more active
//!   connections than weight and some server has less than half. A threshold that is reached is
//!   not asked for it.
//! - Else the pick of `wlc` is used and remembered.
//!
//! Source: Linux `net/netfilter/ipvs/ip_vs_lblc.c`.

use super::least::Least;
use super::locality::Locality;
use super::roll::Roll;
use super::wlc::Wlc;
use super::{Heirs, Rule};
use crate::key::Key;
use crate::schedule::Crew;

/// A server per address asked for.
pub(crate) struct Lblc {
    wlc: Least<Wlc>,
    spare: Spare,
    known: Locality<u32>,
}

impl Lblc {
    pub(crate) fn new(crew: &Crew<'_>, expiration: u64) -> Lblc {
        Lblc {
            wlc: Least::new(crew),
            spare: Spare::new(crew.len()),
            known: Locality::new(expiration),
        }
    }
}

impl Rule for Lblc {
    const ASKS: bool = true;

    fn pick(&mut self, roll: &Roll, key: &Key<'_>, now: u64) -> Option<usize> {
        let Some(address) = key.local else {
            return self.wlc.winner(roll);
        };
        let known = self.known.asked(address, now).map(|place| *place as usize);
        let is_good =
            |place: &usize| roll.is_usable(*place) && !self.spare.is_overloaded(roll, *place);
        if let Some(place) = known.filter(is_good) {
            return Some(place);
        }
        let place = self.wlc.winner(roll)?;
        if known != Some(place) {
            self.known.remember(address, place as u32, now);
        }
        Some(place)
    }

    fn on_load(&mut self, roll: &Roll, place: usize) {
        self.wlc.on_load(roll, place);
        self.spare.on_load(roll, place);
    }

    fn inherit(&mut self, before: &Lblc, heirs: &Heirs<'_>) {
        let moves = heirs.moves();
        self.known.inherit(&before.known, |place| moves[*place as usize]);
    }
}

/// Who has less than half of what its weight allows.
pub(super) struct Spare {
    has: Vec<bool>,
    count: usize,
}

impl Spare {
    pub(super) fn new(places: usize) -> Spare {
        Spare { has: vec![false; places], count: 0 }
    }

    pub(super) fn on_load(&mut self, roll: &Roll, place: usize) {
        let twice = u64::from(roll.active(place)) * 2;
        let has = roll.is_listed(place) && twice < u64::from(roll.weight(place));
        let had = std::mem::replace(&mut self.has[place], has);
        self.count = self.count + usize::from(has) - usize::from(had);
    }

    /// More active connections than weight, and somebody has less than half.
    pub(super) fn is_overloaded(&self, roll: &Roll, place: usize) -> bool {
        self.count > 0 && roll.active(place) > roll.weight(place)
    }
}

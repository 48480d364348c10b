//! `lvs/lblcr`: a set of servers per address asked for, which grows under load and shrinks after.
//!
//! Rules kept here:
//! - The least loaded of the set (as `wlc`) is used, unless it is overloaded as in `lblc`: then the
//!   pick of `wlc` joins the set and is used.
//! - A set of several that nobody joined or left for the expiration loses its most loaded, after
//!   the least loaded was looked for.
//! - A set is newest first, and the first of equals is taken.
//!
//! Source: Linux `net/netfilter/ipvs/ip_vs_lblcr.c`.

use super::lblc::Spare;
use super::least::Least;
use super::locality::Locality;
use super::roll::Roll;
use super::wlc::Wlc;
use super::{Heirs, Rule};
use crate::key::Key;
use crate::schedule::Crew;
use crate::structures::Ratio;

/// A set of servers per address asked for.
pub(crate) struct Lblcr {
    wlc: Least<Wlc>,
    spare: Spare,
    known: Locality<Set>,
    expiration: u64,
}

/// The servers of one address.
#[derive(Clone)]
struct Set {
    /// Newest first.
    places: Vec<u32>,
    changed: u64,
}

impl Lblcr {
    pub(crate) fn new(crew: &Crew<'_>, expiration: u64) -> Lblcr {
        Lblcr {
            wlc: Least::new(crew),
            spare: Spare::new(crew.len()),
            known: Locality::new(expiration),
            expiration,
        }
    }
}

impl Rule for Lblcr {
    const ASKS: bool = true;

    fn pick(&mut self, roll: &Roll, key: &Key<'_>, now: u64) -> Option<usize> {
        let Some(address) = key.local else {
            return self.wlc.winner(roll);
        };
        let Some(set) = self.known.asked(address, now) else {
            let place = self.wlc.winner(roll)?;
            let set = Set { places: vec![place as u32], changed: now };
            self.known.remember(address, set, now);
            return Some(place);
        };
        let least = set.least(roll);
        if set.places.len() > 1 && now > set.changed + self.expiration {
            set.drop_most(roll, now);
        }
        if let Some(place) = least.filter(|place| !self.spare.is_overloaded(roll, *place)) {
            return Some(place);
        }
        let place = self.wlc.winner(roll)?;
        if !set.places.contains(&(place as u32)) {
            set.places.insert(0, place as u32);
            set.changed = now;
        }
        Some(place)
    }

    fn on_load(&mut self, roll: &Roll, place: usize) {
        self.wlc.on_load(roll, place);
        self.spare.on_load(roll, place);
    }

    fn inherit(&mut self, before: &Lblcr, heirs: &Heirs<'_>) {
        let moves = heirs.moves();
        self.known.inherit(&before.known, |set| {
            let places = set.places.iter().filter_map(|place| moves[*place as usize]);
            Some(Set { places: places.collect(), changed: set.changed })
        });
    }
}

impl Set {
    fn least(&self, roll: &Roll) -> Option<usize> {
        let places = self.places.iter().map(|place| *place as usize);
        places.filter(|place| roll.is_available(*place)).min_by_key(|place| share(roll, *place))
    }

    fn drop_most(&mut self, roll: &Roll, now: u64) {
        let places = self.places.iter().map(|place| *place as usize).enumerate();
        let weighted = places.filter(|(_, place)| roll.weight(*place) > 0);
        // Of equals the last is the maximum, hence from the end.
        let most = weighted.rev().max_by_key(|(_, place)| share(roll, *place));
        if let Some((at, _)) = most {
            self.places.remove(at);
            self.changed = now;
        }
    }
}

fn share(roll: &Roll, place: usize) -> Ratio {
    Ratio { load: roll.overhead(place), weight: roll.weight(place) }
}

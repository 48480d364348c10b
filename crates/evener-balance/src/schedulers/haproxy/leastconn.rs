//! `haproxy/leastconn`: fewest requests by weight, an idle server first.
//!
//! Rules kept here (HAProxy 2.6 `src/lb_fwlc.c`):
//! - The key is 0 for an idle server, else `(requests + 1) × 4096 / effective weight`, cut to a
//!   whole number.
//! - Equals stand in the order in which they came to their key; a change that leaves the key as it
//!   is moves nobody.
//! - Servers with no room are passed by.

use std::any::Any;

use super::room::Room;
use super::{HIGHEST, SCALE};
use crate::schedule::{Ask, Crew, Schedule};
use crate::structures::Tournament;

/// Fewest requests by weight.
pub(crate) struct Leastconn {
    weights: Vec<u32>,
    room: Room,
    /// Key and arrival of those that are active.
    queue: Tournament<(u64, u64)>,
    arrivals: u64,
}

impl Leastconn {
    pub(crate) fn new(crew: &Crew<'_>) -> Leastconn {
        Leastconn {
            weights: crew.weights(),
            room: Room::new(crew),
            queue: Tournament::new(crew.len()),
            arrivals: 0,
        }
    }

    fn key(&self, place: usize) -> u64 {
        let weight = u64::from(self.weights[place].max(1) * SCALE);
        match u64::from(self.room.leases(place)) {
            0 => 0,
            leases => (leases + 1) * u64::from(HIGHEST) / weight,
        }
    }

    fn seat(&mut self, place: usize) {
        let key = self.key(place);
        match self.queue.score(place) {
            _ if !self.room.is_active(place) => self.queue.set(place, None),
            Some((before, _)) if *before == key => {}
            _ => {
                self.arrivals += 1;
                self.queue.set(place, Some((key, self.arrivals)));
            }
        }
    }

    /// Takes the first out of the queue until one will do, and puts the others back.
    fn first_that(&mut self, will_do: impl Fn(&Room, usize) -> bool) -> Option<usize> {
        let mut passed = Vec::new();
        let mut first = self.queue.winner();
        while let Some(place) = first.filter(|place| !will_do(&self.room, *place)) {
            passed.push((place, self.queue.score(place).copied()));
            self.queue.set(place, None);
            first = self.queue.winner();
        }
        for (place, score) in passed {
            self.queue.set(place, score);
        }
        first
    }
}

impl Schedule for Leastconn {
    fn pick(&mut self, ask: &Ask<'_>) -> Option<usize> {
        self.first_that(|room, place| room.has_room(place) && !ask.tried.contains(&(place as u32)))
    }

    fn set_active(&mut self, place: usize, active: bool) {
        if self.room.set_active(place, active) {
            self.seat(place);
        }
    }

    fn counts_leases(&self) -> bool {
        true
    }

    fn set_in_flight(&mut self, place: usize, leases: u32) {
        self.room.set_leases(place, leases);
        self.seat(place);
    }

    fn inherit(&mut self, before: &dyn Any, kept: &[Option<u32>]) {
        let Some(before) = before.downcast_ref::<Leastconn>() else {
            return;
        };
        self.arrivals = before.arrivals;
        for (place, kept) in kept.iter().enumerate() {
            let old = kept.map(|kept| kept as usize).filter(|old| before.room.is_active(*old));
            if let Some(old) = old {
                self.room.set_active(place, true);
                self.room.set_leases(place, before.room.leases(old));
                self.queue.set(place, before.queue.score(old).copied());
                if self.weights[place] != before.weights[old] {
                    self.queue.set(place, None);
                    self.seat(place);
                }
            }
        }
    }
}

//! `haproxy/random`: the least loaded of some draws from the ring.
//!
//! Rules kept here (HAProxy 3.5 `src/backend.c`):
//! - Of two draws the one with fewer requests by weight stays; of equals the one that had fewer
//!   in the last second, by weight.
//! - HAProxy lets the request wait when the winner is full; here the ring's next one with room
//!   takes it.

use std::any::Any;

use evener_plan::HaproxyHash;

use super::ring::Ring;
use super::room::Room;
use crate::dice::Dice;
use crate::schedule::{Ask, Crew, Schedule};

/// The least loaded of some draws from the ring.
pub(crate) struct Random {
    draws: u32,
    ring: Ring,
    room: Room,
    rates: Vec<Rate>,
    dice: Dice,
}

/// Picks in this second and in the one before.
#[derive(Debug, Clone, Copy, Default)]
struct Rate {
    second: u64,
    now: u64,
    before: u64,
}

impl Random {
    pub(crate) fn new(crew: &Crew<'_>, draws: u32, hash: &HaproxyHash) -> Random {
        Random {
            draws: draws.max(1),
            ring: Ring::new(crew, hash),
            room: Room::new(crew),
            rates: vec![Rate::default(); crew.len()],
            dice: Dice::new(crew.seed),
        }
    }

    fn better(&self, one: usize, other: usize, now: u64) -> usize {
        let by_weight = |one_has: u64, other_has: u64| {
            (one_has * self.ring.weight(other)).cmp(&(other_has * self.ring.weight(one)))
        };
        let leases = |place: usize| u64::from(self.room.leases(place));
        let load = by_weight(leases(one), leases(other));
        let order = load.then_with(|| {
            by_weight(self.rates[one].estimate(now), self.rates[other].estimate(now))
        });
        if order.is_lt() { one } else { other }
    }
}

impl Schedule for Random {
    fn pick(&mut self, ask: &Ask<'_>) -> Option<usize> {
        let mut best: Option<usize> = None;
        for _ in 0..self.draws {
            let drawn = self.ring.hashed(self.dice.next() as u32, &self.room, ask.tried)?;
            best = Some(match best.filter(|best| *best != drawn) {
                Some(best) => self.better(best, drawn, ask.now),
                None => drawn,
            });
        }
        let best = match best.filter(|best| self.room.has_room(*best)) {
            Some(best) => best,
            None => self.ring.next(&self.room, ask.tried)?,
        };
        self.rates[best].count(ask.now);
        Some(best)
    }

    fn set_active(&mut self, place: usize, active: bool) {
        if self.room.set_active(place, active) {
            self.ring.set_active(place, active, &self.room);
        }
    }

    fn counts_leases(&self) -> bool {
        true
    }

    fn set_in_flight(&mut self, place: usize, leases: u32) {
        self.room.set_leases(place, leases);
    }

    fn stir(&mut self, seed: u64) {
        self.dice = Dice::new(seed);
    }

    fn inherit(&mut self, before: &dyn Any, kept: &[Option<u32>]) {
        if let Some(before) = before.downcast_ref::<Random>() {
            self.ring.inherit(&before.ring, kept);
        }
    }
}

impl Rate {
    fn count(&mut self, now: u64) {
        self.turn(now);
        self.now += 1;
    }

    /// In thousandths of a pick.
    fn estimate(mut self, now: u64) -> u64 {
        self.turn(now);
        self.now * 1_000 + self.before * (1_000 - now % 1_000)
    }

    fn turn(&mut self, now: u64) {
        let passed = (now / 1_000).saturating_sub(self.second);
        if passed > 0 {
            self.before = if passed == 1 { self.now } else { 0 };
            self.now = 0;
            self.second = now / 1_000;
        }
    }
}

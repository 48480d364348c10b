//! `evener/ring`: the pool's key on a ring of points.
//!
//! Rules kept here:
//! - A server has `points` per unit of weight, at hashes of its id; a key belongs to the first at
//!   or above its hash whose server can be picked.
//!
//! Precedent: Karger and others, "Consistent hashing and random trees" (1997).

use super::field::Field;
use crate::hashes::xxh64;
use crate::key::KeyRule;
use crate::schedule::{Ask, Crew, Schedule};

/// The pool's key on a ring of points.
pub(crate) struct Ring {
    field: Field,
    points: Points,
}

/// Points of all servers.
pub(super) struct Points {
    /// Hash and place, by hash.
    points: Vec<(u64, u32)>,
}

impl Points {
    pub(super) fn new(crew: &Crew<'_>, points: u32) -> Points {
        let mut all = Vec::new();
        for (place, server) in (0..).zip(&crew.servers) {
            let count = u64::from(server.weight) * u64::from(points);
            all.extend((0..count).map(|point| (xxh64(server.id.as_bytes(), point), place)));
        }
        all.sort_unstable();
        Points { points: all }
    }

    /// The first server that will do, from a hash on.
    pub(super) fn first(&self, hash: u64, will_do: impl Fn(usize) -> bool) -> Option<usize> {
        let from = self.points.partition_point(|(point, _)| *point < hash);
        let mut round = self.points[from..].iter().chain(&self.points[..from]);
        round.find(|(_, place)| will_do(*place as usize)).map(|(_, place)| *place as usize)
    }
}

impl Ring {
    pub(crate) fn new(crew: &Crew<'_>, points: u32) -> Ring {
        Ring { field: Field::new(crew), points: Points::new(crew, points) }
    }
}

impl Schedule for Ring {
    fn pick(&mut self, ask: &Ask<'_>) -> Option<usize> {
        let hash = self.field.hash(ask);
        self.points.first(hash, |place| self.field.takes(place, ask))
    }

    fn key_rule(&self) -> KeyRule {
        KeyRule::Wide
    }

    fn set_active(&mut self, place: usize, active: bool) {
        self.field.set_active(place, active);
    }

    fn counts_leases(&self) -> bool {
        true
    }

    fn set_in_flight(&mut self, place: usize, leases: u32) {
        self.field.set_leases(place, leases);
    }

    fn stir(&mut self, seed: u64) {
        self.field.stir(seed);
    }
}

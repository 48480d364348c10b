//! `evener/ring`: the pool's key on a ring of points.
//!
//! Rules kept here:
//! - A server has `points` per unit of weight, at hashes of its id; a key belongs to the first at
//!   or above its hash whose server can be picked.
//! - All have 4,194,304 points together at most: above that each has its part of them, at least
//!   one.
//!
//! Precedent: Karger and others, "Consistent hashing and random trees" (1997).

use super::field::Field;
use crate::hashes::xxh64;
use crate::key::KeyRule;
use crate::schedule::{Ask, Crew, Schedule};
use crate::structures::Circle;

/// The pool's key on a ring of points.
pub(crate) struct Ring {
    field: Field,
    points: Points,
}

/// Points of all servers.
pub(super) struct Points {
    /// Places by hash.
    circle: Circle<u64>,
}

/// 68 MiB of them.
const MOST: u64 = 1 << 22;

impl Points {
    pub(super) fn new(crew: &Crew<'_>, points: u32) -> Points {
        let wanted = |weight: u32| u64::from(weight) * u64::from(points);
        let total: u64 = crew.weights().into_iter().map(wanted).sum();
        let mut all = Vec::with_capacity(total.min(MOST) as usize);
        for (place, server) in (0..).zip(&crew.servers) {
            let count = match wanted(server.weight) {
                wanted if wanted > 0 && total > MOST => {
                    (u128::from(wanted) * u128::from(MOST) / u128::from(total)).max(1) as u64
                }
                wanted => wanted,
            };
            all.extend((0..count).map(|point| (xxh64(server.id.as_bytes(), point), place)));
        }
        all.sort_unstable();
        Points { circle: Circle::new(all) }
    }

    /// The first server that will do, from a hash on.
    pub(super) fn first(&self, hash: u64, will_do: impl Fn(usize) -> bool) -> Option<usize> {
        let (before, from) = self.circle.points().split_at(self.circle.first(hash));
        let mut round = from.iter().chain(before);
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

    field_keeps!();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::Key;
    use crate::schedule::tests::Troop;

    fn shares(ring: &mut Ring, servers: usize) -> Vec<f64> {
        (0..servers).for_each(|place| ring.set_active(place, true));
        let mut shares = vec![0.0; servers];
        for key in 0..20_000 {
            let key = Key { hash: Some(crate::dice::mix(key)), ..Key::default() };
            let place = ring.pick(&Ask { key, ..Ask::default() }).unwrap();
            shares[place] += 1.0 / 20_000.0;
        }
        shares
    }

    #[test]
    fn shares_are_by_weight_also_where_points_are_cut() {
        for weights in [[1, 3], [20_000, 60_000]] {
            let mut ring = Ring::new(&Troop::new(&weights).crew(), 160);
            assert!(ring.points.circle.points().len() as u64 <= MOST);
            let shares = shares(&mut ring, 2);
            assert!((shares[1] - 0.75).abs() < 0.05, "{shares:?}");
        }
    }

    #[test]
    fn a_lost_server_moves_its_own_keys_only() {
        let mut ring = Ring::new(&Troop::new(&[1; 5]).crew(), 160);
        (0..5).for_each(|place| ring.set_active(place, true));
        let pick = |ring: &mut Ring, key: u64| {
            let key = Key { hash: Some(crate::dice::mix(key)), ..Key::default() };
            ring.pick(&Ask { key, ..Ask::default() })
        };
        let before: Vec<_> = (0..2_000).map(|key| pick(&mut ring, key)).collect();
        ring.set_active(3, false);
        for (key, before) in (0..).zip(before) {
            let after = pick(&mut ring, key);
            assert!(after == before || before == Some(3));
        }
    }
}

//! `evener/bounded_hash`: the pool's key on a ring, none above its share of the load by more than
//! so much.
//!
//! Rules kept here:
//! - A server takes the key while its leases are below `⌈(1 + excess) × (all leases + 1) × its part
//!   of the active weight⌉`; else the next one on the ring does.
//! - Where only servers above that can be picked (the others were tried, or are full), the first of
//!   these on the ring takes it.
//!
//! Precedent: Mirrokni, Thorup, Zadimoghaddam, "Consistent hashing with bounded loads" (2016).

use super::field::Field;
use super::ring::Points;
use crate::key::KeyRule;
use crate::schedule::{Ask, Crew, Schedule};

/// The pool's key on a ring, with bounded loads.
pub(crate) struct BoundedHash {
    field: Field,
    points: Points,
    /// Percent.
    excess: u64,
}

impl BoundedHash {
    pub(crate) fn new(crew: &Crew<'_>, points: u32, excess: u32) -> BoundedHash {
        BoundedHash {
            field: Field::new(crew),
            points: Points::new(crew, points),
            excess: excess.max(1).into(),
        }
    }

    fn is_below_bound(&self, place: usize) -> bool {
        let part = u128::from((100 + self.excess) * (self.field.load() + 1));
        let part = part * u128::from(self.field.weight(place));
        let bound = part.div_ceil(100 * u128::from(self.field.active_weight()));
        u128::from(self.field.leases(place)) < bound
    }
}

impl Schedule for BoundedHash {
    fn pick(&mut self, ask: &Ask<'_>) -> Option<usize> {
        let hash = self.field.hash(ask);
        let takes = |place: usize| self.field.takes(place, ask);
        let bounded = self.points.first(hash, |place| takes(place) && self.is_below_bound(place));
        bounded.or_else(|| self.points.first(hash, takes))
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
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn nobody_is_given_more_than_its_share_and_the_excess(
            weights in prop::collection::vec(1u32..5, 1..20),
            excess in 1u32..100,
            keys in prop::collection::vec(0u64..20, 1..300),
            ends in prop::collection::vec(any::<prop::sample::Index>(), 0..100),
        ) {
            let mut hash = BoundedHash::new(&Troop::new(&weights).crew(), 40, excess);
            (0..weights.len()).for_each(|place| hash.set_active(place, true));
            let mut leases = vec![0u32; weights.len()];
            let all: u32 = weights.iter().sum();
            for (at, key) in keys.iter().enumerate() {
                let key = Key { hash: Some(crate::dice::mix(*key)), ..Key::default() };
                let place = hash.pick(&Ask { key, ..Ask::default() }).unwrap();
                leases[place] += 1;
                hash.set_in_flight(place, leases[place]);
                let mean = f64::from(leases.iter().sum::<u32>() * weights[place]) / f64::from(all);
                let bound = (mean * (1.0 + f64::from(excess) / 100.0) - 1e-9).ceil();
                prop_assert!(f64::from(leases[place]) <= bound, "{} of {bound}", leases[place]);
                if let Some(end) = ends.get(at) {
                    let place = end.index(weights.len());
                    leases[place] = leases[place].saturating_sub(1);
                    hash.set_in_flight(place, leases[place]);
                }
            }
        }

        #[test]
        fn while_none_ends_the_most_is_never_above_the_mean_and_the_excess(
            servers in 1usize..30,
            excess in 1u32..100,
            picks in 1u32..400,
        ) {
            let mut hash = BoundedHash::new(&Troop::new(&vec![1; servers]).crew(), 40, excess);
            (0..servers).for_each(|place| hash.set_active(place, true));
            let mut leases = vec![0u32; servers];
            for _ in 0..picks {
                let key = Key { hash: Some(1 << 60), ..Key::default() };
                let place = hash.pick(&Ask { key, ..Ask::default() }).unwrap();
                leases[place] += 1;
                hash.set_in_flight(place, leases[place]);
                let sum: u32 = leases.iter().sum();
                let bound = (sum * (100 + excess)).div_ceil(100 * servers as u32);
                prop_assert!(leases.iter().all(|leases| *leases <= bound));
            }
        }
    }
}

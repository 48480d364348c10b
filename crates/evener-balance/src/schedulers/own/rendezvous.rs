//! `evener/rendezvous`: the pool's key by highest random weight.
//!
//! Rules kept here:
//! - Key and server together are a number between 0 and 1; the least `-ln(number) / weight` is
//!   picked. A server that goes moves its own keys only, in a new plan, too.
//! - The definition forces a scan: one multiplication per server, about half a nanosecond. Servers
//!   of one weight stand together, so that a logarithm is taken once per weight at most, and only
//!   where the weight's best may win.
//!
//! Precedent: Thaler and Ravishankar, "A name-based mapping scheme for rendezvous" (1996); weights
//! by Schindelhauer and Schomaker (2005).

use super::field::Field;
use crate::hashes::xxh64;
use crate::key::KeyRule;
use crate::schedule::{Ask, Crew, Schedule};

/// The pool's key by highest random weight.
pub(crate) struct Rendezvous {
    field: Field,
    /// Servers of one weight.
    groups: Vec<Group>,
}

struct Group {
    weight: u32,
    seeds: Vec<u64>,
    places: Vec<u32>,
}

impl Rendezvous {
    pub(crate) fn new(crew: &Crew<'_>) -> Rendezvous {
        let mut weights = crew.weights();
        weights.sort_unstable();
        weights.dedup();
        let group = |weight: u32| {
            let servers = (0..).zip(&crew.servers).filter(|(_, server)| server.weight == weight);
            let seed = |(place, server): (u32, &&evener_plan::Server)| {
                (xxh64(server.id.as_bytes(), 3), place)
            };
            let (seeds, places) = servers.map(seed).unzip();
            Group { weight, seeds, places }
        };
        // The heaviest first: they win most, and the others' logarithms need not be taken.
        let weights = weights.into_iter().rev().filter(|weight| *weight > 0);
        Rendezvous { field: Field::new(crew), groups: weights.map(group).collect() }
    }
}

impl Group {
    /// The highest number of those that will do, and its server.
    fn highest(&self, key: u64, will_do: impl Fn(usize) -> bool) -> Option<(u64, usize)> {
        let mut best = None;
        let mut highest = 0;
        for (seed, place) in self.seeds.iter().zip(&self.places) {
            let number = meet(*seed, key);
            if number >= highest && will_do(*place as usize) {
                highest = number;
                best = Some((number, *place as usize));
            }
        }
        best
    }
}

/// A number for a server and a key: both halves of their product.
fn meet(seed: u64, key: u64) -> u64 {
    let product = u128::from(seed ^ key) * 0x9e37_79b9_7f4a_7c15_u128;
    (product >> 64) as u64 ^ product as u64
}

impl Schedule for Rendezvous {
    fn pick(&mut self, ask: &Ask<'_>) -> Option<usize> {
        let hash = self.field.hash(ask);
        let mut best: Option<(f64, usize)> = None;
        for group in &self.groups {
            let will_do = |place: usize| self.field.takes(place, ask);
            if let Some((number, place)) = group.highest(hash, will_do) {
                let share = (number as f64 + 0.5) / 2.0_f64.powi(64);
                let weight = f64::from(group.weight);
                // `-ln(x)` is at least `1 - x`; a little less, for what rounding does to both.
                let at_least = (1.0 - share) / weight * (1.0 - 1e-9);
                if best.is_some_and(|(least, _)| at_least >= least) {
                    continue;
                }
                let cost = -share.ln() / weight;
                if best.is_none_or(|(least, _)| cost < least) {
                    best = Some((cost, place));
                }
            }
        }
        best.map(|(_, place)| place)
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

    fn pick(rendezvous: &mut Rendezvous, key: u64) -> usize {
        let key = Key { hash: Some(crate::dice::mix(key)), ..Key::default() };
        rendezvous.pick(&Ask { key, ..Ask::default() }).unwrap()
    }

    fn of(troop: &Troop) -> Rendezvous {
        let mut rendezvous = Rendezvous::new(&troop.crew());
        (0..troop.servers.len()).for_each(|place| rendezvous.set_active(place, true));
        rendezvous
    }

    #[test]
    fn shares_are_by_weight() {
        let mut rendezvous = of(&Troop::new(&[1, 2, 1, 4]));
        let mut shares = [0.0_f64; 4];
        (0..80_000).for_each(|key| shares[pick(&mut rendezvous, key)] += 1.0 / 10_000.0);
        for (share, weight) in shares.iter().zip([1.0, 2.0, 1.0, 4.0]) {
            assert!((share - weight).abs() < 0.1, "{shares:?}");
        }
    }

    #[test]
    fn logarithms_that_are_left_out_change_no_pick() {
        let weights: Vec<u32> = (0..30).map(|place| 1 + place % 9).collect();
        let troop = Troop::new(&weights);
        let mut rendezvous = of(&troop);
        let seeds: Vec<u64> =
            troop.servers.iter().map(|server| xxh64(server.id.as_bytes(), 3)).collect();
        for key in 0..5_000 {
            let cost = |place: usize| {
                let number = meet(seeds[place], crate::dice::mix(key));
                -((number as f64 + 0.5) / 2.0_f64.powi(64)).ln() / f64::from(weights[place])
            };
            let least = (0..30).min_by(|one, other| cost(*one).total_cmp(&cost(*other)));
            assert_eq!(Some(pick(&mut rendezvous, key)), least, "{key}");
        }
    }

    #[test]
    fn who_goes_moves_nobody_elses_keys() {
        let weights: Vec<u32> = (0..100).map(|place| 1 + place % 3).collect();
        let mut troop = Troop::new(&weights);
        let mut before = of(&troop);
        troop.servers.remove(40);
        let mut after = of(&troop);
        for key in 0..5_000 {
            let old = pick(&mut before, key);
            let new = pick(&mut after, key);
            assert!(old == 40 || new == old - usize::from(old > 40));
        }
    }
}

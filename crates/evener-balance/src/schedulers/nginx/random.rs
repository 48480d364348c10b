//! `nginx/random`: a weighted draw, or the better of two.
//!
//! Rules kept here (nginx, `ngx_http_upstream_get_random_peer`, `…_random2_peer`):
//! - Places that cannot take it are drawn, too; after 20 such draws round robin picks.
//! - Of two, the second is taken unless the first has less by weight.

use evener_plan::{Better, Measure};

use super::round_robin::RoundRobin;
use super::times::Times;
use crate::dice::Dice;
use crate::schedule::{Ask, Crew, Done, Position, Schedule};
use crate::structures::Shares;

/// A weighted draw, or the better of two.
pub(crate) struct Random {
    robin: RoundRobin,
    shares: Shares,
    weights: Vec<u32>,
    two: Option<Better>,
    times: Times,
    dice: Dice,
}

/// Draws in vain after which round robin picks.
const MISSES: u32 = 20;

impl Random {
    pub(crate) fn new(crew: &Crew<'_>, two: Option<Better>) -> Random {
        let measure = match two {
            Some(Better::LeastTimeHeader) => Measure::Header,
            _ => Measure::LastByte,
        };
        Random {
            robin: RoundRobin::new(crew),
            shares: Shares::of(&crew.weights()),
            weights: crew.weights(),
            two,
            times: Times::new(crew, measure, false),
            dice: Dice::new(crew.seed),
        }
    }

    fn draw(&mut self, ask: &Ask<'_>) -> Option<usize> {
        let (mut first, mut misses) = (None, 0);
        while misses <= MISSES {
            let place = self.shares.owner(self.dice.below(self.shares.total()))?;
            let is_free = self.robin.gate().is_open(place) && first != Some(place);
            if !is_free || ask.tried.contains(&(place as u32)) {
                misses += 1;
                continue;
            }
            match first {
                _ if self.two.is_none() => return Some(place),
                None => first = Some(place),
                Some(first) => {
                    let (one, other) = (self.load(first, ask.now), self.load(place, ask.now));
                    let weight = |place: usize| u64::from(self.weights[place]);
                    let is_worse = other * weight(first) > one * weight(place);
                    return Some(if is_worse { first } else { place });
                }
            }
        }
        None
    }

    fn load(&self, place: usize, now: u64) -> u64 {
        let leases = self.robin.gate().leases(place);
        match self.two {
            Some(Better::LeastConn) | None => leases.into(),
            Some(_) => self.times.eta(place, leases, now).into(),
        }
    }

    fn measures(&self) -> bool {
        matches!(self.two, Some(Better::LeastTimeHeader | Better::LeastTimeLastByte))
    }
}

impl Schedule for Random {
    fn pick(&mut self, ask: &Ask<'_>) -> Option<usize> {
        let drawn = if self.weights.len() < 2 { None } else { self.draw(ask) };
        let picked = drawn.or_else(|| self.robin.pick_besides(ask.tried))?;
        if self.measures() {
            self.times.on_pick(picked, ask.now);
        }
        Some(picked)
    }

    fn set_active(&mut self, place: usize, active: bool) {
        self.robin.set_active(place, active);
    }

    fn counts_leases(&self) -> bool {
        self.two.is_some() || self.robin.counts_leases()
    }

    fn set_in_flight(&mut self, place: usize, leases: u32) {
        self.robin.set_in_flight(place, leases);
    }

    fn times(&self) -> bool {
        self.measures()
    }

    fn on_done(&mut self, place: usize, done: &Done, now: u64) {
        self.times.on_done(place, done, now);
    }

    fn on_failure(&mut self, place: usize, allowed: u32) {
        self.times.on_failure(place);
        self.robin.on_failure(place, allowed);
    }

    fn stir(&mut self, seed: u64) {
        self.dice = Dice::new(seed);
    }

    fn inherit(&mut self, before: &dyn std::any::Any, kept: &[Option<u32>]) {
        if let Some(before) = before.downcast_ref::<Random>() {
            self.times.inherit(&before.times, kept);
        }
    }

    fn position(&self, place: usize) -> Position {
        self.robin.position(place)
    }

    fn resume(&mut self, place: usize, position: Position) {
        self.robin.resume(place, position);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::tests::Troop;

    fn counts(random: &mut Random, picks: usize) -> Vec<usize> {
        let mut counts = vec![0; random.weights.len()];
        (0..picks).for_each(|_| counts[random.pick(&Ask::default()).unwrap()] += 1);
        counts
    }

    fn of(weights: &[u32], two: Option<Better>) -> Random {
        let mut random = Random::new(&Troop::new(weights).crew(), two);
        (0..weights.len()).for_each(|place| random.set_active(place, true));
        random
    }

    #[test]
    fn draws_are_by_weight() {
        let counts = counts(&mut of(&[1, 3], None), 40_000);
        assert!((29_500..30_500).contains(&counts[1]), "{counts:?}");
    }

    #[test]
    fn of_two_the_one_with_fewer_connections_is_taken() {
        let mut random = of(&[1, 1], Some(Better::LeastConn));
        random.set_in_flight(0, 5);
        assert_eq!(counts(&mut random, 500), [0, 500]);
    }

    #[test]
    fn of_two_the_faster_one_is_taken() {
        let mut random = of(&[1, 1], Some(Better::LeastTimeHeader));
        let done = |micros| Done {
            how: crate::schedule::How::Works,
            head: Some(micros),
            whole: micros,
            headed: false,
            again: false,
            mark: 0,
        };
        random.on_done(0, &done(900_000), 1);
        random.on_done(1, &done(90_000), 1);
        assert_eq!(counts(&mut random, 500), [0, 500]);
    }

    #[test]
    fn who_cannot_take_it_is_not_picked() {
        let mut random = of(&[1, 1, 1], None);
        random.set_active(1, false);
        let ask = Ask { tried: &[2], ..Ask::default() };
        assert!((0..200).all(|_| random.pick(&ask) == Some(0)));
    }
}

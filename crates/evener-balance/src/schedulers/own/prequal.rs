//! `evener/prequal`: hot and cold servers by requests in flight; of the cold ones the fastest.
//!
//! Rules kept here:
//! - Estimates of servers drawn at random stand in a small pool, each with its requests in flight
//!   and latency. With each pick `probes` percent of one are taken anew; they age, are used a
//!   number of times, and each pick drops the oldest and the worst by turns.
//! - A server is hot if its requests in flight are above the `hot` quantile of what was estimated
//!   lately. Among the cold the least latency is picked; where all are hot, the fewest requests.
//! - A pick counts as one more in flight in the estimates of its server until they are made anew.
//! - Estimates are what this balancer knows itself; the paper's come from the servers. Load is its
//!   leases by weight, latency as `at_load` has it, or the age of open leases where that is more.
//!
//! Precedent: Wydrowski and others, "Load is not what you should balance: introducing Prequal"
//! (NSDI 2024), §4.

use std::any::Any;
use std::collections::VecDeque;

use super::at_load::{AtLoad, step_of};
use super::field::Field;
use super::latency::{self, Latency};
use crate::schedule::{Ask, Crew, Done, Schedule};

/// Hot and cold servers by requests in flight; of the cold ones the fastest.
pub(crate) struct Prequal {
    field: Field,
    /// For the age of open leases.
    latencies: Vec<Latency>,
    at_load: AtLoad,
    /// Load and time of the last pick.
    load: u32,
    rule: Rule,
    /// How often an estimate is used: so that the pool neither empties nor grows stale.
    uses: u32,
    /// Oldest first.
    pool: VecDeque<Estimate>,
    /// Above their quantile a server is hot.
    recent: Recent,
    /// Hundredths of estimates owed.
    owed: u32,
    drops_worst: bool,
    now: u64,
}

/// The parameters.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rule {
    pub(crate) pool: u32,
    pub(crate) probes: u32,
    /// Milliseconds.
    pub(crate) age: u64,
    pub(crate) hot: u32,
}

#[derive(Debug, Clone, Copy)]
struct Estimate {
    place: u32,
    /// Requests in flight for a weight of 1, in 256ths.
    load: u32,
    latency: f64,
    at: u64,
    uses: u32,
}

/// Requests in flight of the last estimates, and their quantile.
#[derive(Debug)]
struct Recent {
    /// Around; from `len` on they are nobody's.
    loads: [u32; RECENT],
    len: usize,
    at: usize,
    /// Hundredths that are below the quantile.
    hundredths: usize,
    quantile: u32,
    /// How many are below it, and how many are equal to it.
    below: usize,
    equal: usize,
}

/// Estimates that the quantile is taken of.
const RECENT: usize = 64;
/// Microseconds, while nothing is known of any server.
const UNKNOWN: f64 = 1.0;

impl Prequal {
    pub(crate) fn new(crew: &Crew<'_>, rule: Rule) -> Prequal {
        Prequal {
            field: Field::new(crew),
            latencies: vec![Latency::default(); crew.len()],
            at_load: AtLoad::new(crew.len()),
            load: 0,
            uses: uses(rule, crew.len()),
            rule: Rule { pool: rule.pool.max(2), ..rule },
            pool: VecDeque::new(),
            recent: Recent::new(rule.hot),
            owed: 0,
            drops_worst: false,
            now: 0,
        }
    }

    fn probe(&mut self, ask: &Ask<'_>) {
        self.owed += self.rule.probes;
        let mut owed = (self.owed / 100) as usize;
        self.owed %= 100;
        while owed > 0 {
            let mut drawn = [0; 16];
            let count = self.field.draw(ask, |draw, _| {
                let draws = drawn.iter_mut().take(owed);
                draws.map_while(|slot| draw().map(|place| *slot = place)).count()
            });
            drawn[..count].iter().for_each(|place| self.estimate(*place, ask.now));
            // Fewer than there is room for: that is all, or nobody can be picked.
            owed = if count < drawn.len() { 0 } else { owed - count };
        }
    }

    fn estimate(&mut self, place: usize, now: u64) {
        let load = self.field.leases(place).saturating_mul(256) / self.field.weight(place).max(1);
        let latency = self.latency(place, self.field.leases(place), now);
        if self.pool.len() >= self.rule.pool as usize {
            self.pool.pop_front();
        }
        self.pool.push_back(Estimate { place: place as u32, load, latency, at: now, uses: 0 });
        self.recent.note(load);
    }

    fn latency(&self, place: usize, leases: u32, now: u64) -> f64 {
        let known = self.at_load.estimate(place, leases, now);
        known.unwrap_or(UNKNOWN).max(self.latencies[place].age(now))
    }

    /// The estimates of a server that was picked know it.
    fn note_one_more(&mut self, place: usize) {
        let latency = self.latency(place, self.load + 1, self.now);
        let load = 256 / self.field.weight(place).max(1);
        for estimate in &mut self.pool {
            let is_same = estimate.place as usize == place;
            estimate.load += if is_same { load } else { 0 };
            estimate.latency = if is_same { latency } else { estimate.latency };
        }
    }

    fn drop_one(&mut self) {
        self.drops_worst = !self.drops_worst;
        if self.pool.len() <= self.rule.pool as usize / 2 {
            return;
        }
        if !self.drops_worst {
            self.pool.pop_front();
            return;
        }
        if let Some(worst) = first_of(self.pool.iter().map(|estimate| !self.rank(estimate))) {
            self.pool.remove(worst);
        }
    }

    /// Cold before hot, the fast before the slow, and of the hot the idle before the busy.
    fn rank(&self, estimate: &Estimate) -> u64 {
        const HOT: u64 = 1 << 63;
        match estimate.load > self.recent.quantile {
            true => HOT | u64::from(estimate.load),
            // The bits of numbers that are not negative are in the order of the numbers.
            false => estimate.latency.to_bits(),
        }
    }

    /// The best estimate of a server that can be picked.
    fn best(&self, ask: &Ask<'_>) -> Option<usize> {
        let takes = |estimate: &Estimate| self.field.takes(estimate.place as usize, ask);
        let best = first_of(self.pool.iter().map(|estimate| self.rank(estimate)))?;
        if takes(&self.pool[best]) {
            return Some(best);
        }
        let open = self.pool.iter().enumerate().filter(|(_, estimate)| takes(estimate));
        open.min_by_key(|(_, estimate)| self.rank(estimate)).map(|(at, _)| at)
    }
}

/// Where the least stands, the first of equals; without a branch that nobody could foretell.
fn first_of(ranks: impl Iterator<Item = u64>) -> Option<usize> {
    let least = |(least, first): (u64, Option<usize>), (at, rank): (usize, u64)| {
        let is_less = rank < least || first.is_none();
        (if is_less { rank } else { least }, if is_less { Some(at) } else { first })
    };
    ranks.enumerate().fold((u64::MAX, None), least).1
}

impl Recent {
    fn new(hundredths: u32) -> Recent {
        let loads = [0; RECENT];
        let hundredths = hundredths as usize;
        Recent { loads, len: 0, at: 0, hundredths, quantile: 0, below: 0, equal: 0 }
    }

    /// One more; the oldest goes when there are enough. The quantile is looked for only when its
    /// rank is another's.
    fn note(&mut self, load: u32) {
        if self.len == RECENT {
            let oldest = self.loads[self.at];
            self.below -= usize::from(oldest < self.quantile);
            self.equal -= usize::from(oldest == self.quantile);
        } else {
            self.len += 1;
        }
        self.loads[self.at] = load;
        self.at = (self.at + 1) % RECENT;
        self.below += usize::from(load < self.quantile);
        self.equal += usize::from(load == self.quantile);
        let rank = (self.len * self.hundredths / 100).min(self.len - 1);
        if rank < self.below || rank >= self.below + self.equal {
            self.look(rank);
        }
    }

    fn look(&mut self, rank: usize) {
        let mut loads = self.loads;
        let loads = &mut loads[..self.len];
        let quantile = *loads.select_nth_unstable(rank).1;
        self.quantile = quantile;
        self.below = loads.iter().filter(|load| **load < quantile).count();
        self.equal = loads.iter().filter(|load| **load == quantile).count();
    }
}

/// How often an estimate is used, in a tier of so many servers.
fn uses(rule: Rule, servers: usize) -> u32 {
    let share = f64::from(rule.pool.max(2)) / servers.max(1) as f64;
    let gained = (1.0 - share).max(0.0) * f64::from(rule.probes) / 100.0 - 1.0;
    match gained > 0.0 {
        true => (2.0 / gained).ceil() as u32,
        false => u32::MAX,
    }
}

impl Schedule for Prequal {
    fn pick(&mut self, ask: &Ask<'_>) -> Option<usize> {
        let is_old = |estimate: &Estimate| ask.now.saturating_sub(estimate.at) >= self.rule.age;
        while self.pool.front().is_some_and(is_old) {
            self.pool.pop_front();
        }
        self.probe(ask);
        let picked = match self.best(ask) {
            Some(at) => {
                self.pool[at].uses += 1;
                let estimate = self.pool[at];
                if estimate.uses >= self.uses {
                    self.pool.remove(at);
                }
                estimate.place as usize
            }
            None => self.field.draw(ask, |draw, _| draw())?,
        };
        self.drop_one();
        self.now = self.now.max(ask.now);
        self.latencies[picked].on_pick(ask.now);
        self.load = self.field.leases(picked);
        self.note_one_more(picked);
        Some(picked)
    }

    fn mark(&self) -> u32 {
        latency::mark_of(step_of(self.load))
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

    fn ended(&mut self, place: usize, mark: u32, begun: u64) {
        if latency::is_mark(mark) {
            self.latencies[place].on_end(begun);
        }
    }

    fn take_back(&mut self, place: usize, mark: u32, now: u64) {
        self.ended(place, mark, now);
    }

    fn times(&self) -> bool {
        true
    }

    fn on_done(&mut self, place: usize, done: &Done, now: u64) {
        let (Some(began_at), leases) = (latency::load_of(done.mark), self.field.leases(place))
        else {
            return;
        };
        let before = || self.at_load.estimate(place, leases, now).unwrap_or(0.0);
        if let Some(sample) = latency::sample_of(done, before) {
            self.at_load.learn(place, began_at, sample, now);
        }
    }

    fn stir(&mut self, seed: u64) {
        self.field.stir(seed);
    }

    fn inherit(&mut self, before: &dyn Any, kept: &[Option<u32>]) {
        if let Some(before) = before.downcast_ref::<Prequal>() {
            self.now = before.now;
            self.at_load.inherit(&before.at_load, kept);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::tests::Troop;
    use proptest::prelude::*;

    #[test]
    fn as_many_estimates_are_taken_as_are_asked_for() {
        let rule = Rule { pool: 1_000, probes: 10_000, age: 1_000, hot: 84 };
        let troop = Troop::new(&[1; 200]);
        let mut prequal = Prequal::new(&troop.crew(), rule);
        (0..200).for_each(|place| prequal.set_active(place, true));
        prequal.pick(&Ask::default()).unwrap();
        assert_eq!(prequal.pool.len(), 100);
    }

    proptest! {
        #[test]
        fn the_quantile_is_that_of_the_last_ones_sorted(
            hundredths in 0u32..=100,
            loads in prop::collection::vec(prop_oneof![0u32..4, 0u32..1_000], 1..300),
        ) {
            let mut recent = Recent::new(hundredths);
            for (at, load) in loads.iter().enumerate() {
                recent.note(*load);
                let mut last = loads[(at + 1).saturating_sub(RECENT)..=at].to_vec();
                last.sort_unstable();
                let rank = (last.len() * hundredths as usize / 100).min(last.len() - 1);
                prop_assert_eq!(recent.quantile, last[rank]);
            }
        }
    }
}

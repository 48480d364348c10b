//! How long a server takes at the load it has: Prequal's latency estimate.
//!
//! Rules kept here:
//! - Times are kept apart by the requests that were in flight when theirs began, in steps of
//!   powers of two. Each is the mean of about ten exchanges.
//! - What is old tends, within seconds, to what all servers take at that load, or in the mean of
//!   all loads where that is less (nobody else may have had that load). For an idle server it
//!   tends to a little less: where many are alike, the mean alone is never the least, and one that
//!   was slow would not be asked again.
//! - Where nothing is known at a load, the next lower one says it, then the next higher, then all
//!   servers.
//!
//! Precedent: Prequal (NSDI 2024), §4: the median of recent latencies near the current load.

/// How long servers take, by load; microseconds.
#[derive(Debug, Clone)]
pub(super) struct AtLoad {
    servers: Vec<Means>,
    all: Means,
    overall: Mean,
}

/// By step of the load.
#[derive(Debug, Clone, Copy, Default)]
struct Means {
    steps: [Mean; STEPS],
    /// A bit for each step of which something is known, the lowest for the first.
    known: u8,
}

#[derive(Debug, Clone, Copy, Default)]
struct Mean {
    micros: f64,
    /// When it was made; milliseconds.
    at: u64,
}

/// Loads of 0, 1, 2 and 3, 4 to 7 … from 64 on; as many as a byte has bits.
const STEPS: usize = 8;
/// Time in which a distance from the mean of all falls to a third, in milliseconds.
const DECAY: f64 = 3_000.0;
/// What an idle server of which nothing new is known takes, of what all take.
const IDLE: f64 = 0.9;
/// What a new latency moves the mean of its server by, and that of all.
const MOVES: (f64, f64) = (0.1, 0.01);

/// The step of a load.
pub(super) fn step_of(load: u32) -> u32 {
    (load.checked_ilog2().map_or(0, |log| log + 1)).min(STEPS as u32 - 1)
}

impl AtLoad {
    pub(super) fn new(places: usize) -> AtLoad {
        AtLoad {
            servers: vec![Means::default(); places],
            all: Means::default(),
            overall: Mean::default(),
        }
    }

    /// What a request takes that begins at this load; `None` if nothing is known of anybody.
    pub(super) fn estimate(&self, place: usize, load: u32, now: u64) -> Option<f64> {
        let step = step_of(load) as usize;
        let general = self.all.nearest(step)?;
        let Some(own) = self.servers[place].nearest(step) else {
            return Some(self.all.steps[general].micros);
        };
        Some(self.aged(place, own, now, if load == 0 { IDLE } else { 1.0 }))
    }

    /// What a server's mean has become by now, on its way to this part of the mean of all.
    fn aged(&self, place: usize, step: usize, now: u64, part: f64) -> f64 {
        let mean = &self.servers[place].steps[step];
        if now <= mean.at {
            return mean.micros;
        }
        let of_all = match self.all.knows(step) {
            true => self.all.steps[step].micros,
            false => self.overall.micros,
        };
        let prior = of_all.min(self.overall.micros) * part;
        let keeps = (-((now - mean.at) as f64) / DECAY).exp();
        prior + (mean.micros - prior) * keeps
    }

    /// A request that began at the load of this step took so long.
    pub(super) fn learn(&mut self, place: usize, step: u32, micros: f64, now: u64) {
        let step = (step as usize).min(STEPS - 1);
        if self.servers[place].knows(step) {
            self.servers[place].steps[step].micros = self.aged(place, step, now, 1.0);
        }
        let is_first = self.all.known == 0;
        self.servers[place].learn(step, micros, MOVES.0, now);
        self.all.learn(step, micros, MOVES.1, now);
        self.overall.move_to(micros, if is_first { 1.0 } else { MOVES.1 }, now);
    }

    /// Takes over what was known of servers that stay.
    pub(super) fn inherit(&mut self, before: &AtLoad, kept: &[Option<u32>]) {
        self.all = before.all;
        self.overall = before.overall;
        for (server, kept) in self.servers.iter_mut().zip(kept) {
            if let Some(kept) = kept {
                *server = before.servers[*kept as usize];
            }
        }
    }
}

impl Means {
    fn knows(&self, step: usize) -> bool {
        self.known & (1 << step) != 0
    }

    /// The step whose mean says it for this one: itself, the next lower or the next higher.
    fn nearest(&self, step: usize) -> Option<usize> {
        let upto = self.known & (u8::MAX >> (STEPS - 1 - step));
        match upto.checked_ilog2() {
            Some(lower) => Some(lower as usize),
            None if self.known == 0 => None,
            None => Some(self.known.trailing_zeros() as usize),
        }
    }

    fn learn(&mut self, step: usize, micros: f64, by: f64, now: u64) {
        let by = if self.knows(step) { by } else { 1.0 };
        self.known |= 1 << step;
        self.steps[step].move_to(micros, by, now);
    }
}

impl Mean {
    fn move_to(&mut self, micros: f64, by: f64, now: u64) {
        self.micros += by * (micros - self.micros);
        self.at = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_load_has_its_time_and_the_old_tend_to_that_of_all() {
        let mut times = AtLoad::new(3);
        assert_eq!(times.estimate(0, 5, 0), None);
        times.learn(0, step_of(0), 4_000.0, 0);
        times.learn(0, step_of(40), 90_000.0, 0);
        assert_eq!(times.estimate(0, 0, 0), Some(4_000.0), "fresh");
        assert_eq!(times.estimate(0, 3, 0), Some(4_000.0), "the next lower load");
        assert_eq!(times.estimate(0, 63, 0), Some(90_000.0));
        assert_eq!(times.estimate(2, 63, 0), Some(90_000.0), "all of them");
        times.learn(1, step_of(0), 2_000_000.0, 0);
        let prior = 4_000.0 + 0.01 * 1_996_000.0;
        let late = times.estimate(1, 0, 60_000).unwrap();
        assert!((late - IDLE * prior).abs() < 1.0, "{late}");
    }

    #[test]
    fn loads_are_told_apart_by_powers_of_two() {
        let steps = [0, 1, 2, 3, 4, 7, 8, 63, 64, u32::MAX].map(step_of);
        assert_eq!(steps, [0, 1, 2, 2, 3, 3, 4, 6, 7, 7]);
    }
}

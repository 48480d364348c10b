//! When requests arrive.

use serde::{Deserialize, Serialize};

use crate::draw::Draw;
use crate::scenario::{Micros, SECOND};

/// When requests arrive, at all balancers together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Arrivals {
    /// At random, so many a second in the mean.
    Poisson {
        /// Requests a second.
        rate: f64,
    },
    /// One after another at one distance.
    Even {
        /// Requests a second.
        rate: f64,
    },
    /// At random, at rates that change at times; before the first time nothing arrives.
    Steps(
        /// From when on how many a second, in order of time.
        Vec<(Micros, f64)>,
    ),
    /// As a log says, in order of time.
    Recorded(Vec<Recorded>),
}

/// A request of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recorded {
    /// When it arrived.
    pub at: Micros,
    /// Who asked: the same number for the same client; of an IPv4 address its bits.
    pub client: u64,
    /// What for: the same number for the same thing.
    pub key: u64,
    /// How long a server worked on it, see [`Service::OfRequest`](crate::Service::OfRequest).
    pub work: Micros,
}

impl Arrivals {
    /// The first arrival after `now`; `count` have come so far.
    pub(crate) fn next(&self, now: Micros, count: usize, draw: &mut Draw) -> Option<Micros> {
        match self {
            Arrivals::Poisson { rate } => Some(now + chance(draw.exponential(), *rate, draw)),
            Arrivals::Even { rate } => Some(gap(count as f64 + 1.0, *rate)),
            Arrivals::Steps(steps) => next_of(steps, now, draw),
            Arrivals::Recorded(requests) => requests.get(count).map(|request| request.at.max(now)),
        }
    }

    /// What the log says of the request in this row.
    pub(crate) fn recorded(&self, row: usize) -> Option<Recorded> {
        match self {
            Arrivals::Recorded(requests) => requests.get(row).copied(),
            _ => None,
        }
    }

    /// How many come in this time, in the mean.
    pub(crate) fn expected(&self, length: Micros) -> f64 {
        let count = |from: Micros, until: Micros, rate: f64| {
            until.saturating_sub(from) as f64 / SECOND as f64 * rate
        };
        match self {
            Arrivals::Poisson { rate } | Arrivals::Even { rate } => count(0, length, *rate),
            Arrivals::Steps(steps) => {
                let ends = steps.iter().skip(1).map(|(from, _)| *from).chain([length]);
                let step = |((from, rate), end): (&(Micros, f64), Micros)| {
                    count(*from, end.min(length), *rate)
                };
                steps.iter().zip(ends).map(step).sum()
            }
            Arrivals::Recorded(requests) => requests.len() as f64,
        }
    }

    /// The rates there are.
    pub(crate) fn rates(&self) -> Vec<f64> {
        match self {
            Arrivals::Poisson { rate } | Arrivals::Even { rate } => vec![*rate],
            Arrivals::Steps(steps) => steps.iter().map(|(_, rate)| *rate).collect(),
            Arrivals::Recorded(_) => Vec::new(),
        }
    }
}

/// So many mean distances.
fn gap(distances: f64, rate: f64) -> Micros {
    (distances * SECOND as f64 / rate).round() as Micros
}

/// The same of a gap drawn at random. Rounding adds to the rate where gaps are a few microseconds
/// (4 % at a million a second): then chance decides which way it goes, so that the mean stays.
fn chance(distances: f64, rate: f64, draw: &mut Draw) -> Micros {
    if rate < DENSE {
        return gap(distances, rate);
    }
    (distances * SECOND as f64 / rate + 1.0 - draw.unit()).floor() as Micros
}

/// A second; below it rounding is less than a part in two thousand.
const DENSE: f64 = 100_000.0;

/// A gap that reaches into the next step goes on there at that step's rate.
fn next_of(steps: &[(Micros, f64)], now: Micros, draw: &mut Draw) -> Option<Micros> {
    let mut left = draw.exponential();
    let mut at = now;
    let first = steps.partition_point(|(from, _)| *from <= now).saturating_sub(1);
    for (step, (from, rate)) in steps.iter().enumerate().skip(first) {
        at = at.max(*from);
        let next = at + chance(left, *rate, draw);
        match steps.get(step + 1) {
            Some((until, _)) if next >= *until => {
                left -= (*until - at) as f64 * rate / SECOND as f64;
                at = *until;
            }
            _ => return Some(next),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(arrivals: &Arrivals, from: Micros, until: Micros) -> usize {
        let mut draw = Draw::new(1);
        let (mut now, mut times) = (0, Vec::new());
        while let Some(next) = arrivals.next(now, times.len(), &mut draw).filter(|at| *at < until) {
            now = next;
            times.push(now);
        }
        times.iter().filter(|at| **at >= from).count()
    }

    #[test]
    fn each_step_has_its_rate() {
        let steps = Arrivals::Steps(vec![(SECOND, 1_000.0), (11 * SECOND, 100.0)]);
        assert_eq!(count(&steps, 0, SECOND), 0);
        assert!((9_600..10_400).contains(&count(&steps, 0, 11 * SECOND)));
        assert!((880..1_120).contains(&count(&steps, 11 * SECOND, 21 * SECOND)));
    }

    #[test]
    fn even_and_recorded_ones_come_when_they_are_due() {
        assert_eq!(count(&Arrivals::Even { rate: 50.0 }, 0, SECOND + 1), 50);
        let recorded = |at| Recorded { at, client: 1, key: 1, work: 1 };
        assert_eq!(count(&Arrivals::Recorded([3, 5, 9].map(recorded).to_vec()), 4, 100), 2);
    }
}

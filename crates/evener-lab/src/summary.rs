//! A run in few figures.

use serde::{Deserialize, Serialize};

use crate::report::{Report, Sample};
use crate::scenario::{Micros, Scenario};

/// A run in few figures.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// The scheduler, `program/name`.
    pub scheduler: String,
    /// The seed.
    pub seed: u64,
    /// All requests.
    pub whole: Times,
    /// Requests that were sent more than once.
    pub retried: u64,
    /// Per server, in the pool's order.
    pub servers: Vec<Share>,
    /// The run in equal pieces of time.
    pub slices: Vec<Slice>,
    /// Events that the run took.
    pub events: u64,
}

/// Figures of some requests; times in microseconds, `None` where so many had no good answer.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Times {
    /// How many.
    pub requests: u64,
    /// The part of them that had a good answer, 0 to 1.
    pub good: f64,
    /// Mean time of those.
    pub mean: f64,
    /// Half stayed below.
    pub p50: Option<Micros>,
    /// 90 % stayed below.
    pub p90: Option<Micros>,
    /// 99 % stayed below.
    pub p99: Option<Micros>,
    /// 99.9 % stayed below.
    pub p999: Option<Micros>,
}

/// What a server had of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Share {
    /// Its id.
    pub id: String,
    /// Tries.
    pub picks: u64,
    /// The part of all tries.
    pub share: f64,
}

/// A piece of the run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Slice {
    /// From when.
    pub from: Micros,
    /// Its requests.
    pub times: Times,
    /// The part of them that the first server had last: where a scenario has one that something
    /// is wrong with, it stands first.
    pub first: f64,
}

impl Summary {
    /// Of a run, with so many slices.
    pub fn of(scenario: &Scenario, report: &Report, slices: u32) -> Summary {
        let all = report.picks.iter().sum::<u64>().max(1) as f64;
        let share = |(server, picks): (&evener_plan::Server, &u64)| Share {
            id: server.id.clone(),
            picks: *picks,
            share: *picks as f64 / all,
        };
        Summary {
            scheduler: name(scenario),
            seed: scenario.seed,
            whole: Times::of(report, within(scenario)),
            retried: report.samples.iter().filter(|sample| sample.tries > 1).count() as u64,
            servers: scenario.pool.servers.iter().zip(&report.picks).map(share).collect(),
            slices: (0..slices).map(|at| slice(scenario, report, at, slices)).collect(),
            events: report.events,
        }
    }
}

impl Times {
    /// Of a report; an answer is good within this time.
    pub fn of(report: &Report, within: Micros) -> Times {
        let mut times: Vec<Micros> = report.samples.iter().map(Sample::lasted).collect();
        // From above down, so that each finds its place among those below the one before.
        let mut until = times.len();
        let [p999, p99, p90, p50] = [0.999, 0.99, 0.9, 0.5].map(|part| {
            let at = ((times.len() as f64 * part) as usize).min(until.checked_sub(1)?);
            let (_, time, _) = times.get_mut(..until)?.select_nth_unstable(at);
            until = at + 1;
            Some(*time).filter(|time| *time != Micros::MAX)
        });
        let (requests, good) = (report.samples.len() as u64, report.good_within(within));
        Times { requests, good, mean: report.mean(), p50, p90, p99, p999 }
    }
}

fn within(scenario: &Scenario) -> Micros {
    scenario.within.unwrap_or(Micros::MAX)
}

/// `program/name`, as the plan spells it.
fn name(scenario: &Scenario) -> String {
    let scheduler = serde_json::to_value(&scenario.pool.scheduler).ok();
    let name = scheduler.and_then(|value| Some(value.get("name")?.as_str()?.to_owned()));
    name.unwrap_or_default()
}

fn slice(scenario: &Scenario, report: &Report, at: u32, of: u32) -> Slice {
    let from = scenario.length * u64::from(at) / u64::from(of);
    let until = scenario.length * u64::from(at + 1) / u64::from(of);
    // Samples stand in order of their arrival.
    let first = report.samples.partition_point(|sample| sample.at < from);
    let last = report.samples.partition_point(|sample| sample.at < until);
    let samples: Vec<Sample> = report.samples.get(first..last).unwrap_or_default().to_vec();
    let had = samples.iter().filter(|sample| sample.server == Some(0)).count();
    let first = had as f64 / samples.len().max(1) as f64;
    let report = Report { samples, picks: Vec::new(), events: 0 };
    Slice { from, times: Times::of(&report, within(scenario)), first }
}

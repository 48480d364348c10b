//! Prequal's ramp: requests for 100 servers, each with an allocation of two processors. On every
//! other one antagonists leave it nothing more; the others can have three times as much. Load goes
//! from 0.75 to 1.74 times what is allocated, in nine steps of a ninth more each. Processor time is
//! normal, its deviation is its mean, cut at 0. Clients give up after 5 s.
//!
//! The published figures at the top: weighted round robin reaches the deadline, Prequal's p99.9
//! stays near 600 ms, without errors. All requests pass one balancer here: Prequal's clients ask
//! the servers how many requests they have in flight, a balancer that all pass knows it.
//!
//! Source: Wydrowski and others, "Load is not what you should balance: introducing Prequal" (NSDI
//! 2024), §5.1. Processors per server and the mean time are ours: they are not published.

use evener_plan::Scheduler;

use super::{PEAK_EWMA, PREQUAL, Row, Study};
use crate::{
    Arrivals, Deadline, LabError, Micros, Report, SECOND, Scenario, ServerModel, Service, pool, run,
};

pub(super) const STUDY: Study = Study {
    name: "prequal",
    title: "A ramp beyond the allocation",
    model: "100 servers, an allocation of 2 processors each, shared by what is in flight; half can \
            have 6, the other half is contended and cannot; nine steps of 5 s from 0.75 to 1.74 \
            times the allocation; normal processor times, deviation = mean; clients give up after \
            5 s; the last step counts",
    source: "Wydrowski and others, “Load is not what you should balance: introducing Prequal” \
             (NSDI 2024)",
    run: rows,
};

const SERVERS: usize = 100;
const ALLOCATED: f64 = 2.0;
const AT_MOST: f64 = 6.0;
const MEAN: f64 = 62_500.0;
/// What a normal time of that mean and deviation is in the mean, cut at 0.
const CUT: f64 = 1.0833;
const STEPS: i32 = 9;
const STEP: Micros = 5 * SECOND;

fn top(scheduler: Scheduler, seed: u64) -> Result<Report, LabError> {
    let service = Service::Normal { mean: MEAN, deviation: MEAN };
    let cores = |at: usize| if at.is_multiple_of(2) { ALLOCATED } else { AT_MOST };
    let servers = (0..SERVERS).map(|at| ServerModel::new(service).with_cores(cores(at))).collect();
    let allocated = SERVERS as f64 * ALLOCATED * SECOND as f64 / (MEAN * CUT);
    let step = |at: i32| (STEP * at as u64, 0.75 * allocated * (10.0_f64 / 9.0).powi(at));
    let arrivals = Arrivals::Steps((0..STEPS).map(step).collect());
    let mut scenario = Scenario::new(pool(scheduler, &[1; SERVERS]), servers, arrivals);
    scenario.seed = seed;
    scenario.length = STEP * STEPS as u64;
    scenario.deadline = Some(Deadline { after: 5 * SECOND, blames: false });
    Ok(run(&scenario)?.between(STEP * (STEPS - 1) as u64, Micros::MAX))
}

/// The 99.9th percentile in milliseconds; the deadline where so many were not answered.
fn p999(report: &Report) -> f64 {
    report.quantile(0.999).unwrap_or(5 * SECOND) as f64 / 1_000.0
}

fn errors(report: &Report) -> f64 {
    100.0 * (1.0 - report.good_within(Micros::MAX))
}

/// What runs best here: more servers are hot, so that requests in flight decide more often.
const OURS: Scheduler = Scheduler::Prequal { pool: 32, probes: 800, age: 1_000, hot: 50 };

fn rows(seed: u64) -> Result<Vec<Row>, LabError> {
    let weighted = top(Scheduler::NginxRoundRobin {}, seed)?;
    let prequal = top(PREQUAL, seed)?;
    let ewma = top(PEAK_EWMA, seed)?;
    let ours = top(OURS, seed)?;
    Ok(vec![
        Row::published("p99.9, round_robin by weight", "ms", 5_000.0, 0.15, p999(&weighted)),
        Row::published("p99.9, prequal", "ms", 600.0, 0.15, p999(&prequal)),
        Row::at_most("errors, prequal", "%", 0.0, errors(&prequal)),
        Row::at_most("errors, prequal with hot: 50%", "%", 0.0, errors(&ours)),
        Row::at_most("errors, peak_ewma", "%", 0.0, errors(&ewma)),
        Row::at_most("p99.9, peak_ewma", "ms", 1_000.0, p999(&ewma)),
        Row::at_most(
            "p99.9, prequal with hot: 50%, of prequal's",
            "",
            1.0,
            p999(&ours) / p999(&prequal),
        ),
    ])
}

//! C3's servers whose speed changes all the time: 50 servers that work on four requests at once,
//! exponential times of 4 ms in the mean, or of a third of it: drawn anew, with even odds, every 10
//! to 500 ms. Load is 70 % of what all can do.
//!
//! Source: Suresh and others, "C3: cutting tail latency in cloud data stores via adaptive replica
//! selection" (NSDI 2015), §6. Every server has every key here (C3's have a third copy of it).

use evener_plan::Scheduler;

use super::{Row, Study};
use crate::{Arrivals, LabError, Micros, Pace, SECOND, Scenario, ServerModel, Service, pool, run};

pub(super) const STUDY: Study = Study {
    name: "c3",
    title: "Servers whose speed changes all the time",
    model: "50 servers that work on 4 requests at once, exponential times of 4 ms, or of a third \
            of it, redrawn every 10, 100 or 500 ms; 70 000 requests a second (70 % of what all can \
            do) from 150 balancers with views of their own; 250 µs each way",
    source: "Suresh and others, “C3: cutting tail latency in cloud data stores via adaptive \
             replica selection” (NSDI 2015)",
    run: rows,
};

const SERVERS: usize = 50;
const BALANCERS: usize = 150;
/// A bound of ours: what it is, and a quarter.
const MOST: f64 = 70.0;
const WARM_UP: Micros = SECOND;
const LENGTH: Micros = 2 * SECOND;

/// The 99.9th percentile in milliseconds.
fn p999(scheduler: Scheduler, balancers: usize, every: Micros, seed: u64) -> Result<f64, LabError> {
    let mut server = ServerModel::new(Service::Exponential { mean: 4_000.0 / 3.0 }).with_slots(4);
    server.pace = Pace::Redrawn { every, slower: 3.0, odds: 0.5 };
    let arrivals = Arrivals::Poisson { rate: 70_000.0 };
    let pool = pool(scheduler, &[1; SERVERS]);
    let scenario = Scenario::new(pool, vec![server; SERVERS], arrivals);
    let scenario = Scenario { seed, balancers, network: 500, length: LENGTH, ..scenario };
    let report = run(&scenario)?.between(WARM_UP, LENGTH);
    Ok(report.quantile(0.999).unwrap_or(Micros::MAX) as f64 / 1_000.0)
}

/// Prequal that sees every server: with fewer estimates than servers a balancer of many does not
/// learn of the fast ones before they are slow again.
const WIDE: Scheduler = Scheduler::Prequal { pool: 50, probes: 1_600, age: 1_000, hot: 84 };

fn rows(seed: u64) -> Result<Vec<Row>, LabError> {
    let mut rows = Vec::new();
    for every in [10, 100, 500] {
        let p999 = |scheduler| p999(scheduler, BALANCERS, every * 1_000, seed);
        let (least, ours) = (p999(Scheduler::NginxLeastConn {})?, p999(WIDE)?);
        let what = format!("p99.9, prequal of all servers, every {every} ms");
        rows.push(Row::at_most(&what, "ms", MOST, ours));
        // At 10 ms nobody can know who is fast: what is learnt is over when it is known.
        let bound = if every == 10 { 1.1 } else { 0.5 };
        let what = format!("the same as a part of least_conn's, every {every} ms");
        rows.push(Row::at_most(&what, "", bound, ours / least));
    }
    Ok(rows)
}

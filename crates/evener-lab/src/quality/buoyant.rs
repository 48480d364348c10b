//! Buoyant's slow server: 11 servers with times around 167 ms (normal, deviation 5 ms), 1000
//! requests a second for a minute; one takes two seconds from 15 s to 45 s. The figure is the part
//! that had an answer within a second.
//!
//! Source: Buoyant, "Beyond round robin: load balancing for latency" (2016): 95 % by round robin,
//! 99 % by least loaded, 99.9 % by peak EWMA. What failed is what is compared: 5 %, 1 %, 0.1 %.

use evener_plan::Scheduler;

use super::{PEAK_EWMA, PREQUAL, Row, Study};
use crate::{Arrivals, Fault, LabError, SECOND, Scenario, ServerModel, Service, What, pool, run};

pub(super) const STUDY: Study = Study {
    name: "buoyant",
    title: "A slow server",
    model: "11 servers, normal times of 167 ms ± 5 ms, Poisson arrivals, 1000 requests a second \
            for 60 s; one server takes 2 s from 15 s to 45 s; success is an answer within 1 s",
    source: "Buoyant, “Beyond round robin: load balancing for latency” (2016)",
    run: rows,
};

const SERVERS: usize = 11;

fn success(scheduler: Scheduler, seed: u64) -> Result<f64, LabError> {
    let service = Service::Normal { mean: 167_000.0, deviation: 5_000.0 };
    let mut servers = vec![ServerModel::new(service); SERVERS];
    let slow = What::Takes(Service::Fixed(2 * SECOND));
    servers[0].faults = vec![Fault::new(15 * SECOND, 45 * SECOND, slow)];
    let arrivals = Arrivals::Poisson { rate: 1_000.0 };
    let scenario = Scenario::new(pool(scheduler, &[1; SERVERS]), servers, arrivals);
    Ok(100.0 * run(&Scenario { seed, ..scenario })?.good_within(SECOND))
}

fn rows(seed: u64) -> Result<Vec<Row>, LabError> {
    let round_robin = success(Scheduler::NginxRoundRobin {}, seed)?;
    let least_loaded = success(Scheduler::NginxLeastConn {}, seed)?;
    Ok(vec![
        Row::published("success, round_robin", "%", 95.0, 0.15, round_robin),
        Row::published("failures, round_robin", "%", 5.0, 0.15, 100.0 - round_robin),
        Row::published("success, least_conn", "%", 99.0, 0.15, least_loaded),
        Row::at_least("success, peak_ewma", "%", 99.9, success(PEAK_EWMA, seed)?),
        Row::at_least("success, prequal", "%", 99.9, success(PREQUAL, seed)?),
    ])
}

//! What is simulated.

use std::collections::BTreeMap;

use evener_plan::{
    Admin, Initial, Keepalive, Limits, Pool, PoolProtocol, PoolTimeouts, Retry, Scheduler,
};

use crate::arrivals::Arrivals;
use crate::error::LabError;
use crate::server::{Pace, ServerModel, What};
use crate::service::Service;

/// Microseconds.
pub type Micros = u64;

/// A second in microseconds.
pub const SECOND: Micros = 1_000_000;

/// What is simulated.
#[derive(Debug, Clone, PartialEq)]
pub struct Scenario {
    /// All chance comes from it.
    pub seed: u64,
    /// When requests arrive.
    pub arrivals: Arrivals,
    /// How long they do. The run ends when the last one has.
    pub length: Micros,
    /// Balancers of the pool; each request comes to one at random, each sees its own leases and
    /// answers only.
    pub balancers: usize,
    /// What they balance: scheduler, weights, limits, exclusion.
    pub pool: Pool,
    /// Its servers, in the pool's order.
    pub servers: Vec<ServerModel>,
    /// The way to a server and back, together.
    pub network: Micros,
    /// When clients give up.
    pub deadline: Option<Deadline>,
}

/// When clients give up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadline {
    /// After how long.
    pub after: Micros,
    /// Whether the server is blamed (`timeouts.response`) or the client just leaves. It works on
    /// either way.
    pub blames: bool,
}

impl Scenario {
    /// One balancer, no way, no deadline.
    pub fn new(pool: Pool, servers: Vec<ServerModel>, arrivals: Arrivals) -> Scenario {
        Scenario {
            seed: 1,
            arrivals,
            length: 60 * SECOND,
            balancers: 1,
            pool,
            servers,
            network: 0,
            deadline: None,
        }
    }

    pub(crate) fn check(&self) -> Result<(), LabError> {
        let (pool, models) = (self.pool.servers.len(), self.servers.len());
        if pool != models {
            return Err(LabError::ServersDiffer { pool, models });
        }
        if self.balancers == 0 {
            return Err(LabError::NoBalancer);
        }
        positive("a rate", self.arrivals.rates())?;
        let services = self.servers.iter().flat_map(services);
        positive("a service time", services.map(|service| service.scale()).collect())?;
        let paces = self.servers.iter().filter_map(|server| match server.pace {
            Pace::Redrawn { slower, .. } => Some(slower),
            Pace::Steady => None,
        });
        positive("a pace", paces.collect())
    }
}

fn services(server: &ServerModel) -> Vec<Service> {
    let faults = server.faults.iter().filter_map(|fault| match fault.what {
        What::Takes(service) => Some(service),
        _ => None,
    });
    faults.chain([server.service]).collect()
}

fn positive(what: &'static str, numbers: Vec<f64>) -> Result<(), LabError> {
    match numbers.iter().all(|number| number.is_finite() && *number > 0.0) {
        true => Ok(()),
        false => Err(LabError::NotPositive(what)),
    }
}

/// A pool of unchecked servers with these weights, without exclusion.
pub fn pool(scheduler: Scheduler, weights: &[u32]) -> Pool {
    let server = |(at, weight): (usize, &u32)| evener_plan::Server {
        id: format!("s{at}"),
        address: format!("10.{}.{}.{}:80", at >> 16, (at >> 8) & 255, at & 255),
        host: format!("10.{}.{}.{}", at >> 16, (at >> 8) & 255, at & 255),
        weight: *weight,
        tier: 0,
        admin: Admin::Ready,
        params: BTreeMap::new(),
        limits: Limits::default(),
    };
    Pool {
        name: "lab".into(),
        protocol: PoolProtocol::Http,
        tls: None,
        scheduler,
        key: None,
        servers: weights.iter().enumerate().map(server).collect(),
        checks: Vec::new(),
        passive: None,
        initial: Initial::Up,
        retry: Retry { attempts: 1, on: Vec::new() },
        keepalive: Keepalive { idle: 60_000, per_shard: 128, max_age: 3_600_000 },
        timeouts: PoolTimeouts { connect: 5_000, send: 30_000, response: 60_000, receive: 60_000 },
        params: BTreeMap::new(),
    }
}

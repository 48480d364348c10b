//! What is simulated.

use std::collections::BTreeMap;

use evener_plan::{
    Admin, Buffer, Initial, Keepalive, Limits, Pool, PoolHttp, PoolProtocol, PoolTimeouts, Retry,
    Scheduler, Scope,
};
use serde::{Deserialize, Serialize};

use crate::arrivals::Arrivals;
use crate::clients::Clients;
use crate::error::LabError;
use crate::server::ServerModel;

/// Microseconds.
pub type Micros = u64;

/// A second in microseconds.
pub const SECOND: Micros = 1_000_000;

/// Requests of a run: each is held in 32 bytes until its end, and counted in 32 bits.
const MOST: f64 = 100e6;

/// What is simulated.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// All chance comes from it.
    pub seed: u64,
    /// When requests arrive.
    pub arrivals: Arrivals,
    /// How long they do. The run ends when the last one has.
    pub length: Micros,
    /// Who asks, if no log says so.
    pub clients: Clients,
    /// Balancers of the pool; each request comes to one at random, each sees its own leases and
    /// answers only.
    pub balancers: usize,
    /// What they balance: scheduler, weights, limits, checks, exclusion, retries.
    pub pool: Pool,
    /// Its servers, in the pool's order.
    pub servers: Vec<ServerModel>,
    /// The way to a server and back, together.
    pub network: Micros,
    /// When clients give up.
    pub deadline: Option<Deadline>,
    /// An answer counts as good in a summary only within this time.
    pub within: Option<Micros>,
}

/// When clients give up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Deadline {
    /// After how long.
    pub after: Micros,
    /// Whether it is each try's and the server is blamed (`timeouts.response`), or the client just
    /// leaves. The server works on either way.
    pub blames: bool,
}

impl Scenario {
    /// One balancer, no way, no deadline, each client once.
    pub fn new(pool: Pool, servers: Vec<ServerModel>, arrivals: Arrivals) -> Scenario {
        Scenario {
            seed: 1,
            arrivals,
            length: 60 * SECOND,
            clients: Clients::Fresh,
            balancers: 1,
            pool,
            servers,
            network: 0,
            deadline: None,
            within: None,
        }
    }

    /// A scenario from its JSON form, which this type's own serialisation gives.
    ///
    /// # Errors
    /// [`LabError::NotRead`] says where it is not one.
    pub fn from_json(text: &str) -> Result<Scenario, LabError> {
        serde_json::from_str(text).map_err(|error| LabError::NotRead(error.to_string()))
    }

    pub(crate) fn check(&self) -> Result<(), LabError> {
        if let Scheduler::Python { policy, .. } = &self.pool.scheduler {
            return Err(LabError::Policy(policy.clone()));
        }
        let (pool, models) = (self.pool.servers.len(), self.servers.len());
        if pool != models {
            return Err(LabError::ServersDiffer { pool, models });
        }
        if self.balancers == 0 {
            return Err(LabError::NoBalancer);
        }
        if let Clients::Known { count: 0, .. } = self.clients {
            return Err(LabError::NotPositive("a number of clients"));
        }
        let rates = self.arrivals.rates().into_iter().map(|rate| ("a rate", rate));
        let numbers = rates.chain(self.servers.iter().flat_map(ServerModel::numbers));
        if let Some((what, _)) =
            numbers.into_iter().find(|(_, number)| !(number.is_finite() && *number > 0.0))
        {
            return Err(LabError::NotPositive(what));
        }
        match self.arrivals.expected(self.length) {
            many if many > MOST => Err(LabError::TooMany(many as u64)),
            _ => Ok(()),
        }
    }
}

/// A pool of unchecked servers with these weights, without exclusion and retries.
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
        scope: Scope::Shared,
        key: None,
        servers: weights.iter().enumerate().map(server).collect(),
        checks: Vec::new(),
        passive: None,
        initial: Initial::Up,
        retry: Retry { attempts: 1, on: Vec::new() },
        keepalive: Keepalive { idle: 60_000, per_shard: 128, max_age: 3_600_000 },
        buffer: Buffer { request: 0, response: 65_536 },
        http: PoolHttp { accept: vec![] },
        timeouts: PoolTimeouts { connect: 5_000, send: 30_000, response: 60_000, receive: 60_000 },
        params: BTreeMap::new(),
    }
}

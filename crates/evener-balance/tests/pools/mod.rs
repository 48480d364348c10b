//! Pools for tests, as short as the case allows.

#[allow(dead_code, reason = "each test crate uses its part of this module")]
pub mod schedulers;

use std::collections::BTreeMap;

use evener_plan::{
    Admin, Check, CheckKind, Initial, Keepalive, Limits, Passive, Pool, PoolProtocol, PoolTimeouts,
    Readmit, Retry, Scheduler, Scope, Server,
};

/// An http pool of servers `a`, `b`, … with these weights; unchecked, without exclusion.
pub fn pool(weights: &[u32]) -> Pool {
    Pool {
        name: "app".into(),
        protocol: PoolProtocol::Http,
        tls: None,
        scheduler: Scheduler::NginxRoundRobin {},
        scope: Scope::Shared,
        key: None,
        servers: weights.iter().enumerate().map(|(i, weight)| server(i, *weight)).collect(),
        checks: Vec::new(),
        passive: None,
        initial: Initial::Up,
        retry: Retry { attempts: 2, on: Vec::new() },
        keepalive: Keepalive { idle: 60_000, per_shard: 128, max_age: 3_600_000 },
        buffer: evener_plan::Buffer { request: 0, response: 0 },
        http: evener_plan::PoolHttp { accept: vec![] },
        timeouts: PoolTimeouts { connect: 5_000, send: 30_000, response: 60_000, receive: 60_000 },
        params: BTreeMap::new(),
    }
}

/// One server; past `z` the ids are numbers.
pub fn server(index: usize, weight: u32) -> Server {
    let id = match u8::try_from(index) {
        Ok(small) if small < 26 => ((b'a' + small) as char).to_string(),
        _ => format!("s{index}"),
    };
    Server {
        id,
        address: format!("10.0.{}.{}:80", index / 250, index % 250),
        host: "10.0.0.1".into(),
        weight,
        tier: 0,
        admin: Admin::Ready,
        params: BTreeMap::new(),
        limits: Limits::default(),
    }
}

/// Exclusion after one failure within 10 s, for 10 s.
#[allow(dead_code, reason = "each test crate uses its part of this module")]
pub fn passive(readmit: Readmit) -> Option<Passive> {
    Some(Passive { fails: 1, within: 10_000, out: 10_000, readmit })
}

/// A TCP check with these streaks.
#[allow(dead_code, reason = "each test crate uses its part of this module")]
pub fn check(rise: u32, fall: u32) -> Check {
    Check {
        kind: CheckKind::Tcp {},
        every: 2_000,
        timeout: 1_000,
        rise,
        fall,
        fast: None,
        down: None,
        jitter: 0.1,
        port: None,
    }
}

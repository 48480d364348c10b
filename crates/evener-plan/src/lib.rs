//! The plan: the fully resolved, validated, immutable configuration the data plane runs.
//!
//! Rules kept here:
//! - Types and their JSON form, nothing else: no defaults (a default lives once, in the schema of
//!   the configuration), no behaviour, no IO.
//! - Unknown and missing fields are errors, so that the two sides cannot drift apart silently.
//! - Everything is resolved: names are addresses, times are milliseconds, sizes are bytes.
//!
//! Not known here: where the plan came from, and how any of it is obeyed.

#![forbid(unsafe_code)]

mod listener;
mod pool;
mod route;
mod scheduler;

pub use listener::{
    HttpRules, Interim, Listener, ListenerProtocol, ListenerTimeouts, ListenerTls, Rate,
    TlsVersion, Underscores, Violation,
};
pub use pool::{
    Admin, Buffer, Check, CheckKind, Expect, HealthState, Initial, Keepalive, Limits, Passive,
    Pool, PoolHttp, PoolProtocol, PoolTimeouts, PoolTls, Readmit, Retry, RetryOn, Scope, Server,
};
pub use route::{
    Answer, HeaderEdits, HeaderLine, HeaderMatch, HeaderValue, Match, Needs, PathPattern, Redirect,
    Respond, Route, RouteBuffer,
};
pub use scheduler::{
    Better, HaproxyHash, HashFunction, HashKey, LvsHash, LvsLocality, LvsService, Measure,
    Persistence, Scheduler,
};

use serde::{Deserialize, Serialize};

/// A span of time in whole milliseconds.
pub type Millis = u64;

/// The whole plan. Listeners and pools are in no order that matters; routes are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// Its number: every plan a supervisor sends has a higher one than the last.
    pub generation: u64,
    /// How long work in hand may go on when something drains.
    pub drain: Drain,
    /// Most client connections the worker holds before it pauses accepting.
    pub connections: u64,
    /// The access log.
    pub access_log: AccessLog,
    /// Addresses traffic is accepted on.
    pub listeners: Vec<Listener>,
    /// Groups of servers that can answer for each other.
    pub pools: Vec<Pool>,
}

/// How long work in hand may go on when something drains.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Drain {
    /// For requests in hand.
    pub requests: Millis,
    /// For upgraded connections and TCP sessions, when their listener is removed.
    pub tunnels: Millis,
}

/// The access log: what a line looks like and how many requests get one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccessLog {
    /// The form of a line.
    pub format: LogFormat,
    /// Share of exchanges that get a line, 0.0 to 1.0.
    pub sample: f64,
}

/// The form of an access log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// No access log.
    Off,
    /// One JSON object a line.
    Json,
    /// The combined format that web servers share.
    Combined,
}

/// Why a text is no plan.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PlanError {
    /// Not JSON, or not of the plan's shape.
    #[error("the plan does not have the expected form: {0}")]
    Form(#[from] serde_json::Error),
}

impl Plan {
    /// Reads a plan from its JSON form.
    ///
    /// # Errors
    /// [`PlanError::Form`] when the text is not JSON or has unknown, missing or misshapen fields.
    pub fn from_json(text: &[u8]) -> Result<Plan, PlanError> {
        Ok(serde_json::from_slice(text)?)
    }

    /// The JSON form, as [`Plan::from_json`] reads it.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("a plan has only string keys, so it always serialises")
    }
}

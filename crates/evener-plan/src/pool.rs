//! Pools: servers that can answer for each other, and how to choose among them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Millis, Scheduler, TlsVersion, Violation};

/// Servers that can answer for each other, and how to choose among them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pool {
    /// Its name in the configuration; identity across generations.
    pub name: String,
    /// What is spoken to its servers when an HTTP listener uses it.
    pub protocol: PoolProtocol,
    /// TLS towards its servers.
    pub tls: Option<PoolTls>,
    /// How a server is chosen.
    pub scheduler: Scheduler,
    /// Whose the scheduler's state is. May be missing: nearly all share it.
    #[serde(default, skip_serializing_if = "Scope::is_shared")]
    pub scope: Scope,
    /// What its hash is of: a text with words in braces; `None` where none is asked for.
    pub key: Option<String>,
    /// Its servers, in the order of the configuration.
    pub servers: Vec<Server>,
    /// Checks that must all pass; empty is unchecked.
    pub checks: Vec<Check>,
    /// Exclusion by live answers; `None` is off.
    pub passive: Option<Passive>,
    /// What a server is before its first check of a start.
    pub initial: Initial,
    /// When a request goes to another server.
    pub retry: Retry,
    /// Server connections kept for later requests.
    pub keepalive: Keepalive,
    /// How much is taken in for slow clients.
    pub buffer: Buffer,
    /// How long each wait on a server may last.
    pub timeouts: PoolTimeouts,
    /// Rules of HTTP answers. Not used by FastCGI servers.
    pub http: PoolHttp,
    /// FastCGI-like parameters for all its servers: name → template.
    pub params: BTreeMap<String, String>,
}

/// Whose a scheduler's state is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// All shards': their picks are those of one.
    #[default]
    Shared,
    /// Each shard's own.
    Shard,
}

impl Scope {
    fn is_shared(&self) -> bool {
        *self == Scope::Shared
    }
}

/// Rules of HTTP answers from servers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PoolHttp {
    /// Violations in answers that are let in.
    pub accept: Vec<Violation>,
}

/// What is spoken to servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PoolProtocol {
    /// HTTP/1.1.
    Http,
    /// FastCGI, responder role.
    Fastcgi,
}

/// One server of a pool.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Server {
    /// Unique in its pool; identity across generations. `NAME@ADDRESS` when a name was resolved.
    pub id: String,
    /// `192.0.2.1:80`, `[2001:db8::1]:80` or `unix:/path`.
    pub address: String,
    /// The host as the configuration wrote it, without port: for TLS server names, and with the
    /// port as Host where the client sent none.
    pub host: String,
    /// Share of picks, 0 to 65535; 0 takes nothing new.
    pub weight: u32,
    /// A higher tier serves when none of a lower is up.
    pub tier: u32,
    /// What people want of it.
    pub admin: Admin,
    /// Parameters of this server, over the pool's.
    pub params: BTreeMap<String, String>,
    /// How much it may have at once. The one field that may be missing: most servers have none.
    #[serde(default, skip_serializing_if = "Limits::is_none")]
    pub limits: Limits,
}

/// How much a server may have at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Leases at which it is full (nginx `max_conns`, HAProxy `maxconn`, IPVS `-x`); 0 is never.
    pub most: u32,
    /// IPVS `-y`: connections below which a full one takes new ones again; 0 is three quarters of
    /// `most`.
    pub again: u32,
    /// Its number in HAProxy's hashes and in `first` (`id`); 0 is its place in the pool, from 1.
    pub number: u32,
}

impl Limits {
    fn is_none(&self) -> bool {
        *self == Limits::default()
    }
}

/// What people want of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Admin {
    /// Takes traffic when healthy.
    Ready,
    /// Takes nothing new; what it has goes on.
    Drain,
    /// Out for maintenance: takes nothing new and is not checked.
    Maint,
}

/// What checks have found of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HealthState {
    /// No check has decided yet.
    Unchecked,
    /// Passed.
    Up,
    /// Failed.
    Down,
}

/// What a server is before its first check of a start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Initial {
    /// Takes traffic.
    Up,
    /// Takes none until it passes.
    Down,
}

/// An active health check.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Check {
    /// What is asked.
    pub kind: CheckKind,
    /// Time between two checks of a server that is up.
    pub every: Millis,
    /// Time a check may take as a whole.
    pub timeout: Millis,
    /// Passes in a row that bring a server up.
    pub rise: u32,
    /// Failures in a row that take it down.
    pub fall: u32,
    /// Time between two checks while the state is changing; `None` is `every`.
    pub fast: Option<Millis>,
    /// Time between two checks of a server that is down; `None` is `every`.
    pub down: Option<Millis>,
    /// Share of the interval by which each is moved at random, 0.0 to 1.0.
    pub jitter: f64,
    /// Port to check instead of the server's.
    pub port: Option<u16>,
}

/// What a check asks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum CheckKind {
    /// A connection that is accepted (and a TLS handshake, if the pool speaks TLS).
    Tcp {},
    /// A request and its answer.
    Http {
        /// Target of the request.
        path: String,
        /// Its method.
        method: String,
        /// Host field; `None` is the server's address.
        host: Option<String>,
        /// Further fields.
        headers: BTreeMap<String, String>,
        /// What the answer must be.
        expect: Expect,
    },
}

/// What a check's answer must be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    /// Inclusive ranges of status codes, one of which holds.
    pub status: Vec<(u16, u16)>,
    /// Text that must be within the first 64 KiB of the body.
    pub body: Option<String>,
    /// Fields and the exact values they must have.
    pub header: BTreeMap<String, String>,
}

/// Exclusion by live answers: nginx's max_fails and fail_timeout.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Passive {
    /// Failures within the window that take a server out.
    pub fails: u32,
    /// The window.
    pub within: Millis,
    /// Time it stays out at least.
    pub out: Millis,
    /// How it comes back.
    pub readmit: Readmit,
}

/// How an excluded server comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Readmit {
    /// After `out`, when a TCP check passes.
    Tcp,
    /// After `out`, by a live request, as nginx does.
    Request,
}

/// When a request goes to another server.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Retry {
    /// Requests sent at most, the first included.
    pub attempts: u32,
    /// Causes that allow another attempt.
    pub on: Vec<RetryOn>,
}

/// A cause that allows another attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RetryOn {
    /// No connection could be made: nothing was sent.
    Connect,
    /// The connection ended before the head of an answer.
    Reset,
    /// No answer within `timeouts.response`.
    Timeout,
    /// What came was no answer.
    Junk,
    /// An answer with this status.
    Status(u16),
    /// No cause of its own: allows the others for requests that are not idempotent, too.
    NonIdempotent,
}

/// Server connections kept for later requests.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Keepalive {
    /// Time one may stand unused; 0 keeps none.
    pub idle: Millis,
    /// Most unused connections per server and shard.
    pub per_shard: u32,
    /// Age after which one is not used again.
    pub max_age: Millis,
}

/// How much is taken in for slow clients, so that they hold no server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Buffer {
    /// Bytes of a request's body taken in before a server is picked; 0 is none.
    pub request: u64,
    /// Bytes of an answer taken in while its client is slow; 0 is none beyond what one read brings.
    pub response: u64,
}

/// How long each wait on a server may last.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PoolTimeouts {
    /// To make a connection, TLS included.
    pub connect: Millis,
    /// Between two pieces of a request that the server takes.
    pub send: Millis,
    /// From the request sent to the answer's head.
    pub response: Millis,
    /// Between two pieces of an answer's body, once the request is sent.
    pub receive: Millis,
}

/// TLS towards servers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PoolTls {
    /// Whether the server's certificate is verified.
    pub verify: bool,
    /// Id of the secret with the authorities (PEM) to verify against; `None` is the secret
    /// `system`, the system's own.
    pub ca: Option<String>,
    /// Name to verify and send as SNI; `None` is the server's `host`.
    pub server_name: Option<String>,
    /// Id of the secret with our own certificate chain and key (PEM).
    pub client: Option<String>,
    /// The lowest version accepted.
    pub min_version: TlsVersion,
}

//! What a shard writes to a policy, and what the policy is shown.

use std::net::IpAddr;
use std::sync::Arc;

use evener_balance::{State, Tried};
use tokio::sync::oneshot;

use crate::running::RunningPool;

/// What a shard writes. The pool is that of the exchange's generation: indexes are its.
pub enum Letter {
    /// A server is wanted.
    Pick {
        /// The pool.
        pool: Arc<RunningPool>,
        /// What for.
        question: Question,
        /// Servers that were tried.
        tried: Tried,
        /// Where the answer goes; closed once it would be late.
        reply: oneshot::Sender<Result<Option<usize>, String>>,
    },
    /// A try has ended.
    Ended {
        /// The pool.
        pool: Arc<RunningPool>,
        /// How.
        ending: Ending,
    },
}

/// What a policy may know of a request or session. Of a session only the client is known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Question {
    /// Method as sent.
    pub method: String,
    /// Host without port, in lower case.
    pub host: String,
    /// The path that routes matched on.
    pub path: String,
    /// The client, after trusted proxies; none over a unix socket.
    pub client: Option<IpAddr>,
    /// The first value of each header the policy wants, in the order in which it named them.
    pub headers: Vec<Option<String>>,
}

/// A server as it stands in the plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seat {
    /// Its id in the pool.
    pub id: String,
    /// Where it is.
    pub address: String,
    /// Its weight.
    pub weight: u32,
    /// Its tier.
    pub tier: u32,
}

/// A server as it stands now.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Standing {
    /// Whether it may be picked for this request.
    pub free: Free,
    /// The word shown of it.
    pub state: State,
    /// Requests and sessions in hand.
    pub in_flight: u32,
    /// Decayed mean of the seconds from pick to answer; none while there was no answer.
    pub latency: Option<f64>,
}

/// Whether a server may be picked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Free {
    /// It may.
    Yes,
    /// It is out, full, was tried, or a server of a lower tier comes first.
    No,
}

/// How a try ended, as far as it says something of the server.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ending {
    /// Index of the server.
    pub server: usize,
    /// Status of its answer; none of a session, or if there was no answer.
    pub status: Option<u16>,
    /// Why it failed; empty if it did not.
    pub failure: &'static str,
    /// Seconds from the pick to the end.
    pub seconds: f64,
}

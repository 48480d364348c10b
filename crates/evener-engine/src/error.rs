//! What ends a worker or keeps counters from being read.

use std::io;
use std::path::PathBuf;

/// What ends a worker or keeps counters from being read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// The control socket cannot be made.
    #[error("cannot listen for the supervisor at {path}: {why}")]
    Listen {
        /// Where.
        path: PathBuf,
        /// What the kernel said.
        why: io::Error,
    },
    /// Waiting for events failed.
    #[error("the control loop cannot wait: {0}")]
    Wait(io::Error),
    /// A thread without which the worker cannot serve could not be started.
    #[error("cannot start the thread {name}: {why}")]
    Start {
        /// Its name.
        name: String,
        /// What the kernel said.
        why: io::Error,
    },
    /// A thread has ended that must not.
    #[error("the thread {name} has ended: {why}")]
    Ended {
        /// Its name.
        name: String,
        /// Its last words.
        why: String,
    },
    /// A shard does not take up the plan: who begins now would be served by two plans.
    #[error("a shard did not take up the plan within {0} s")]
    Stuck(u64),
    /// A counter segment cannot be mapped.
    #[error("cannot map a counter segment: {0}")]
    Map(io::Error),
    /// A counter segment cannot be read.
    #[error(transparent)]
    Counters(#[from] evener_stats::StatsError),
    /// What the Prometheus page shows besides counters is not of the expected form.
    #[error("the facts for the page do not have the expected form: {0}")]
    Facts(#[from] serde_json::Error),
}

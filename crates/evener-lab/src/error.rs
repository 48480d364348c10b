//! Why a scenario cannot be run.

/// Why a scenario cannot be run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LabError {
    /// A pool has servers that nothing is said of, or the other way round.
    #[error("the pool has {pool} servers, the scenario has models of {models}")]
    ServersDiffer {
        /// Servers of the pool.
        pool: usize,
        /// Models of servers.
        models: usize,
    },
    /// Nobody balances.
    #[error("a scenario needs at least one balancer")]
    NoBalancer,
    /// A rate, mean or deviation that is negative, infinite or no number.
    #[error("{0} is not a number above 0")]
    NotPositive(&'static str),
    /// Every request is held until the end.
    #[error("{0} requests would arrive, and 100 million can: shorten it, or lower the rate")]
    TooMany(u64),
    /// The scheduler is a policy in another language, which has no virtual time.
    #[error("the laboratory cannot ask the policy {0}: it is not Rust, and knows no virtual time")]
    Policy(String),
    /// The text is no scenario.
    #[error("the scenario cannot be read: {0}")]
    NotRead(String),
    /// No study has this name.
    #[error("there is no study `{0}`")]
    NoStudy(String),
}

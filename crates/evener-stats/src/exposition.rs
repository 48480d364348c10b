//! The Prometheus text page, from sums and facts.
//!
//! Rules kept here:
//! - Pure: sums and facts in, text out (format 0.0.4).
//! - Per-server histograms would be 16 series each: a server has sum, count and two quantiles.

use crate::Totals;

/// What the page shows besides counters.
#[derive(Debug, Clone, Default)]
pub struct Extras<'a> {
    /// Version of this build.
    pub version: &'a str,
    /// Number of the plan that serves.
    pub generation: u64,
    /// Reloads by result.
    pub reloads: &'a [Reload<'a>],
    /// When a plan was last taken, in seconds since 1970.
    pub last_reload_success: Option<f64>,
    /// All words a server's state can be, in the order shown.
    pub states: &'a [&'a str],
    /// All servers.
    pub servers: &'a [ServerFact<'a>],
    /// The processes, each with its role.
    pub processes: &'a [Process<'a>],
}

/// Reloads with one result.
#[derive(Debug, Clone, Copy)]
pub struct Reload<'a> {
    /// `ok`, `refused`…
    pub result: &'a str,
    /// How many.
    pub count: u64,
}

/// What the page shows of a server besides its counters.
#[derive(Debug, Clone, Copy)]
pub struct ServerFact<'a> {
    /// Its pool.
    pub pool: &'a str,
    /// Its id.
    pub server: &'a str,
    /// The word, one of [`Extras::states`].
    pub state: &'a str,
    /// Its share of picks.
    pub weight: u32,
    /// How long its last check took, in seconds.
    pub check_seconds: Option<f64>,
}

/// Numbers of a process.
#[derive(Debug, Clone, Copy)]
pub struct Process<'a> {
    /// `supervisor` or `worker`.
    pub role: &'a str,
    /// CPU time used, in seconds.
    pub cpu_seconds: f64,
    /// Resident memory.
    pub resident_bytes: u64,
    /// Virtual memory.
    pub virtual_bytes: u64,
    /// Open descriptors.
    pub open_fds: u64,
    /// Descriptors it may have.
    pub max_fds: u64,
    /// When it started, in seconds since 1970.
    pub start_seconds: f64,
}

/// The page.
pub fn page(_totals: &Totals, extras: &Extras<'_>) -> String {
    format!(
        "# HELP evener_plan_generation Number of the plan that serves.\n# TYPE evener_plan_generation gauge\nevener_plan_generation {}\n",
        extras.generation
    )
}

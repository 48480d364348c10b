//! Layout of the counters over memory that someone else has mapped.
//!
//! Rules kept here:
//! - One writer per segment, with relaxed loads and stores; readers in other processes may look at
//!   any time and never make it wait.
//! - A segment describes itself: who finds one of an unknown layout is told so, who finds garbage
//!   gets an error and never a panic.
//! - Each counter, gauge and histogram stands in one list ([`families`]), from which slots, the
//!   layout's hash and the Prometheus page are made.
//!
//! Not known here: how memory is mapped or shared, clocks, HTTP.

#![forbid(unsafe_code)]

pub mod exposition;
mod families;
mod histogram;
mod layout;
mod segment;
mod totals;

pub use exposition::{Certificate, Extras, Process, Queue, Reload, ServerFact};
pub use families::{
    FAMILIES, Family, Kind, ListenerBlock, ListenerCounter, ListenerGauge, Metric, MetricKind,
    PoolBlock, PoolCounter, PoolHistogram, RouteBlock, RouteCounter, RouteGauge, RouteHistogram,
    ServerBlock, ServerCounter, ServerGauge, ServerHistogram, WorkerBlock, WorkerCounter,
    WorkerGauge, family,
};
pub use histogram::{BOUNDS, Distribution};
pub use layout::{layout_hash, stamp_of};
pub use segment::{Block, Grow, Segment};
pub use totals::{Life, Totals, Values};

/// Why counters cannot be kept or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StatsError {
    /// Not a segment of counters at all.
    #[error("not a counter segment")]
    NotASegment,
    /// A segment of another build, whose counters mean something else.
    #[error("counter layout {found:016x}, expected {expected:016x}")]
    OtherLayout {
        /// What the segment says.
        found: u64,
        /// What this build writes.
        expected: u64,
    },
    /// A record of the segment makes no sense.
    #[error("damaged counter segment at word {at}")]
    Damaged {
        /// Offset of the record.
        at: usize,
    },
    /// A name that cannot be stored: too long, or with a NUL.
    #[error("a name that cannot be stored with counters: {0:?}")]
    Name(String),
    /// As many names as the family has labels were expected.
    #[error("{expected} names expected, {found} given")]
    Names {
        /// Labels of the family.
        expected: usize,
        /// Names given.
        found: usize,
    },
    /// The memory could not grow.
    #[error("no more memory for counters: {0}")]
    Grow(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The memory grew by less than was asked for.
    #[error("{wanted} words of counters wanted, {given} given")]
    TooSmall {
        /// Words asked for.
        wanted: usize,
        /// Words there are.
        given: usize,
    },
}

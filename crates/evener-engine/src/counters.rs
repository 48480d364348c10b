//! A shard's counters: its segment and the blocks that the hot path writes to.
//!
//! Rules kept here:
//! - One segment per shard, written by that shard alone.
//! - A block is found by name once per generation and used by reference after that.
//! - Counting never fails a request: where memory for a block is refused, its numbers go to a
//!   block that nobody reads, and that is logged once by who asked.

mod offences;

use std::cell::RefCell;
use std::sync::atomic::AtomicU64;

use evener_balance::{Cause, NoServer, Outcome};
use evener_plan::RetryOn;
use evener_proto::Malformed;
use evener_proto::h1::Violations;
use evener_stats::Segment;
use evener_stats::{Block, ListenerBlock, PoolBlock, ServerBlock, family};
pub use evener_stats::{
    ListenerCounter, ListenerGauge, PoolCounter, PoolHistogram, RouteBlock, RouteCounter,
    RouteGauge, RouteHistogram, ServerCounter, ServerGauge, ServerHistogram, WorkerBlock,
    WorkerCounter, WorkerGauge,
};

use crate::http::fault::Fault;
use crate::pool::connect::Blame;
use crate::running::Running;
use crate::sys::memory::SharedMemory;

/// A shard's segment.
pub struct Counters {
    memory: SharedMemory,
    segment: RefCell<Segment<'static>>,
}

/// Counters of a listener.
#[derive(Clone, Copy)]
pub struct ListenerCounters(ListenerBlock<'static>);

/// Counters of a pool.
#[derive(Clone, Copy)]
pub struct PoolCounters(PoolBlock<'static>);

/// Counters of a server.
#[derive(Clone, Copy)]
pub struct ServerCounters(ServerBlock<'static>);

impl Counters {
    /// Begins a segment in the given memory.
    ///
    /// # Errors
    /// In words.
    pub fn create(memory: SharedMemory) -> Result<Counters, String> {
        memory.grow(FIRST_WORDS).map_err(|why| format!("counters: {why}"))?;
        let words = memory.words().get(..FIRST_WORDS).unwrap_or(&[]);
        let segment = Segment::create(words).map_err(|why| format!("counters: {why}"))?;
        Ok(Counters { memory, segment: RefCell::new(segment) })
    }

    /// The block with these names.
    pub fn block<B: Block<'static>>(&self, names: &[&str], generation: u64) -> B {
        let mut grow = |words: usize| {
            // Twice as much, so that many names do not mean many calls.
            let words = words.next_power_of_two();
            self.memory.grow(words)?;
            let all = self.memory.words().get(..words);
            all.ok_or_else(|| "the reserved range is used up".into())
        };
        let found = self.segment.borrow_mut().add(names, generation, &mut grow);
        found.unwrap_or_else(|_| nowhere())
    }

    /// The counters of the shard itself: they belong to no plan, so none retires them.
    pub fn worker(&self) -> WorkerBlock<'static> {
        self.block(&[], u64::MAX)
    }

    /// The counters of a listener.
    pub fn listener(&self, name: &str, generation: u64) -> ListenerCounters {
        ListenerCounters(self.block(&[name], generation))
    }

    /// The counters of a pool.
    pub fn pool(&self, name: &str, generation: u64) -> PoolCounters {
        PoolCounters(self.block(&[name], generation))
    }

    /// The counters of a server.
    pub fn server(&self, names: &[&str; 3], generation: u64) -> ServerCounters {
        ServerCounters(self.block(names, generation))
    }

    /// The sums of what was counted.
    #[cfg(any(test, feature = "simulation"))]
    pub fn totals(&self) -> evener_stats::Totals {
        let mut totals = evener_stats::Totals::new();
        let read = totals.add(self.memory.words(), evener_stats::Life::Living);
        read.expect("a segment of our own");
        totals
    }

    /// Leaves a sign of life.
    pub fn stamp(&self, now: u64) {
        self.segment.borrow().stamp(now);
    }

    /// The plan of this generation serves, and no exchange is pinned to one before `oldest`.
    pub fn retire(&self, running: &Running, oldest: u64) {
        let mut segment = self.segment.borrow_mut();
        segment.retire(running.plan.generation, &|kind, names| running.counts(kind, names));
        segment.release(oldest);
    }
}

/// Words of a fresh segment: 64 KiB.
const FIRST_WORDS: usize = 8192;

/// A block that nobody reads.
fn nowhere<B: Block<'static>>() -> B {
    let words: Vec<AtomicU64> = (0..family(B::KIND).words).map(|_| AtomicU64::new(0)).collect();
    B::over(Vec::leak(words)).expect("as many words as the family has")
}

impl ListenerCounters {
    /// Counts one.
    #[inline]
    pub fn add(&self, counter: ListenerCounter) {
        self.0.add(counter, 1);
    }

    /// Counts several.
    #[inline]
    pub fn add_n(&self, counter: ListenerCounter, n: u64) {
        self.0.add(counter, n);
    }

    /// A connection was opened.
    pub fn opened(&self) {
        self.0.add(ListenerCounter::Connections, 1);
        self.0.raise(ListenerGauge::Open);
    }

    /// A connection was closed.
    pub fn closed(&self) {
        self.0.lower(ListenerGauge::Open);
    }

    /// A request was refused because of its form.
    pub fn refused(&self, what: Malformed) {
        let counter = match what {
            Malformed::HeadTooLarge | Malformed::TargetTooLong => ListenerCounter::LimitHead,
            Malformed::TooManyFields => ListenerCounter::LimitFields,
            Malformed::VersionUnsupported => ListenerCounter::BadVersion,
            Malformed::ExpectUnknown => ListenerCounter::BadExpectation,
            _ => ListenerCounter::BadRequest,
        };
        self.add(counter);
        if let Some(offence) = offences::malformed(what) {
            self.add(offence);
        }
    }

    /// A request was let in with these violations.
    #[cold]
    pub fn let_in(&self, borne: Violations) {
        for (_, counter, _) in offences::VIOLATIONS.iter().filter(|(one, ..)| borne.has(*one)) {
            self.add(*counter);
        }
    }
}

impl PoolCounters {
    /// Counts one.
    #[inline]
    pub fn add(&self, counter: PoolCounter) {
        self.0.add(counter, 1);
    }

    /// Records a time.
    #[inline]
    pub fn record(&self, histogram: PoolHistogram, micros: u64) {
        self.0.record(histogram, micros);
    }

    /// Another try follows this fault.
    pub fn retry(&self, fault: Fault) {
        self.add(match fault.retry_key() {
            Some(RetryOn::Connect) => PoolCounter::RetriesConnect,
            Some(RetryOn::Timeout) => PoolCounter::RetriesTimeout,
            Some(RetryOn::Junk) => PoolCounter::RetriesJunk,
            Some(RetryOn::Status(_)) => PoolCounter::RetriesStatus,
            _ => PoolCounter::RetriesReset,
        });
    }

    /// A server's answer was refused because of its form.
    #[cold]
    pub fn refused(&self, what: Malformed) {
        if let Some(offence) = offences::malformed_answer(what) {
            self.add(offence);
        }
    }

    /// Nobody could be picked.
    pub fn no_server(&self, why: NoServer) {
        self.add(match why {
            NoServer::Empty => PoolCounter::Empty,
            NoServer::AllTried => PoolCounter::AllTried,
            NoServer::NoRoom => PoolCounter::NoRoom,
            _ => PoolCounter::NoneUp,
        });
    }
}

impl ServerCounters {
    /// Counts several.
    #[inline]
    pub fn add(&self, counter: ServerCounter, n: u64) {
        self.0.add(counter, n);
    }

    /// Sets a gauge.
    pub fn set(&self, gauge: ServerGauge, n: u64) {
        self.0.set(gauge, n);
    }

    /// Records a time.
    #[inline]
    pub fn record(&self, histogram: ServerHistogram, micros: u64) {
        self.0.record(histogram, micros);
    }

    /// The head of an answer was let in with these violations.
    #[cold]
    pub fn let_in(&self, borne: Violations) {
        for (_, _, counter) in offences::VIOLATIONS.iter().filter(|(one, ..)| borne.has(*one)) {
            self.add(*counter, 1);
        }
    }

    /// A connection could not be made.
    pub fn connect_failed(&self, blame: Blame) {
        self.add(
            match blame {
                Blame::Server(Cause::ConnectRefused) => ServerCounter::ConnectRefused,
                Blame::Server(Cause::ConnectUnreachable) => ServerCounter::ConnectUnreachable,
                Blame::Server(Cause::ConnectTimeout) => ServerCounter::ConnectTimeout,
                Blame::Server(Cause::TlsFailed) => ServerCounter::TlsFailed,
                Blame::Server(_) | Blame::Ours | Blame::Ports | Blame::Time => {
                    ServerCounter::ConnectFailed
                }
            },
            1,
        );
    }

    /// A try has ended.
    #[inline]
    pub fn outcome(&self, outcome: Outcome) {
        let counter = match outcome {
            Outcome::Answered { status } => return self.0.add_status(status),
            Outcome::SessionEnded => ServerCounter::Sessions,
            Outcome::Failed(Cause::Reset) => ServerCounter::Resets,
            Outcome::Failed(Cause::Junk) => ServerCounter::Junk,
            Outcome::Failed(Cause::SendTimeout) => ServerCounter::SendTimeouts,
            Outcome::Failed(Cause::ResponseTimeout) => ServerCounter::ResponseTimeouts,
            Outcome::AnswerCut => ServerCounter::AnswersCut,
            Outcome::AnswerStalled => ServerCounter::AnswersStalled,
            Outcome::StaleReuse => ServerCounter::StaleReuses,
            // Failed connections are counted where they fail; the rest is not the server's doing.
            _ => return,
        };
        self.add(counter, 1);
    }
}

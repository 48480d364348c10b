//! The prober: a thread of its own that checks servers and lets ejected ones back.
//!
//! Rules kept here:
//! - It goes on whatever the supervisor does; what it finds goes to health, and changes are told.
//! - It counts in a segment of its own, which it alone writes.
//! - What is due is decided in `jobs`, how an answer is judged in `judge`, both without a socket.
//!
//! Not known here: plans' origin, traffic.

mod jobs;
mod judge;
mod pace;
mod probe;
mod records;

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use rustix::process::{Resource, getrlimit};
use tokio::sync::mpsc::{UnboundedReceiver, WeakUnboundedSender};

use crate::clock;
use crate::counters::{Counters, ServerCounter, ServerCounters};
use crate::events::{Event, Events};
use crate::io::{EventLoop, Poller, Timers};
use crate::running::Running;
use crate::sys::memory::SharedMemory;
use jobs::{JobId, Jobs};
pub use judge::refuse;
use probe::Finding;
pub use records::{LastCheck, Records};

/// What the prober is told.
pub enum Told {
    /// This plan serves.
    Plan(Arc<Running>),
    /// A server was ejected, or people said something about it.
    Look {
        /// Its pool.
        pool: String,
        /// Its id.
        server: String,
    },
    /// A check was made; the prober's own tasks say so.
    Made(Made),
}

/// A check that was made.
pub struct Made {
    job: JobId,
    finding: Finding,
    /// Microseconds.
    took: u64,
}

/// What the prober works with.
pub struct Means {
    /// Its counters.
    pub memory: SharedMemory,
    /// Where changes are told.
    pub events: Events,
    /// Where the last check of each server is kept.
    pub records: Arc<Records>,
    /// Its own address, for its tasks; weak, so that it ends when nobody else has it.
    pub own: WeakUnboundedSender<Told>,
}

/// Milliseconds between two signs of life, at most.
const STAMP: u64 = 500;
/// Events taken at once.
const EVENTS: usize = 256;
/// Checks under way at once, where the limit of descriptors allows.
const MOST: u64 = 4096;
/// Share of the limit of descriptors that checks may take.
const SHARE: u64 = 8;

/// Checks servers until nobody can tell it anything any more.
///
/// # Errors
/// In words, when it cannot begin.
pub fn run(means: Means, inbox: UnboundedReceiver<Told>) -> Result<(), String> {
    let why = |why: std::io::Error| format!("no event loop: {why}");
    let events = EventLoop::new(EVENTS, EVENTS).map_err(why)?;
    let counters = Counters::create(means.memory)?;
    let prober = Prober {
        counters,
        blocks: HashMap::new(),
        events: means.events,
        records: means.records,
        jobs: Jobs::new(most_at_once(), clock::unix_millis()),
        generation: 0,
    };
    let (poller, timers) = (&events.servers, &events.timers);
    events.run(prober.work(inbox, means.own, poller, timers)).map_err(why)
}

/// Tells what came of a check, however its task ends: a server whose check is under way for ever would
/// not be checked again.
struct Report {
    own: WeakUnboundedSender<Told>,
    job: JobId,
    /// Microseconds on the worker's clock.
    began: u64,
    finding: Option<Finding>,
}

impl Report {
    fn tell(mut self, finding: Finding) {
        self.finding = Some(finding);
    }
}

impl Drop for Report {
    fn drop(&mut self) {
        let Some(own) = self.own.upgrade() else { return };
        let broke = || Finding::Ours("it broke off by a fault of our own".to_owned());
        let finding = self.finding.take().unwrap_or_else(broke);
        let took = clock::micros().saturating_sub(self.began);
        let _ = own.send(Told::Made(Made { job: self.job, finding, took }));
    }
}

fn most_at_once() -> usize {
    let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    (limit / SHARE).clamp(16, MOST) as usize
}

struct Prober {
    counters: Counters,
    /// Found when a server's first check of a plan was made.
    blocks: HashMap<JobId, ServerCounters>,
    events: Events,
    records: Arc<Records>,
    jobs: Jobs,
    generation: u64,
}

impl Prober {
    async fn work(
        mut self,
        mut inbox: UnboundedReceiver<Told>,
        own: WeakUnboundedSender<Told>,
        poller: &Rc<Poller>,
        timers: &Rc<Timers>,
    ) {
        loop {
            let now = clock::millis();
            self.counters.stamp(now);
            while let Some((job, probe)) = self.jobs.next(now) {
                let (own, poller, timers) = (own.clone(), poller.clone(), timers.clone());
                let report = Report { own, job, began: clock::micros(), finding: None };
                tokio::task::spawn_local(async move {
                    report.tell(probe.make(&poller, &timers).await);
                });
            }
            let until = self.jobs.wake_at().unwrap_or(u64::MAX).min(now + STAMP);
            let wait = until.saturating_sub(clock::millis()) * 1000;
            match timers.within(wait, inbox.recv()).await {
                Some(Some(told)) => self.obey(told),
                Some(None) => return,
                None => continue,
            }
            while let Ok(told) = inbox.try_recv() {
                self.obey(told);
            }
        }
    }

    fn obey(&mut self, told: Told) {
        let now = clock::millis();
        match told {
            Told::Plan(running) => {
                self.jobs.obey(&running, now);
                self.generation = running.plan.generation;
                self.blocks.clear();
                self.counters.retire(&running, self.generation);
            }
            Told::Look { pool, server } => self.jobs.look(&pool, &server, now),
            Told::Made(made) => self.made(&made, now),
        }
    }

    fn made(&mut self, made: &Made, now: u64) {
        let Some(result) = self.jobs.on_made(made.job, &made.finding, now) else { return };
        let job = result.job;
        let spec = &job.pool.spec;
        let Some(server) = spec.servers.get(job.server) else { return };
        let (ok, text) = match &made.finding {
            Finding::Passed(text) => (true, text),
            Finding::Failed(text) => (false, text),
            Finding::Ours(text) => {
                let text = format!("{}/{}: no check: {text}", spec.name, server.id);
                self.events.send(Event::Log { level: "warning", text });
                return;
            }
        };
        let took_ms = made.took as f64 / 1000.0;
        let check = LastCheck { at: clock::unix_millis(), took_ms, ok, text: text.clone() };
        self.records.set(&spec.name, &server.id, check);
        let block = self.blocks.entry(made.job).or_insert_with(|| {
            let names = [spec.name.as_str(), &server.id, &server.address];
            self.counters.server(&names, self.generation)
        });
        let counter = if ok { ServerCounter::ChecksPassed } else { ServerCounter::ChecksFailed };
        block.add(counter, 1);
        if let Some(change) = &result.change {
            self.events.send(Event::health(spec, &job.pool.group, job.server, Some(change)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_is_told_of_once_however_it_ends() {
        let events = EventLoop::new(4, 4).unwrap();
        let (own, mut inbox) = tokio::sync::mpsc::unbounded_channel();
        for breaks in [true, false] {
            let report = Report { own: own.downgrade(), job: 7, began: 0, finding: None };
            let told = events.run(async {
                let task = tokio::task::spawn_local(async move {
                    assert!(!breaks, "a fault of our own");
                    report.tell(Finding::Passed(String::new()));
                });
                assert_eq!(task.await.is_err(), breaks);
                inbox.try_recv()
            });
            let Ok(Told::Made(made)) = told.unwrap() else { panic!("nothing was told") };
            assert_eq!((made.job, matches!(made.finding, Finding::Ours(_))), (7, breaks));
        }
    }
}

//! The worker's threads: shards, the prober, the log's writer.
//!
//! Rules kept here:
//! - Each has a name. One that ends unasked, by an error or a panic, is told: the worker ends then,
//!   since half a worker would serve half of its connections.
//! - Asked to end, they get a short while to put away what they have; nobody waits longer.

use std::os::fd::OwnedFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use crate::error::EngineError;
use crate::events::{Event, Events};
use crate::log;
use crate::prober::{self, Records, Told};
use crate::running::Running;
use crate::shard::{self, Command, Common};
use crate::sys::memory::SharedMemory;

/// Shards and prober.
pub struct Crew {
    shards: Vec<UnboundedSender<Command>>,
    prober: UnboundedSender<Told>,
    threads: Vec<JoinHandle<()>>,
}

/// The log's writer.
pub struct LogWriter {
    /// Its queue.
    pub queue: log::Queue,
    thread: JoinHandle<()>,
}

/// Seconds in which shards must take up a plan. A shard that hangs is what the supervisor's
/// watchdog looks for; it replaces the worker after as long.
const TAKE_UP: u64 = 10;
/// How long ending threads are waited for.
const FAREWELL: Duration = Duration::from_secs(1);

impl Crew {
    /// Starts a shard for each segment but the last, which is the prober's.
    ///
    /// # Errors
    /// When a segment cannot be mapped or a thread not be started.
    pub fn start(
        mut segments: Vec<OwnedFd>,
        common: &Common,
        records: &Arc<Records>,
    ) -> Result<Crew, EngineError> {
        let (prober, inbox) = unbounded_channel();
        let mut crew = Crew { shards: Vec::new(), prober, threads: Vec::new() };
        let events = &common.events;
        if let Some(last) = segments.pop() {
            let memory = SharedMemory::writable(last).map_err(EngineError::Map)?;
            let means = prober::Means {
                memory,
                events: events.clone(),
                records: records.clone(),
                own: crew.prober.downgrade(),
            };
            let body = move || prober::run(means, inbox);
            crew.threads.push(spawn("prober", events, body)?);
        }
        for (id, segment) in (0..).zip(segments) {
            let memory = SharedMemory::writable(segment).map_err(EngineError::Map)?;
            let (sender, commands) = unbounded_channel();
            let common = common.clone();
            let body = move || shard::run(id, memory, common, commands);
            crew.threads.push(spawn(&format!("shard-{id}"), events, body)?);
            crew.shards.push(sender);
        }
        Ok(crew)
    }

    /// How many shards there are.
    pub fn shards(&self) -> usize {
        self.shards.len()
    }

    /// Has all shards serve a generation, with new sockets for each, and waits until they do. Gives
    /// the longest time, in microseconds, that one of them did nothing else.
    ///
    /// # Errors
    /// [`EngineError::Stuck`]; some may serve it by then.
    pub fn serve(
        &self,
        running: &Arc<Running>,
        sockets: Vec<Vec<(String, OwnedFd)>>,
    ) -> Result<u64, EngineError> {
        let (done, all) = mpsc::channel();
        for (shard, sockets) in self.shards.iter().zip(sockets) {
            // A shard that has ended is heard of by its event.
            let _ = shard.send(Command::Sockets(sockets));
            let _ = shard.send(Command::Serve(running.clone(), done.clone()));
        }
        drop(done);
        let until = Instant::now() + Duration::from_secs(TAKE_UP);
        let mut longest = 0;
        for _ in &self.shards {
            let left = until.saturating_duration_since(Instant::now());
            match all.recv_timeout(left) {
                Ok(pause) => longest = longest.max(pause),
                // Ended ones say why themselves.
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => return Err(EngineError::Stuck(TAKE_UP)),
            }
        }
        Ok(longest)
    }

    /// Tells the prober.
    pub fn tell_prober(&self, told: Told) {
        let _ = self.prober.send(told);
    }

    /// Has all shards drain; [`Event::Drained`] follows.
    ///
    /// # Errors
    /// When there is no thread to wait for them.
    pub fn drain(&self, requests: u64, tunnels: u64, events: &Events) -> Result<(), EngineError> {
        let (done, all): (_, Receiver<u64>) = mpsc::channel();
        for shard in &self.shards {
            let _ = shard.send(Command::Drain { requests, tunnels, done: done.clone() });
        }
        drop(done);
        let told = events.clone();
        let wait = move || {
            told.send(Event::Drained(all.iter().sum()));
            Ok(())
        };
        spawn("drain", events, wait).map(|_| ())
    }

    /// Lets the threads end, and waits a little for them.
    pub fn end(self) {
        drop((self.shards, self.prober));
        join(self.threads);
    }
}

impl LogWriter {
    /// Starts the writer.
    ///
    /// # Errors
    /// When there is no thread.
    pub fn start(events: &Events) -> Result<LogWriter, EngineError> {
        let (queue, writer) = log::queue();
        let body = move || {
            writer.run();
            Ok(())
        };
        Ok(LogWriter { queue, thread: spawn("log", events, body)? })
    }

    /// Writes what is left, if that takes no longer than a moment. Call it after [`Crew::end`].
    pub fn end(self) {
        drop(self.queue);
        join(vec![self.thread]);
    }
}

fn spawn(
    name: &str,
    events: &Events,
    body: impl FnOnce() -> Result<(), String> + Send + 'static,
) -> Result<JoinHandle<()>, EngineError> {
    let (events, name) = (events.clone(), name.to_owned());
    let builder = thread::Builder::new().name(name.clone());
    let mourned = name.clone();
    let watched = move || {
        let end = catch_unwind(AssertUnwindSafe(body));
        let why = match end {
            Ok(Ok(())) => return,
            Ok(Err(why)) => why,
            Err(panic) => last_words(&*panic),
        };
        events.send(Event::Ended { thread: mourned, why });
    };
    builder.spawn(watched).map_err(|why| EngineError::Start { name, why })
}

fn last_words(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    format!("panicked: {}", text.unwrap_or_default())
}

/// Waits for threads, but not for ever: one may hang in a write to a log that nobody reads.
fn join(threads: Vec<JoinHandle<()>>) {
    let until = Instant::now() + FAREWELL;
    for thread in threads {
        while !thread.is_finished() && Instant::now() < until {
            thread::sleep(Duration::from_millis(1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(body: impl FnOnce() -> Result<(), String> + Send + 'static) -> Option<String> {
        let (events, heard) = Events::new().unwrap();
        spawn("shard-0", &events, body).unwrap().join().unwrap();
        match heard.inbox.try_recv() {
            Ok(Event::Ended { thread, why }) => Some(format!("{thread}: {why}")),
            _ => None,
        }
    }

    #[test]
    fn a_thread_that_fails_or_panics_is_told_with_its_last_words() {
        assert_eq!(ended(|| Err("no memory".to_owned())).unwrap(), "shard-0: no memory");
        let words = ended(|| panic!("at {}", 7)).unwrap();
        assert_eq!(words, "shard-0: panicked: at 7");
        assert_eq!(ended(|| Ok(())), None);
    }
}

//! The access log: lines are gathered by shards and written by a thread of their own.
//!
//! Rules kept here:
//! - Nothing here ever blocks a shard: a batch that the writer cannot take is dropped, and its
//!   lines are counted, as are those that the destination does not take.
//! - The destination may change at any time; what was gathered before goes to the old one.
//!
//! Not known here: what opened the destination.

pub mod line;
pub mod session;

use std::cell::{Cell, RefCell};
use std::io::Write;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, SyncSender};

use evener_plan::{AccessLog, LogFormat};

use crate::counters::{WorkerBlock, WorkerCounter};

/// What a line tells, in each format.
pub trait Entry {
    /// One JSON object and a line's end.
    fn json(&self, out: &mut Vec<u8>);

    /// The combined format of web servers, times in UTC.
    fn combined(&self, out: &mut Vec<u8>);
}

/// A shard's end of the log.
pub struct ShardLog {
    queue: Queue,
    rules: RefCell<AccessLog>,
    wanted: Cell<bool>,
    batch: RefCell<Vec<u8>>,
    lines: Cell<u64>,
    dice: Cell<u64>,
    counters: WorkerBlock<'static>,
}

/// The way to the writing thread.
#[derive(Clone)]
pub struct Queue {
    sender: SyncSender<Message>,
    /// Lines that could not be written and that no shard has counted yet.
    lost: Arc<AtomicU64>,
}

/// The writing thread's end.
pub struct Writer {
    inbox: Receiver<Message>,
    lost: Arc<AtomicU64>,
    /// The destination has the beginning of a line whose rest could not be written.
    torn: bool,
}

/// What the writing thread is told.
pub enum Message {
    /// Lines to write.
    Lines(Vec<u8>),
    /// Where they go from now on.
    To(OwnedFd),
}

/// Batches that may wait for the writer: at 32 KiB each, 8 MiB.
const QUEUE: usize = 256;
const BATCH_BYTES: usize = 32 * 1024;

/// A queue to a writer.
pub fn queue() -> (Queue, Writer) {
    let (sender, inbox) = mpsc::sync_channel(QUEUE);
    let queue = Queue { sender, lost: Arc::default() };
    let lost = queue.lost.clone();
    (queue, Writer { inbox, lost, torn: false })
}

impl Queue {
    /// Gives the writer something to do; false when it is too busy.
    pub fn send(&self, message: Message) -> bool {
        self.sender.try_send(message).is_ok()
    }
}

impl Writer {
    /// What comes, for tests that look at it.
    #[cfg(any(test, feature = "simulation"))]
    pub fn inbox(self) -> Receiver<Message> {
        self.inbox
    }

    /// Writes until every sender is gone.
    pub fn run(mut self) {
        let mut to: Option<std::fs::File> = None;
        while let Ok(message) = self.inbox.recv() {
            match message {
                Message::To(descriptor) => {
                    to = Some(descriptor.into());
                    self.torn = false;
                }
                Message::Lines(lines) => {
                    if let Some(file) = &mut to {
                        self.write(file, &lines);
                    }
                }
            }
        }
    }

    /// Writes what can be written. A full disk or a closed pipe does not end the log for good: the
    /// lines are counted, and a line that was cut does not become one with the next.
    fn write(&mut self, to: &mut impl Write, lines: &[u8]) {
        if self.torn && to.write_all(b"\n").is_ok() {
            self.torn = false;
        }
        let mut rest = if self.torn { &[][..] } else { lines };
        while !rest.is_empty() {
            match to.write(rest) {
                Ok(count) if count > 0 => {
                    self.torn = rest.get(count - 1) != Some(&b'\n');
                    rest = rest.get(count..).unwrap_or(&[]);
                }
                Err(why) if why.kind() == std::io::ErrorKind::Interrupted => {}
                _ => break,
            }
        }
        let lost = if self.torn && rest.is_empty() { lines } else { rest };
        // Where its end alone is missing, a line is there.
        let lost = lost.strip_prefix(b"\n").unwrap_or(lost);
        let lost = memchr::memchr_iter(b'\n', lost).count() as u64;
        self.lost.fetch_add(lost, Ordering::Relaxed);
    }
}

impl ShardLog {
    /// A log that wants nothing yet.
    pub fn new(queue: Queue, counters: WorkerBlock<'static>, seed: u64) -> ShardLog {
        ShardLog {
            queue,
            rules: RefCell::new(AccessLog { format: LogFormat::Off, sample: 0.0 }),
            wanted: Cell::new(false),
            batch: RefCell::new(Vec::new()),
            lines: Cell::new(0),
            dice: Cell::new(seed | 1),
            counters,
        }
    }

    /// The rules of a plan.
    pub fn obey(&self, rules: &AccessLog) {
        self.wanted.set(rules.format != LogFormat::Off && rules.sample > 0.0);
        *self.rules.borrow_mut() = rules.clone();
    }

    /// Whether a line is wanted for this exchange or session.
    #[inline]
    pub fn wants(&self) -> bool {
        self.wanted.get() && self.sampled()
    }

    /// Takes a line.
    pub fn write(&self, line: &impl Entry) {
        let mut batch = self.batch.borrow_mut();
        match self.rules.borrow().format {
            LogFormat::Off => return,
            LogFormat::Json => line.json(&mut batch),
            LogFormat::Combined => line.combined(&mut batch),
        }
        self.lines.set(self.lines.get() + 1);
        if batch.len() >= BATCH_BYTES {
            drop(batch);
            self.flush();
        }
    }

    /// Hands what was gathered to the writer.
    pub fn flush(&self) {
        if self.queue.lost.load(Ordering::Relaxed) > 0 {
            let lost = self.queue.lost.swap(0, Ordering::Relaxed);
            self.counters.add(WorkerCounter::AccessLinesLost, lost);
        }
        let lines = self.lines.replace(0);
        if lines == 0 {
            return;
        }
        let batch = std::mem::take(&mut *self.batch.borrow_mut());
        if !self.queue.send(Message::Lines(batch)) {
            self.counters.add(WorkerCounter::AccessLinesLost, lines);
        }
    }

    fn sampled(&self) -> bool {
        let sample = self.rules.borrow().sample;
        if sample >= 1.0 {
            return true;
        }
        // xorshift64 (Marsaglia 2003): which lines are kept needs no better randomness.
        let mut dice = self.dice.get();
        dice ^= dice << 13;
        dice ^= dice >> 7;
        dice ^= dice << 17;
        self.dice.set(dice);
        (dice >> 11) as f64 / (1u64 << 53) as f64 <= sample
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes so many bytes.
    struct Disk(Vec<u8>, usize);

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            let count = bytes.len().min(self.1 - self.0.len());
            self.0.extend_from_slice(&bytes[..count]);
            match count {
                0 => Err(std::io::ErrorKind::StorageFull.into()),
                count => Ok(count),
            }
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_that_a_full_disk_does_not_take_are_counted_and_none_is_glued_to_the_next() {
        for room in 0..13 {
            let (queue, mut writer) = queue();
            let mut disk = Disk(Vec::new(), room);
            writer.write(&mut disk, b"one\ntwo\n");
            writer.write(&mut disk, b"333\n");
            disk.1 = 100;
            writer.write(&mut disk, b"four\n");
            let text = String::from_utf8(disk.0).unwrap();
            let whole = text.lines().filter(|line| ["one", "two", "333", "four"].contains(line));
            let lost = queue.lost.load(Ordering::Relaxed) as usize;
            assert_eq!(whole.count() + lost, 4, "room for {room}: {text:?}");
            assert!(text.ends_with("four\n"), "{text:?}");
        }
    }
}

//! The access log: lines are gathered by shards and written by a thread of their own.
//!
//! Rules kept here:
//! - Nothing here ever blocks a shard: a batch that the writer cannot take is dropped, and its
//!   lines are counted.
//! - The destination may change at any time; what was gathered before goes to the old one.
//!
//! Not known here: what opened the destination.

pub mod line;
pub mod session;

use std::cell::{Cell, RefCell};
use std::io::Write;
use std::os::fd::OwnedFd;
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
    writer: SyncSender<Message>,
    rules: RefCell<AccessLog>,
    wanted: Cell<bool>,
    batch: RefCell<Vec<u8>>,
    lines: Cell<u64>,
    dice: Cell<u64>,
    counters: WorkerBlock<'static>,
}

/// The writing thread's end.
pub struct Writer {
    inbox: Receiver<Message>,
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
pub fn queue() -> (SyncSender<Message>, Writer) {
    let (sender, inbox) = mpsc::sync_channel(QUEUE);
    (sender, Writer { inbox })
}

impl Writer {
    /// Writes until every sender is gone.
    pub fn run(self) {
        let mut to: Option<std::fs::File> = None;
        for message in self.inbox {
            match message {
                Message::To(descriptor) => to = Some(descriptor.into()),
                Message::Lines(lines) => {
                    if let Some(file) = &mut to {
                        // A full disk or a closed pipe must not end the log for good.
                        let _ = file.write_all(&lines);
                    }
                }
            }
        }
    }
}

impl ShardLog {
    /// A log that wants nothing yet.
    pub fn new(writer: SyncSender<Message>, counters: WorkerBlock<'static>, seed: u64) -> ShardLog {
        ShardLog {
            writer,
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
        let lines = self.lines.replace(0);
        if lines == 0 {
            return;
        }
        let batch = std::mem::take(&mut *self.batch.borrow_mut());
        if self.writer.try_send(Message::Lines(batch)).is_err() {
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

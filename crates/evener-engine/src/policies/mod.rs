//! Policies of the user's: schedulers written in another language, each on a thread of its own.
//!
//! Rules kept here:
//! - A shard never runs a policy. It writes a letter, waits for the answer no longer than the
//!   pool's time-out, and then the fallback scheduler picks; an answer that is late is dropped.
//! - Five failures in a row and nobody asks for a while (`circuit`).
//! - Whom a policy names is looked at again by the shard: who went out meanwhile is not picked.
//! - A policy that hangs for ever costs its thread and the letters in its box, which is bounded.
//!   Nobody waits for such a thread, neither a reload nor the end of the worker.
//! - A pool without a policy knows nothing of all this.
//!
//! Not known here: the language. Who runs policies hands a [`Host`] in.

mod circuit;
mod desk;
mod letters;
mod picking;
mod policy;
mod post;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

pub use desk::Desk;
pub use letters::{Ending, Free, Letter, Question, Seat, Standing};
pub use picking::{By, Subject, pick};
pub use policy::Policy;
pub use post::{Condition, Post, conditions};

/// Who can run policies: the door to another language.
pub trait Host: Send + Sync {
    /// Begins a policy's life at its desk, on a thread of its own ([`Desk::on_thread`]).
    ///
    /// # Errors
    /// In words, when that cannot be.
    fn begin(&self, desk: Desk) -> Result<(), String>;
}

/// A policy at work. It lives and ends on its thread.
pub trait Mind {
    /// What it wants to know of requests and of what became of them.
    fn wants(&self) -> Wants;

    /// The servers that indexes stand for from now on.
    ///
    /// # Errors
    /// In words.
    fn seat(&mut self, servers: &[Seat]) -> Result<(), String>;

    /// Picks one of the servers that are free; none leaves it to the fallback.
    ///
    /// # Errors
    /// In words: it failed, or what it says is no server that is free.
    fn pick(&mut self, question: &Question, servers: &[Standing]) -> Result<Option<usize>, String>;

    /// A try at a server has ended.
    ///
    /// # Errors
    /// In words.
    fn ended(&mut self, ending: &Ending) -> Result<(), String>;
}

/// What a policy wants to know.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wants {
    /// Headers of requests, in lower case.
    pub headers: Vec<String>,
    /// Whether it hears how tries ended.
    pub endings: bool,
}

/// Which policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spec {
    /// The pool it picks for.
    pub pool: String,
    /// `module:Class` or `/path/file.py:Class`.
    pub policy: String,
    /// Which text of it.
    pub version: String,
}

/// For workers that have no other language at hand.
pub struct NoHost;

impl Host for NoHost {
    fn begin(&self, _: Desk) -> Result<(), String> {
        Err("there is nobody here who could run a policy".to_owned())
    }
}

/// Threads of policies that live.
static LIVING: AtomicUsize = AtomicUsize::new(0);

/// Gives policies' threads a moment to end, after the worker has; whether all have. One that hangs
/// never does, and may hold what ending in the usual way would wait for.
pub fn have_ended(within: Duration) -> bool {
    let until = Instant::now() + within;
    while LIVING.load(Ordering::Acquire) > 0 {
        if Instant::now() >= until {
            return false;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    true
}

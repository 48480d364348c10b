//! A policy as shards know it: a letter-box, what it wants, and whether it is asked.
//!
//! Rules kept here:
//! - It outlives generations that do not change it: what it has learned stays.
//! - Its box is bounded; a full one is a policy that cannot keep up, which is a failure of it.
//! - Until it is ready, and if it never will be, the fallback picks: a worker serves at once.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::circuit::Circuit;
use super::{By, Desk, Host, Letter, Spec, Wants};

/// Letters in the box of a policy.
const BOX: usize = 1024;
/// Milliseconds between two words for people about one policy.
const WORDS_EVERY: u64 = 1000;

/// A policy, wherever it runs.
pub struct Policy {
    spec: Spec,
    letters: SyncSender<Letter>,
    life: Arc<Life>,
    circuit: Circuit,
    /// Why it failed last.
    trouble: Mutex<String>,
    /// When people were last told of that.
    told: AtomicU64,
}

/// What is known of a policy's own life.
#[derive(Default)]
pub(super) struct Life {
    /// Set once it is ready.
    pub(super) wants: OnceLock<Wants>,
    /// Set once it has ended, with why; empty is without a fault.
    pub(super) end: OnceLock<String>,
}

impl Policy {
    /// Begins the life of a policy.
    ///
    /// # Errors
    /// In words, when it has nowhere to live.
    pub fn begin(spec: Spec, host: &dyn Host) -> Result<Arc<Policy>, String> {
        let (letters, inbox) = sync_channel(BOX);
        let life = Arc::<Life>::default();
        host.begin(Desk::new(spec.clone(), inbox, life.clone()))
            .map_err(|why| format!("policy {}: {why}", spec.policy))?;
        Ok(Arc::new(Policy {
            spec,
            letters,
            life,
            circuit: Circuit::default(),
            trouble: Mutex::default(),
            told: AtomicU64::new(0),
        }))
    }

    /// Which it is.
    pub fn spec(&self) -> &Spec {
        &self.spec
    }

    /// Whether its life has ended, so that it will not answer any more.
    pub fn has_ended(&self) -> bool {
        self.life.end.get().is_some()
    }

    /// Writes to it what it wants.
    ///
    /// # Errors
    /// Who picks instead, and why.
    pub(super) fn ask(&self, now: u64, letter: impl FnOnce(&Wants) -> Letter) -> Result<(), By> {
        let wants = self.life.wants.get().filter(|_| !self.has_ended()).ok_or(By::NotReady)?;
        if !self.circuit.may_ask(now) {
            return Err(By::Open);
        }
        self.letters.try_send(letter(wants)).map_err(|why| match why {
            TrySendError::Full(_) => By::Busy,
            TrySendError::Disconnected(_) => By::NotReady,
        })
    }

    /// Tells it how a try ended, if it wants to hear that and has room.
    pub(super) fn tell(&self, letter: impl FnOnce() -> Letter) {
        let wants = self.life.wants.get().is_some_and(|wants| wants.endings);
        if wants && !self.circuit.is_open() {
            // One that cannot keep up hears less; its picks say that it is behind.
            let _ = self.letters.try_send(letter());
        }
    }

    /// It answered. What people should hear.
    pub(super) fn succeeded(&self) -> Option<String> {
        let Spec { pool, policy, .. } = &self.spec;
        let closes = self.circuit.succeeded();
        closes.then(|| format!("pool {pool}: policy {policy} answers again and picks"))
    }

    /// It failed. What people should hear, not more than a word a second.
    pub(super) fn failed(&self, why: String, fallback: &str, now: u64) -> Option<String> {
        let Spec { pool, policy, .. } = &self.spec;
        let opens = self.circuit.failed(now);
        let last = self.told.load(Ordering::Relaxed);
        let speaks = opens || last == 0 || now >= last.saturating_add(WORDS_EVERY);
        if speaks {
            self.told.store(now, Ordering::Relaxed);
        }
        let tail = match opens {
            true => format!("; five failures in a row: {fallback} picks alone, tried again in 5 s"),
            false => format!("; {fallback} picks instead"),
        };
        let words = speaks.then(|| format!("pool {pool}: policy {policy}: {why}{tail}"));
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = why;
        words
    }

    /// How it is with it: a word, and its last trouble.
    pub(super) fn condition(&self) -> (&'static str, String) {
        let trouble = || self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match self.life.end.get() {
            Some(why) => ("ended", why.clone()),
            None if self.life.wants.get().is_none() => ("loading", String::new()),
            None if self.circuit.is_open() => ("open", trouble()),
            None => ("asked", trouble()),
        }
    }
}

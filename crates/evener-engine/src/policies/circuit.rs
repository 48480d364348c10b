//! When a policy is not asked: after failures in a row, for a while, but for a trial now and then.
//!
//! Rules kept here:
//! - `now` comes in; nothing waits here. Shared by all shards, each look is a load or two.
//! - One trial at a time: whoever has it moves the time of the next one on, so that a trial whose
//!   asker left costs a while and no more.
//!
//! Not known here: what a failure is.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// Failures in a row that open it (DESIGN.md §5).
const ROW: u32 = 5;
/// How long it stays open before a trial, in milliseconds: long beside any time-out, so that a
/// policy that hangs delays one request in that time; short beside a person's patience.
const OPEN_MS: u64 = 5_000;

/// Whether a policy is asked.
#[derive(Debug, Default)]
pub struct Circuit {
    failures: AtomicU32,
    /// When the next trial may be, in milliseconds; 0 while it is closed.
    until: AtomicU64,
}

impl Circuit {
    /// Whether the policy may be asked now; a trial, if the circuit is open, is taken by asking.
    pub fn may_ask(&self, now: u64) -> bool {
        let until = self.until.load(Ordering::Relaxed);
        if until == 0 {
            return true;
        }
        let next = now.saturating_add(OPEN_MS);
        let (same, other) = (Ordering::Relaxed, Ordering::Relaxed);
        now >= until && self.until.compare_exchange(until, next, same, other).is_ok()
    }

    /// The policy answered. Whether that closes the circuit.
    pub fn succeeded(&self) -> bool {
        if self.failures.load(Ordering::Relaxed) != 0 {
            self.failures.store(0, Ordering::Relaxed);
        }
        self.is_open() && self.until.swap(0, Ordering::Relaxed) != 0
    }

    /// The policy failed. Whether that opens the circuit.
    pub fn failed(&self, now: u64) -> bool {
        let before = self.failures.fetch_add(1, Ordering::Relaxed);
        // From the fifth on: those asked before it opened fail, too, and so may a trial.
        let next = now.saturating_add(OPEN_MS);
        before + 1 >= ROW && self.until.swap(next, Ordering::Relaxed) == 0
    }

    /// Whether the fallback picks alone.
    pub fn is_open(&self) -> bool {
        self.until.load(Ordering::Relaxed) != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_failures_in_a_row_open_it_and_one_answer_between_begins_anew() {
        let circuit = Circuit::default();
        for _ in 0..4 {
            assert!(!circuit.failed(100));
        }
        assert!(!circuit.succeeded(), "it was not open");
        for _ in 0..4 {
            assert!(!circuit.failed(100) && circuit.may_ask(100));
        }
        assert!(circuit.failed(100), "the fifth");
        assert!(circuit.is_open() && !circuit.may_ask(100 + OPEN_MS - 1));
        assert!(!circuit.failed(101), "it is open already");
    }

    #[test]
    fn one_trial_at_a_time_and_its_answer_closes_it() {
        let circuit = Circuit::default();
        (0..5).for_each(|_| assert!(!circuit.failed(0) || circuit.is_open()));
        assert!(circuit.may_ask(OPEN_MS), "the trial");
        assert!(!circuit.may_ask(OPEN_MS), "nobody else");
        assert!(!circuit.failed(OPEN_MS + 5), "it stays open");
        assert!(!circuit.may_ask(2 * OPEN_MS + 4) && circuit.may_ask(2 * OPEN_MS + 5));
        assert!(circuit.succeeded() && !circuit.is_open());
        assert!(circuit.may_ask(2 * OPEN_MS + 6) && circuit.may_ask(2 * OPEN_MS + 6));
    }

    #[test]
    fn a_trial_that_nobody_heard_the_end_of_is_followed_by_another() {
        let circuit = Circuit::default();
        (0..5).for_each(|_| assert!(!circuit.failed(0) || circuit.is_open()));
        assert!(circuit.may_ask(OPEN_MS));
        assert!(circuit.may_ask(2 * OPEN_MS), "the asker has left");
    }
}

//! How long a server takes, as a peak that decays.
//!
//! Rules kept here:
//! - A time above the estimate becomes the estimate at once; one below moves it by as much as time
//!   has passed since the last (`1 - e^(-t / decay)`).
//! - Without answers the estimate decays, so that a server that was slow is asked again.
//! - A failure, or an answer that it cannot, counts as twice the estimate and at least a second,
//!   or as its own time where that is longer: who fails fast is not fast.
//! - Leases that have lasted longer than the estimate, in the mean, are the estimate.
//!
//! Precedent: Finagle's `PeakEwma` (Twitter 2014); the last two rules are ours.

use crate::schedule::{Done, How};

/// How long a server takes; microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Latency {
    estimate: f64,
    /// When it was made; milliseconds.
    at: u64,
    is_known: bool,
    open: u32,
    /// The sum of the starts of open leases; milliseconds.
    starts: u64,
}

/// The least a failure counts as.
const FAILURE: f64 = 1_000_000.0;
/// The most it counts as: beyond it only in-flight requests tell servers apart.
const MOST: f64 = 60_000_000.0;

impl Latency {
    /// The estimate now; `None` if none was ever made and nothing is under way.
    pub(super) fn now(&self, now: u64, decay: u64) -> Option<f64> {
        let age = self.age(now);
        let decayed = self.estimate * self.keeps(now, decay);
        match self.is_known {
            true => Some(decayed.max(age)),
            false => (age > 0.0).then_some(age),
        }
    }

    /// How long open leases have lasted in the mean.
    pub(super) fn age(&self, now: u64) -> f64 {
        match self.open {
            0 => 0.0,
            open => (now as f64 - self.starts as f64 / f64::from(open)).max(0.0) * 1_000.0,
        }
    }

    pub(super) fn is_known(&self) -> bool {
        self.is_known
    }

    pub(super) fn on_pick(&mut self, now: u64) {
        self.open += 1;
        self.starts += now;
    }

    /// A lease that began then ended.
    pub(super) fn on_end(&mut self, began: u64) {
        self.open = self.open.saturating_sub(1);
        self.starts = if self.open > 0 { self.starts.saturating_sub(began) } else { 0 };
    }

    pub(super) fn on_done(&mut self, done: &Done, now: u64, decay: u64) {
        let keeps = self.keeps(now, decay);
        let Some(sample) = sample_of(done, || self.estimate * keeps) else {
            return;
        };
        self.estimate = match self.is_known {
            true if sample < self.estimate => self.estimate * keeps + sample * (1.0 - keeps),
            _ => sample,
        };
        self.is_known = true;
        self.at = now;
    }

    /// The same for a mean over servers: no peak, and of exchanges that worked alone.
    pub(super) fn on_done_by_any(&mut self, done: &Done, now: u64, decay: u64) {
        if done.how != How::Works {
            return;
        }
        let keeps = if self.is_known { self.keeps(now, decay) } else { 0.0 };
        let sample = (done.whole as f64).min(MOST);
        self.estimate = self.estimate * keeps + sample * (1.0 - keeps);
        self.is_known = true;
        self.at = now;
    }

    /// For the next plan: leases end where they began.
    pub(super) fn without_leases(&self) -> Latency {
        Latency { open: 0, starts: 0, ..*self }
    }

    /// What is left of the estimate after the time that has passed.
    fn keeps(&self, now: u64, decay: u64) -> f64 {
        match now.saturating_sub(self.at) {
            0 => 1.0,
            passed => (-(passed as f64) / decay.max(1) as f64).exp(),
        }
    }
}

/// What an ended exchange counts as, if as anything.
pub(super) fn sample_of(done: &Done, estimate: impl FnOnce() -> f64) -> Option<f64> {
    let took = done.whole as f64;
    let sample = match done.how {
        How::Nothing => return None,
        How::Works => took,
        How::Refuses | How::Fails => took.max(2.0 * estimate()).max(FAILURE),
    };
    Some(sample.min(MOST))
}

/// A step of load (below 8) as a lease's mark, which is never 0.
pub(super) fn mark_of(load: u32) -> u32 {
    ((load & 7) << 1) | 1
}

/// Whether the lease was picked here, not under another plan.
pub(super) fn is_mark(mark: u32) -> bool {
    mark != 0
}

/// The step of load that a mark means.
pub(super) fn load_of(mark: u32) -> Option<u32> {
    is_mark(mark).then_some((mark >> 1) & 7)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn done(how: How, whole: u64) -> Done {
        Done { how, head: None, whole, headed: false, again: false, mark: 0 }
    }

    #[test]
    fn a_peak_counts_at_once_and_decays() {
        let mut latency = Latency::default();
        assert_eq!(latency.now(5, 10_000), None);
        latency.on_done(&done(How::Works, 1_000), 0, 10_000);
        latency.on_done(&done(How::Works, 90_000), 1, 10_000);
        assert_eq!(latency.now(1, 10_000), Some(90_000.0));
        latency.on_done(&done(How::Works, 1_000), 10_001, 10_000);
        let estimate = latency.now(10_001, 10_000).unwrap();
        assert!((33_000.0..35_000.0).contains(&estimate), "{estimate}");
        assert!(latency.now(70_000, 10_000).unwrap() < 100.0);
    }

    #[test]
    fn who_fails_fast_is_slow_and_who_does_not_answer_ages() {
        let mut latency = Latency::default();
        latency.on_done(&done(How::Refuses, 1_000), 0, 10_000);
        assert_eq!(latency.now(0, 10_000), Some(1_000_000.0));
        let mut silent = Latency::default();
        silent.on_done(&done(How::Works, 1_000), 0, 10_000);
        silent.on_pick(1_000);
        assert_eq!(silent.now(3_000, 10_000), Some(2_000_000.0));
        silent.on_end(1_000);
        assert!(silent.now(3_000, 10_000).unwrap() < 1_000.0);
    }

    #[test]
    fn a_mark_is_a_step_of_load_and_leases_of_another_plan_have_none() {
        for load in 0..8 {
            assert!(is_mark(mark_of(load)));
            assert_eq!(load_of(mark_of(load)), Some(load));
        }
        assert_eq!((is_mark(0), load_of(0)), (false, None));
    }
}

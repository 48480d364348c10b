//! `evener/peak_ewma`: the better of two draws, by decayed peak latency times requests in flight.
//!
//! Rules kept here:
//! - Cost is `latency × (leases + 1) / weight`, latency as `latency` has it.
//! - A server that nothing is known of has the mean of all that are known, or `unknown` while none
//!   is: it is not flooded, and not left out. Who refuses or fails says nothing of others.
//!
//! Precedent: Finagle and linkerd; Mitzenmacher 1996 for the two draws.

use std::any::Any;

use super::field::Field;
use super::latency::{self, Latency};
use crate::schedule::{Ask, Crew, Done, Schedule};

/// The better of two draws, by decayed peak latency times requests in flight.
pub(crate) struct PeakEwma {
    field: Field,
    latencies: Vec<Latency>,
    /// Milliseconds.
    decay: u64,
    /// Microseconds.
    unknown: f64,
    /// Decaying mean of the times of all that work, in microseconds.
    mean: Latency,
}

impl PeakEwma {
    pub(crate) fn new(crew: &Crew<'_>, decay: u64, unknown: u64) -> PeakEwma {
        PeakEwma {
            field: Field::new(crew),
            latencies: vec![Latency::default(); crew.len()],
            decay,
            unknown: unknown as f64 * 1_000.0,
            mean: Latency::default(),
        }
    }
}

impl Schedule for PeakEwma {
    fn pick(&mut self, ask: &Ask<'_>) -> Option<usize> {
        let (latencies, decay) = (&self.latencies, self.decay);
        let unknown = self.mean.now(ask.now, u64::MAX).unwrap_or(self.unknown);
        let picked = self.field.draw(ask, |draw, field| {
            let cost = |place: usize| {
                let latency = latencies[place].now(ask.now, decay);
                let known = latencies[place].is_known();
                let latency = if known { latency } else { latency.map(|age| age.max(unknown)) };
                let load = f64::from(field.leases(place)) + 1.0;
                latency.unwrap_or(unknown).max(1.0) * load / f64::from(field.weight(place).max(1))
            };
            let (one, other) = (draw()?, draw()?);
            Some(if cost(other) < cost(one) { other } else { one })
        })?;
        self.latencies[picked].on_pick(ask.now);
        Some(picked)
    }

    fn mark(&self) -> u32 {
        latency::mark_of(0)
    }

    fn set_active(&mut self, place: usize, active: bool) {
        self.field.set_active(place, active);
    }

    fn counts_leases(&self) -> bool {
        true
    }

    fn set_in_flight(&mut self, place: usize, leases: u32) {
        self.field.set_leases(place, leases);
    }

    fn ended(&mut self, place: usize, mark: u32, begun: u64) {
        if latency::is_mark(mark) {
            self.latencies[place].on_end(begun);
        }
    }

    fn take_back(&mut self, place: usize, mark: u32, now: u64) {
        self.ended(place, mark, now);
    }

    fn times(&self) -> bool {
        true
    }

    fn on_done(&mut self, place: usize, done: &Done, now: u64) {
        self.latencies[place].on_done(done, now, self.decay);
        self.mean.on_done_by_any(done, now, self.decay);
    }

    fn stir(&mut self, seed: u64) {
        self.field.stir(seed);
    }

    fn inherit(&mut self, before: &dyn Any, kept: &[Option<u32>]) {
        if let Some(before) = before.downcast_ref::<PeakEwma>() {
            self.mean = before.mean;
            for (latency, kept) in self.latencies.iter_mut().zip(kept) {
                if let Some(kept) = kept {
                    *latency = before.latencies[*kept as usize].without_leases();
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::How;
    use crate::schedule::tests::Troop;
    use evener_plan::Scheduler;

    /// A pick that ends right away like this, after so long.
    fn ask(schedule: &mut dyn Schedule, now: u64, how: impl Fn(usize) -> (How, u64)) -> usize {
        let place = schedule.pick(&Ask { now, ..Ask::default() }).expect("somebody is active");
        let (mark, (how, whole)) = (schedule.mark(), how(place));
        let done = Done { how, head: Some(whole), whole, headed: false, again: false, mark };
        schedule.on_done(place, &done, now);
        schedule.ended(place, mark, now);
        place
    }

    #[test]
    fn a_server_that_refuses_says_nothing_of_one_that_is_new() {
        let mut schedule =
            Troop::new(&[1; 10]).make(&Scheduler::PeakEwma { decay: 10_000, unknown: 1_000 });
        schedule.set_active(9, false);
        let answers = |place| if place == 1 { (How::Refuses, 1_000) } else { (How::Works, 10_000) };
        for now in 0..10_000 {
            ask(&mut *schedule, now, answers);
        }
        schedule.set_active(9, true);
        let mut counts = [0; 10];
        for now in 10_000..20_000 {
            counts[ask(&mut *schedule, now, answers)] += 1;
        }
        assert!(counts[9] > 500, "{counts:?}");
        assert!(counts[1] < 100, "{counts:?}");
    }

    #[test]
    fn shards_whose_clocks_differ_leave_no_leases_behind() {
        let mut schedule = PeakEwma::new(&Troop::new(&[1]).crew(), 10_000, 1_000);
        schedule.set_active(0, true);
        let pick = |schedule: &mut PeakEwma, now| {
            schedule.pick(&Ask { now, ..Ask::default() }).expect("is active");
            schedule.mark()
        };
        let first = pick(&mut schedule, 1_000_000);
        pick(&mut schedule, 999_999);
        schedule.ended(0, first, 1_000_000);
        let age = schedule.latencies[0].age(1_000_100);
        assert!((90_000.0..=110_000.0).contains(&age), "{age}");
    }
}

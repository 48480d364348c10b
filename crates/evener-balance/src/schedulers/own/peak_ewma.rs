//! `evener/peak_ewma`: the better of two draws, by decayed peak latency times requests in flight.
//!
//! Rules kept here:
//! - Cost is `latency × (leases + 1) / weight`, latency as `latency` has it.
//! - A server that nothing is known of has the mean of all that are known, or `unknown` while none
//!   is: it is not flooded, and not left out.
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
    /// Decaying mean of all times, in microseconds.
    mean: Latency,
    /// The time of the last pick.
    now: u64,
}

impl PeakEwma {
    pub(crate) fn new(crew: &Crew<'_>, decay: u64, unknown: u64) -> PeakEwma {
        PeakEwma {
            field: Field::new(crew),
            latencies: vec![Latency::default(); crew.len()],
            decay,
            unknown: unknown as f64 * 1_000.0,
            mean: Latency::default(),
            now: 0,
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
        self.now = ask.now;
        Some(picked)
    }

    fn mark(&self) -> u32 {
        latency::mark_of(self.now, 0)
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

    fn ended(&mut self, place: usize, mark: u32) {
        if let Some(began) = latency::began(mark, self.now) {
            self.latencies[place].on_end(began);
        }
    }

    fn take_back(&mut self, place: usize, mark: u32, _now: u64) {
        self.ended(place, mark);
    }

    fn times(&self) -> bool {
        true
    }

    fn on_done(&mut self, place: usize, done: &Done, now: u64) {
        self.latencies[place].on_done(done, now, self.decay);
        self.mean.on_done(done, now, self.decay);
    }

    fn stir(&mut self, seed: u64) {
        self.field.stir(seed);
    }

    fn inherit(&mut self, before: &dyn Any, kept: &[Option<u32>]) {
        if let Some(before) = before.downcast_ref::<PeakEwma>() {
            self.mean = before.mean;
            self.now = before.now;
            for (latency, kept) in self.latencies.iter_mut().zip(kept) {
                if let Some(kept) = kept {
                    *latency = before.latencies[*kept as usize].without_leases();
                }
            }
        }
    }
}

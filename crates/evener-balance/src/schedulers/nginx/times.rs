//! How long servers take, as nginx averages it.
//!
//! Rules kept here (nginx 1.31, `ngx_http_upstream_least_time_module.c`):
//! - A time is averaged as `0.05 × new + 0.95 × old`, rounded to milliseconds; the first stands
//!   alone. Only exchanges that had an answer count.
//! - A time halves once per whole `fail_timeout` that a server has not been tried, so that slow
//!   ones get their chance.
//! - With `inflight`, requests under way count with the mean time they have taken, where that is
//!   longer.
//! - Times up to 5 s count in steps of 20 ms, longer ones are all 5 s.

use evener_plan::Measure;

use crate::schedule::{Crew, Done, How};

/// How long servers take.
pub(super) struct Times {
    measure: Measure,
    inflight: bool,
    /// Seconds.
    window: u64,
    servers: Vec<Time>,
    now: u64,
}

/// Of one server; milliseconds.
#[derive(Debug, Clone, Default)]
struct Time {
    head: u64,
    whole: u64,
    /// When it was last tried or failed, in whole seconds.
    checked: u64,
    under_way: u64,
    /// Time the requests under way had taken at `changed`, together.
    taken: u64,
    changed: u64,
    /// Average of the mean time of those under way.
    mean: u64,
}

impl Times {
    pub(super) fn new(crew: &Crew<'_>, measure: Measure, inflight: bool) -> Times {
        Times {
            measure,
            inflight,
            window: crew.within / 1_000,
            servers: vec![Time::default(); crew.len()],
            now: 0,
        }
    }

    /// The estimated time to get through with the leases there are, in milliseconds.
    pub(super) fn eta(&self, place: usize, leases: u32, now: u64) -> u32 {
        let time = &self.servers[place];
        let mut known = match self.measure {
            Measure::Header => time.head,
            Measure::LastByte => time.whole,
        };
        known >>= self.halvings(time, now).min(63);
        if time.under_way > 0 {
            known = known.max(time.mean);
        }
        let step = if known > 5_000 { 5_000 } else { known + 20 - known % 20 };
        u32::try_from(step * (1 + u64::from(leases))).unwrap_or(u32::MAX)
    }

    /// When [`Times::eta`] of the place changes by the passing of time alone, in milliseconds.
    pub(super) fn next_halving(&self, place: usize, now: u64) -> u64 {
        let time = &self.servers[place];
        (time.checked + (self.halvings(time, now) + 1) * (self.window + 1)) * 1_000
    }

    fn halvings(&self, time: &Time, now: u64) -> u64 {
        match (now / 1_000).saturating_sub(time.checked) {
            idle if idle <= self.window => 0,
            idle => idle / (self.window + 1),
        }
    }

    /// Those under way have taken so long now.
    pub(super) fn look(&mut self, place: usize, now: u64) {
        let time = &mut self.servers[place];
        if let Some(mean) = time.taken.checked_div(time.under_way) {
            let mean = mean + now.saturating_sub(time.changed);
            average(&mut time.mean, mean);
        }
    }

    pub(super) fn on_pick(&mut self, place: usize, now: u64) {
        self.now = now;
        let window = self.window;
        let time = &mut self.servers[place];
        if self.inflight {
            time.taken += now.saturating_sub(time.changed) * time.under_way;
            time.changed = now;
            time.under_way += 1;
        }
        if (now / 1_000).saturating_sub(time.checked) > window {
            time.checked = now / 1_000;
        }
    }

    /// The last pick was not made after all.
    pub(super) fn take_back(&mut self, place: usize, now: u64) {
        if self.inflight {
            self.one_less(place, 0, now);
        }
    }

    pub(super) fn on_head(&mut self, place: usize, micros: u64, now: u64) {
        if self.inflight && self.measure == Measure::Header {
            average(&mut self.servers[place].head, micros / 1_000);
            self.one_less(place, micros / 1_000, now);
        }
    }

    pub(super) fn on_done(&mut self, place: usize, done: &Done, now: u64) {
        let is_noted = self.inflight && self.measure == Measure::Header;
        if self.inflight && !done.again && !(is_noted && done.headed) {
            self.one_less(place, done.whole / 1_000, now);
        }
        let (How::Works | How::Refuses, Some(head)) = (done.how, done.head) else {
            return;
        };
        average(&mut self.servers[place].whole, done.whole / 1_000);
        if !(is_noted && done.headed) {
            average(&mut self.servers[place].head, head / 1_000);
        }
    }

    pub(super) fn on_failure(&mut self, place: usize) {
        self.servers[place].checked = self.now / 1_000;
    }

    pub(super) fn is_busy(&self, place: usize) -> bool {
        self.servers[place].under_way > 0
    }

    pub(super) fn inherit(&mut self, before: &Times, kept: &[Option<u32>]) {
        for (time, kept) in self.servers.iter_mut().zip(kept) {
            if let Some(kept) = kept {
                let old = before.servers[*kept as usize].clone();
                // Those under way end under the plan they began with.
                *time = Time { under_way: 0, taken: 0, mean: 0, ..old };
            }
        }
        self.now = before.now;
    }

    fn one_less(&mut self, place: usize, took: u64, now: u64) {
        let time = &mut self.servers[place];
        if time.under_way <= 1 {
            time.taken = 0;
        } else {
            time.taken += now.saturating_sub(time.changed) * time.under_way;
            time.taken = time.taken.saturating_sub(took);
            time.changed = now;
        }
        time.under_way = time.under_way.saturating_sub(1);
    }
}

fn average(average: &mut u64, new: u64) {
    *average = match *average {
        0 => new,
        old => (0.5 + new as f64 * 0.05 + old as f64 * 0.95) as u64,
    };
}

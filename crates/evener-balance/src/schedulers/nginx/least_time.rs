//! `nginx/least_time`: least average time by weight and connections, ties by smooth weighted round
//! robin. From nginx's written rule (`times`), not from recordings: those are of an older nginx.
//!
//! Rules kept here:
//! - The rule is that of `ranks`, with the estimated time as load.
//! - What time alone changes is looked at when it is due. With `inflight` the rule wants every
//!   server that has requests under way looked at with every pick: a pick costs as much as there
//!   are such servers, about 5 ns each.

use std::any::Any;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

use evener_plan::Measure;

use super::gate::Gate;
use super::ranks::Ranks;
use super::times::Times;
use crate::schedule::{Ask, Crew, Done, Position, Schedule};

/// Least average time by weight and connections.
pub(crate) struct LeastTime {
    ranks: Ranks,
    gate: Gate,
    times: Times,
    /// Places with requests under way, and for each place where it stands there.
    busy: Vec<u32>,
    busy_at: Vec<u32>,
    /// When a place's time halves next, and for each place the one that counts.
    halvings: BinaryHeap<Reverse<(u64, u32)>>,
    halves_at: Vec<u64>,
    now: u64,
}

const IDLE: u32 = u32::MAX;

impl LeastTime {
    pub(crate) fn new(crew: &Crew<'_>, measure: Measure, inflight: bool) -> LeastTime {
        LeastTime {
            ranks: Ranks::new(&crew.weights()),
            gate: Gate::new(crew),
            times: Times::new(crew, measure, inflight),
            busy: Vec::new(),
            busy_at: vec![IDLE; crew.len()],
            halvings: BinaryHeap::new(),
            halves_at: vec![0; crew.len()],
            now: 0,
        }
    }

    fn look(&mut self, now: u64) {
        self.now = now;
        while let Some(&Reverse((due, place))) = self.halvings.peek() {
            if due > now {
                break;
            }
            self.halvings.pop();
            if self.halves_at[place as usize] == due {
                self.halves_at[place as usize] = 0;
                self.seat(place as usize);
            }
        }
        for at in 0..self.busy.len() {
            let place = self.busy[at] as usize;
            if self.gate.is_open(place) {
                self.times.look(place, now);
                self.seat(place);
            }
        }
    }

    fn seat(&mut self, place: usize) {
        let is_open = self.gate.is_open(place);
        let eta = self.times.eta(place, self.gate.leases(place), self.now);
        self.ranks.seat(place, is_open, eta);
        let due = self.times.next_halving(place, self.now);
        if is_open && self.halves_at[place] != due {
            self.halves_at[place] = due;
            self.halvings.push(Reverse((due, place as u32)));
        }
        self.note_busy(place);
    }

    fn note_busy(&mut self, place: usize) {
        let at = self.busy_at[place];
        match (self.times.is_busy(place), at != IDLE) {
            (true, false) => {
                self.busy_at[place] = self.busy.len() as u32;
                self.busy.push(place as u32);
            }
            (false, true) => {
                self.busy.swap_remove(at as usize);
                self.busy_at[place] = IDLE;
                if let Some(moved) = self.busy.get(at as usize) {
                    self.busy_at[*moved as usize] = at;
                }
            }
            _ => {}
        }
    }
}

impl Schedule for LeastTime {
    fn pick(&mut self, ask: &Ask<'_>) -> Option<usize> {
        self.look(ask.now);
        let picked = self.ranks.pick(ask.tried)?;
        // Seated with its new number of leases, which follows.
        self.times.on_pick(picked, ask.now);
        Some(picked)
    }

    fn set_active(&mut self, place: usize, active: bool) {
        self.gate.set_active(place, active);
        self.seat(place);
    }

    fn counts_leases(&self) -> bool {
        true
    }

    fn set_in_flight(&mut self, place: usize, leases: u32) {
        self.gate.set_leases(place, leases);
        self.seat(place);
    }

    fn take_back(&mut self, place: usize, _mark: u32, now: u64) {
        self.times.take_back(place, now);
        self.note_busy(place);
    }

    fn times(&self) -> bool {
        true
    }

    fn on_head(&mut self, place: usize, micros: u64, now: u64) {
        self.times.on_head(place, micros, now);
        self.seat(place);
    }

    fn on_done(&mut self, place: usize, done: &Done, now: u64) {
        // Seated when its lease ends, which follows.
        self.now = self.now.max(now);
        self.times.on_done(place, done, now);
        self.note_busy(place);
    }

    fn on_failure(&mut self, place: usize, allowed: u32) {
        self.times.on_failure(place);
        self.ranks.fail(place, allowed);
        self.seat(place);
    }

    fn inherit(&mut self, before: &dyn Any, kept: &[Option<u32>]) {
        if let Some(before) = before.downcast_ref::<LeastTime>() {
            self.times.inherit(&before.times, kept);
            self.now = before.now;
        }
    }

    fn position(&self, place: usize) -> Position {
        self.ranks.position(place)
    }

    fn resume(&mut self, place: usize, position: Position) {
        self.ranks.resume(place, position);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::How;
    use crate::schedule::tests::Troop;
    use crate::schedulers::nginx::smooth::Smooth;
    use proptest::prelude::*;

    /// The rule as nginx writes it: all places are asked, twice.
    struct Scan {
        times: Times,
        smooth: Smooth,
        weights: Vec<u64>,
        leases: Vec<u32>,
        active: Vec<bool>,
    }

    impl Scan {
        fn pick(&mut self, now: u64) -> Option<usize> {
            let (mut best, mut many) = (None, false);
            let open: Vec<usize> = (0..self.leases.len()).filter(|at| self.active[*at]).collect();
            for &place in &open {
                self.times.look(place, now);
            }
            let eta = |place: usize| u64::from(self.times.eta(place, self.leases[place], now));
            let weight = |place: usize| self.weights[place];
            for &place in &open {
                let order = best.map_or(std::cmp::Ordering::Less, |best| {
                    (eta(place) * weight(best)).cmp(&(eta(best) * weight(place)))
                });
                if order.is_lt() {
                    best = Some(place);
                }
                many = order.is_eq() || (many && order.is_gt());
            }
            let mut best = best?;
            if many {
                let tied = |place: &usize| eta(*place) * weight(best) == eta(best) * weight(*place);
                let least: Vec<usize> = open.iter().copied().filter(tied).collect();
                best = self.smooth.pick(least.into_iter())?;
            }
            self.times.on_pick(best, now);
            Some(best)
        }
    }

    #[derive(Debug, Clone)]
    enum Event {
        Pick,
        Head(usize, u64),
        Done(usize, u64, bool),
        Wait(u64),
        Active(usize, bool),
    }

    fn event(places: usize) -> impl Strategy<Value = Event> {
        prop_oneof![
            10 => Just(Event::Pick),
            2 => (0..places, 0u64..900).prop_map(|(place, took)| Event::Head(place, took)),
            8 => (0..places, 0u64..7_000, any::<bool>())
                .prop_map(|(place, took, works)| Event::Done(place, took, works)),
            3 => (1u64..15_000).prop_map(Event::Wait),
            1 => (0..places, any::<bool>()).prop_map(|(place, on)| Event::Active(place, on)),
        ]
    }

    fn story() -> impl Strategy<Value = (Vec<u32>, Vec<Event>)> {
        prop::collection::vec(1u32..5, 2..9).prop_flat_map(|weights| {
            let events = prop::collection::vec(event(weights.len()), 1..200);
            (Just(weights), events)
        })
    }

    proptest! {
        #[test]
        fn looking_when_it_is_due_is_looking_always(
            (weights, events) in story(),
            inflight in any::<bool>(),
            by_head in any::<bool>(),
            many in any::<bool>(),
        ) {
            let troop = Troop::new(&weights);
            let measure = if by_head { Measure::Header } else { Measure::LastByte };
            let mut least = LeastTime::new(&troop.crew(), measure, inflight);
            if many {
                least.ranks = Ranks::many(&weights);
            }
            (0..weights.len()).for_each(|place| least.set_active(place, true));
            let mut scan = Scan {
                times: Times::new(&troop.crew(), measure, inflight),
                smooth: Smooth::new(&weights),
                weights: weights.iter().map(|weight| u64::from(*weight)).collect(),
                leases: vec![0; weights.len()],
                active: vec![true; weights.len()],
            };
            let mut now = 50_000;
            for event in events {
                match event {
                    Event::Pick => {
                        let picked = least.pick(&Ask { now, ..Ask::default() });
                        prop_assert_eq!(picked, scan.pick(now));
                        if let Some(place) = picked {
                            scan.leases[place] += 1;
                            least.set_in_flight(place, scan.leases[place]);
                        }
                    }
                    Event::Head(place, took) if scan.leases[place] > 0 => {
                        least.on_head(place, took * 1_000, now);
                        scan.times.on_head(place, took * 1_000, now);
                    }
                    Event::Done(place, took, works) if scan.leases[place] > 0 => {
                        let how = if works { How::Works } else { How::Fails };
                        let whole = took * 1_000;
                        let (head, headed) = (Some(whole / 2), took % 2 == 0);
                        let done = Done { how, head, whole, headed, again: false, mark: 0 };
                        least.on_done(place, &done, now);
                        scan.times.on_done(place, &done, now);
                        scan.leases[place] -= 1;
                        least.set_in_flight(place, scan.leases[place]);
                    }
                    Event::Head(..) | Event::Done(..) => {}
                    Event::Wait(span) => now += span,
                    Event::Active(place, active) => {
                        scan.active[place] = active;
                        least.set_active(place, active);
                    }
                }
            }
        }
    }

    fn done(took: u64) -> Done {
        let whole = took * 1_000;
        Done { how: How::Works, head: Some(whole), whole, headed: false, again: false, mark: 0 }
    }

    #[test]
    fn a_pick_may_come_between_an_answer_and_the_end_of_its_lease() {
        let troop = Troop::new(&[1, 1, 1]);
        let mut least = LeastTime::new(&troop.crew(), Measure::Header, true);
        (0..3).for_each(|place| least.set_active(place, true));
        for _ in 0..3 {
            let place = least.pick(&Ask::default()).unwrap();
            least.set_in_flight(place, 1);
        }
        (0..3).for_each(|place| least.on_done(place, &done(10), 10));
        assert!(least.pick(&Ask { now: 10, ..Ask::default() }).is_some());
    }

    #[test]
    fn times_average_and_count_in_steps() {
        let mut times = Times::new(&Troop::new(&[1]).crew(), Measure::Header, false);
        times.on_done(0, &done(100), 0);
        times.on_done(0, &done(300), 0);
        // 0.05 × 300 + 0.95 × 100 = 110, the step above it is 120.
        assert_eq!(times.eta(0, 0, 0), 120);
        assert_eq!(times.eta(0, 2, 0), 360);
        assert_eq!(times.eta(0, 0, 11_000), 60, "halved after fail_timeout, and rounded up");
        times.on_pick(0, 11_000);
        assert_eq!(times.eta(0, 0, 11_000), 120);
        (0..200).for_each(|_| times.on_done(0, &done(90_000), 0));
        assert_eq!(times.eta(0, 0, 11_000), 5_000);
    }
}

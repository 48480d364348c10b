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
        self.times.on_pick(picked, ask.now);
        self.seat(picked);
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

    fn times(&self) -> bool {
        true
    }

    fn on_head(&mut self, place: usize, micros: u64, now: u64) {
        self.times.on_head(place, micros, now);
        self.seat(place);
    }

    fn on_done(&mut self, place: usize, done: &Done, now: u64) {
        self.times.on_done(place, done, now);
        self.seat(place);
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

//! A server at work: what it does of what it has, and when that will be done.
//!
//! Rules kept here:
//! - With slots requests begin in the order they came in, and what one takes is decided then.
//! - With cores each gets an even part: `served` is what each has had since the beginning, so that
//!   one is done when that reaches what it was at its arrival and its own work (the virtual time of
//!   processor sharing), and the next to be done is always the one of the least sum.
//!
//! Not known here: the wire, and what a request is.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use crate::draw::Draw;
use crate::scenario::Micros;
use crate::server::{Room, ServerModel, What};

/// A server at work. Visits are numbers of the caller's.
#[derive(Debug)]
pub(crate) struct Server {
    model: ServerModel,
    draw: Draw,
    /// Decides its pace.
    seed: u64,
    work: Work,
}

#[derive(Debug)]
enum Work {
    Endless,
    Slots { slots: u32, busy: u32, waiting: VecDeque<(u32, Micros)> },
    Cores(Shared),
}

/// Requests that share processors.
#[derive(Debug)]
struct Shared {
    cores: f64,
    /// What each has had, in microseconds.
    served: f64,
    at: Micros,
    /// By what `served` must reach, then by age.
    open: BinaryHeap<Reverse<(Sum, u32)>>,
    /// Of the alarms that were asked for only the last is meant.
    alarm: u32,
}

/// A sum of times that can be ordered.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Sum(f64);

/// What follows from a visit that came or a moment that passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// It waits for a slot.
    Waits,
    /// This visit will be done after so long.
    Done(u32, Micros),
    /// Look again after so long; the number is given back then.
    Alarm(u32, Micros),
    /// Nothing is left to do.
    Idle,
}

impl Server {
    pub(crate) fn new(model: ServerModel, draw: &mut Draw) -> Server {
        let seed = draw.bits();
        let work = match model.room {
            Room::Endless => Work::Endless,
            Room::Slots(slots) => Work::Slots { slots, busy: 0, waiting: VecDeque::new() },
            Room::Cores(cores) => Work::Cores(Shared::new(cores)),
        };
        Server { model, draw: draw.fork(), seed, work }
    }

    pub(crate) fn model(&self) -> &ServerModel {
        &self.model
    }

    /// A visit came, with work of its own if the log says so.
    pub(crate) fn come(&mut self, visit: u32, own: Micros, now: Micros) -> Next {
        if let Work::Slots { slots, busy, waiting } = &mut self.work {
            if *busy >= *slots {
                waiting.push_back((visit, own));
                return Next::Waits;
            }
            *busy += 1;
        }
        let takes = self.takes(own, now);
        let factor = self.factor(now);
        match &mut self.work {
            Work::Cores(shared) => {
                shared.pass(now, factor);
                shared.open.push(Reverse((Sum(shared.served + takes), visit)));
                self.alarm(now)
            }
            _ => Next::Done(visit, (takes * factor).round() as Micros),
        }
    }

    /// A visit that had a slot, or no need of one, is done. Gives the one that begins now.
    pub(crate) fn done(&mut self, now: Micros) -> Next {
        let Work::Slots { busy, waiting, .. } = &mut self.work else {
            return Next::Idle;
        };
        let Some((visit, own)) = waiting.pop_front() else {
            *busy -= 1;
            return Next::Idle;
        };
        let takes = self.takes(own, now) * self.factor(now);
        Next::Done(visit, takes.round() as Micros)
    }

    /// An alarm: tells who is done by now.
    pub(crate) fn wake(&mut self, alarm: u32, now: Micros, done: &mut Vec<u32>) -> Next {
        let factor = self.factor(now.saturating_sub(1));
        let Work::Cores(shared) = &mut self.work else {
            return Next::Idle;
        };
        if alarm != shared.alarm {
            return Next::Waits;
        }
        shared.pass(now, factor);
        while let Some(Reverse((sum, visit))) = shared.open.peek().copied() {
            if sum.0 > shared.served + ROUNDING {
                break;
            }
            shared.open.pop();
            done.push(visit);
        }
        self.alarm(now)
    }

    /// When to look again: when the next one is done at this pace, or the pace changes.
    fn alarm(&mut self, now: Micros) -> Next {
        let factor = self.factor(now);
        let change = self.model.pace.next_change(now);
        let Work::Cores(shared) = &mut self.work else {
            return Next::Idle;
        };
        let Some(Reverse((sum, _))) = shared.open.peek() else {
            return Next::Idle;
        };
        let left = (sum.0 - shared.served).max(0.0) / shared.rate(factor);
        let due = now + left.ceil() as Micros;
        let due = change.map_or(due, |change| due.min(change));
        shared.alarm = shared.alarm.wrapping_add(1);
        Next::Alarm(shared.alarm, due - now)
    }

    fn factor(&self, now: Micros) -> f64 {
        self.model.pace.factor(self.seed, now)
    }

    fn takes(&mut self, own: Micros, now: Micros) -> f64 {
        let service = match self.model.fault(now) {
            Some(What::Takes(service)) => service,
            _ => self.model.service,
        };
        service.draw(own, &mut self.draw)
    }
}

/// Who is so near to being done is, in microseconds: less than the clock can tell.
const ROUNDING: f64 = 1e-3;

impl Shared {
    fn new(cores: f64) -> Shared {
        Shared { cores, served: 0.0, at: 0, open: BinaryHeap::new(), alarm: 0 }
    }

    /// Processors that each one has.
    fn rate(&self, factor: f64) -> f64 {
        (self.cores / factor / self.open.len().max(1) as f64).min(1.0)
    }

    /// Time passes at a pace that has held since the last change.
    fn pass(&mut self, now: Micros, factor: f64) {
        self.served += (now - self.at) as f64 * self.rate(factor);
        self.at = now;
    }
}

impl Eq for Sum {}

impl PartialOrd for Sum {
    fn partial_cmp(&self, other: &Sum) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Sum {
    fn cmp(&self, other: &Sum) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::Pace;
    use crate::service::Service;

    /// When each of these visits, (arrival, work), is done.
    fn ends(model: ServerModel, visits: &[(Micros, Micros)]) -> Vec<Micros> {
        let mut server = Server::new(model, &mut Draw::new(1));
        let mut ends = vec![0; visits.len()];
        let mut coming: VecDeque<usize> = (0..visits.len()).collect();
        let mut alarm: Option<(Micros, u32)> = None;
        let mut done = Vec::new();
        loop {
            let arrival = coming.front().map(|at| visits[*at].0);
            let is_alarm = match (arrival, alarm) {
                (None, None) => return ends,
                (Some(arrival), Some((due, _))) => due <= arrival,
                (arrival, _) => arrival.is_none(),
            };
            let (now, next) = match (is_alarm, alarm) {
                (true, Some((due, number))) => (due, server.wake(number, due, &mut done)),
                _ => {
                    let at = coming.pop_front().unwrap();
                    (visits[at].0, server.come(at as u32, visits[at].1, visits[at].0))
                }
            };
            done.drain(..).for_each(|visit| ends[visit as usize] = now);
            alarm = match next {
                Next::Alarm(number, after) => Some((now + after, number)),
                _ => None,
            };
        }
    }

    #[test]
    fn requests_share_the_processors_evenly_and_use_one_each_at_most() {
        let model = ServerModel::new(Service::OfRequest { times: 1.0 }).with_cores(1.0);
        assert_eq!(ends(model.clone(), &[(0, 100), (0, 100)]), [200, 200]);
        assert_eq!(ends(model.clone(), &[(0, 100), (50, 100)]), [150, 200]);
        assert_eq!(ends(model, &[(0, 300), (100, 50)]), [350, 200]);
        let two = ServerModel::new(Service::OfRequest { times: 1.0 }).with_cores(2.0);
        assert_eq!(ends(two.clone(), &[(0, 100), (0, 100), (0, 40)]), [120, 120, 60]);
        assert_eq!(ends(two, &[(0, 100)]), [100]);
    }

    #[test]
    fn a_pace_that_changes_meanwhile_changes_what_is_open() {
        let mut model = ServerModel::new(Service::OfRequest { times: 1.0 }).with_cores(1.0);
        model.pace = Pace::Redrawn { every: 1_000, slower: 2.0, odds: 0.5 };
        let seed = Server::new(model.clone(), &mut Draw::new(1)).seed;
        // Work is what the processor gives, second by second.
        let mut given = 0.0;
        let mut now = 0;
        while given < 20_000.0 {
            given += 1_000.0 / model.pace.factor(seed, now);
            now += 1_000;
        }
        let end = ends(model, &[(0, 20_000)])[0];
        assert!((now - 1_000..=now).contains(&end), "{end}, {now}");
    }
}

//! What servers are like: how much they do at once, how fast, and what goes wrong with them when.

use serde::{Deserialize, Serialize};

use crate::draw::Draw;
use crate::scenario::Micros;
use crate::service::Service;

/// What a server is like.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServerModel {
    /// How long it works on a request.
    pub service: Service,
    /// How much it works on at once.
    pub room: Room,
    /// How its speed changes.
    pub pace: Pace,
    /// What goes wrong; the first that holds at a time does.
    pub faults: Vec<Fault>,
}

/// How much a server works on at once.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Room {
    /// All that comes, each as if it were alone.
    Endless,
    /// So many requests; the others wait in turn.
    Slots(u32),
    /// All that comes, on so many processors that they share evenly; each uses one at most, so that
    /// what a request takes is its processor time as long as there are enough.
    Cores(f64),
}

/// How a server's speed changes: somebody else works on the same machine.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pace {
    /// Not at all.
    Steady,
    /// Every so often it is drawn whether it is as fast as its model or this much slower (with odds
    /// of a half: C3, NSDI 2015, §5.1). With `cores` it has that much fewer of them; else it is
    /// what begins then that takes longer.
    Redrawn {
        /// How often.
        every: Micros,
        /// How many times slower.
        slower: f64,
        /// The odds of being slow, 0 to 1.
        odds: f64,
    },
}

/// Something that goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// From when.
    pub from: Micros,
    /// Until when.
    pub until: Micros,
    /// What.
    pub what: What,
    /// Whether it comes and goes meanwhile.
    pub flaps: Option<Flap>,
}

/// A fault that comes and goes; it begins with the fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Flap {
    /// How long it holds.
    pub on: Micros,
    /// How long it then does not.
    pub off: Micros,
}

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// Requests that come take as long as this says.
    Takes(Service),
    /// Requests that come are answered so, at once and without room.
    Answers {
        /// The status.
        status: u16,
        /// After how long.
        after: Micros,
    },
    /// Connections are refused.
    Refuses,
    /// Connections are accepted, and nothing ever comes.
    Silent,
}

impl ServerModel {
    /// A server without limit and fault.
    pub fn new(service: Service) -> ServerModel {
        ServerModel { service, room: Room::Endless, pace: Pace::Steady, faults: Vec::new() }
    }

    /// One that works on so many at once.
    pub fn with_slots(self, slots: u32) -> ServerModel {
        ServerModel { room: Room::Slots(slots), ..self }
    }

    /// One whose requests share so many processors.
    pub fn with_cores(self, cores: f64) -> ServerModel {
        ServerModel { room: Room::Cores(cores), ..self }
    }

    /// One that this goes wrong with, besides.
    pub fn with_fault(mut self, fault: Fault) -> ServerModel {
        self.faults.push(fault);
        self
    }

    pub(crate) fn fault(&self, now: Micros) -> Option<What> {
        self.faults.iter().find(|fault| fault.holds(now)).map(|fault| fault.what)
    }

    /// The numbers that must be above 0, by what they are.
    pub(crate) fn numbers(&self) -> Vec<(&'static str, f64)> {
        let service = |service: &Service| ("a service time", service.scale());
        let mut numbers = vec![service(&self.service)];
        for fault in &self.faults {
            if let What::Takes(takes) = &fault.what {
                numbers.push(service(takes));
            }
            if let Some(flap) = fault.flaps {
                numbers.extend([flap.on, flap.off].map(|span| ("a flap", span as f64)));
            }
        }
        match self.room {
            Room::Endless => {}
            Room::Slots(slots) => numbers.push(("a number of slots", slots.into())),
            Room::Cores(cores) => numbers.push(("a number of cores", cores)),
        }
        if let Pace::Redrawn { every, slower, .. } = self.pace {
            numbers.extend([("a pace", slower), ("the time of a pace", every as f64)]);
        }
        numbers
    }
}

impl Fault {
    /// Something that goes wrong all the time from then until then.
    pub fn new(from: Micros, until: Micros, what: What) -> Fault {
        Fault { from, until, what, flaps: None }
    }

    fn holds(&self, now: Micros) -> bool {
        let is_within = self.from <= now && now < self.until;
        let is_on = |flap: Flap| (now - self.from) % (flap.on + flap.off).max(1) < flap.on;
        is_within && self.flaps.is_none_or(is_on)
    }
}

impl Pace {
    /// How many times slower a server of this seed is now.
    pub(crate) fn factor(&self, seed: u64, now: Micros) -> f64 {
        match *self {
            Pace::Steady => 1.0,
            Pace::Redrawn { every, slower, odds } => {
                let epoch = now / every.max(1);
                if Draw::new(seed ^ epoch).unit() <= odds { slower } else { 1.0 }
            }
        }
    }

    /// When it changes next, if ever.
    pub(crate) fn next_change(&self, now: Micros) -> Option<Micros> {
        match *self {
            Pace::Steady => None,
            Pace::Redrawn { every, .. } => Some((now / every.max(1) + 1) * every.max(1)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_that_flaps_holds_and_does_not_by_turns() {
        let flaps = Some(Flap { on: 2, off: 3 });
        let fault = Fault { flaps, ..Fault::new(10, 30, What::Refuses) };
        let held: Vec<u64> = (0..40).filter(|now| fault.holds(*now)).collect();
        assert_eq!(held, [10, 11, 15, 16, 20, 21, 25, 26]);
    }

    #[test]
    fn a_pace_is_drawn_anew_each_time_by_its_odds() {
        let pace = Pace::Redrawn { every: 100, slower: 3.0, odds: 0.25 };
        let slow = (0..4_000).filter(|epoch| pace.factor(7, epoch * 100) > 1.0).count();
        assert!((880..1_120).contains(&slow), "{slow}");
        assert_eq!(pace.factor(7, 500), pace.factor(7, 599));
        assert_eq!(pace.next_change(599), Some(600));
    }
}

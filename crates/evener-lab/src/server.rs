//! Servers: how much they do at once, how fast, and what goes wrong with them when.

use std::collections::VecDeque;

use crate::draw::Draw;
use crate::scenario::Micros;
use crate::service::Service;

/// What a server is like.
#[derive(Debug, Clone, PartialEq)]
pub struct ServerModel {
    /// How long it works on a request.
    pub service: Service,
    /// Requests it works on at once, the others wait in turn; 0 is all of them.
    pub slots: u32,
    /// How its speed changes.
    pub pace: Pace,
    /// What goes wrong; the first that holds at a time does.
    pub faults: Vec<Fault>,
}

/// How a server's speed changes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Pace {
    /// Not at all.
    Steady,
    /// Every so often it is drawn, with even odds, whether it is as fast as its model or this much
    /// slower (C3, NSDI 2015, §5.1).
    Redrawn {
        /// How often.
        every: Micros,
        /// How many times slower.
        slower: f64,
    },
}

/// Something that goes wrong.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fault {
    /// From when.
    pub from: Micros,
    /// Until when.
    pub until: Micros,
    /// What.
    pub what: What,
}

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum What {
    /// Requests that come take as long as this says.
    Takes(Service),
    /// Requests that come are answered so, at once and without a slot.
    Answers {
        /// The status.
        status: u16,
        /// After how long.
        after: Micros,
    },
    /// Connections are refused.
    Refuses,
}

impl ServerModel {
    /// A server without limit and fault.
    pub fn new(service: Service) -> ServerModel {
        ServerModel { service, slots: 0, pace: Pace::Steady, faults: Vec::new() }
    }

    /// One that works on so many at once.
    pub fn with_slots(self, slots: u32) -> ServerModel {
        ServerModel { slots, ..self }
    }

    /// One that this goes wrong with, besides.
    pub fn with_fault(mut self, fault: Fault) -> ServerModel {
        self.faults.push(fault);
        self
    }

    pub(crate) fn fault(&self, now: Micros) -> Option<What> {
        let holds = |fault: &&Fault| fault.from <= now && now < fault.until;
        self.faults.iter().find(holds).map(|fault| fault.what)
    }
}

/// A server at work.
#[derive(Debug)]
pub(crate) struct Server {
    model: ServerModel,
    busy: u32,
    waiting: VecDeque<u32>,
    draw: Draw,
    /// Decides its pace.
    seed: u64,
}

impl Server {
    pub(crate) fn new(model: ServerModel, draw: &mut Draw) -> Server {
        let seed = draw.bits();
        Server { model, busy: 0, waiting: VecDeque::new(), draw: draw.fork(), seed }
    }

    pub(crate) fn model(&self) -> &ServerModel {
        &self.model
    }

    /// A job came. Gives how long it takes if it begins at once.
    pub(crate) fn come(&mut self, job: u32, now: Micros) -> Option<Micros> {
        if self.model.slots > 0 && self.busy >= self.model.slots {
            self.waiting.push_back(job);
            return None;
        }
        self.busy += 1;
        Some(self.takes(now))
    }

    /// A job is done. Gives the one that begins now, and how long it takes.
    pub(crate) fn done(&mut self, now: Micros) -> Option<(u32, Micros)> {
        let Some(next) = self.waiting.pop_front() else {
            self.busy -= 1;
            return None;
        };
        Some((next, self.takes(now)))
    }

    fn takes(&mut self, now: Micros) -> Micros {
        let service = match self.model.fault(now) {
            Some(What::Takes(service)) => service,
            _ => self.model.service,
        };
        let factor = match self.model.pace {
            Pace::Steady => 1.0,
            Pace::Redrawn { every, slower } => {
                let epoch = now / every.max(1);
                let is_slow = Draw::new(self.seed ^ epoch).bits() & 1 == 1;
                if is_slow { slower } else { 1.0 }
            }
        };
        (service.draw(&mut self.draw) * factor).round() as Micros
    }
}

//! The run: events in the order of their time.
//!
//! Rules kept here:
//! - Of events at one instant the one that was made first comes first.
//! - A balancer hears of an answer when it comes to it: half the way later than the server ended.
//! - A request is sent again as the engine does it: a connection that was refused tries each
//!   eligible server once and does not count, all else counts against `retry.attempts`.
//! - A server works on, whether or not somebody still waits.
//!
//! Not known here: what a server does with a visit (`at_work`), what checks find (`probes`).

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use evener_balance::{Birth, Cause, Group, Lease, Outcome, Timing, Tried};
use evener_plan::RetryOn;

use crate::at_work::{Next, Server};
use crate::clients::{Asker, Crowd};
use crate::draw::Draw;
use crate::error::LabError;
use crate::probes::{LOOK, Probes};
use crate::report::{Ending, Report, Sample};
use crate::scenario::{Micros, Scenario};
use crate::server::What;

/// Runs a scenario.
///
/// # Errors
/// [`LabError`] says what of it makes no sense.
pub fn run(scenario: &Scenario) -> Result<Report, LabError> {
    scenario.check()?;
    let mut world = World::new(scenario);
    while let Some(Reverse((now, _, event))) = world.events.pop() {
        world.now = now;
        match event {
            Event::Arrive => world.arrive(),
            Event::Reach(visit) => world.reach(visit),
            Event::Work(visit) => world.worked(visit),
            Event::Share(server, alarm) => world.share(server, alarm),
            Event::Answer(visit, status) => world.answer(visit, Ending::Answered(status)),
            Event::Refuse(visit) => world.answer(visit, Ending::Refused),
            Event::GiveUp(request, sample, tries) => world.give_up(request, sample, tries),
            Event::Look => world.look(),
        }
    }
    Ok(Report { samples: world.samples, picks: world.picks, events: world.made })
}

struct World<'a> {
    scenario: &'a Scenario,
    now: Micros,
    events: BinaryHeap<Reverse<(Micros, u64, Event)>>,
    made: u64,
    draw: Draw,
    crowd: Crowd,
    groups: Vec<Group>,
    probes: Probes,
    /// Whether a look is to come.
    looks: bool,
    servers: Vec<Server>,
    requests: Vec<Option<Asked>>,
    free_requests: Vec<u32>,
    visits: Vec<Visit>,
    free_visits: Vec<u32>,
    samples: Vec<Sample>,
    picks: Vec<u64>,
    arrived: usize,
    /// Those whom an alarm found done.
    done: Vec<u32>,
}

/// What happens next, to which visit, server or request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Arrive,
    Reach(u32),
    Work(u32),
    Share(u32, u32),
    Answer(u32, u16),
    Refuse(u32),
    /// If it is still this sample, and this try (0 is any) where the deadline is a try's.
    GiveUp(u32, u32, u16),
    Look,
}

/// A request under way.
struct Asked {
    sample: u32,
    balancer: u32,
    /// Who asks, and for what.
    client: u64,
    key: u64,
    /// What the log says it takes.
    own: Micros,
    tried: Tried,
    /// Tries so far, and those of them that count.
    tries: u16,
    sent: u16,
    /// When this try began.
    begun: Micros,
    /// Until an answer or the end of patience.
    lease: Option<Lease>,
}

/// A try at a server, which may outlive who waited for it.
#[derive(Debug, Clone, Copy)]
struct Visit {
    request: u32,
    sample: u32,
    tries: u16,
    server: u32,
    own: Micros,
}

impl<'a> World<'a> {
    fn new(scenario: &'a Scenario) -> World<'a> {
        let mut draw = Draw::new(scenario.seed);
        let group = |_| {
            let group = Group::new(&scenario.pool, None, Birth::Start, 0);
            group.stir(draw.bits());
            group
        };
        let groups: Vec<Group> = (0..scenario.balancers).map(group).collect();
        let models = scenario.servers.iter().cloned();
        let servers = models.map(|model| Server::new(model, &mut draw)).collect();
        let mut world = World {
            scenario,
            now: 0,
            events: BinaryHeap::new(),
            made: 0,
            crowd: Crowd::new(scenario.clients),
            probes: Probes::new(&scenario.pool, groups.len(), &mut draw),
            looks: false,
            draw,
            groups,
            servers,
            requests: Vec::new(),
            free_requests: Vec::new(),
            visits: Vec::new(),
            free_visits: Vec::new(),
            samples: Vec::new(),
            picks: vec![0; scenario.servers.len()],
            arrived: 0,
            done: Vec::new(),
        };
        world.expect_next();
        world.look();
        world
    }

    fn push(&mut self, after: Micros, event: Event) {
        self.made += 1;
        self.events.push(Reverse((self.now + after, self.made, event)));
    }

    fn expect_next(&mut self) {
        let next = self.scenario.arrivals.next(self.now, self.arrived, &mut self.draw);
        if let Some(at) = next.filter(|at| *at < self.scenario.length) {
            self.push(at - self.now, Event::Arrive);
        }
    }

    fn arrive(&mut self) {
        let recorded = self.scenario.arrivals.recorded(self.arrived);
        self.arrived += 1;
        let (client, key) = match recorded {
            Some(recorded) => (recorded.client, recorded.key),
            None => self.crowd.next(&mut self.draw),
        };
        let asked = Asked {
            sample: self.samples.len() as u32,
            balancer: self.draw.below(self.groups.len() as u64) as u32,
            client,
            key,
            own: recorded.map_or(0, |recorded| recorded.work),
            tried: Tried::new(),
            tries: 0,
            sent: 0,
            begun: self.now,
            lease: None,
        };
        let at = self.now;
        self.samples.push(Sample { at, server: None, ending: Ending::Nobody, took: 0, tries: 0 });
        if let Some(asked) = self.send(asked) {
            let sample = asked.sample;
            let number = self.keep(asked);
            self.visit(number);
            if let Some(deadline) = self.scenario.deadline.filter(|deadline| !deadline.blames) {
                self.push(deadline.after, Event::GiveUp(number, sample, 0));
            }
        }
        self.expect_next();
    }

    /// Picks a server for a try. `None` if there is none, and the request has ended.
    fn send(&mut self, mut asked: Asked) -> Option<Asked> {
        let group = self.groups.get(asked.balancer as usize)?;
        let asker = Asker::new(asked.client, asked.key);
        let lease = group.pick_for(&asker, &asked.tried, self.now / 1_000).ok()?;
        asked.tries += 1;
        asked.sent += 1;
        asked.begun = self.now;
        let sample = &mut self.samples[asked.sample as usize];
        sample.server = Some(lease.index() as u32);
        sample.tries = asked.tries;
        sample.ending = Ending::Open;
        self.picks[lease.index()] += 1;
        asked.lease = Some(lease);
        Some(asked)
    }

    fn keep(&mut self, asked: Asked) -> u32 {
        match self.free_requests.pop() {
            Some(slot) => {
                self.requests[slot as usize] = Some(asked);
                slot
            }
            None => {
                self.requests.push(Some(asked));
                self.requests.len() as u32 - 1
            }
        }
    }

    /// The try of a request that has a lease sets out.
    fn visit(&mut self, request: u32) {
        let Some(asked) = &self.requests[request as usize] else {
            return;
        };
        let Some(lease) = &asked.lease else {
            return;
        };
        let (sample, tries) = (asked.sample, asked.tries);
        let server = lease.index() as u32;
        let visit = Visit { request, sample, tries, server, own: asked.own };
        let number = match self.free_visits.pop() {
            Some(slot) => {
                self.visits[slot as usize] = visit;
                slot
            }
            None => {
                self.visits.push(visit);
                self.visits.len() as u32 - 1
            }
        };
        if let Some(deadline) = self.scenario.deadline.filter(|deadline| deadline.blames) {
            self.push(deadline.after, Event::GiveUp(request, sample, tries));
        }
        // Without a way it is there at once: half the events.
        match self.scenario.network {
            0 => self.reach(number),
            network => self.push(network / 2, Event::Reach(number)),
        }
    }

    fn reach(&mut self, number: u32) {
        let visit = self.visits[number as usize];
        let back = self.scenario.network / 2;
        let server = &mut self.servers[visit.server as usize];
        match server.model().fault(self.now) {
            Some(What::Refuses) => self.push(back, Event::Refuse(number)),
            Some(What::Answers { status, after }) => {
                self.push(after + back, Event::Answer(number, status));
            }
            Some(What::Silent) => self.free_visits.push(number),
            _ => {
                let next = server.come(number, visit.own, self.now);
                self.follow(visit.server, next);
            }
        }
    }

    fn follow(&mut self, server: u32, next: Next) {
        match next {
            Next::Done(visit, after) => self.push(after, Event::Work(visit)),
            Next::Alarm(alarm, after) => self.push(after, Event::Share(server, alarm)),
            Next::Waits | Next::Idle => {}
        }
    }

    fn worked(&mut self, visit: u32) {
        let server = self.visits[visit as usize].server;
        let next = self.servers[server as usize].done(self.now);
        self.follow(server, next);
        match self.scenario.network {
            0 => self.answer(visit, Ending::Answered(200)),
            network => self.push(network / 2, Event::Answer(visit, 200)),
        }
    }

    fn share(&mut self, server: u32, alarm: u32) {
        let mut done = std::mem::take(&mut self.done);
        let next = self.servers[server as usize].wake(alarm, self.now, &mut done);
        self.follow(server, next);
        for visit in done.drain(..) {
            self.push(self.scenario.network / 2, Event::Answer(visit, 200));
        }
        self.done = done;
    }

    fn answer(&mut self, number: u32, ending: Ending) {
        let visit = self.visits[number as usize];
        self.free_visits.push(number);
        let waits = |asked: &&Asked| asked.sample == visit.sample && asked.tries == visit.tries;
        if self.requests[visit.request as usize].as_ref().filter(waits).is_some() {
            self.end_try(visit.request, ending);
        }
    }

    fn give_up(&mut self, request: u32, sample: u32, tries: u16) {
        let waits = |asked: &&Asked| asked.sample == sample && (tries == 0 || asked.tries == tries);
        if self.requests[request as usize].as_ref().filter(waits).is_some() {
            self.end_try(request, Ending::GaveUp);
        }
    }

    fn end_try(&mut self, request: u32, ending: Ending) {
        let Some(mut asked) = self.requests[request as usize].take() else {
            return;
        };
        if let Some(lease) = asked.lease.take() {
            let whole = self.now - asked.begun;
            let group = &self.groups[asked.balancer as usize];
            let timing = Timing { head: None, whole };
            group.report_timed(&lease, self.outcome(ending), timing, self.now / 1_000);
            let ejected = group.readmit_at(lease.index()).is_some();
            asked.tried.insert(lease.index());
            if ejected && !self.looks && self.now < self.scenario.length {
                self.looks = true;
                self.push(LOOK - self.now % LOOK, Event::Look);
            }
        }
        let sample = &mut self.samples[asked.sample as usize];
        sample.ending = ending;
        sample.took = self.now - sample.at;
        let ended = *sample;
        if self.goes_on(&mut asked, ending) {
            let sample = asked.sample as usize;
            if let Some(asked) = self.send(asked) {
                self.requests[request as usize] = Some(asked);
                self.visit(request);
                return;
            }
            self.samples[sample] = ended;
        }
        self.free_requests.push(request);
    }

    fn outcome(&self, ending: Ending) -> Outcome {
        let blames = self.scenario.deadline.is_some_and(|deadline| deadline.blames);
        match ending {
            Ending::Answered(status) => Outcome::Answered { status },
            Ending::Refused => Outcome::Failed(Cause::ConnectRefused),
            Ending::GaveUp if blames => Outcome::Failed(Cause::ResponseTimeout),
            Ending::GaveUp | Ending::Nobody | Ending::Open => Outcome::ClientGone,
        }
    }

    fn goes_on(&self, asked: &mut Asked, ending: Ending) -> bool {
        let retry = &self.scenario.pool.retry;
        let blames = self.scenario.deadline.is_some_and(|deadline| deadline.blames);
        let cause = match ending {
            Ending::Refused => RetryOn::Connect,
            Ending::Answered(status) => RetryOn::Status(status),
            Ending::GaveUp if blames => RetryOn::Timeout,
            _ => return false,
        };
        if cause == RetryOn::Connect {
            asked.sent -= 1;
        }
        retry.on.contains(&cause) && u32::from(asked.sent) < retry.attempts
    }

    /// Checks that are due.
    fn look(&mut self) {
        let (now, servers) = (self.now, &self.servers);
        let fault = |index: usize| servers[index].model().fault(now);
        let again = self.probes.look(&self.groups, now, fault);
        let again = again.filter(|_| now < self.scenario.length);
        self.looks = again.is_some();
        if let Some(after) = again {
            self.push(after, Event::Look);
        }
    }
}

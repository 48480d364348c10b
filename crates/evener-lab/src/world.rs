//! The run: events in the order of their time.
//!
//! Rules kept here:
//! - Of events at one instant the one that was made first comes first.
//! - A balancer hears of an answer when it comes to it: half the way later than the server ended.
//! - TCP checks of ejected servers (`passive.readmit: tcp`) are made when they are due, looked for
//!   ten times a second; they fail while the server refuses.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use evener_balance::{Birth, Cause, Group, Lease, Outcome, Request, Timing, Tried};

use crate::draw::Draw;
use crate::error::LabError;
use crate::report::{Ending, Report, Sample};
use crate::scenario::{Micros, SECOND, Scenario};
use crate::server::{Server, What};

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
            Event::Reach(job) => world.reach(job),
            Event::Work(job) => world.worked(job),
            Event::Answer(job, status) => world.end(job, Ending::Answered(status)),
            Event::Refuse(job) => world.end(job, Ending::Refused),
            Event::GiveUp(job, born) => world.give_up(job, born),
            Event::Check => world.check(),
        }
    }
    Ok(Report { samples: world.samples })
}

struct World<'a> {
    scenario: &'a Scenario,
    now: Micros,
    events: BinaryHeap<Reverse<(Micros, u64, Event)>>,
    made: u64,
    draw: Draw,
    groups: Vec<Group>,
    servers: Vec<Server>,
    jobs: Vec<Job>,
    free: Vec<u32>,
    samples: Vec<Sample>,
    arrived: usize,
}

/// What happens next, to which job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Arrive,
    Reach(u32),
    Work(u32),
    Answer(u32, u16),
    Refuse(u32),
    /// If it is still the one that was born as this sample.
    GiveUp(u32, u32),
    Check,
}

/// A request under way.
struct Job {
    sample: u32,
    server: u32,
    balancer: u32,
    /// Until the client has its answer or gave up.
    lease: Option<Lease>,
    /// The server is not done with it.
    at_server: bool,
}

/// A client of its own per request.
struct Client(u64);

impl Request for Client {
    fn client(&self) -> Option<SocketAddr> {
        Some(SocketAddr::new(IpAddr::V4(Ipv4Addr::from_bits(self.0 as u32)), 1_024))
    }
}

const CHECKS: Micros = SECOND / 10;

impl<'a> World<'a> {
    fn new(scenario: &'a Scenario) -> World<'a> {
        let mut draw = Draw::new(scenario.seed);
        let group = |_| {
            let group = Group::new(&scenario.pool, None, Birth::Start, 0);
            group.stir(draw.bits());
            group
        };
        let groups = (0..scenario.balancers).map(group).collect();
        let models = scenario.servers.iter().cloned();
        let servers = models.map(|model| Server::new(model, &mut draw)).collect();
        let mut world = World {
            scenario,
            now: 0,
            events: BinaryHeap::new(),
            made: 0,
            draw,
            groups,
            servers,
            jobs: Vec::new(),
            free: Vec::new(),
            samples: Vec::new(),
            arrived: 0,
        };
        world.expect_next();
        if scenario.pool.passive.is_some() {
            world.push(CHECKS, Event::Check);
        }
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
        self.arrived += 1;
        let balancer = self.draw.below(self.groups.len() as u64) as usize;
        let client = Client(self.draw.bits());
        let picked = self.groups[balancer].pick_for(&client, &Tried::new(), self.now / 1_000);
        let server = picked.as_ref().ok().map(|lease| lease.index() as u32);
        let sample = Sample { at: self.now, server, ending: Ending::Nobody, took: 0 };
        self.samples.push(sample);
        if let Ok(lease) = picked {
            let born = self.samples.len() as u32 - 1;
            let job = self.job(born, balancer as u32, lease);
            self.push(self.scenario.network / 2, Event::Reach(job));
            if let Some(deadline) = self.scenario.deadline {
                self.push(deadline.after, Event::GiveUp(job, born));
            }
        }
        self.expect_next();
    }

    fn job(&mut self, sample: u32, balancer: u32, lease: Lease) -> u32 {
        let server = lease.index() as u32;
        let job = Job { sample, server, balancer, lease: Some(lease), at_server: true };
        match self.free.pop() {
            Some(slot) => {
                self.jobs[slot as usize] = job;
                slot
            }
            None => {
                self.jobs.push(job);
                self.jobs.len() as u32 - 1
            }
        }
    }

    fn reach(&mut self, job: u32) {
        let server = &mut self.servers[self.jobs[job as usize].server as usize];
        let back = self.scenario.network / 2;
        match server.model().fault(self.now) {
            Some(What::Refuses) => {
                self.leave_server(job);
                self.push(back, Event::Refuse(job));
            }
            Some(What::Answers { status, after }) => {
                self.leave_server(job);
                self.push(after + back, Event::Answer(job, status));
            }
            _ => {
                if let Some(takes) = server.come(job, self.now) {
                    self.push(takes, Event::Work(job));
                }
            }
        }
    }

    fn worked(&mut self, job: u32) {
        let server = self.jobs[job as usize].server as usize;
        if let Some((next, takes)) = self.servers[server].done(self.now) {
            self.push(takes, Event::Work(next));
        }
        self.leave_server(job);
        if self.jobs[job as usize].lease.is_some() {
            self.push(self.scenario.network / 2, Event::Answer(job, 200));
        }
    }

    /// Server and client let go of a job at times of their own; the last one frees it.
    fn leave_server(&mut self, job: u32) {
        self.jobs[job as usize].at_server = false;
        if self.jobs[job as usize].lease.is_none() {
            self.free.push(job);
        }
    }

    fn give_up(&mut self, job: u32, born: u32) {
        if self.jobs[job as usize].sample == born && self.jobs[job as usize].lease.is_some() {
            self.end(job, Ending::GaveUp);
        }
    }

    fn end(&mut self, number: u32, ending: Ending) {
        let job = &mut self.jobs[number as usize];
        // An answer may be on its way to a client that gave up meanwhile.
        let Some(lease) = job.lease.take() else {
            return;
        };
        let sample = &mut self.samples[job.sample as usize];
        sample.ending = ending;
        sample.took = self.now - sample.at;
        let blames = self.scenario.deadline.is_some_and(|deadline| deadline.blames);
        let outcome = match ending {
            Ending::Answered(status) => Outcome::Answered { status },
            Ending::Refused => Outcome::Failed(Cause::ConnectRefused),
            Ending::GaveUp if blames => Outcome::Failed(Cause::ResponseTimeout),
            Ending::GaveUp | Ending::Nobody => Outcome::ClientGone,
        };
        let timing = Timing { head: None, whole: sample.took };
        let group = &self.groups[job.balancer as usize];
        group.report_timed(&lease, outcome, timing, self.now / 1_000);
        if !job.at_server {
            self.free.push(number);
        }
    }

    fn check(&mut self) {
        let now = self.now / 1_000;
        for (index, server) in self.servers.iter().enumerate() {
            let refuses = server.model().fault(self.now) == Some(What::Refuses);
            for group in &self.groups {
                if group.readmit_at(index).is_some_and(|due| due <= now) {
                    let result = if refuses { Err("refused".into()) } else { Ok(()) };
                    group.on_readmit(index, result, now);
                }
            }
        }
        if self.now < self.scenario.length {
            self.push(CHECKS, Event::Check);
        }
    }
}

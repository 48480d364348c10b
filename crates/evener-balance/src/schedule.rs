//! What a scheduler is, and the one place that makes one from the plan.
//!
//! Rules kept here:
//! - A scheduler sees one tier: places 0, 1, … in the plan's order. It is told who is active and
//!   how many leases each has; it never looks for itself.
//! - It is called under its tier's lock, so it needs no atomics and must be quick.
//! - A new scheduler is a file in `schedulers`, a variant in `evener-plan` and a line in [`make`].

use std::any::Any;

use evener_plan::{HaproxyHash, LvsService, Millis, Scheduler};

use crate::key::{Key, KeyRule};
use crate::schedulers::haproxy::{self, Input, Part, Uri};
use crate::schedulers::lvs::{self, Lvs};
use crate::schedulers::{nginx, own};

/// An algorithm that picks a server among the active ones of a tier.
pub(crate) trait Schedule: Any + Send {
    /// Picks among the active places that were not tried. For those who count leases,
    /// [`Schedule::set_in_flight`] of the picked place follows.
    fn pick(&mut self, ask: &Ask<'_>) -> Option<usize>;

    /// The place may be picked from now on, or no longer.
    fn set_active(&mut self, place: usize, active: bool);

    /// The server may be sent to by its health, whatever its weight; comes before
    /// [`Schedule::set_active`].
    fn set_alive(&mut self, place: usize, alive: bool) {
        let _ = (place, alive);
    }

    /// What it asks of a request.
    fn key_rule(&self) -> KeyRule {
        KeyRule::Nothing
    }

    /// A word for the lease of the last pick, which [`Schedule::ended`] gives back; 0 is none.
    fn mark(&self) -> u32 {
        0
    }

    /// Whether [`Schedule::set_in_flight`] and [`Schedule::ended`] must be called when a lease
    /// ends.
    fn counts_leases(&self) -> bool {
        false
    }

    /// The place's number of leases that have not ended.
    fn set_in_flight(&mut self, place: usize, leases: u32) {
        let _ = (place, leases);
    }

    /// A lease of the place ended; its new number follows. `mark` is 0 for leases of another plan;
    /// `begun` is the time of its pick.
    fn ended(&mut self, place: usize, mark: u32, begun: u64) {
        let _ = (place, mark, begun);
    }

    /// The last pick, of this place and with this mark, was not made after all: nothing of it is
    /// under way.
    fn take_back(&mut self, place: usize, mark: u32, now: u64) {
        let _ = (place, mark, now);
    }

    /// Whether it wants to know how long exchanges take ([`Schedule::on_head`],
    /// [`Schedule::on_done`]).
    fn times(&self) -> bool {
        false
    }

    /// The head of an answer came, so many microseconds after the pick.
    fn on_head(&mut self, place: usize, micros: u64, now: u64) {
        let _ = (place, micros, now);
    }

    /// An exchange ended; its lease does right after.
    fn on_done(&mut self, place: usize, done: &Done, now: u64) {
        let _ = (place, done, now);
    }

    /// A live request failed at the place; `allowed` failures eject.
    fn on_failure(&mut self, place: usize, allowed: u32) {
        let _ = (place, allowed);
    }

    /// Random numbers come from this seed from now on.
    fn stir(&mut self, seed: u64) {
        let _ = seed;
    }

    /// Takes over what the tier's scheduler under the plan before knew, if it is of its kind;
    /// `kept` has, by place, the place there. Called once, before anything else.
    fn inherit(&mut self, before: &dyn Any, kept: &[Option<u32>]) {
        let _ = (before, kept);
    }

    /// Where the place stands, for a successor's [`Schedule::resume`].
    fn position(&self, place: usize) -> Position {
        let _ = place;
        Position::default()
    }

    /// Takes over where a place stood under the plan before, in whichever tier. Called before the
    /// first pick.
    fn resume(&mut self, place: usize, position: Position) {
        let _ = (place, position);
    }
}

/// What is asked of a scheduler.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Ask<'a> {
    /// Distinct places of this tier, active or not.
    pub(crate) tried: &'a [u32],
    pub(crate) key: Key<'a>,
    /// Monotonic milliseconds.
    pub(crate) now: u64,
}

/// How an exchange went, for those who measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Done {
    pub(crate) how: How,
    /// Microseconds from the pick to the head of the answer, if there was one.
    pub(crate) head: Option<u64>,
    /// Microseconds from the pick to the end.
    pub(crate) whole: u64,
    /// Whether [`Schedule::on_head`] was called for it.
    pub(crate) headed: bool,
    /// Whether its lease was reported before: the exchange was begun anew.
    pub(crate) again: bool,
    /// The mark of its lease.
    pub(crate) mark: u32,
}

/// What an ended exchange says of its server's speed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum How {
    /// It answered, and meant it.
    Works,
    /// It answered that it cannot: status 500 and above.
    Refuses,
    /// It failed.
    Fails,
    /// It ended for reasons of others.
    Nothing,
}

/// What a place takes along to the next plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Position {
    /// Smooth weighted round robin: picks it is owed, in units of weight.
    pub(crate) owed: i64,
    /// Weight it has lost by failures.
    pub(crate) lost: u32,
}

/// What a scheduler is made from: the servers of a tier, in the plan's order.
pub(crate) struct Crew<'a> {
    pub(crate) servers: Vec<&'a evener_plan::Server>,
    /// By place: the server's number in its pool.
    pub(crate) numbers: Vec<u32>,
    /// The window failures are counted in.
    pub(crate) within: Millis,
    pub(crate) seed: u64,
}

impl Crew<'_> {
    pub(crate) fn len(&self) -> usize {
        self.servers.len()
    }

    pub(crate) fn weights(&self) -> Vec<u32> {
        self.servers.iter().map(|server| server.weight).collect()
    }
}

/// The scheduler of a tier. All places begin inactive.
pub(crate) fn make(scheduler: &Scheduler, crew: &Crew<'_>) -> Box<dyn Schedule> {
    match scheduler {
        Scheduler::NginxRoundRobin {} => Box::new(nginx::RoundRobin::new(crew)),
        Scheduler::NginxLeastConn {} => Box::new(nginx::LeastConn::new(crew)),
        Scheduler::NginxLeastTime { measure, inflight } => {
            Box::new(nginx::LeastTime::new(crew, *measure, *inflight))
        }
        Scheduler::NginxIpHash {} => Box::new(nginx::IpHash::new(crew)),
        Scheduler::NginxHash { consistent: false } => Box::new(nginx::Hash::new(crew)),
        Scheduler::NginxHash { consistent: true } => Box::new(nginx::Ring::new(crew)),
        Scheduler::NginxRandom { two } => Box::new(nginx::Random::new(crew, *two)),
        Scheduler::LvsRr(service) => Box::new(Lvs::new(crew, service, lvs::Rr::new(crew))),
        Scheduler::LvsWrr(service) => Box::new(Lvs::new(crew, service, lvs::Wrr::new(crew))),
        Scheduler::LvsLc(service) => least::<lvs::Lc>(crew, service),
        Scheduler::LvsWlc(service) => least::<lvs::Wlc>(crew, service),
        Scheduler::LvsSed(service) => least::<lvs::Sed>(crew, service),
        Scheduler::LvsNq(service) => least::<lvs::Nq>(crew, service),
        Scheduler::LvsFo(service) => least::<lvs::Fo>(crew, service),
        Scheduler::LvsOvf(service) => least::<lvs::Ovf>(crew, service),
        Scheduler::LvsTwos(service) => Box::new(Lvs::new(crew, service, lvs::Twos::new(crew))),
        Scheduler::LvsDh(service) => Box::new(Lvs::new(crew, service, lvs::Dh::default())),
        Scheduler::LvsSh(hash) => Box::new(Lvs::new(crew, &hash.service, lvs::Sh::new(hash))),
        Scheduler::LvsMh(hash) => Box::new(Lvs::new(crew, &hash.service, lvs::Mh::new(crew, hash))),
        Scheduler::LvsLblc(locality) => {
            let rule = lvs::Lblc::new(crew, locality.expiration);
            Box::new(Lvs::new(crew, &locality.service, rule))
        }
        Scheduler::LvsLblcr(locality) => {
            let rule = lvs::Lblcr::new(crew, locality.expiration);
            Box::new(Lvs::new(crew, &locality.service, rule))
        }
        Scheduler::HaproxyRoundrobin {} => Box::new(haproxy::Roundrobin::new(crew)),
        Scheduler::HaproxyStaticRr {} => Box::new(haproxy::StaticRr::new(crew)),
        Scheduler::HaproxyLeastconn {} => Box::new(haproxy::Leastconn::new(crew)),
        Scheduler::HaproxyFirst {} => Box::new(haproxy::First::new(crew)),
        Scheduler::HaproxyRandom { draws, ring } => {
            Box::new(haproxy::Random::new(crew, *draws, ring))
        }
        Scheduler::HaproxySource { hash } => hashed(crew, Part::Source, hash),
        Scheduler::HaproxyUri { len, depth, whole, path_only, hash } => {
            let (len, depth, whole, path_only) = (*len, *depth, *whole, *path_only);
            hashed(crew, Part::Uri(Uri { len, depth, whole, path_only }), hash)
        }
        Scheduler::HaproxyUrlParam { param, check_post, hash } => {
            let name = param.as_str().into();
            hashed(crew, Part::Param { name, check_post: *check_post }, hash)
        }
        Scheduler::HaproxyHdr { header, domain_only, hash } => {
            let name = header.to_ascii_lowercase().into();
            hashed(crew, Part::Header { name, domain_only: *domain_only }, hash)
        }
        Scheduler::HaproxyRdpCookie { cookie, hash, wait: _ } => {
            hashed(crew, Part::RdpCookie(cookie.as_str().into()), hash)
        }
        Scheduler::HaproxyHash { hash } => hashed(crew, Part::Key, hash),
        Scheduler::Random { draws } => Box::new(own::Random::new(crew, *draws)),
        Scheduler::PeakEwma { decay, unknown } => {
            Box::new(own::PeakEwma::new(crew, *decay, *unknown))
        }
        Scheduler::Prequal { pool, probes, age, hot } => {
            let rule = own::PrequalRule { pool: *pool, probes: *probes, age: *age, hot: *hot };
            Box::new(own::Prequal::new(crew, rule))
        }
        Scheduler::Maglev { table } => Box::new(own::Maglev::new(crew, *table)),
        Scheduler::Ring { points } => Box::new(own::Ring::new(crew, *points)),
        Scheduler::Rendezvous {} => Box::new(own::Rendezvous::new(crew)),
        Scheduler::BoundedHash { points, excess } => {
            Box::new(own::BoundedHash::new(crew, *points, *excess))
        }
        // The policy is asked by who holds the group, which then says whom it chose.
        Scheduler::Python { fallback, .. } => make(fallback, crew),
    }
}

fn least<S: lvs::Score>(crew: &Crew<'_>, service: &LvsService) -> Box<dyn Schedule> {
    Box::new(Lvs::new(crew, service, lvs::Least::<S>::new(crew)))
}

fn hashed(crew: &Crew<'_>, part: Part, hash: &HaproxyHash) -> Box<dyn Schedule> {
    Box::new(haproxy::Hashed::new(crew, Input::new(part, hash), hash))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use evener_plan::{Admin, Limits, Server};

    /// Servers to make a crew of.
    pub(crate) struct Troop {
        pub(crate) servers: Vec<Server>,
    }

    impl Troop {
        /// Servers 10.1.0.1:8000, 10.1.0.2:8000, … with these weights.
        pub(crate) fn new(weights: &[u32]) -> Troop {
            let server = |(place, weight): (usize, &u32)| Server {
                id: place.to_string(),
                address: format!("10.1.{}.{}:8000", place / 250, place % 250 + 1),
                host: format!("10.1.{}.{}", place / 250, place % 250 + 1),
                weight: *weight,
                tier: 0,
                admin: Admin::Ready,
                params: Default::default(),
                limits: Limits::default(),
            };
            Troop { servers: weights.iter().enumerate().map(server).collect() }
        }

        pub(crate) fn crew(&self) -> Crew<'_> {
            Crew {
                servers: self.servers.iter().collect(),
                numbers: (1..=self.servers.len() as u32).collect(),
                within: 10_000,
                seed: 1,
            }
        }

        /// A scheduler whose places are active, but for those of weight 0.
        pub(crate) fn make(&self, scheduler: &Scheduler) -> Box<dyn Schedule> {
            let mut schedule = make(scheduler, &self.crew());
            for (place, server) in self.servers.iter().enumerate() {
                schedule.set_alive(place, true);
                schedule.set_active(place, server.weight > 0);
            }
            schedule
        }
    }
}

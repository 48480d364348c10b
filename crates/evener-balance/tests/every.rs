//! What holds for every scheduler, whatever happens to its group.

mod pools;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use evener_balance::{Birth, Cause, Group, Lease, Outcome, Request, State, Timing, Tried};
use evener_plan::{Admin, Scheduler};
use proptest::prelude::*;

/// A request with all that a scheduler may ask.
struct Asked(u32);

impl Request for Asked {
    fn client(&self) -> Option<SocketAddr> {
        Some(SocketAddr::new(IpAddr::V4(Ipv4Addr::from_bits(self.0)), 1_024))
    }

    fn local(&self) -> Option<IpAddr> {
        Some(IpAddr::V4(Ipv4Addr::from_bits(self.0 % 9)))
    }

    fn target(&self) -> Option<&[u8]> {
        const TARGETS: [&[u8]; 4] = [b"/a/b?k=1", b"", b"?k", b"http://h/?k=4444&"];
        Some(TARGETS[self.0 as usize % 4])
    }

    fn header(&self, _name: &str) -> Option<&[u8]> {
        const HOSTS: [&[u8]; 3] = [b"www.example.com", b"", b".,."];
        Some(HOSTS[self.0 as usize % 3])
    }

    fn payload(&self) -> Option<&[u8]> {
        Some(b"\x03\x00\x00\x2a\x25\xe0\x00\x00\x00\x00\x00Cookie: mstshash=a\r\n")
    }

    fn key(&self) -> Option<&[u8]> {
        self.target()
    }
}

#[derive(Debug, Clone)]
enum Act {
    Pick(u32, Vec<usize>),
    Head(prop::sample::Index, u64),
    End(prop::sample::Index, u8),
    Admin(usize, bool),
    Weigh(usize, u32),
    Add,
    Remove(usize),
    Wait(u64),
}

fn act() -> impl Strategy<Value = Act> {
    let server = || 0usize..8;
    let tried = prop::collection::vec(server(), 0..4);
    prop_oneof![
        20 => any::<u32>().prop_map(|asked| Act::Pick(asked, Vec::new())),
        6 => (any::<u32>(), tried).prop_map(|(asked, tried)| Act::Pick(asked, tried)),
        2 => (any::<prop::sample::Index>(), 0u64..90_000).prop_map(|(at, span)| Act::Head(at, span)),
        14 => (any::<prop::sample::Index>(), any::<u8>()).prop_map(|(at, how)| Act::End(at, how)),
        2 => (server(), any::<bool>()).prop_map(|(server, on)| Act::Admin(server, on)),
        2 => (server(), 0u32..9).prop_map(|(server, weight)| Act::Weigh(server, weight)),
        1 => Just(Act::Add),
        1 => server().prop_map(Act::Remove),
        2 => prop_oneof![0u64..900, 0u64..90_000_000].prop_map(Act::Wait),
    ]
}

/// These may have nobody though there is somebody: it is their rule.
fn may_have_nobody(name: &str) -> bool {
    ["lvs/dh", "lvs/sh", "lvs/mh", "lvs/ovf"].contains(&name)
}

fn play(name: &str, scheduler: &Scheduler, acts: &[Act]) -> Result<(), TestCaseError> {
    let mut plan = pools::pool(&[3, 1, 0, 2, 2]);
    plan.scheduler = scheduler.clone();
    let mut group = Group::new(&plan, None, Birth::Start, 0);
    let (mut now, mut born) = (0, 5);
    let mut leases: Vec<Lease> = Vec::new();
    for act in acts {
        match act {
            Act::Pick(asked, tried) => {
                let mut out = Tried::new();
                tried.iter().filter(|at| **at < group.len()).for_each(|at| out.insert(*at));
                let is_up =
                    |at: usize| group.facts(at).is_some_and(|facts| facts.state == State::Up);
                let weight = |at: usize| plan.servers[at].weight;
                let free = |at: &usize| is_up(*at) && weight(*at) > 0 && !out.contains(*at);
                let somebody = (0..group.len()).any(|at| free(&at));
                match group.pick_for(&Asked(*asked), &out, now) {
                    Ok(lease) => {
                        let at = lease.index();
                        prop_assert!(is_up(at) && !out.contains(at), "{name}: {at}");
                        prop_assert!(weight(at) > 0 || name == "lvs/rr -p", "{name}: {at}");
                        leases.push(lease);
                    }
                    Err(_) => prop_assert!(!somebody || may_have_nobody(name), "{name}"),
                }
            }
            Act::Head(at, micros) if !leases.is_empty() => {
                group.on_head(at.get(&leases), *micros, now);
            }
            Act::End(at, how) if !leases.is_empty() => {
                let lease = leases.swap_remove(at.index(leases.len()));
                let outcome = match how % 4 {
                    0 => Outcome::Failed(Cause::Reset),
                    1 => Outcome::Answered { status: 503 },
                    2 => Outcome::ClientGone,
                    _ => Outcome::Answered { status: 200 },
                };
                match how % 3 {
                    0 => drop(group.report(&lease, outcome, now)),
                    1 => {
                        let timing = Timing { head: Some(90), whole: u64::from(*how) * 1_000 };
                        drop(group.report_timed(&lease, outcome, timing, now));
                    }
                    _ => {}
                }
            }
            Act::Head(..) | Act::End(..) => {}
            Act::Admin(server, on) => {
                let admin = if *on { Admin::Ready } else { Admin::Drain };
                if let Some(server) = plan.servers.get_mut(*server) {
                    server.admin = admin;
                }
                group.on_admin(*server, admin, now);
            }
            Act::Weigh(server, weight) => {
                if let Some(server) = plan.servers.get_mut(*server) {
                    server.weight = *weight;
                }
                group = reloaded(&plan, &group, now);
            }
            Act::Add => {
                plan.servers.insert(born % (plan.servers.len() + 1), pools::server(born, 2));
                born += 1;
                group = reloaded(&plan, &group, now);
            }
            Act::Remove(server) => {
                if *server < plan.servers.len() {
                    plan.servers.remove(*server);
                }
                group = reloaded(&plan, &group, now);
            }
            Act::Wait(span) => now += span,
        }
    }
    leases.clear();
    prop_assert!((0..group.len()).all(|at| group.facts(at).unwrap().in_flight == 0), "{name}");
    Ok(())
}

fn reloaded(plan: &evener_plan::Pool, before: &Group, now: u64) -> Group {
    let group = Group::new(plan, Some(before), Birth::Reload, now);
    group.adopt(plan, now);
    group
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn who_is_picked_is_up_and_was_not_tried_and_if_there_is_one_one_is_found(
        acts in prop::collection::vec(act(), 1..250),
    ) {
        for (name, scheduler) in pools::schedulers::all() {
            play(name, &scheduler, &acts)?;
        }
    }
}

#[test]
fn several_threads_pick_at_once_and_all_leases_come_back() {
    for (name, scheduler) in pools::schedulers::all() {
        let mut plan = pools::pool(&[1, 2, 3, 4]);
        plan.scheduler = scheduler;
        let group = Arc::new(Group::new(&plan, None, Birth::Start, 0));
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let group = &group;
                scope.spawn(move || {
                    for pick in 0..500 {
                        let asked = Asked(thread * 7_919 + pick);
                        let lease = group.pick_for(&asked, &Tried::new(), pick.into()).ok();
                        if let Some(lease) = lease {
                            group.report(&lease, Outcome::SessionEnded, pick.into());
                        }
                    }
                });
            }
        });
        assert!((0..4).all(|at| group.facts(at).unwrap().in_flight == 0), "{name}");
    }
}

#[test]
fn a_full_server_is_passed_by_where_its_program_does() {
    // In HAProxy requests wait for the server of their hash; `lblc` does not ask whom it remembers.
    let waits = ["lvs/lblc", "haproxy/source", "haproxy/uri", "haproxy/url_param", "haproxy/hdr"];
    let waits = |name: &str| {
        waits.iter().any(|prefix| name.starts_with(prefix))
            || ["haproxy/rdp-cookie", "haproxy/hash bounded"].contains(&name)
    };
    for (name, scheduler) in pools::schedulers::all().iter().filter(|(name, _)| !waits(name)) {
        let mut plan = pools::pool(&[1, 1, 1]);
        plan.servers.iter_mut().for_each(|server| server.limits.most = 2);
        plan.scheduler = scheduler.clone();
        let group = Group::new(&plan, None, Birth::Start, 0);
        let pick = |asked: u32| group.pick_for(&Asked(asked), &Tried::new(), 0).ok();
        let leases: Vec<Lease> = (0..40).filter_map(pick).collect();
        let most = (0..3).map(|at| group.facts(at).unwrap().in_flight).max();
        assert!(most <= Some(2), "{name}");
        assert!(leases.len() == 6 || may_have_nobody(name) || *name == "lvs/rr -p", "{name}");
    }
}

#[test]
fn equal_seeds_draw_equal_lots() {
    for (name, scheduler) in pools::schedulers::all() {
        let mut plan = pools::pool(&[1; 9]);
        plan.scheduler = scheduler;
        let picks = |seed: u64| -> Vec<Option<usize>> {
            let group = Group::new(&plan, None, Birth::Start, seed);
            group.stir(seed);
            let pick = || group.pick(&Tried::new(), 0).ok().map(|lease| lease.index());
            (0..50).map(|_| pick()).collect()
        };
        assert_eq!(picks(7), picks(7), "{name}");
    }
}

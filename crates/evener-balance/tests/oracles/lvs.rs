//! IPVS: connections that are opened, kept and closed, and a list of servers that is edited.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use evener_balance::{Birth, Group, Lease, Request, Tried};
use evener_plan::{Limits, LvsHash, LvsLocality, LvsService, Persistence, Pool, Scheduler, Server};
use serde_json::Value;

use crate::pools::{pool, server};
use crate::{Verdict, recordings};

struct Opened {
    source: IpAddr,
    port: u16,
}

impl Request for Opened {
    fn client(&self) -> Option<SocketAddr> {
        Some(SocketAddr::new(self.source, self.port))
    }

    fn local(&self) -> Option<IpAddr> {
        Some(Ipv4Addr::new(10, 0, 0, 1).into())
    }
}

pub fn replay_all() -> Vec<Verdict> {
    let all = recordings("ipvs_picks.json");
    let all = all.as_array().expect("a list");
    let exact = all.iter().filter(|scenario| !hangs_on_port(scenario));
    exact.map(|scenario| replay(scenario, |_| 40_000)).collect()
}

/// Compares the shares of picks, each server's with that of several runs over other ports. Gives
/// the number of scenarios.
pub fn compare_spreads() -> usize {
    let all = recordings("ipvs_picks.json");
    let scenarios =
        all.as_array().expect("a list").iter().filter(|scenario| hangs_on_port(scenario));
    scenarios.map(compare_spread).count()
}

fn compare_spread(scenario: &Value) {
    const RUNS: usize = 20;
    let mut ours = [0.0; 27];
    let mut theirs = [0.0; 27];
    let share_of = |pick: char| if pick.is_ascii_lowercase() { pick as usize - 96 } else { 0 };
    for run in 0..RUNS {
        let port = |open: usize| 32_768 + (open * 7_919 + run * 1_543) as u16 % 28_000;
        let verdict = replay(scenario, port);
        verdict.found.chars().for_each(|pick| ours[share_of(pick)] += 1.0 / RUNS as f64);
        if run == 0 {
            verdict.recorded.chars().for_each(|pick| theirs[share_of(pick)] += 1.0);
        }
    }
    let picks: f64 = theirs.iter().sum();
    for (ours, theirs) in ours.iter().zip(theirs) {
        // Four standard deviations of a draw of so many.
        let share = ours / picks;
        let allowed = 4.0 * (picks * share * (1.0 - share)).sqrt() + 1.0;
        assert!((ours - theirs).abs() <= allowed, "{}: {ours} {theirs}", scenario["flags"]);
    }
}

fn hangs_on_port(scenario: &Value) -> bool {
    let flags = scenario["flags"].as_str().expect("a word");
    flags.contains("sh-port") || flags.contains("mh-port")
}

fn replay(scenario: &Value, port: impl Fn(usize) -> u16) -> Verdict {
    let number = |value: &Value| u32::try_from(value.as_u64().expect("a number")).expect("small");
    let weights: Vec<u32> =
        scenario["weights"].as_array().expect("list").iter().map(number).collect();
    let mut pool = pool(&[]);
    pool.scheduler = scheduler(scenario);
    for (index, weight) in weights.iter().enumerate() {
        let mut server = real_server(index, *weight);
        server.limits.most = scenario["uth"].get(index).map_or(0, number);
        pool.servers.push(server);
    }
    let mut group = Group::new(&pool, None, Birth::Start, 0);
    let mut leases: Vec<Option<Lease>> = Vec::new();
    let mut found = String::new();
    for op in scenario["ops"].as_array().expect("a list") {
        let server = || number(&op[1]) as usize;
        match op[0].as_str().expect("a word") {
            "o" => {
                let source = op[1].as_str().expect("an address").parse().expect("an address");
                let opened = Opened { source, port: port(leases.len()) };
                let lease = group.pick_for(&opened, &Tried::new(), 0).ok();
                found.push_str(lease.as_ref().map_or("-", |lease| lease.server().id()));
                leases.push(lease);
            }
            "x" => drop(leases[server()].take()),
            "w" => {
                let id = real_server(server(), 0).id;
                let found = pool.servers.iter_mut().find(|server| server.id == id);
                found.expect("it is there").weight = number(&op[2]);
                group = edited(&pool, &group);
            }
            "a" => {
                pool.servers.push(real_server(server(), number(&op[2])));
                group = edited(&pool, &group);
            }
            "d" => {
                let id = real_server(server(), 0).id;
                pool.servers.retain(|server| server.id != id);
                group = edited(&pool, &group);
            }
            other => panic!("an operation {other}"),
        }
    }
    let recorded = scenario["picks"].as_str().expect("a word").replace('?', "-");
    let name = format!("lvs {} {} {weights:?}", scenario["sched"], scenario["flags"]);
    Verdict { name, found, recorded }
}

fn edited(pool: &Pool, before: &Group) -> Group {
    let group = Group::new(pool, Some(before), Birth::Reload, 0);
    group.adopt(pool, 0);
    group
}

fn real_server(index: usize, weight: u32) -> Server {
    let address = format!("10.1.0.{}:8000", index + 1);
    let limits = Limits::default();
    Server { address, host: format!("10.1.0.{}", index + 1), limits, ..server(index, weight) }
}

fn scheduler(scenario: &Value) -> Scheduler {
    let flags = scenario["flags"].as_str().expect("a word");
    let service = LvsService { inactive: 120_000, persistence: persistence(flags) };
    let hash = |name: &str| LvsHash {
        port: flags.contains(&format!("{name}-port")),
        fallback: flags.contains(&format!("{name}-fallback")),
        service: service.clone(),
    };
    let locality = || LvsLocality { expiration: 86_400_000, service: service.clone() };
    match scenario["sched"].as_str().expect("a word") {
        "rr" => Scheduler::LvsRr(service),
        "wrr" => Scheduler::LvsWrr(service),
        "lc" => Scheduler::LvsLc(service),
        "wlc" => Scheduler::LvsWlc(service),
        "sed" => Scheduler::LvsSed(service),
        "nq" => Scheduler::LvsNq(service),
        "fo" => Scheduler::LvsFo(service),
        "ovf" => Scheduler::LvsOvf(service),
        "dh" => Scheduler::LvsDh(service),
        "sh" => Scheduler::LvsSh(hash("sh")),
        "mh" => Scheduler::LvsMh(hash("mh")),
        "lblc" => Scheduler::LvsLblc(locality()),
        "lblcr" => Scheduler::LvsLblcr(locality()),
        other => panic!("a recording of {other}, which nothing here replays"),
    }
}

fn persistence(flags: &str) -> Option<Persistence> {
    let mut words = flags.split_whitespace();
    words.find(|word| *word == "-p")?;
    let timeout = words.next()?.parse::<u64>().expect("seconds") * 1_000;
    let mask: Option<Ipv4Addr> =
        words.find(|word| *word == "-M").and_then(|_| words.next()?.parse().ok());
    let prefix_v4 = mask.map_or(32, |mask| mask.to_bits().count_ones() as u8);
    Some(Persistence { timeout, prefix_v4, prefix_v6: 128, expire_quiescent: false })
}

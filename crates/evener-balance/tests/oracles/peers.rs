//! nginx and HAProxy: one request after another, none open at the same time.

use std::net::SocketAddr;

use evener_balance::{Birth, Group, Outcome, Request, Tried};
use evener_plan::{HaproxyHash, HashFunction, HashKey, Scheduler};
use serde_json::Value;

use crate::pools::pool;
use crate::{Verdict, recordings};

/// A request as the recordings describe it.
struct Asked<'a> {
    mode: &'a str,
    input: &'a str,
    target: String,
}

impl<'a> Asked<'a> {
    fn new(case: &'a Value, input: &'a str) -> Asked<'a> {
        let algorithm = case["algorithm"].as_str().expect("a word");
        let target = match algorithm.starts_with("uri") {
            true => format!("/{input}"),
            false => format!("/?k={input}"),
        };
        Asked { mode: case["mode"].as_str().expect("a word"), input, target }
    }

    fn is_keyed(&self) -> bool {
        self.mode == "key"
    }
}

impl Request for Asked<'_> {
    fn client(&self) -> Option<SocketAddr> {
        (self.mode == "ip").then(|| format!("{}:1024", self.input).parse().expect("an address"))
    }

    fn target(&self) -> Option<&[u8]> {
        self.is_keyed().then_some(self.target.as_bytes())
    }

    fn header(&self, name: &str) -> Option<&[u8]> {
        (self.is_keyed() && name == "x-k").then_some(self.input.as_bytes())
    }

    fn key(&self) -> Option<&[u8]> {
        self.is_keyed().then_some(self.input.as_bytes())
    }
}

pub fn replay_all() -> Vec<Verdict> {
    let recordings = recordings("peer_picks.json");
    let addresses = recordings["servers"].as_array().expect("addresses");
    let cases = recordings["cases"].as_array().expect("a list of cases");
    cases.iter().map(|case| replay(case, addresses)).collect()
}

fn replay(case: &Value, addresses: &[Value]) -> Verdict {
    let word = |key: &str| case[key].as_str().expect("a word");
    let weights: Vec<u32> = serde_json::from_value(case["weights"].clone()).expect("weights");
    let mut pool = pool(&weights);
    for (server, address) in pool.servers.iter_mut().zip(addresses) {
        server.address = address.as_str().expect("an address").into();
        server.host = server.address.split(':').next().expect("a host").into();
    }
    pool.scheduler = scheduler(word("peer"), word("algorithm"));
    let group = Group::new(&pool, None, Birth::Start, 0);
    let recorded = word("picks");
    let inputs = case["inputs"].as_array().into_iter().flatten();
    let mut inputs = inputs.map(|input| input.as_str().expect("a word")).cycle();
    let mut pick = |_| {
        let asked = Asked::new(case, inputs.next().unwrap_or_default());
        let lease = group.pick_for(&asked, &Tried::new(), 0).expect("all are up");
        group.report(&lease, Outcome::Answered { status: 200 }, 0);
        lease.server().id().to_owned()
    };
    let found = (0..recorded.len()).map(&mut pick).collect();
    let name = format!("{} {} {weights:?}", word("peer"), word("algorithm"));
    Verdict { name, found, recorded: recorded.into() }
}

/// The scheduler that the program's configuration spells so.
fn scheduler(peer: &str, algorithm: &str) -> Scheduler {
    let (spelling, consistent) = match algorithm.strip_suffix("|consistent") {
        Some(spelling) => (spelling, true),
        None => (algorithm, false),
    };
    let hash = HaproxyHash {
        consistent,
        function: HashFunction::Sdbm,
        // HAProxy's own default where `consistent` stands without a function.
        avalanche: consistent,
        balance_factor: 0,
        key: HashKey::Id,
        pass_full: false,
    };
    match (peer, spelling) {
        ("nginx", "round_robin") => Scheduler::NginxRoundRobin {},
        ("nginx", "least_conn;") => Scheduler::NginxLeastConn {},
        ("nginx", "ip_hash;") => Scheduler::NginxIpHash {},
        ("nginx", "hash $arg_k;") => Scheduler::NginxHash { consistent: false },
        ("nginx", "hash $arg_k consistent;") => Scheduler::NginxHash { consistent: true },
        ("haproxy", "roundrobin") => Scheduler::HaproxyRoundrobin {},
        ("haproxy", "static-rr") => Scheduler::HaproxyStaticRr {},
        ("haproxy", "leastconn") => Scheduler::HaproxyLeastconn {},
        ("haproxy", "first") => Scheduler::HaproxyFirst {},
        ("haproxy", "source") => Scheduler::HaproxySource { hash },
        ("haproxy", "uri") => {
            Scheduler::HaproxyUri { len: 0, depth: 0, whole: false, path_only: false, hash }
        }
        ("haproxy", "url_param k") => {
            Scheduler::HaproxyUrlParam { param: "k".into(), check_post: false, hash }
        }
        ("haproxy", "hdr(x-k)") => {
            Scheduler::HaproxyHdr { header: "x-k".into(), domain_only: false, hash }
        }
        other => panic!("a recording of {other:?}, which nothing here replays"),
    }
}

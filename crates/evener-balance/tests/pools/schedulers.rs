//! One of each scheduler, with its usual parameters.

use evener_plan::{
    Better, HaproxyHash, HashFunction, HashKey, LvsHash, LvsLocality, LvsService, Measure,
    Persistence, Scheduler,
};

/// One of each, under the name of its kind.
pub fn all() -> Vec<(&'static str, Scheduler)> {
    let mut all = nginx();
    all.extend(lvs());
    all.extend(haproxy());
    all.extend(own());
    all
}

fn nginx() -> Vec<(&'static str, Scheduler)> {
    let least_time = |inflight| Scheduler::NginxLeastTime { measure: Measure::Header, inflight };
    vec![
        ("nginx/round_robin", Scheduler::NginxRoundRobin {}),
        ("nginx/least_conn", Scheduler::NginxLeastConn {}),
        ("nginx/least_time header", least_time(false)),
        ("nginx/least_time header inflight", least_time(true)),
        ("nginx/ip_hash", Scheduler::NginxIpHash {}),
        ("nginx/hash", Scheduler::NginxHash { consistent: false }),
        ("nginx/hash consistent", Scheduler::NginxHash { consistent: true }),
        ("nginx/random", Scheduler::NginxRandom { two: None }),
        ("nginx/random two", Scheduler::NginxRandom { two: Some(Better::LeastConn) }),
    ]
}

fn lvs() -> Vec<(&'static str, Scheduler)> {
    let service = LvsService { inactive: 120_000, persistence: None };
    let persistence = Some(Persistence {
        timeout: 300_000,
        prefix_v4: 32,
        prefix_v6: 128,
        expire_quiescent: false,
    });
    let hash = || LvsHash { port: false, fallback: true, service: service.clone() };
    let locality = || LvsLocality { expiration: 86_400_000, service: service.clone() };
    vec![
        ("lvs/rr", Scheduler::LvsRr(service.clone())),
        ("lvs/rr -p", Scheduler::LvsRr(LvsService { persistence, ..service.clone() })),
        ("lvs/wrr", Scheduler::LvsWrr(service.clone())),
        ("lvs/lc", Scheduler::LvsLc(service.clone())),
        ("lvs/wlc", Scheduler::LvsWlc(service.clone())),
        ("lvs/sed", Scheduler::LvsSed(service.clone())),
        ("lvs/nq", Scheduler::LvsNq(service.clone())),
        ("lvs/fo", Scheduler::LvsFo(service.clone())),
        ("lvs/ovf", Scheduler::LvsOvf(LvsService { inactive: 0, ..service.clone() })),
        ("lvs/twos", Scheduler::LvsTwos(service.clone())),
        ("lvs/dh", Scheduler::LvsDh(service.clone())),
        ("lvs/sh", Scheduler::LvsSh(hash())),
        ("lvs/mh", Scheduler::LvsMh(hash())),
        ("lvs/lblc", Scheduler::LvsLblc(locality())),
        ("lvs/lblcr", Scheduler::LvsLblcr(locality())),
    ]
}

fn haproxy() -> Vec<(&'static str, Scheduler)> {
    let hash = |consistent, balance_factor| HaproxyHash {
        consistent,
        function: HashFunction::Sdbm,
        avalanche: consistent,
        balance_factor,
        key: HashKey::Id,
        pass_full: false,
    };
    let uri = Scheduler::HaproxyUri {
        len: 0,
        depth: 0,
        whole: false,
        path_only: false,
        hash: hash(false, 0),
    };
    let hdr =
        Scheduler::HaproxyHdr { header: "host".into(), domain_only: true, hash: hash(false, 0) };
    let param =
        Scheduler::HaproxyUrlParam { param: "k".into(), check_post: false, hash: hash(true, 0) };
    let rdp =
        Scheduler::HaproxyRdpCookie { cookie: "mstshash".into(), wait: 5_000, hash: hash(true, 0) };
    vec![
        ("haproxy/roundrobin", Scheduler::HaproxyRoundrobin {}),
        ("haproxy/static-rr", Scheduler::HaproxyStaticRr {}),
        ("haproxy/leastconn", Scheduler::HaproxyLeastconn {}),
        ("haproxy/first", Scheduler::HaproxyFirst {}),
        ("haproxy/random", Scheduler::HaproxyRandom { draws: 2, ring: hash(true, 0) }),
        ("haproxy/source", Scheduler::HaproxySource { hash: hash(false, 0) }),
        ("haproxy/source consistent", Scheduler::HaproxySource { hash: hash(true, 0) }),
        ("haproxy/uri", uri),
        ("haproxy/url_param", param),
        ("haproxy/hdr", hdr),
        ("haproxy/rdp-cookie", rdp),
        ("haproxy/hash bounded", Scheduler::HaproxyHash { hash: hash(true, 150) }),
    ]
}

fn own() -> Vec<(&'static str, Scheduler)> {
    // Of a policy only the fallback is here: the policy is asked by who holds the group.
    let (policy, version) = ("mine:Mine".into(), String::new());
    let fallback = Box::new(Scheduler::NginxLeastConn {});
    let python = Scheduler::Python { policy, version, timeout: 5, fallback };
    vec![
        ("evener/random", Scheduler::Random { draws: 2 }),
        ("evener/peak_ewma", Scheduler::PeakEwma { decay: 10_000, unknown: 1_000 }),
        ("evener/prequal", Scheduler::Prequal { pool: 16, probes: 300, age: 1_000, hot: 84 }),
        ("evener/maglev", Scheduler::Maglev { table: 65_537 }),
        ("evener/ring", Scheduler::Ring { points: 160 }),
        ("evener/rendezvous", Scheduler::Rendezvous {}),
        ("evener/bounded_hash", Scheduler::BoundedHash { points: 160, excess: 25 }),
        ("evener/python", python),
    ]
}

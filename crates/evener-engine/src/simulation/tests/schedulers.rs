//! What schedulers ask of requests and sessions, and what they are told of them.

use evener_plan::{
    ListenerProtocol, LogFormat, LvsHash, LvsService, Measure, Plan, RetryOn, Scheduler,
};

use super::{OK, answered};
use crate::simulation::{Sim, on_every_wire};

const UNAVAILABLE: &str = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n";

fn by_user(plan: &mut Plan) {
    plan.pools[0].scheduler = Scheduler::NginxHash { consistent: false };
    plan.pools[0].key = Some("{header.x-user}".into());
}

fn get(user: &str) -> String {
    format!("GET / HTTP/1.1\r\nHost: h.test\r\nX-User: {user}\r\n\r\n")
}

/// Which server answers this request.
fn picked(sim: &Sim, request: &str) -> String {
    let before = sim.outcomes().len();
    sim.client().sends(request).receives(OK);
    let outcomes = sim.outcomes();
    let [(server, outcome)] = &outcomes[before..] else { panic!("one try: {outcomes:?}") };
    assert_eq!(*outcome, answered(200));
    server.clone()
}

fn all_answer(sim: &Sim) {
    for name in ["a", "b", "c"] {
        sim.server(name).answers(OK);
    }
}

#[test]
fn a_key_has_its_server_however_the_request_comes_in() {
    let servers = ["a", "b", "c"];
    let sim = Sim::with(&servers, by_user);
    all_answer(&sim);
    let users = ["ada", "bob", "cyd", "dan", "eve", "fay"];
    let homes = users.map(|user| picked(&sim, &get(user)));
    assert!(servers.iter().all(|server| homes.iter().any(|home| home == server)), "{homes:?}");
    on_every_wire(|| {
        let sim = Sim::with(&servers, by_user);
        all_answer(&sim);
        for (user, home) in users.iter().zip(&homes).rev() {
            assert_eq!(picked(&sim, &get(user)), *home, "{user}");
        }
    });
}

#[test]
fn another_try_is_by_the_schedulers_own_rule() {
    let sim = Sim::with(&["a", "b", "c"], by_user);
    all_answer(&sim);
    let home = picked(&sim, &get("ada"));
    let away = |sim: &Sim| {
        sim.kill(&home);
        sim.client().sends(get("ada")).receives(OK);
        sim.outcomes().last().expect("a try").0.clone()
    };
    let first = away(&sim);
    assert_ne!(first, home);
    let again = Sim::with(&["a", "b", "c"], by_user);
    all_answer(&again);
    assert_eq!(away(&again), first, "the rehash of a key is one server, too");
}

#[test]
fn a_status_is_told_where_the_scheduler_has_nobody_else_to_ask() {
    let service = LvsService { inactive: 60_000, persistence: None };
    let sim = Sim::with(&["a", "b"], |plan| {
        // IPVS has one server for a client, and none when that one is out.
        plan.pools[0].scheduler =
            Scheduler::LvsSh(LvsHash { port: false, fallback: false, service });
        plan.pools[0].retry.on.push(RetryOn::Status(503));
    });
    sim.server("a").answers(UNAVAILABLE);
    sim.server("b").answers(UNAVAILABLE);
    sim.client().sends(get("x")).receives_status(503);
    assert_eq!(sim.outcomes().len(), 1);
}

#[test]
fn without_room_at_any_server_it_is_a_503_with_its_cause() {
    let sim = Sim::with(&["a", "b"], |plan| {
        plan.access_log.format = LogFormat::Json;
        for server in &mut plan.pools[0].servers {
            server.limits.most = 1;
        }
    });
    let held = [sim.client(), sim.client()];
    held.iter().for_each(|client| {
        client.sends(get("x"));
    });
    assert_eq!((sim.in_flight("a"), sim.in_flight("b")), (1, 1));
    let third = sim.client();
    third.sends(get("x")).receives_status(503);
    third.stays_connected();
    let line = sim.log();
    assert!(line.contains(r#""error.type":"no_room""#), "{line}");
    sim.server("a").connection(0).sends(OK);
    held[0].receives(OK);
    sim.server("a").answers(OK);
    third.sends(get("x")).receives(OK);
    sim.server("b").connection(0).sends(OK);
}

#[test]
fn who_takes_long_to_answer_is_asked_less() {
    let sim = Sim::with(&["a", "b"], |plan| {
        plan.pools[0].scheduler =
            Scheduler::NginxLeastTime { measure: Measure::Header, inflight: false };
    });
    let client = sim.client();
    client.sends(get("x"));
    sim.run_for(1_000);
    sim.server("a").connection(0).sends(OK);
    client.receives(OK);
    all_answer(&sim);
    for _ in 0..5 {
        assert_eq!(picked(&sim, &get("x")), "b");
    }
}

#[test]
fn a_server_that_is_slow_to_its_head_is_known_before_its_end() {
    let sim = Sim::with(&["a", "b"], |plan| {
        plan.pools[0].scheduler =
            Scheduler::NginxLeastTime { measure: Measure::Header, inflight: true };
    });
    let client = sim.client();
    client.sends(get("x"));
    sim.run_for(2_000);
    sim.server("b").answers(OK);
    // What is under way counts with the time it has taken so far.
    for _ in 0..5 {
        assert_eq!(picked(&sim, &get("x")), "b");
    }
    sim.server("a").connection(0).sends("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel");
    sim.run_for(1_000);
    sim.server("a").connection(0).sends("lo");
    client.receives(OK);
}

#[test]
fn a_server_that_refuses_fast_is_not_the_fastest() {
    let sim = Sim::with(&["a", "b"], |plan| {
        plan.pools[0].scheduler = Scheduler::PeakEwma { decay: 10_000, unknown: 1_000 };
    });
    sim.server("a").answers(UNAVAILABLE);
    sim.server("b").answers(OK);
    for _ in 0..40 {
        sim.client().sends(get("x")).receives_message();
        sim.run_for(50);
    }
    let refused = sim.outcomes().iter().filter(|(server, _)| server == "a").count();
    assert!(refused <= 24, "{refused} of 40");
}

fn by_cookie(plan: &mut Plan) {
    plan.listeners[0].protocol = ListenerProtocol::Tcp;
    let scheduler = serde_json::json!({
        "name": "haproxy/rdp-cookie", "cookie": "mstshash", "wait": 5000,
        "hash": {"consistent": false, "function": "sdbm", "avalanche": false,
            "balance_factor": 0, "key": "id", "pass_full": false}
    });
    plan.pools[0].scheduler = serde_json::from_value(scheduler).expect("a scheduler");
}

/// A remote desktop's first packet.
fn desktop(user: &str) -> Vec<u8> {
    let cookie = format!("Cookie: mstshash={user}\r\n");
    let mut packet = vec![3, 0, 0, 11 + cookie.len() as u8, 6 + cookie.len() as u8, 0xe0];
    packet.extend([0; 5]);
    packet.extend(cookie.as_bytes());
    packet
}

#[test]
fn a_remote_desktop_goes_by_its_cookie_once_its_packet_is_whole() {
    let sessions = |sim: &Sim| {
        ["ada", "bob", "cyd", "ada", "bob", "cyd"].map(|user| {
            let before = ["a", "b", "c"].map(|name| sim.server(name).connections());
            let client = sim.client();
            client.sends(desktop(user));
            let after = ["a", "b", "c"].map(|name| sim.server(name).connections());
            client.closes();
            (0..3).find(|at| after[*at] > before[*at]).expect("a server")
        })
    };
    let homes = sessions(&Sim::with(&["a", "b", "c"], by_cookie));
    assert_eq!(homes[..3], homes[3..]);
    on_every_wire(|| {
        let sim = Sim::with(&["a", "b", "c"], by_cookie);
        assert_eq!(sessions(&sim), homes);
    });
}

#[test]
fn a_client_that_says_nothing_is_spread_when_the_wait_is_over() {
    let sim = Sim::with(&["a", "b"], by_cookie);
    let client = sim.client();
    sim.run_for_less_than(5_000);
    assert_eq!((sim.in_flight("a"), sim.in_flight("b")), (0, 0));
    sim.run_for(200);
    assert_eq!(sim.in_flight("a") + sim.in_flight("b"), 1);
    client.closes();
}

//! Policies: their answers in time, and everything else without harm to traffic.

use std::cell::Cell;
use std::rc::Rc;

use evener_plan::{ListenerProtocol, LogFormat, Passive, Plan, Readmit, Scheduler};
use evener_stats::Kind;

use super::{GET, OK, answered};
use crate::policies::{Free, Standing};
use crate::simulation::{Policy, Sim, on_every_wire, was_begun};

const PICKS: &str = "evener_pool_policy_picks_total";

fn with_policy(plan: &mut Plan) {
    plan.access_log.format = LogFormat::Json;
    plan.pools[0].scheduler = Scheduler::Python {
        policy: "here:Last".to_owned(),
        version: "1".to_owned(),
        timeout: 20,
        fallback: Box::new(Scheduler::NginxRoundRobin {}),
    };
}

fn answer(sim: &Sim, servers: &[&str]) {
    for name in servers {
        sim.server(name).answers(OK);
    }
}

fn sim() -> Sim {
    let sim = Sim::with(&["a", "b", "c"], with_policy);
    answer(&sim, &["a", "b", "c"]);
    sim
}

/// The last server that is free.
fn last(servers: &[Standing]) -> Result<Option<usize>, String> {
    Ok(servers.iter().rposition(|server| server.free == Free::Yes))
}

/// Who answered last.
fn answered_by(sim: &Sim) -> String {
    let outcomes = sim.outcomes();
    let (server, outcome) = outcomes.last().expect("a try");
    assert_eq!(*outcome, answered(200));
    server.clone()
}

/// A request that nobody answers before the time-out.
fn asks_in_vain(sim: &Sim) {
    let client = sim.client();
    client.sends(GET);
    sim.run_for(20);
    client.receives(OK);
}

fn picked_by(sim: &Sim, label: &str) -> u64 {
    sim.counted(Kind::Pool, PICKS, label)
}

#[test]
fn a_policy_that_answers_in_time_picks_however_the_request_comes_in() {
    on_every_wire(|| {
        let sim = sim();
        let mut policy = Policy::begun(|asked, servers| {
            assert_eq!((&*asked.method, &*asked.host, &*asked.path), ("GET", "h.test", "/a"));
            assert_eq!(asked.client, Some("192.0.2.200".parse().expect("an address")));
            assert_eq!(asked.headers, [Some("ada".to_owned())]);
            last(servers)
        });
        let client = sim.client();
        client.sends("GET //%61?q HTTP/1.1\r\nHost: H.test:80\r\nX-User: ada\r\n\r\n");
        assert!(sim.outcomes().is_empty(), "the shard waits for the answer");
        policy.answers(&sim);
        client.receives(OK);
        assert_eq!(answered_by(&sim), "c");
        assert_eq!(picked_by(&sim, "policy"), 1);
        let log = sim.log();
        assert!(log.contains("\"evener.picked_by\":\"policy\""), "{log}");
    });
}

#[test]
fn without_an_answer_in_time_the_fallback_picks_and_the_late_answer_is_dropped() {
    let sim = sim();
    let mut policy = Policy::begun(|_, servers| last(servers));
    let client = sim.client();
    client.sends(GET);
    policy.reads();
    sim.run_for(20);
    client.receives(OK);
    assert_eq!(answered_by(&sim), "a");
    policy.answers(&sim);
    assert_eq!(sim.outcomes().len(), 1, "nothing came of it");
    assert_eq!((picked_by(&sim, "timeout"), picked_by(&sim, "policy")), (1, 0));
    assert!(sim.log().contains("\"evener.picked_by\":\"fallback: timeout\""));
    let [words] = &sim.words()[..] else { panic!("a word for people") };
    assert!(words.contains("no answer within 20 ms; nginx/round_robin picks instead"), "{words}");
}

#[test]
fn five_time_outs_in_a_row_and_nobody_waits_until_a_trial_is_answered() {
    let sim = sim();
    let mut policy = Policy::begun(|_, servers| last(servers));
    (0..5).for_each(|_| asks_in_vain(&sim));
    sim.client().sends(GET).receives(OK);
    assert_eq!((picked_by(&sim, "timeout"), picked_by(&sim, "open")), (5, 1));
    assert!(sim.words().iter().any(|words| words.contains("picks alone")));
    sim.run_for(5_000);
    asks_in_vain(&sim);
    sim.client().sends(GET).receives(OK);
    assert_eq!((picked_by(&sim, "timeout"), picked_by(&sim, "open")), (6, 2), "one trial");
    sim.run_for(5_000);
    let (trial, client) = (sim.client(), sim.client());
    trial.sends(GET);
    client.sends(GET).receives(OK);
    assert_eq!(picked_by(&sim, "open"), 3, "others do not wait for a trial");
    policy.answers(&sim);
    trial.receives(OK);
    assert!(sim.words().iter().any(|words| words.contains("answers again")));
    client.sends(GET);
    policy.answers(&sim);
    client.receives(OK);
    assert_eq!((picked_by(&sim, "policy"), answered_by(&sim)), (2, "c".to_owned()));
}

#[test]
fn failures_nonsense_and_no_opinion_leave_the_pick_to_the_fallback() {
    let sim = sim();
    let turn = Rc::new(Cell::new(0));
    let count = turn.clone();
    let mut policy = Policy::begun(move |_, _| {
        count.set(count.get() + 1);
        match count.get() {
            1 => Err("ZeroDivisionError".to_owned()),
            2 => Ok(Some(7)),
            _ => Ok(None),
        }
    });
    let client = sim.client();
    for expected in ["a", "b", "c"] {
        client.sends(GET);
        policy.answers(&sim);
        client.receives(OK);
        assert_eq!(answered_by(&sim), expected);
    }
    assert_eq!((picked_by(&sim, "error"), picked_by(&sim, "declined")), (2, 1));
    let words = sim.words().join("\n");
    assert!(words.contains("policy here:Last: ZeroDivisionError"), "{words}");
}

#[test]
fn a_server_that_is_out_or_was_tried_is_not_picked_whatever_the_policy_says() {
    let sim = sim();
    let mut policy = Policy::begun(|_, _| Ok(Some(2)));
    sim.drain_server("c");
    let client = sim.client();
    client.sends(GET);
    policy.answers(&sim);
    client.receives(OK);
    assert_eq!((answered_by(&sim).as_str(), picked_by(&sim, "error")), ("a", 1));
    let mut calls = Vec::new();
    let sim = Sim::with(&["a", "b"], with_policy);
    let mut policy = Policy::begun(move |_, servers| {
        calls.push(servers.iter().filter(|server| server.free == Free::Yes).count());
        assert_eq!(calls.len(), 3 - calls[calls.len() - 1]);
        last(servers)
    });
    sim.server("a").answers(OK);
    sim.kill("b");
    let client = sim.client();
    client.sends(GET);
    policy.answers(&sim);
    policy.answers(&sim);
    client.receives(OK);
    assert_eq!((answered_by(&sim).as_str(), picked_by(&sim, "policy")), ("a", 2));
}

#[test]
fn a_server_that_goes_out_while_the_policy_thinks_is_not_its_fault() {
    let sim = sim();
    let mut policy = Policy::begun(|_, servers| last(servers));
    for _ in 0..6 {
        let client = sim.client();
        client.sends(GET);
        policy.answers_before(&sim, |sim| sim.drain_server("c"));
        client.receives(OK);
        sim.ready_server("c");
    }
    assert_eq!((picked_by(&sim, "unfit"), picked_by(&sim, "open")), (6, 0));
}

#[test]
fn a_full_server_is_not_picked() {
    let sim = Sim::with(&["a", "b"], |plan| {
        with_policy(plan);
        plan.pools[0].servers[1].limits.most = 1;
    });
    let mut policy = Policy::begun(|_, servers| last(servers));
    let clients = [sim.client(), sim.client()];
    for client in &clients {
        client.sends(GET);
        policy.answers(&sim);
    }
    assert_eq!((sim.in_flight("b"), sim.in_flight("a")), (1, 1));
    for name in ["a", "b"] {
        sim.server(name).connection(0).sends(OK);
    }
    for client in &clients {
        client.receives(OK);
    }
    assert_eq!(picked_by(&sim, "policy"), 2);
}

#[test]
fn a_server_whose_trial_is_due_has_it_before_the_policy_is_asked() {
    let sim = Sim::with(&["a", "b"], |plan| {
        with_policy(plan);
        let readmit = Readmit::Request;
        plan.pools[0].passive = Some(Passive { fails: 1, within: 1_000, out: 1_000, readmit });
    });
    sim.server("a").answers(OK);
    sim.kill("b");
    let mut policy = Policy::begun(|_, servers| last(servers));
    let client = sim.client();
    client.sends(GET);
    policy.answers(&sim);
    policy.answers(&sim);
    client.receives(OK);
    assert_eq!(answered_by(&sim), "a");
    sim.server("b").answers(OK).accepts();
    sim.run_for(1_100);
    let client = sim.client();
    client.sends(GET).receives(OK);
    assert_eq!((answered_by(&sim).as_str(), picked_by(&sim, "trial")), ("b", 1));
    client.sends(GET);
    policy.answers(&sim);
    client.receives(OK);
    assert_eq!((answered_by(&sim).as_str(), picked_by(&sim, "trial")), ("b", 1));
}

#[test]
fn until_a_policy_is_ready_the_fallback_picks_at_once() {
    let sim = sim();
    let client = sim.client();
    client.sends(GET).receives(OK);
    assert_eq!((answered_by(&sim).as_str(), picked_by(&sim, "not_ready")), ("a", 1));
    let mut policy = Policy::begun(|_, servers| last(servers));
    client.sends(GET);
    policy.answers(&sim);
    client.receives(OK);
    assert_eq!(picked_by(&sim, "policy"), 1);
}

#[test]
fn a_policy_hears_how_tries_ended_and_sees_latencies_and_loads() {
    let sim = Sim::with(&["a", "b"], with_policy);
    let seen = Rc::new(Cell::new(None));
    let told = seen.clone();
    let mut policy = Policy::begun(move |_, servers| {
        told.set(Some((servers[1].latency, servers[1].in_flight, servers[0].latency)));
        last(servers)
    });
    let (client, server) = (sim.client(), sim.server("b"));
    client.sends(GET);
    policy.answers(&sim);
    assert_eq!(seen.get(), Some((None, 0, None)));
    sim.run_for(150);
    server.connection(0).sends("HTTP/1.1 503 Busy\r\nContent-Length: 5\r\n\r\nhello");
    client.receives("HTTP/1.1 503 Busy\r\nContent-Length: 5\r\n\r\nhello");
    client.sends(GET);
    policy.answers(&sim);
    let [ended] = policy.heard() else { panic!("one ending: {:?}", policy.heard()) };
    assert_eq!((ended.server, ended.status, ended.failure), (1, Some(503), ""));
    assert!((0.15..0.3).contains(&ended.seconds), "{ended:?}");
    let (latency, in_flight, other) = seen.take().expect("a look");
    assert!((0.15..0.3).contains(&latency.expect("a time")), "{latency:?}");
    assert_eq!((in_flight, other), (0, None));
}

#[test]
fn a_reload_keeps_the_policy_unless_it_is_another_and_shows_it_the_new_servers() {
    let sim = sim();
    let mut policy = Policy::begun(|_, servers| last(servers));
    let client = sim.client();
    let asks = |policy: &mut Policy| {
        client.sends(GET);
        policy.answers(&sim);
        client.receives(OK);
    };
    asks(&mut policy);
    sim.reload(|plan| {
        plan.pools[0].servers.pop();
        plan.pools[0].servers[1].weight = 9;
    });
    assert!(!was_begun());
    asks(&mut policy);
    assert_eq!(policy.seats(), [("a".to_owned(), 1), ("b".to_owned(), 9)]);
    assert_eq!(answered_by(&sim), "b");
    sim.reload(|plan| {
        let Scheduler::Python { version, .. } = &mut plan.pools[0].scheduler else { panic!() };
        *version = "2".to_owned();
    });
    assert!(was_begun());
    let mut other = Policy::begun(|_, _| Ok(Some(0)));
    asks(&mut other);
    assert_eq!((answered_by(&sim).as_str(), picked_by(&sim, "policy")), ("a", 3));
}

#[test]
fn a_policy_whose_life_has_ended_costs_nobody_a_wait() {
    let sim = sim();
    drop(Policy::begun(|_, servers| last(servers)));
    let client = sim.client();
    client.sends(GET).receives(OK);
    assert_eq!(picked_by(&sim, "not_ready"), 1);
}

#[test]
fn a_session_has_its_policy_too() {
    let sim = Sim::with(&["a", "b"], |plan| {
        with_policy(plan);
        plan.listeners[0].protocol = ListenerProtocol::Tcp;
    });
    let mut policy = Policy::begun(|asked, servers| {
        assert_eq!((&*asked.method, &*asked.path, &asked.headers), ("", "", &vec![None]));
        last(servers)
    });
    let client = sim.client();
    client.sends("hello");
    policy.answers(&sim);
    sim.server("b").connection(0).receives("hello").sends("bye").closes();
    client.receives("bye").sees_the_end().closes();
    assert_eq!(picked_by(&sim, "policy"), 1);
    assert!(sim.log().contains("\"evener.picked_by\":\"policy\""));
    let client = sim.client();
    client.sends("x");
    sim.run_for(20);
    sim.server("a").connection(0).receives("x").closes();
    client.sees_the_end().closes();
    assert_eq!(picked_by(&sim, "timeout"), 1);
}

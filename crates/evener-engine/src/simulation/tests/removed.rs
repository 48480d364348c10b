//! What becomes of a removed listener's work in hand: it ends by itself, or when its time is over.

use evener_balance::Outcome;
use evener_plan::{LogFormat, Plan};

use super::{GET, OK, answered};
use crate::simulation::{Sim, on_every_wire};

const CLOSED_OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello";

/// Much longer than requests may go on: none of these times ends one of them here.
fn patient(plan: &mut Plan) {
    let timeouts = &mut plan.listeners[0].timeouts;
    (timeouts.head, timeouts.body, timeouts.send) = (300_000, 300_000, 300_000);
    plan.pools[0].timeouts.response = 300_000;
    plan.pools[0].timeouts.connect = 150_000;
    plan.access_log.format = LogFormat::Json;
}

/// A request has begun when the listener is removed, and goes on for just as long as it may.
#[track_caller]
fn cut_after(sim: &Sim, until: impl Fn()) {
    let cut = sim.drain_cuts();
    sim.reload(|plan| plan.listeners.clear());
    sim.run_for_less_than(30_000);
    until();
    assert_eq!(sim.drain_cuts(), cut);
    sim.run_for(100);
    assert_eq!(sim.drain_cuts(), cut + 1);
}

#[test]
fn a_request_in_hand_may_end_within_its_time() {
    on_every_wire(|| {
        let sim = Sim::with(&["a"], patient);
        let client = sim.client();
        client.sends(GET);
        sim.reload(|plan| plan.listeners.clear());
        sim.run_for_less_than(30_000);
        sim.server("a").connection(0).sends(OK);
        client.receives(CLOSED_OK).sees_the_end();
        sim.saw(&[("a", answered(200))]);
        assert_eq!(sim.drain_cuts(), 0);
    });
}

#[test]
fn a_request_without_an_answer_is_told_so_when_its_time_is_over() {
    on_every_wire(|| {
        let sim = Sim::with(&["a"], patient);
        let client = sim.client();
        client.sends(GET);
        cut_after(&sim, || {
            client.receives_nothing().stays_connected();
        });
        client.receives_status(503);
        client.sees_the_end();
        assert!(sim.server("a").connection(0).is_dropped());
        sim.saw(&[("a", Outcome::ClientGone)]);
        let line = sim.log();
        assert!(line.contains(":503,") && line.contains("drain_cut"), "{line}");
    });
}

#[test]
fn an_answer_that_is_not_over_by_then_is_cut_visibly() {
    on_every_wire(|| {
        let sim = Sim::with(&["a"], patient);
        let client = sim.client();
        client.sends(GET);
        sim.server("a").connection(0).sends("HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello");
        client.received();
        cut_after(&sim, || {
            client.stays_connected();
        });
        client.receives_nothing();
        assert!(client.is_dropped() && sim.server("a").connection(0).is_dropped());
        let line = sim.log();
        assert!(line.contains(":200,") && line.contains("drain_cut"), "{line}");
    });
}

#[test]
fn a_head_that_never_ends_a_connection_that_is_never_made_and_a_client_that_takes_nothing_are_cut()
{
    let sim = Sim::with(&["a"], patient);
    let client = sim.client();
    client.sends("GET / HT");
    cut_after(&sim, || {});
    assert!(client.is_dropped());

    let sim = Sim::with(&["a"], patient);
    sim.server("a").hangs();
    let client = sim.client();
    client.sends(GET);
    cut_after(&sim, || {
        client.receives_nothing();
    });
    client.receives_status(503);

    let sim = Sim::with(&["a"], patient);
    let client = sim.client();
    client.stops_reading().sends("BAD\r\n\r\n");
    cut_after(&sim, || {
        client.stays_connected();
    });
}

#[test]
fn a_tunnel_has_its_own_time() {
    let sim = Sim::with(&["a"], |plan| {
        patient(plan);
        plan.listeners[0].timeouts.tunnel_idle = 300_000;
    });
    let client = sim.client();
    client.sends("GET / HTTP/1.1\r\nHost: h.test\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n");
    let server = sim.server("a").connection(0);
    server.sends("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n");
    client.received();
    sim.reload(|plan| plan.listeners.clear());
    sim.run_for_less_than(60_000);
    server.sends("still here");
    client.receives("still here").stays_connected();
    sim.run_for(200);
    assert!(client.is_dropped());
    assert_eq!(sim.drain_cuts(), 1);
}

#[test]
fn a_tunnel_of_a_listener_that_is_gone_ends_with_the_workers_drain() {
    let sim = Sim::with(&["a"], |plan| plan.listeners[0].timeouts.tunnel_idle = 300_000);
    let client = sim.client();
    client.sends("GET / HTTP/1.1\r\nHost: h.test\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n");
    let server = sim.server("a").connection(0);
    server.sends("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n");
    client.received();
    sim.reload(|plan| {
        plan.listeners.clear();
        plan.drain.tunnels = 3_600_000;
    });
    sim.drain();
    sim.run_for(60_000);
    assert!(client.is_dropped() && sim.drain_cuts() == 1);
}

#[test]
fn connections_kept_to_a_server_end_with_it_also_while_a_tunnel_goes_on() {
    let sim = Sim::new(&["a", "b"]);
    let client = sim.client();
    client.sends("GET / HTTP/1.1\r\nHost: h.test\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n");
    let tunnel = sim.server("a").connection(0);
    tunnel.sends("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n");
    client.received();
    sim.server("b").answers(OK);
    sim.client().sends(GET).receives(OK);
    assert_eq!(sim.kept(), 1);
    sim.reload(|plan| plan.pools[0].servers.truncate(1));
    assert!(sim.server("b").connection(0).is_dropped());
    tunnel.sends("still here");
    client.receives("still here");
}

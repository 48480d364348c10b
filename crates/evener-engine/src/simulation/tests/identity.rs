//! Server connections that carry a client's identity (RFC 4559 §6).

use super::{GET, OK, answered};
use crate::simulation::{Peer, Sim, on_every_wire};

const ASKS: &str =
    "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: NTLM\r\nContent-Length: 0\r\n\r\n";

/// A server asked for the client's identity on this connection.
fn asked(sim: &Sim, client: &Peer, answer: &str) {
    client.sends(GET);
    sim.server("a").connection(0).sends(answer);
    client.received();
    client.stays_connected();
}

#[test]
fn a_connection_that_asks_for_an_identity_is_its_clients_alone() {
    for answer in [
        ASKS.to_owned(),
        ASKS.replace("NTLM", "Basic realm=\"x\", negotiate YII="),
        ASKS.replace(
            "WWW-Authenticate: NTLM",
            "www-authenticate: Digest\r\nWWW-AUTHENTICATE: ntlm",
        ),
        ASKS.replace("401 Unauthorized", "407 x").replace("WWW-", "Proxy-"),
    ] {
        on_every_wire(|| {
            let sim = Sim::new(&["a"]);
            let (one, other) = (sim.client(), sim.client());
            asked(&sim, &one, &answer);
            assert_eq!(sim.kept(), 0, "it is not for all");
            other.sends(GET);
            sim.server("a").connection(1).sends(OK);
            other.receives(OK);
            // The handshake goes on where it began, also behind the last answer.
            for _ in 0..2 {
                one.sends(GET);
                sim.server("a").connection(0).sends(OK);
                one.receives(OK);
            }
            assert_eq!((sim.server("a").connections(), sim.kept()), (2, 1));
            one.closes();
            assert!(sim.server("a").connection(0).is_dropped(), "it ends with its client");
            assert!(!sim.server("a").connection(1).is_dropped());
        });
    }
}

#[test]
fn a_client_that_sends_its_identity_unasked_owns_the_connection_too() {
    for field in ["Authorization: Negotiate YII=", "proxy-authorization: NTLM TlRM"] {
        on_every_wire(|| {
            let sim = Sim::new(&["a"]);
            sim.server("a").answers(OK);
            let client = sim.client();
            client.sends(format!("GET / HTTP/1.1\r\nHost: h.test\r\n{field}\r\n\r\n")).receives(OK);
            assert_eq!(sim.kept(), 0);
            sim.client().sends(GET).receives(OK);
            assert_eq!(sim.server("a").connections(), 2);
        });
    }
}

#[test]
fn an_identity_that_is_the_requests_leaves_the_connection_to_all() {
    let sim = Sim::new(&["a"]);
    sim.server("a").answers(ASKS.replace("NTLM", "Basic realm=\"NTLM, or so\""));
    sim.client()
        .sends("GET / HTTP/1.1\r\nHost: h.test\r\nAuthorization: Bearer negotiate\r\n\r\n")
        .receives_status(401);
    assert_eq!(sim.kept(), 1);
}

#[test]
fn a_client_stays_at_the_server_that_knows_it() {
    on_every_wire(|| {
        let sim = Sim::new(&["a", "b"]);
        sim.server("b").answers(OK);
        let client = sim.client();
        asked(&sim, &client, ASKS);
        for _ in 0..3 {
            client.sends(GET);
            sim.server("a").connection(0).sends(OK);
            client.receives(OK);
        }
        assert_eq!(sim.server("b").requests().len(), 0);
        assert_eq!(sim.in_flight("a"), 0);
        // Whoever belongs nowhere is balanced as before.
        sim.client().sends(GET).receives(OK);
        assert_eq!(sim.server("b").requests().len(), 1);
    });
}

#[test]
fn a_server_that_takes_no_traffic_keeps_nobody() {
    on_every_wire(|| {
        let sim = Sim::new(&["a", "b"]);
        sim.server("b").answers(OK);
        let client = sim.client();
        asked(&sim, &client, ASKS);
        sim.drain_server("a");
        client.sends(GET).receives(OK);
        assert!(sim.server("a").connection(0).is_dropped());
        sim.saw(&[("a", answered(401)), ("b", answered(200))]);
    });
}

#[test]
fn a_reload_leaves_a_client_its_connection_unless_the_server_is_another() {
    let sim = Sim::new(&["a"]);
    let client = sim.client();
    asked(&sim, &client, ASKS);
    sim.reload(|plan| plan.drain.requests += 1);
    client.sends(GET);
    sim.server("a").connection(0).sends(OK);
    client.receives(OK);
    sim.server("c").answers(OK);
    sim.reload(|plan| plan.pools[0].servers[0].address = "192.0.2.3:80".to_owned());
    client.sends(GET).receives(OK);
    assert_eq!(sim.server("c").requests().len(), 1);
    assert!(sim.server("a").connection(0).is_dropped());
}

#[test]
fn one_that_has_ended_is_not_used_and_its_server_is_asked_anew() {
    on_every_wire(|| {
        let sim = Sim::new(&["a"]);
        let client = sim.client();
        asked(&sim, &client, ASKS);
        sim.server("a").connection(0).closes();
        sim.server("a").answers(OK);
        client.sends(GET).receives(OK);
        assert_eq!(sim.server("a").connections(), 2);
        assert_eq!(sim.kept(), 1, "nobody has shown who it is on the new one");
    });
}

#[test]
fn one_that_stood_too_long_is_not_used() {
    let sim = Sim::with(&["a"], |plan| plan.pools[0].keepalive.idle = 500);
    sim.server("a").answers(ASKS);
    let client = sim.client();
    client.sends(GET).receives_status(401);
    sim.run_for_less_than(500);
    client.sends(GET).receives_status(401);
    assert_eq!(sim.server("a").connections(), 1);
    sim.run_for(500);
    client.sends(GET).receives_status(401);
    assert_eq!(sim.server("a").connections(), 2);
}

#[test]
fn one_whose_request_was_not_sent_whole_ends() {
    on_every_wire(|| {
        let sim = Sim::new(&["a"]);
        let client = sim.client();
        client.sends("POST / HTTP/1.1\r\nHost: h.test\r\nContent-Length: 10\r\n\r\nhalf");
        sim.server("a").connection(0).sends(ASKS);
        client.receives_status(401);
        assert!(sim.server("a").connection(0).is_dropped());
    });
}

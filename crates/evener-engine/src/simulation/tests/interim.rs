//! Interim answers and upgrades.

use evener_balance::{Cause, Outcome};
use evener_plan::LogFormat;
use evener_stats::Kind;

use super::{GET, OK, OURS, answered, forwarded};
use crate::simulation::{Sim, on_every_wire, on_some_wires};

const CONTINUE: &str = "HTTP/1.1 100 Continue\r\n\r\n";
const HINTS: &str = "HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n";
const UPGRADE: &str = "GET /ws HTTP/1.1\r\nHost: h.test\r\nConnection: Upgrade\r\n\
     Upgrade: websocket\r\n\r\n";
const SWITCHED: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
     Connection: Upgrade\r\n\r\n";

#[test]
fn a_continue_that_the_client_waits_for_is_the_servers() {
    on_every_wire(|| {
        let sim = Sim::new(&["a"]);
        let client = sim.client();
        let head = "POST / HTTP/1.1\r\nHost: h.test\r\nExpect: 100-continue\r\n\
             Content-Length: 4\r\n";
        client.sends(format!("{head}\r\n")).receives_nothing();
        let server = sim.server("a").connection(0);
        server.receives(format!("{head}{OURS}"));
        server.sends(CONTINUE);
        client.receives(CONTINUE).sends("body");
        server.receives("body").sends(OK);
        client.receives(OK).stays_connected();
        sim.saw(&[("a", answered(200))]);
        assert_eq!(sim.kept(), 1);
    });
}

#[test]
fn who_waits_for_a_word_is_not_late_while_the_server_owes_it() {
    let head =
        "POST / HTTP/1.1\r\nHost: h.test\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n";
    let sim = Sim::with(&["a"], |plan| plan.listeners[0].timeouts.min_rate = 500);
    let client = sim.client();
    client.sends(head);
    sim.run_for(50_000);
    sim.server("a").connection(0).sends(CONTINUE);
    client.receives(CONTINUE);
    sim.run_for_less_than(30_000);
    client.receives_nothing();
    client.sends("body");
    sim.server("a").connection(0).sends(OK);
    client.receives(OK).stays_connected();
    client.sends(head);
    sim.run_for(50_000);
    sim.server("a").connection(0).sends(CONTINUE);
    client.receives(CONTINUE);
    sim.run_for(30_100);
    client.receives_status(408);
}

#[test]
fn a_server_that_owes_a_word_and_says_nothing_is_late() {
    on_every_wire(|| {
        let sim = Sim::new(&["a"]);
        let client = sim.client();
        client.sends(
            "POST / HTTP/1.1\r\nHost: h.test\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n",
        );
        sim.run_for(60_000);
        client.receives_status(504);
        sim.saw(&[("a", Outcome::Failed(Cause::ResponseTimeout))]);
    });
}

#[test]
fn a_refusal_in_place_of_a_continue_ends_the_connection_since_its_body_may_still_come() {
    on_every_wire(|| {
        let sim = Sim::new(&["a"]);
        let client = sim.client();
        client.sends(
            "POST / HTTP/1.1\r\nHost: h.test\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n",
        );
        let refusal = "HTTP/1.1 417 Expectation Failed\r\nContent-Length: 0\r\n";
        sim.server("a").connection(0).sends(format!("{refusal}\r\n"));
        client.receives(format!("{refusal}Connection: close\r\n\r\n")).sees_the_end();
        assert_eq!(sim.kept(), 0);
    });
}

#[test]
fn a_continue_that_nobody_waits_for_goes_nowhere() {
    on_every_wire(|| {
        let sim = Sim::new(&["a"]);
        sim.server("a").answers(format!("{CONTINUE}{OK}"));
        sim.client().sends(GET).receives(OK);
    });
}

#[test]
fn early_hints_reach_a_client_of_1_1_and_no_other() {
    on_every_wire(|| {
        let sim = Sim::new(&["a"]);
        sim.server("a").answers(format!("{HINTS}{HINTS}{OK}"));
        let client = sim.client();
        client.sends(GET).receives(format!("{HINTS}{HINTS}{OK}"));
        client.sends("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
        client.receives(
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: keep-alive\r\n\r\nhello",
        );
        assert_eq!(sim.kept(), 1);
        sim.saw(&[("a", answered(200)), ("a", answered(200))]);
    });
}

#[test]
fn eight_interim_answers_pass_and_more_end_here() {
    on_every_wire(|| {
        let sim = Sim::new(&["a"]);
        sim.server("a").answers(format!("{}{OK}", HINTS.repeat(9)));
        let client = sim.client();
        client.sends(GET).receives(format!("{}{OK}", HINTS.repeat(8))).stays_connected();
        sim.saw(&[("a", answered(200))]);
        assert_eq!(sim.kept(), 1);
    });
}

#[test]
fn interim_answers_without_end_are_a_502() {
    on_some_wires(|| {
        let sim = Sim::with(&["a"], |plan| plan.access_log.format = LogFormat::Json);
        sim.server("a").answers(format!("{}{OK}", HINTS.repeat(101)));
        let client = sim.client();
        client.sends(GET);
        let received = String::from_utf8(client.received()).unwrap();
        let rest = received.strip_prefix(HINTS.repeat(8).as_str()).unwrap();
        assert!(rest.starts_with("HTTP/1.1 502 "), "{rest:?}");
        sim.saw(&[("a", Outcome::Failed(Cause::Junk))]);
        assert!(sim.log().contains("too_many_interim"));
    });
}

#[test]
fn eight_interim_answers_pass_of_all_tries_together() {
    on_every_wire(|| {
        let sim = Sim::new(&["a", "b"]);
        sim.server("a").answers_and_ends(HINTS.repeat(5));
        sim.server("b").answers(format!("{}{OK}", HINTS.repeat(5)));
        sim.client().sends(GET).receives(format!("{}{OK}", HINTS.repeat(8)));
    });
}

#[test]
fn a_second_continue_goes_nowhere_and_one_with_a_body_is_a_502() {
    let post = "POST / HTTP/1.1\r\nHost: h.test\r\nExpect: 100-continue\r\n\
         Content-Length: 4\r\n\r\n";
    on_every_wire(|| {
        let sim = Sim::new(&["a"]);
        sim.server("a").answers(OK);
        let client = sim.client();
        client.sends(post);
        sim.server("a").connection(0).sends(CONTINUE.repeat(2));
        client.receives(CONTINUE).sends("body").receives(OK);
    });
    on_every_wire(|| {
        let sim = Sim::with(&["a"], |plan| plan.access_log.format = LogFormat::Json);
        sim.server("a").answers("HTTP/1.1 103 x\r\nContent-Length: 5\r\n\r\nhello");
        sim.client().sends(GET).receives_status(502);
        assert!(sim.log().contains("interim_body"));
    });
}

#[test]
fn a_request_is_not_sent_twice_once_its_client_saw_an_interim_answer() {
    on_every_wire(|| {
        let sim = Sim::new(&["a", "b"]);
        sim.server("a").answers_and_ends(HINTS);
        sim.server("b").answers(OK);
        let client = sim.client();
        client.sends(GET).receives(format!("{HINTS}{OK}"));
        sim.saw(&[("a", Outcome::Failed(Cause::Reset)), ("b", answered(200))]);
    });
}

#[test]
fn an_upgrade_becomes_a_tunnel_with_the_bytes_behind_both_heads() {
    on_every_wire(|| {
        let sim = Sim::new(&["a"]);
        let client = sim.client();
        client.sends(format!("{UPGRADE}ping"));
        let server = sim.server("a").connection(0);
        server.receives(
            "GET /ws HTTP/1.1\r\nHost: h.test\r\nUpgrade: websocket\r\n\
             X-Forwarded-For: 192.0.2.200\r\nX-Forwarded-Proto: http\r\n\
             X-Forwarded-Host: h.test\r\nConnection: upgrade\r\n\r\n",
        );
        server.sends(format!("{SWITCHED}pong"));
        client.receives(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n\
             pong",
        );
        server.receives("ping");
        sim.saw(&[("a", answered(101))]);
        client.sends("more");
        server.receives("more").sends("less");
        client.receives("less");
        assert_eq!(sim.in_flight("a"), 1, "a tunnel is in flight");
        client.ends();
        server.sees_the_end().sends("last");
        client.receives("last").stays_connected();
        server.ends();
        client.sees_the_end();
        assert_eq!((sim.in_flight("a"), sim.kept(), sim.alive()), (0, 0, 0));
        sim.saw(&[]);
    });
}

#[test]
fn the_line_of_a_tunnel_has_what_was_asked() {
    on_every_wire(|| {
        let sim = Sim::with(&["a"], |plan| plan.access_log.format = LogFormat::Json);
        let client = sim.client();
        client.sends(UPGRADE).sends("early");
        let server = sim.server("a").connection(0);
        server.sends(SWITCHED);
        client.sends("ping").ends();
        server.ends();
        let line = sim.log();
        for part in ["\"url.path\":\"/ws\"", "\"http.request.method\":\"GET\"", ":101,"] {
            assert!(line.contains(part), "{line}");
        }
        assert!(String::from_utf8(server.received()).unwrap().ends_with("earlyping"));
        let received = sim.counted(Kind::Listener, "evener_listener_bytes_total", "in");
        assert_eq!(received as usize, UPGRADE.len() + "earlyping".len());
    });
}

#[test]
fn a_tunnel_of_which_a_sample_has_a_line_has_a_whole_one() {
    let sim = Sim::with(&["a"], |plan| {
        plan.access_log.format = LogFormat::Json;
        plan.access_log.sample = 0.5;
    });
    for number in 0..40 {
        let client = sim.client();
        client.sends(UPGRADE);
        let server = sim.server("a").connection(number);
        server.sends(SWITCHED);
        client.ends();
        server.ends();
    }
    let lines = sim.log();
    let whole = lines.matches("\"url.path\":\"/ws\"").count();
    assert!((1..40).contains(&whole) && whole == lines.lines().count(), "{lines}");
}

#[test]
fn a_reload_beside_a_tunnel_leaves_no_connection_behind_that_nobody_uses() {
    on_every_wire(|| {
        let sim = Sim::new(&["a"]);
        let (tunnel, client) = (sim.client(), sim.client());
        tunnel.sends(UPGRADE);
        sim.server("a").connection(0).sends(SWITCHED);
        client.sends(GET);
        sim.reload(|_| {});
        sim.server("a").connection(1).sends(OK);
        client.receives(OK);
        assert!(sim.server("a").connection(1).is_dropped() && sim.kept() == 0);
        tunnel.stays_connected();
    });
}

#[test]
fn an_idle_tunnel_ends_and_a_busy_one_goes_on() {
    let sim = Sim::new(&["a"]);
    let client = sim.client();
    client.sends(UPGRADE);
    let server = sim.server("a").connection(0);
    server.sends(SWITCHED);
    for _ in 0..5 {
        sim.run_for_less_than(60_000);
        client.sends("x").stays_connected();
    }
    sim.run_for(60_000);
    assert!(client.is_dropped() && server.is_dropped());
    assert_eq!(sim.in_flight("a"), 0);
}

#[test]
fn a_tunnel_lasts_no_longer_than_it_may() {
    let sim = Sim::with(&["a"], |plan| plan.listeners[0].timeouts.tunnel_max = Some(10_000));
    let client = sim.client();
    client.sends(UPGRADE);
    sim.server("a").connection(0).sends(SWITCHED);
    sim.run_for_less_than(10_000);
    client.sends("x").stays_connected();
    sim.run_for(100);
    assert!(client.is_dropped() && sim.server("a").connection(0).is_dropped());
}

#[test]
fn a_refused_upgrade_is_an_answer_like_any_other() {
    on_every_wire(|| {
        let sim = Sim::new(&["a"]);
        sim.server("a")
            .answers("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno")
            .answers(OK);
        let client = sim.client();
        client.sends(UPGRADE).receives("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno");
        client.sends(GET).receives(OK);
        sim.server("a").received(forwarded(GET));
    });
}

#[test]
fn bytes_that_came_before_an_upgrade_was_refused_are_never_a_request() {
    let early = format!("{UPGRADE}{GET}");
    on_every_wire(|| {
        let sim = Sim::new(&["a"]);
        let client = sim.client();
        client.sends(&early);
        let server = sim.server("a").connection(0);
        server.sends("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno");
        client
            .receives("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno");
        client.sees_the_end();
        let sent = String::from_utf8(server.received()).unwrap();
        assert_eq!(sent.matches("HTTP/1.1").count(), 1, "{sent}");
        assert_eq!(sim.kept(), 1, "the server saw one whole request and nothing of the rest");
    });
    // Whole, so that they are there when our own answer is.
    let sim = Sim::new(&["a"]);
    sim.server("a").refuses();
    let client = sim.client();
    assert!(client.sends(&early).receives_status(502).contains("Connection: close\r\n"));
    client.sees_the_end();
}

#[test]
fn a_101_that_nobody_asked_for_is_a_502() {
    let unnamed = SWITCHED.replace("Upgrade: websocket\r\n", "");
    let clear = SWITCHED.replace("websocket", "h2c");
    for (request, switched) in
        [(GET, SWITCHED), (UPGRADE, unnamed.as_str()), (UPGRADE, clear.as_str())]
    {
        on_every_wire(|| {
            let sim = Sim::with(&["a"], |plan| plan.access_log.format = LogFormat::Json);
            sim.server("a").answers(format!("{switched}evil"));
            let client = sim.client();
            client.sends(request).receives_status(502);
            assert!(sim.server("a").connection(0).is_dropped());
            sim.saw(&[("a", Outcome::Failed(Cause::Junk))]);
            assert!(sim.log().contains("switch_unasked"));
        });
    }
}

#[test]
fn nothing_is_written_behind_an_interim_answer_that_was_not_taken_whole() {
    let long = format!("HTTP/1.1 103 Early Hints\r\nLink: {}\r\n\r\n", "x".repeat(300));
    let head = "Host: h.test\r\nTransfer-Encoding: chunked\r\n\r\n";
    for method in ["POST", "PUT"] {
        let sim = Sim::new(&["a", "b"]);
        let client = sim.client();
        client.sends(format!("{method} / HTTP/1.1\r\n{head}")).stops_reading();
        sim.server("a").connection(0).sends(&long);
        client.sends("zz\r\n").reads_again().sees_the_end();
        let received = client.received();
        assert!(
            long.as_bytes().starts_with(&received),
            "{:?}",
            received.escape_ascii().to_string()
        );
        assert_eq!(sim.server("b").connections(), 0);
    }
}

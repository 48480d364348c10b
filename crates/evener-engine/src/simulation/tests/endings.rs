//! Who leaves when, and what becomes of the other side.

use evener_balance::Outcome;
use evener_plan::LogFormat;

use super::{GET, LAST_GET, OK, answered};
use crate::simulation::{Sim, on_every_wire};

const POST: &str = "POST / HTTP/1.1\r\nHost: h.test\r\nContent-Length: 1000\r\n\r\n";
const TOO_LARGE: &str = "HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n";

#[test]
fn an_answer_that_comes_before_the_body_has_passed_reaches_the_client() {
    on_every_wire(|| {
        let sim = Sim::new(&["a"]);
        let client = sim.client();
        client.sends(POST).sends("some of it");
        sim.server("a").connection(0).sends(format!("{TOO_LARGE}\r\n"));
        client.receives(format!("{TOO_LARGE}Connection: close\r\n\r\n")).sees_the_end();
        assert!(!client.is_dropped(), "what still comes is read");
        client.sends("more of it").ends();
        assert!(client.is_dropped() && !client.was_reset(), "the answer must arrive");
        assert_eq!(sim.kept(), 0);
        sim.saw(&[("a", answered(413))]);
    });
}

#[test]
fn an_answer_that_has_begun_goes_on_when_the_client_stops_sending() {
    let sim = Sim::with(&["a"], |plan| plan.listeners[0].timeouts.min_rate = 500);
    let client = sim.client();
    client.sends(POST).sends("some of it");
    let server = sim.server("a").connection(0);
    server.sends("HTTP/1.1 413 Content Too Large\r\nContent-Length: 50\r\n\r\n");
    for _ in 0..50 {
        sim.run_for(1_000);
        server.sends("x");
    }
    client.receives_status(413);
    sim.saw(&[("a", answered(413))]);
}

#[test]
fn a_server_that_answers_early_and_closes_has_answered() {
    on_every_wire(|| {
        let sim = Sim::new(&["a"]);
        let client = sim.client();
        client.sends(POST).sends("some of it");
        let server = sim.server("a").connection(0);
        server.sends(format!("{TOO_LARGE}\r\n")).closes();
        client.receives(format!("{TOO_LARGE}Connection: close\r\n\r\n"));
        client.sends("more of it").sees_the_end();
        sim.saw(&[("a", answered(413))]);
    });
}

#[test]
fn a_body_goes_on_while_its_answer_already_comes() {
    on_every_wire(|| {
        let sim = Sim::new(&["a"]);
        let client = sim.client();
        client.sends("POST / HTTP/1.1\r\nHost: h.test\r\nContent-Length: 4\r\n\r\n").sends("bo");
        let server = sim.server("a").connection(0);
        server.received();
        server.sends("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nBO");
        client.receives("HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\nBO");
        client.sends("dy");
        let all = server.received();
        assert!(all.ends_with(b"body") || all == b"dy");
        server.sends("DY");
        client.receives("DY").sees_the_end();
        sim.saw(&[("a", answered(200))]);
    });
}

#[test]
fn a_client_that_leaves_while_the_server_thinks_takes_the_server_connection_with_it() {
    on_every_wire(|| {
        let sim = Sim::with(&["a"], |plan| plan.access_log.format = LogFormat::Json);
        let client = sim.client();
        client.sends(GET).resets();
        assert!(sim.server("a").connection(0).is_dropped());
        assert_eq!((sim.in_flight("a"), sim.alive(), sim.kept()), (0, 0, 0));
        sim.saw(&[("a", Outcome::ClientGone)]);
        let log = sim.log();
        assert!(log.contains("499") && log.contains("client_gone"), "{log}");
        assert_eq!(log.lines().count(), 1);
    });
}

#[test]
fn a_client_that_leaves_in_the_middle_of_its_body_takes_the_server_connection_with_it() {
    for breaks in [true, false] {
        on_every_wire(|| {
            let sim = Sim::new(&["a"]);
            let client = sim.client();
            client.sends(POST).sends("some of it");
            if breaks {
                client.resets();
            } else {
                client.closes();
            }
            assert!(sim.server("a").connection(0).is_dropped());
            assert_eq!((sim.in_flight("a"), sim.alive(), sim.kept()), (0, 0, 0));
            sim.saw(&[("a", Outcome::ClientGone)]);
        });
    }
}

#[test]
fn a_client_that_leaves_in_the_middle_of_its_answer_takes_the_server_connection_with_it() {
    on_every_wire(|| {
        let sim = Sim::new(&["a"]);
        let client = sim.client();
        client.sends(GET);
        let server = sim.server("a").connection(0);
        server.sends("HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello");
        client.resets();
        assert!(server.is_dropped());
        assert_eq!((sim.in_flight("a"), sim.alive()), (0, 0));
        sim.saw(&[("a", Outcome::ClientGone)]);
    });
}

#[test]
fn a_client_that_leaves_in_the_middle_of_a_head_is_told_nothing() {
    on_every_wire(|| {
        let sim = Sim::new(&["a"]);
        let client = sim.client();
        client.sends("GET / HTTP/1.1\r\nHo").ends();
        client.receives_nothing();
        assert!(client.is_dropped());
        assert_eq!(sim.server("a").connections(), 0);
    });
}

#[test]
fn a_client_that_has_ended_its_side_gets_an_answer_that_comes_within_a_second() {
    on_every_wire(|| {
        let sim = Sim::new(&["a"]);
        let client = sim.client();
        client.sends(GET).ends();
        sim.run_for_less_than(1000);
        sim.server("a").connection(0).sends(OK);
        client.receives("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello");
        client.sees_the_end();
        sim.saw(&[("a", answered(200))]);
    });
}

#[test]
fn a_client_that_has_ended_its_side_is_gone_after_a_second() {
    on_every_wire(|| {
        let sim = Sim::new(&["a"]);
        let client = sim.client();
        client.sends(GET).ends();
        sim.run_for_less_than(1000);
        client.stays_connected();
        sim.run_for(100);
        client.receives_nothing().sees_the_end();
        assert!(sim.server("a").connection(0).is_dropped());
        sim.saw(&[("a", Outcome::ClientGone)]);
    });
}

#[test]
fn a_refusal_arrives_although_the_client_goes_on_sending() {
    on_every_wire(|| {
        let sim = Sim::new(&["a"]);
        let client = sim.client();
        client.sends("BAD\r\n\r\n").receives_status(400);
        client.sees_the_end().sends("x".repeat(500));
        assert!(!client.is_dropped(), "what still comes is read and dropped for a while");
        sim.run_for(2_000);
        assert!(client.is_dropped() && !client.was_reset());
    });
}

#[test]
fn more_than_a_buffer_is_read_and_dropped_behind_a_refusal() {
    let sim = Sim::new(&["a"]);
    let client = sim.client();
    client.sends("BAD\r\n\r\n").sends("x".repeat(100_000));
    assert!(!client.is_dropped());
    client.ends();
    assert!(client.is_dropped() && !client.was_reset());
}

#[test]
fn a_client_that_sends_for_ever_behind_a_refusal_is_left() {
    let sim = Sim::new(&["a"]);
    let client = sim.client();
    client.sends("BAD\r\n\r\n").sends("x".repeat(2 << 20));
    assert!(client.is_dropped());
}

#[test]
fn what_came_behind_the_last_request_does_not_destroy_its_answer() {
    for more in [1, 1000] {
        let sim = Sim::new(&["a"]);
        sim.server("a").answers(OK);
        let client = sim.client();
        client.sends(format!("{LAST_GET}{}", GET.repeat(more)));
        assert!(client.received().ends_with(b"Connection: close\r\n\r\nhello"));
        client.sees_the_end();
        assert!(!client.is_dropped(), "more may come");
        client.ends();
        assert!(client.is_dropped() && !client.was_reset(), "{more}");
        assert_eq!(sim.server("a").requests().len(), 1);
    }
}

#[test]
fn a_client_that_sent_no_more_than_its_last_request_is_not_waited_for() {
    on_every_wire(|| {
        let sim = Sim::new(&["a"]);
        sim.server("a").answers(OK);
        let client = sim.client();
        client.sends(LAST_GET).receives_status(200);
        assert!(client.is_dropped() && !client.was_reset());
    });
}

#[test]
fn what_is_read_and_dropped_is_bounded_from_the_answer_on() {
    let sim = Sim::new(&["a"]);
    let client = sim.client();
    client.sends("BAD\r\n\r\n").receives_status(400);
    for _ in 0..3 {
        sim.run_for_less_than(500);
        client.sends("x");
        assert!(!client.is_dropped());
    }
    sim.run_for(700);
    assert!(client.is_dropped());
}

#[test]
fn a_killed_server_costs_the_answer_in_hand_and_no_other() {
    on_every_wire(|| {
        let sim = Sim::new(&["a", "b"]);
        sim.server("b").answers(OK);
        let (one, other) = (sim.client(), sim.client());
        one.sends(GET);
        sim.server("a").connection(0).sends("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhal");
        sim.kill("a");
        one.sees_the_end();
        other.sends(GET).receives(OK);
        other.sends(GET).receives(OK);
        assert_eq!(sim.in_flight("a"), 0);
    });
}

#[test]
fn a_client_that_ends_in_the_middle_of_its_body_has_a_second_for_an_answer_that_has_begun() {
    let sim = Sim::new(&["a"]);
    let client = sim.client();
    client.sends("POST / HTTP/1.1\r\nHost: h.test\r\nContent-Length: 9\r\n\r\nhalf");
    sim.run_for(5_000);
    sim.server("a").connection(0).sends("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf");
    client.ends();
    sim.run_for_less_than(1_000);
    assert!(!client.is_dropped(), "it may still hear the rest");
    sim.run_for(200);
    assert!(client.is_dropped());
}

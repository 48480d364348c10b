//! Every wait and what ends it.

use evener_balance::{Cause, Outcome};
use evener_plan::RetryOn;

use super::{GET, OK, answered};
use crate::simulation::{Sim, on_every_wire};

const POST: &str = "POST / HTTP/1.1\r\nHost: h.test\r\nContent-Length: 100000\r\n\r\n";

#[test]
fn a_server_that_does_not_answer_is_a_504() {
    on_every_wire(|| {
        let sim = Sim::new(&["a", "b"]);
        let client = sim.client();
        client.sends(GET);
        sim.run_for_less_than(60_000);
        client.receives_nothing();
        sim.run_for(100);
        client.receives_status(504);
        client.stays_connected();
        assert!(sim.server("a").connection(0).is_dropped());
        sim.saw(&[("a", Outcome::Failed(Cause::ResponseTimeout))]);
    });
}

#[test]
fn with_timeout_in_the_list_the_next_server_is_asked() {
    on_every_wire(|| {
        let sim = Sim::with(&["a", "b"], |plan| plan.pools[0].retry.on.push(RetryOn::Timeout));
        sim.server("b").answers(OK);
        let client = sim.client();
        client.sends(GET);
        sim.run_for(60_000);
        client.receives(OK);
        sim.saw(&[("a", Outcome::Failed(Cause::ResponseTimeout)), ("b", answered(200))]);
    });
}

#[test]
fn what_a_server_took_before_it_failed_is_no_time_of_the_next_ones() {
    on_every_wire(|| {
        let sim = Sim::with(&["a", "b"], |plan| plan.pools[0].retry.on.push(RetryOn::Timeout));
        sim.server("b").answers(OK).hangs();
        let client = sim.client();
        client.sends(GET);
        sim.run_for(60_000);
        sim.run_for(4_000);
        sim.server("b").accepts();
        client.receives(OK);
        sim.saw(&[("a", Outcome::Failed(Cause::ResponseTimeout)), ("b", answered(200))]);
    });
}

#[test]
fn bytes_do_not_lengthen_the_time_of_an_answers_head() {
    let sim = Sim::new(&["a"]);
    let client = sim.client();
    client.sends(GET);
    let server = sim.server("a").connection(0);
    server.sends("HTTP/1.1 200 OK\r\nX: ");
    for _ in 0..5 {
        sim.run_for(10_000);
        server.sends("x");
    }
    client.receives_nothing();
    sim.run_for(10_100);
    client.receives_status(504);
}

#[test]
fn half_a_head_does_not_stop_the_clock_for_ever() {
    on_every_wire(|| {
        let sim = Sim::new(&["a"]);
        let client = sim.client();
        client.sends(GET);
        sim.server("a").connection(0).sends("HTTP/1.1 200 OK\r\nContent-");
        sim.run_for(60_000);
        client.receives_status(504);
    });
}

#[test]
fn an_answer_that_stalls_is_cut_visibly() {
    on_every_wire(|| {
        let sim = Sim::new(&["a"]);
        let client = sim.client();
        client.sends(GET);
        let part = "HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello";
        sim.server("a").connection(0).sends(part);
        client.receives(part);
        sim.run_for_less_than(60_000);
        client.stays_connected();
        sim.run_for(100);
        client.receives_nothing().sees_the_end();
        assert!(sim.server("a").connection(0).is_dropped());
        sim.saw(&[("a", Outcome::AnswerStalled)]);
    });
}

#[test]
fn a_server_that_has_begun_to_answer_is_not_late_while_the_client_still_sends() {
    let sim = Sim::new(&["a"]);
    let client = sim.client();
    client.sends(POST).sends("x");
    let server = sim.server("a").connection(0);
    server.sends("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf");
    for _ in 0..8 {
        sim.run_for(20_000);
        client.sends("x".repeat(10_000));
    }
    client.stays_connected();
    client.sends("x".repeat(19_999));
    sim.run_for_less_than(60_000);
    server.sends(" more");
    assert_eq!(client.receives_message().1, b"half more");
    sim.saw(&[("a", answered(200))]);
}

#[test]
fn who_has_neither_more_of_a_body_nor_of_an_answer_has_both_times_and_no_more() {
    for expects in ["", "Expect: 100-continue\r\n"] {
        let sim = Sim::new(&["a"]);
        let client = sim.client();
        let head = "POST / HTTP/1.1\r\nHost: h.test\r\nContent-Length: 9\r\n";
        client.sends(format!("{head}{expects}\r\n"));
        let server = sim.server("a").connection(0);
        server.sends("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf");
        let body = if expects.is_empty() { 30_000 } else { 0 };
        sim.run_for_less_than(body + 60_000);
        client.stays_connected();
        sim.run_for(300);
        client.sees_the_end();
        sim.saw(&[("a", Outcome::AnswerStalled)]);
    }
}

#[test]
fn an_answer_may_be_slow_while_it_moves() {
    let sim = Sim::new(&["a"]);
    let client = sim.client();
    client.sends(GET);
    let server = sim.server("a").connection(0);
    server.sends("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n");
    for byte in ["h", "e", "l", "l", "o"] {
        sim.run_for_less_than(60_000);
        server.sends(byte);
    }
    client.receives(OK).stays_connected();
    sim.saw(&[("a", answered(200))]);
}

#[test]
fn a_head_that_does_not_come_to_its_end_is_a_408() {
    on_every_wire(|| {
        let sim = Sim::new(&["a"]);
        let client = sim.client();
        client.sends("GET / HT");
        sim.run_for_less_than(10_000);
        client.receives_nothing();
        sim.run_for(100);
        client.receives_status(408);
        client.sees_the_end();
    });
}

#[test]
fn bytes_do_not_lengthen_the_time_of_a_head() {
    let sim = Sim::new(&["a"]);
    let client = sim.client();
    for byte in ["G", "E", "T", " ", "/"] {
        client.sends(byte);
        sim.run_for(1_900);
        client.receives_nothing();
    }
    sim.run_for(500);
    client.receives_status(408);
}

#[test]
fn a_client_that_never_says_a_byte_is_told_nothing() {
    let sim = Sim::new(&["a"]);
    let client = sim.client();
    sim.run_for(80_000);
    client.receives_nothing().sees_the_end();
}

#[test]
fn a_body_that_stops_is_a_408_and_says_nothing_of_the_server() {
    on_every_wire(|| {
        let sim = Sim::new(&["a"]);
        let client = sim.client();
        client.sends(POST).sends("abc");
        sim.run_for_less_than(30_000);
        client.receives_nothing();
        sim.run_for(100);
        client.receives_status(408);
        client.sees_the_end();
        assert!(sim.server("a").connection(0).is_dropped());
        sim.saw(&[("a", Outcome::ClientGone)]);
    });
}

#[test]
fn a_body_that_trickles_is_too_slow_after_a_while() {
    let sim = Sim::with(&["a"], |plan| plan.listeners[0].timeouts.min_rate = 500);
    let client = sim.client();
    client.sends(POST);
    for _ in 0..2 {
        sim.run_for(4_900);
        client.sends("abc").receives_nothing();
    }
    sim.run_for(4_900);
    client.sends("abc").receives_status(408);
    client.sees_the_end();
    sim.saw(&[("a", Outcome::ClientGone)]);
}

#[test]
fn an_answer_that_is_not_taken_ends_with_its_connection() {
    on_every_wire(|| {
        let sim = Sim::new(&["a"]);
        let client = sim.client();
        client.stops_reading().sends(GET);
        let server = sim.server("a").connection(0);
        server.sends("HTTP/1.1 200 OK\r\nContent-Length: 300\r\n\r\n").sends("x".repeat(200));
        sim.run_for_less_than(30_000);
        client.stays_connected();
        sim.run_for(200);
        client.sees_the_end();
        assert!(server.is_dropped());
        sim.saw(&[("a", Outcome::ClientGone)]);
    });
}

/// A listener that answers everything with a body of its own.
fn responds(body: String, min_rate: u64) -> Sim {
    Sim::with(&["a"], |plan| {
        let answer = serde_json::json!({"name": "all", "match": {"host": [], "path": [],
            "method": [], "header": [], "not": null}, "answer": {"respond": {"status": 200,
            "body": body, "type": "text/plain", "needs": null}}, "request_headers": null,
            "response_headers": null, "buffer": {"request": null, "response": null}});
        plan.listeners[0].routes.push(serde_json::from_value(answer).expect("a route"));
        plan.listeners[0].timeouts.min_rate = min_rate;
    })
}

#[test]
fn an_answer_of_ours_has_its_time_anew_with_each_piece_that_is_taken() {
    for (share, min_rate, whole) in [(100, 0, true), (100, 500, false), (0, 0, false)] {
        let sim = responds("x".repeat(1000), min_rate);
        let client = sim.client();
        client.stops_reading().sends(GET);
        for _ in 0..8 {
            sim.run_for_less_than(20_000);
            client.reads(share);
        }
        assert_eq!(client.taken() == 800, whole, "{min_rate} B/s, {share} at a time");
        client.reads_again();
        let received = client.received();
        assert_eq!(received.ends_with("x".repeat(1000).as_bytes()), whole);
    }
}

#[test]
fn an_answer_that_is_taken_too_slowly_ends_with_its_connection() {
    let sim = Sim::with(&["a"], |plan| plan.listeners[0].timeouts.min_rate = 500);
    let client = sim.client();
    client.stops_reading().sends(GET);
    let server = sim.server("a").connection(0);
    server.sends("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    let mut rounds = 0;
    while !client.is_ended() {
        // What is written in one go is judged when it has left, so each piece is a small one.
        server.sends("64\r\n").sends("x".repeat(100)).sends("\r\n");
        sim.run_for(2_000);
        client.reads(200);
        rounds += 1;
        assert!(rounds < 10, "it is never too slow");
    }
    assert!(rounds > 4, "the first ten seconds are free");
    sim.saw(&[("a", Outcome::ClientGone)]);
}

#[test]
fn a_server_that_does_not_take_the_request_is_a_504() {
    let sim = Sim::new(&["a"]);
    let client = sim.client();
    client.sends(POST);
    sim.server("a").connection(0).stops_reading();
    client.sends("x".repeat(50_000));
    sim.run_for_less_than(30_000);
    client.receives_nothing();
    sim.run_for(200);
    client.receives_status(504);
    client.sees_the_end();
    sim.saw(&[("a", Outcome::Failed(Cause::SendTimeout))]);
}

#[test]
fn a_server_that_does_not_accept_in_time_is_left_for_the_next_one() {
    let sim = Sim::new(&["a", "b"]);
    sim.server("a").hangs();
    sim.server("b").answers(OK);
    let client = sim.client();
    client.sends(GET);
    sim.run_for_less_than(5_000);
    client.receives_nothing();
    sim.run_for(200);
    client.receives(OK);
    sim.saw(&[("a", Outcome::Failed(Cause::ConnectTimeout)), ("b", answered(200))]);
}

/// Connections made for three requests, one every so many milliseconds, where answers say this.
fn connections(field: &str, pause: u64) -> usize {
    let sim = Sim::new(&["a"]);
    let answer = format!("HTTP/1.1 200 OK\r\n{field}Content-Length: 5\r\n\r\nhello");
    sim.server("a").answers(&answer);
    for _ in 0..3 {
        sim.client().sends(GET).received();
        sim.run_for(pause);
    }
    sim.server("a").connections()
}

#[test]
fn a_server_that_says_how_long_it_keeps_a_connection_is_believed_but_for_a_second() {
    let says = "Keep-Alive: timeout=5, max=100\r\n";
    assert_eq!((connections(says, 3_800), connections(says, 4_100)), (1, 3));
    assert_eq!((connections("", 3_800), connections("", 4_100)), (1, 1));
    assert_eq!(connections("Keep-Alive: max=9, TimeOut = \"5\"\r\n", 4_100), 3);
    assert_eq!(connections("Keep-Alive: timeout=1\r\n", 0), 3, "too short to be used again");
    assert_eq!(connections("Keep-Alive: timeout=99999999999999999999\r\n", 4_100), 1);
    assert_eq!(connections("Keep-Alive: timeout=99999\r\n", 61_000), 3, "idle is ours");
    assert_eq!(connections("Keep-Alive: x-timeout=1, timeout\r\n", 4_100), 1, "says nothing");
}

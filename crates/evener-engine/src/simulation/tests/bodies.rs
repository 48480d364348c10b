//! Bodies in both directions, in every framing.

use evener_balance::{Cause, Outcome};
use evener_plan::LogFormat;
use evener_stats::Kind;

use super::{GET, LAST_GET, OK, OURS, answered};
use crate::simulation::{Peer, Sim, on_every_wire, on_some_wires};

const POST: &str = "POST / HTTP/1.1\r\nHost: h.test\r\nContent-Length: 11\r\n\r\n";
const CHUNKED_POST: &str = "POST / HTTP/1.1\r\nHost: h.test\r\nTransfer-Encoding: chunked\r\n\r\n";
const CHUNKED_OK: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\
     5;ext=1\r\nhello\r\n6\r\n world\r\n0\r\nX-Trailer: 1\r\n\r\n";
const OPEN_OK: &str = "HTTP/1.1 200 OK\r\nX-A: b\r\n\r\nhello world";

#[test]
fn a_body_of_known_length_goes_on_as_it_is() {
    on_every_wire(|| {
        let sim = Sim::new(&["a"]);
        sim.server("a").answers(OK);
        let client = sim.client();
        client.sends(POST).sends("hello ").sends("world").receives(OK);
        let head = format!("POST / HTTP/1.1\r\nHost: h.test\r\nContent-Length: 11\r\n{OURS}");
        sim.server("a").received(format!("{head}hello world"));
        client.sends(format!("{POST}other words")).receives(OK).stays_connected();
        sim.server("a").received(format!("{head}other words"));
        assert_eq!(sim.kept(), 1);
    });
}

#[test]
fn a_chunked_body_goes_on_in_chunks_of_our_own_without_extensions_or_trailers() {
    on_every_wire(|| {
        let sim = Sim::new(&["a"]);
        sim.server("a").answers(OK);
        let client = sim.client();
        client.sends(CHUNKED_POST).sends("5;a=b\r\nhello\r\n").sends("6\r\n world\r\n0\r\n");
        client.receives_nothing().sends("X-Trailer: 1\r\n\r\n").receives(OK).stays_connected();
        let request = sim.server("a").requests().remove(0);
        let (head, body) = crate::simulation::parts(&request);
        assert_eq!(
            head,
            format!("POST / HTTP/1.1\r\nHost: h.test\r\nTransfer-Encoding: chunked\r\n{OURS}")
        );
        assert_eq!(body, b"hello world");
        let text = String::from_utf8(request).unwrap();
        assert!(!text.contains("a=b") && !text.contains("Trailer"), "{text}");
        sim.saw(&[("a", answered(200))]);
    });
}

#[test]
fn what_comes_together_is_one_chunk() {
    let sim = Sim::new(&["a"]);
    sim.server("a").answers(OK);
    let client = sim.client();
    client.sends(format!("{CHUNKED_POST}5\r\nhello\r\n1\r\n \r\n5\r\nworld\r\n0\r\n\r\n"));
    client.receives(OK);
    sim.server("a").received(format!(
        "POST / HTTP/1.1\r\nHost: h.test\r\nTransfer-Encoding: chunked\r\n{OURS}\
         b\r\nhello world\r\n0\r\n\r\n"
    ));
}

#[test]
fn a_chunked_answer_reaches_a_client_of_1_1_in_chunks() {
    on_every_wire(|| {
        let sim = Sim::new(&["a"]);
        sim.server("a").answers(CHUNKED_OK);
        let client = sim.client();
        let (head, body) = client.sends(GET).receives_message();
        assert_eq!(head, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        assert_eq!(body, b"hello world");
        client.stays_connected();
        assert_eq!(sim.kept(), 1);
    });
}

#[test]
fn a_chunked_answer_reaches_a_client_of_1_0_bare_and_ends_with_the_connection() {
    on_every_wire(|| {
        let sim = Sim::new(&["a"]);
        sim.server("a").answers(CHUNKED_OK);
        let client = sim.client();
        client.sends("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
        client.receives("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello world");
        client.sees_the_end();
        assert_eq!(sim.kept(), 1);
    });
}

#[test]
fn a_client_of_1_0_that_asks_for_a_head_learns_a_length_and_no_coding() {
    for (field, expected) in
        [("transfer-ENCODING: chunked\r\n", ""), ("Content-Length: 9\r\n", "Content-Length: 9\r\n")]
    {
        on_every_wire(|| {
            let sim = Sim::new(&["a"]);
            sim.server("a").answers(format!("HTTP/1.1 200 OK\r\nX-A: b\r\n{field}\r\n"));
            let client = sim.client();
            client.sends("HEAD / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
            client.receives(format!(
                "HTTP/1.1 200 OK\r\nX-A: b\r\n{expected}Connection: keep-alive\r\n\r\n"
            ));
            client.stays_connected();
        });
    }
}

#[test]
fn an_answer_that_ends_with_its_connection_reaches_a_client_of_1_1_in_chunks() {
    on_every_wire(|| {
        let sim = Sim::new(&["a"]);
        sim.server("a").answers_and_ends(OPEN_OK);
        let client = sim.client();
        let (head, body) = client.sends(GET).receives_message();
        assert_eq!(head, "HTTP/1.1 200 OK\r\nX-A: b\r\nTransfer-Encoding: chunked\r\n\r\n");
        assert_eq!(body, b"hello world");
        client.stays_connected();
        assert_eq!(sim.kept(), 0);
        sim.saw(&[("a", answered(200))]);
    });
}

#[test]
fn an_answer_that_ends_with_its_connection_reaches_a_client_of_1_0_as_it_is() {
    on_every_wire(|| {
        let sim = Sim::new(&["a"]);
        sim.server("a").answers_and_ends("HTTP/1.0 200 OK\r\n\r\nhello");
        let client = sim.client();
        client.sends("GET / HTTP/1.0\r\n\r\n");
        client.receives("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello").sees_the_end();
    });
}

#[test]
fn an_empty_answer_that_ends_with_its_connection_is_a_whole_message() {
    on_every_wire(|| {
        let sim = Sim::new(&["a"]);
        sim.server("a").answers_and_ends("HTTP/1.1 200 OK\r\n\r\n");
        let client = sim.client();
        let (head, body) = client.sends(GET).receives_message();
        assert_eq!(head, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        assert_eq!(body, b"");
        client.stays_connected();
    });
}

#[test]
fn a_close_that_the_server_announces_is_not_the_clients() {
    on_every_wire(|| {
        let sim = Sim::new(&["a"]);
        sim.server("a").answers_and_ends(
            "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi",
        );
        let client = sim.client();
        client.sends(GET).receives("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi");
        client.stays_connected();
        assert_eq!(sim.kept(), 0);
    });
}

#[test]
fn an_answer_that_breaks_off_is_cut_visibly() {
    for answer in [
        "HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
    ] {
        on_every_wire(|| {
            let sim = Sim::new(&["a"]);
            sim.server("a").answers_and_ends(answer);
            let client = sim.client();
            client.sends(LAST_GET).sees_the_end();
            let received = String::from_utf8(client.received()).unwrap();
            assert!(received.starts_with("HTTP/1.1 200 OK\r\n"), "{received:?}");
            assert!(!received.ends_with("\r\n0\r\n\r\n"), "{received:?}");
            sim.saw(&[("a", Outcome::AnswerCut)]);
        });
    }
}

#[test]
fn a_chunk_that_is_none_is_a_502_or_behind_the_head_a_visible_cut() {
    on_every_wire(|| {
        let sim = Sim::with(&["a"], |plan| plan.access_log.format = LogFormat::Json);
        sim.server("a")
            .answers("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nzz\r\n");
        let client = sim.client();
        client.sends(GET);
        let received = String::from_utf8(client.received()).unwrap();
        if received.starts_with("HTTP/1.1 200 ") {
            client.sees_the_end();
            assert!(!received.ends_with("\r\n0\r\n\r\n"), "{received:?}");
            sim.saw(&[("a", Outcome::AnswerCut)]);
        } else {
            assert!(received.starts_with("HTTP/1.1 502 "), "{received:?}");
            sim.saw(&[("a", Outcome::Failed(Cause::Junk))]);
        }
        let log = sim.log();
        assert!(log.contains("\"chunk_size\""), "{log}");
        assert!(sim.server("a").connection(0).is_dropped());
    });
}

#[test]
fn a_malformed_chunk_of_a_request_is_refused_and_its_server_connection_ends() {
    on_every_wire(|| {
        let sim = Sim::new(&["a"]);
        let client = sim.client();
        client.sends(CHUNKED_POST).sends("5\r\nhello\r\n").sends("zz\r\n");
        client.receives_status(400);
        assert_eq!(sim.counted(Kind::Listener, "evener_listener_malformed_total", "chunk_size"), 1);
        client.sees_the_end();
        assert!(sim.server("a").connection(0).is_dropped());
        sim.saw(&[("a", Outcome::ClientGone)]);
    });
}

#[test]
fn a_body_that_says_it_is_too_large_reaches_no_server() {
    on_every_wire(|| {
        let sim = Sim::with(&["a"], |plan| plan.listeners[0].http.max_body = Some(10));
        let client = sim.client();
        client.sends(POST).receives_status(413);
        client.sees_the_end().sends("hello world");
        assert!(!client.was_reset(), "the answer must arrive");
        assert_eq!(sim.server("a").connections(), 0);
    });
}

#[test]
fn a_body_that_becomes_too_large_is_refused_and_its_server_connection_ends() {
    on_every_wire(|| {
        let sim = Sim::with(&["a"], |plan| plan.listeners[0].http.max_body = Some(10));
        let client = sim.client();
        client.sends(CHUNKED_POST).sends("5\r\nhello\r\n").sends("6\r\n world\r\n");
        client.receives_status(413);
        client.sees_the_end();
        assert!(sim.server("a").connection(0).is_dropped());
        assert!(!client.was_reset());
        sim.saw(&[("a", Outcome::ClientGone)]);
    });
}

#[test]
fn large_bodies_pass_whole_in_both_directions() {
    on_some_wires(|| {
        let body: Vec<u8> = (0..100_000u32).map(|at| (at % 251) as u8).collect();
        let sim = Sim::new(&["a"]);
        let head = "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n";
        sim.server("a").answers([head.as_bytes(), &body].concat());
        let client = sim.client();
        let post = "POST / HTTP/1.1\r\nHost: h.test\r\nContent-Length: 100000\r\n\r\n";
        client.sends(post).sends(&body);
        assert!(client.received() == [head.as_bytes(), &body].concat());
        let request = sim.server("a").requests().remove(0);
        assert!(request.ends_with(&body) && request.len() < body.len() + 300);
        assert_eq!(sim.kept(), 1);
    });
}

#[test]
fn large_chunked_bodies_pass_whole_in_both_directions() {
    on_some_wires(|| {
        let chunk = format!("{:x}\r\n{}\r\n", 30_000, "x".repeat(30_000));
        let sim = Sim::new(&["a"]);
        let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        sim.server("a").answers(format!("{head}{}0\r\n\r\n", chunk.repeat(3)));
        let client = sim.client();
        client.sends(format!("{CHUNKED_POST}{}0\r\n\r\n", chunk.repeat(3)));
        let (_, body) = client.receives_message();
        assert!(body == vec![b'x'; 90_000]);
        let (_, body) = crate::simulation::parts(&sim.server("a").requests()[0]);
        assert!(body == vec![b'x'; 90_000]);
    });
}

#[test]
fn a_client_that_reads_slowly_stops_the_server_and_loses_nothing() {
    on_some_wires(|| {
        let body = "y".repeat(200_000);
        let sim = Sim::new(&["a"]);
        let client = sim.client();
        client.stops_reading().sends(GET);
        let server = sim.server("a").connection(0);
        server.sends("HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n").sends(&body);
        assert!(crate::io::buffers::lent() < 100_000, "not the whole answer");
        sim.run_for(20_000);
        client.reads_again();
        let received = client.received();
        assert!(received.ends_with(body.as_bytes()));
        assert_eq!(sim.kept(), 1);
    });
}

const EVIL: &str = "GET /evil HTTP/1.1\r\nHost: h.test\r\n\r\n";

/// A POST whose body looks like requests; its head and its body.
fn post_of_requests() -> (String, String) {
    let body = EVIL.repeat(20);
    let length = body.len();
    (format!("POST / HTTP/1.1\r\nHost: h.test\r\nContent-Length: {length}\r\n\r\n"), body)
}

#[test]
fn what_a_server_does_not_take_of_a_body_never_becomes_a_request() {
    type Ending = (&'static str, fn(&Peer), u64);
    let endings: [Ending; 3] = [
        ("an early answer", |server| _ = server.sends(OK), 0),
        ("an early end", |server| _ = server.ends(), 0),
        ("a time-out", |_| {}, 30_200),
    ];
    for (name, ending, wait) in endings {
        on_every_wire(|| {
            let sim = Sim::new(&["a", "b"]);
            sim.server("b").answers(OK);
            let client = sim.client();
            let (head, body) = post_of_requests();
            client.sends(head);
            let server = sim.server("a").connection(0);
            server.stops_reading();
            client.sends(body);
            ending(&server);
            sim.run_for(wait);
            let received = String::from_utf8(client.received()).unwrap();
            assert_eq!(received.matches("HTTP/1.1 ").count(), 1, "{name}: {received}");
            assert_eq!(sim.server("b").requests().len(), 0, "{name}");
            assert_eq!(sim.outcomes().len(), 1, "{name}");
        });
    }
}

#[test]
fn a_body_that_becomes_too_large_with_its_last_chunk_never_becomes_a_request() {
    on_every_wire(|| {
        let sim = Sim::with(&["a", "b"], |plan| plan.listeners[0].http.max_body = Some(20));
        sim.server("b").answers(OK);
        let client = sim.client();
        let chunk = format!("{:x}\r\n{EVIL}\r\n0\r\n\r\n", EVIL.len());
        client.sends(format!("{CHUNKED_POST}5\r\nhello\r\n")).sends(chunk).sends(EVIL);
        let received = String::from_utf8(client.received()).unwrap();
        assert!(received.starts_with("HTTP/1.1 413 "), "{received}");
        assert!(sim.server("b").requests().len() <= 1);
        if let Some(request) = sim.server("b").requests().first() {
            client.stays_connected();
            assert!(request.starts_with(b"GET /evil "), "the one that was a request");
        }
    });
}

#[test]
fn requests_behind_bodies_are_found_wherever_these_end() {
    on_every_wire(|| {
        let sim = Sim::new(&["a"]);
        sim.server("a").answers(OK);
        let client = sim.client();
        let chunked = format!("{CHUNKED_POST}5\r\nhello\r\n0\r\nX-Trailer: 1\r\n\r\n");
        client.sends(format!("{chunked}{POST}hello"));
        client.sends(format!(" world{chunked}{GET}"));
        client.receives(OK.repeat(4)).stays_connected();
        assert_eq!(sim.server("a").requests().len(), 4);
    });
}

#[test]
fn an_answer_without_a_length_that_is_reset_is_cut_visibly() {
    on_every_wire(|| {
        let sim = Sim::new(&["a"]);
        let client = sim.client();
        client.sends(GET);
        let server = sim.server("a").connection(0);
        server.sends(OPEN_OK).resets();
        client.sees_the_end();
        assert!(!client.received().ends_with(b"0\r\n\r\n"));
        sim.saw(&[("a", Outcome::AnswerCut)]);
    });
}

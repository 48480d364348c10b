//! What living servers do and are not punished for.

use super::{GET, OK, answered};
use crate::simulation::{Sim, on_every_wire};

/// What a client gets for an answer of the one server, and whether its connection is kept.
fn passes(answer: &[u8], received: &[u8], kept: bool) {
    on_every_wire(|| {
        let sim = Sim::new(&["a"]);
        sim.server("a").answers(answer);
        let client = sim.client();
        client.sends(GET).receives(received).stays_connected();
        assert_eq!(sim.kept(), usize::from(kept));
        assert_eq!(sim.outcomes().len(), 1);
    });
}

#[test]
fn status_lines_of_living_servers_go_on_as_they_should_be() {
    let rest = "\r\nContent-Length: 5\r\n\r\nhello";
    for (line, sent) in [
        ("HTTP/1.1 200", "HTTP/1.1 200 "),
        ("HTTP/1.1 200 ", "HTTP/1.1 200 "),
        ("HTTP/1.1 999 Odd", "HTTP/1.1 999 Odd"),
        ("HTTP/1.7 600 Odd", "HTTP/1.1 600 Odd"),
    ] {
        passes(format!("{line}{rest}").as_bytes(), format!("{sent}{rest}").as_bytes(), true);
    }
    let eight = b"HTTP/1.1 200 \xe4\xf6\xfc\r\nContent-Length: 0\r\n\r\n";
    passes(eight, eight, true);
}

#[test]
fn of_equal_lengths_one_goes_on() {
    passes(
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
        OK.as_bytes(),
        true,
    );
}

#[test]
fn blanks_behind_the_size_of_a_chunk_are_borne() {
    let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    on_every_wire(|| {
        let sim = Sim::new(&["a"]);
        sim.server("a").answers(format!("{head}5  \r\nhello\r\n0\t\r\n\r\n"));
        let client = sim.client();
        client.sends(GET);
        let (got, payload) = client.receives_message();
        assert_eq!((got.as_str(), payload.as_slice()), (head, &b"hello"[..]));
        assert_eq!(sim.kept(), 1);
    });
}

#[test]
fn a_status_without_a_body_that_declares_one_is_delivered_bare_and_its_connection_closed() {
    for status in ["204 No Content", "304 Not Modified"] {
        for field in ["Content-Length: 5\r\n", "Transfer-Encoding: chunked\r\n"] {
            let head = format!("HTTP/1.1 {status}\r\n");
            let answer = format!("{head}{field}\r\nhello");
            passes(answer.as_bytes(), format!("{head}\r\n").as_bytes(), false);
        }
    }
}

#[test]
fn an_empty_line_before_a_request_is_skipped_once() {
    on_every_wire(|| {
        let sim = Sim::new(&["a"]);
        sim.server("a").answers(OK);
        let client = sim.client();
        client.sends(format!("\r\n{GET}\r\n{GET}")).receives(format!("{OK}{OK}"));
        sim.saw(&[("a", answered(200)), ("a", answered(200))]);
        client.sends(format!("\r\n\r\n{GET}")).receives_status(400);
        client.sees_the_end();
    });
}

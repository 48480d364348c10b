//! The five seams of DESIGN.md §6, each with a test of its name.

use std::future::poll_fn;
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::task::Poll;

use evener_balance::{Cause, Outcome};

use super::{GET, OK, answered};
use crate::io::poller::within;
use crate::io::socket::Socket;
use crate::io::stream::Plain;
use crate::io::{Buffer, Stream};
use crate::simulation::{Sim, on_every_wire};

#[test]
fn unread_prefix_a_stream_gives_back_what_was_taken_to_look_at_it() {
    within(4, async |poller| {
        let (near, mut far) = UnixStream::pair().unwrap();
        near.set_nonblocking(true).unwrap();
        let mut plain = Plain::new(Socket::new(&poller, near.into()));
        plain.unread(Buffer::of(b"first "));
        let mut stream = Stream::Plain(plain);
        let mut inbox = Buffer::empty();
        let ready = poll_fn(|cx| Poll::Ready(stream.poll_readable(cx).is_ready())).await;
        assert!(ready, "the prefix is there, whatever the socket has");
        while inbox.len() < 12 {
            poll_fn(|cx| stream.poll_readable(cx)).await.unwrap();
            poll_fn(|cx| stream.poll_read(cx, &mut inbox)).await.unwrap();
            if inbox.len() == 6 {
                far.write_all(b"behind").unwrap();
            }
        }
        assert_eq!(inbox.bytes(), b"first behind");
    });
}

#[test]
fn lease_a_server_is_in_flight_from_the_pick_to_the_end_of_the_try_and_no_longer() {
    on_every_wire(|| {
        let sim = Sim::new(&["a", "b"]);
        let (one, other, third) = (sim.client(), sim.client(), sim.client());
        one.sends(GET);
        other.sends(GET);
        third.sends(GET);
        assert_eq!((sim.in_flight("a"), sim.in_flight("b")), (2, 1));
        sim.server("a").connection(0).sends(OK);
        assert_eq!((sim.in_flight("a"), sim.in_flight("b")), (1, 1));
        other.resets();
        assert_eq!((sim.in_flight("a"), sim.in_flight("b")), (1, 0));
        // The next server takes over what the dead one had.
        sim.server("b").answers(OK);
        sim.kill("a");
        third.receives(OK);
        assert_eq!((sim.in_flight("a"), sim.in_flight("b")), (0, 0));
    });
}

#[test]
fn lease_it_ends_with_the_servers_part_before_the_client_has_the_end() {
    let sim = Sim::with(&["a"], |plan| plan.pools[0].buffer.response = 0);
    let client = sim.client();
    client.stops_reading().sends(GET);
    assert_eq!((sim.in_flight("a"), sim.outcomes().len()), (1, 0));
    sim.server("a").connection(0).sends(OK);
    assert_eq!((sim.in_flight("a"), client.taken()), (0, 0));
    sim.saw(&[("a", answered(200))]);
    // What the client does then is not the server's.
    client.resets();
    sim.saw(&[]);
}

#[test]
fn outcome_one_is_made_for_every_try_and_one_log_line_for_every_exchange() {
    on_every_wire(|| {
        let sim = Sim::with(&["a", "b"], |plan| {
            plan.access_log.format = evener_plan::LogFormat::Json;
        });
        sim.server("a").answers_and_ends("");
        sim.server("b").answers(OK);
        let client = sim.client();
        client.sends(GET).receives(OK);
        sim.saw(&[("a", Outcome::Failed(Cause::Reset)), ("b", answered(200))]);
        let log = sim.log();
        assert_eq!(log.lines().count(), 1, "{log}");
        assert!(log.contains("tries\":2") && log.contains("server\":\"b\""), "{log}");
    });
}

#[test]
fn pinned_plan_an_exchange_ends_under_the_plan_it_began_with() {
    on_every_wire(|| {
        let sim = Sim::new(&["a"]);
        let client = sim.client();
        client.sends(GET);
        sim.reload(|plan| {
            plan.pools[0].servers[0].id = "b".to_owned();
            plan.pools[0].servers[0].address = "192.0.2.2:80".to_owned();
            plan.pools[0].timeouts.response = 1;
            plan.listeners[0].http.max_head = 10;
        });
        sim.run_for(5_000);
        sim.server("a").connection(0).sends(OK);
        client.receives(OK).stays_connected();
        sim.saw(&[("a", answered(200))]);
        client.sends(GET).receives_status(414);
        client.sees_the_end();
    });
}

#[test]
fn pinned_plan_the_next_request_of_a_connection_obeys_the_new_one() {
    on_every_wire(|| {
        let sim = Sim::new(&["a"]);
        sim.server("a").answers(OK);
        sim.server("b").answers(OK);
        let client = sim.client();
        client.sends(GET).receives(OK);
        sim.reload(|plan| {
            plan.pools[0].servers[0].id = "b".to_owned();
            plan.pools[0].servers[0].address = "192.0.2.2:80".to_owned();
        });
        client.sends(GET).receives(OK);
        sim.saw(&[("a", answered(200)), ("b", answered(200))]);
    });
}

/// A conversation with everything in it, up to a point: what happens there is the test's.
fn converse(up_to: usize, then: impl Fn(&Sim)) -> bool {
    let sim = Sim::new(&["a", "b"]);
    let client = sim.client();
    let script: [(&str, &[u8]); 8] = [
        ("client", b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"),
        ("client", b"3\r\nabc\r\n0\r\n\r\n"),
        ("server", b"HTTP/1.1 103 Early Hints\r\n\r\n"),
        ("server", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
        ("server", b"3\r\nabc\r\n0\r\n\r\n"),
        ("client", b"GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n"),
        ("other", b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n"),
        ("client", b"tunnelled"),
    ];
    let mut left = up_to;
    for (who, bytes) in script {
        let now = &bytes[..left.min(bytes.len())];
        left -= now.len();
        match who {
            _ if now.is_empty() => {}
            "client" => _ = client.sends(now),
            "server" => _ = sim.server("a").connection(0).sends(now),
            _ => _ = sim.server("b").connection(0).sends(now),
        }
    }
    then(&sim);
    left > 0
}

#[test]
fn cancellation_peers_that_freeze_at_any_byte_are_left_within_bounds() {
    // What is checked stands in the simulation's own end.
    let whole = (0..).find(|up_to| converse(*up_to, |_| {}));
    assert!(whole.is_some_and(|bytes| bytes > 250));
}

#[test]
fn cancellation_whatever_is_dropped_at_any_byte_gives_everything_back() {
    let dropped = |sim: &Sim| {
        sim.cancel();
        assert_eq!((sim.in_flight("a"), sim.in_flight("b")), (0, 0));
    };
    let whole = (0..).find(|up_to| converse(*up_to, dropped));
    assert!(whole.is_some_and(|bytes| bytes > 250));
}

#[test]
fn cancellation_peers_that_stop_reading_at_any_byte_are_left_within_bounds() {
    let stuck = |up_to: usize| {
        converse(up_to, |sim| {
            for name in ["a", "b"] {
                for index in 0..sim.server(name).connections() {
                    sim.server(name).connection(index).stops_reading();
                }
            }
            let client = sim.client();
            client.stops_reading().sends(GET.repeat(100));
        })
    };
    let whole = (0..).find(|up_to| stuck(*up_to));
    assert!(whole.is_some_and(|bytes| bytes > 250));
}

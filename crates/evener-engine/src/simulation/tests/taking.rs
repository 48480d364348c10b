//! What is taken in so that slow clients hold no server.

use evener_balance::{Cause, Outcome};
use evener_stats::Kind;

use super::{GET, LAST_GET, OK, answered, forwarded};
use crate::io::buffers::{self, Size};
use crate::simulation::{Sim, on_every_wire};

const PUT: &str = "PUT / HTTP/1.1\r\nHost: h.test\r\nContent-Length: 10\r\n\r\n";

/// A pool that takes in so much of a request and of an answer.
fn taking(servers: &[&str], request: u64, response: u64) -> Sim {
    Sim::with(servers, |plan| {
        plan.pools[0].buffer = evener_plan::Buffer { request, response };
    })
}

fn answer(count: usize) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {count}\r\n\r\n{}", "x".repeat(count))
}

#[test]
fn no_server_is_held_before_a_body_is_whole() {
    on_every_wire(|| {
        let sim = taking(&["a"], 1000, 0);
        sim.server("a").answers(OK);
        let client = sim.client();
        client.sends(PUT).sends("01234");
        sim.run_for(20_000);
        assert_eq!((sim.server("a").connections(), sim.in_flight("a")), (0, 0));
        client.sends("56789").sends(GET);
        let got = sim.server("a").requests();
        assert_eq!(got.len(), 2, "what came behind the body is the next request");
        let whole = format!("{}0123456789", forwarded(PUT));
        assert_eq!(String::from_utf8_lossy(&got[0]), whole);
        client.receives(format!("{OK}{OK}"));
    });
}

#[test]
fn chunks_are_taken_in_and_go_on_as_chunks() {
    on_every_wire(|| {
        let sim = taking(&["a"], 1000, 0);
        sim.server("a").answers(OK);
        let head = "PUT / HTTP/1.1\r\nHost: h.test\r\nTransfer-Encoding: chunked\r\n\r\n";
        let client = sim.client();
        client.sends(head).sends("1\r\na\r\n2;x=y\r\nbc\r\n");
        assert_eq!(sim.server("a").connections(), 0);
        client.sends("0\r\n\r\n");
        let got = String::from_utf8(sim.server("a").requests().remove(0)).unwrap();
        let (head, body) = got.split_once("\r\n\r\n").unwrap();
        assert!(head.contains("Transfer-Encoding: chunked"));
        let sizes = body.split("\r\n").step_by(2);
        let sum: usize = sizes.filter_map(|size| usize::from_str_radix(size, 16).ok()).sum();
        assert!(sum == 3 && body.ends_with("0\r\n\r\n"), "{body:?}");
        client.receives(OK);
    });
}

#[test]
fn a_longer_body_goes_on_as_it_comes_once_so_much_is_there() {
    on_every_wire(|| {
        let sim = taking(&["a"], 4, 0);
        sim.server("a").answers(OK);
        let client = sim.client();
        client.sends(PUT).sends("012");
        assert_eq!(sim.server("a").connections(), 0);
        client.sends("34");
        assert_eq!(sim.server("a").connections(), 1);
        client.sends("56789");
        sim.server("a").received(format!("{}0123456789", forwarded(PUT)));
        client.receives(OK);
        sim.saw(&[("a", answered(200))]);
    });
}

#[test]
fn who_waits_for_a_word_gets_ours_and_the_servers_is_dropped() {
    on_every_wire(|| {
        let sim = taking(&["a"], 1000, 0);
        let client = sim.client();
        let head =
            "PUT / HTTP/1.1\r\nHost: h.test\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n";
        client.sends(head);
        client.receives("HTTP/1.1 100 Continue\r\n\r\n");
        assert_eq!(sim.server("a").connections(), 0);
        client.sends("ab");
        sim.server("a").connection(0).sends(format!("HTTP/1.1 100 Continue\r\n\r\n{OK}"));
        client.receives(OK);
    });
}

#[test]
fn a_body_that_was_taken_in_is_sent_again_and_one_that_passed_is_not() {
    on_every_wire(|| {
        for (most, status) in [(1000, 200), (4, 502)] {
            let sim = taking(&["a", "b"], most, 0);
            sim.server("b").answers(OK);
            let client = sim.client();
            client.sends(PUT).sends("01234");
            client.sends("56789");
            sim.server("a").connection(0).resets();
            client.receives_status(status);
            if status == 200 {
                sim.server("b").received(format!("{}0123456789", forwarded(PUT)));
                sim.saw(&[("a", Outcome::Failed(Cause::Reset)), ("b", answered(200))]);
            }
        }
    });
}

#[test]
fn a_server_that_takes_some_of_a_body_now_and_then_has_its_time_and_one_that_takes_none_has_not() {
    for (share, status) in [(100, 200), (0, 504)] {
        let sim = taking(&["a"], 1000, 0);
        sim.server("a").answers(OK);
        let client = sim.client();
        client.sends(GET).receives(OK);
        let server = sim.server("a").connection(0);
        let before = server.stops_reading().taken();
        client.sends("PUT / HTTP/1.1\r\nHost: h.test\r\nContent-Length: 900\r\n\r\n");
        client.sends("x".repeat(900));
        for _ in 0..8 {
            sim.run_for_less_than(20_000);
            server.reads(share);
        }
        assert_eq!(server.taken(), before + share * 8);
        server.reads_again();
        client.receives_status(status);
    }
}

#[test]
fn a_body_that_stops_coming_is_408_and_was_nobodys_fault() {
    on_every_wire(|| {
        let sim = taking(&["a"], 1000, 0);
        let client = sim.client();
        client.sends(PUT).sends("012");
        sim.run_for_less_than(30_000);
        client.receives_nothing();
        sim.run_for(100);
        client.receives_status(408);
        sim.saw(&[]);
        assert_eq!(sim.server("a").connections(), 0);
    });
}

#[test]
fn a_route_says_otherwise_than_its_pool() {
    on_every_wire(|| {
        let sim = Sim::with(&["a"], |plan| {
            let route = serde_json::json!({"name": "r", "answer": {"pool": "app"},
                "match": {"host": [], "path": [], "method": [], "header": [], "not": null},
                "buffer": {"request": 1000, "response": null}});
            plan.listeners[0].routes.push(serde_json::from_value(route).unwrap());
        });
        sim.server("a").answers(OK);
        let client = sim.client();
        client.sends(PUT).sends("01234");
        assert_eq!(sim.server("a").connections(), 0);
        client.sends("56789");
        client.receives(OK);
    });
}

#[test]
fn a_server_whose_answer_is_there_is_free_however_slow_the_client() {
    on_every_wire(|| {
        let sim = taking(&["a"], 0, 65_536);
        let client = sim.client();
        client.stops_reading();
        client.sends(GET);
        let whole = answer(1_000);
        sim.server("a").connection(0).sends(&whole);
        assert_eq!((sim.in_flight("a"), sim.kept()), (0, 1));
        sim.saw(&[("a", answered(200))]);
        let other = sim.client();
        other.sends(GET);
        assert_eq!(sim.server("a").connections(), 1, "its connection serves others");
        sim.server("a").connection(0).sends(OK);
        other.receives(OK);
        client.reads_again();
        client.receives(whole);
        client.sends(GET);
        sim.server("a").connection(0).sends(OK);
        client.receives(OK);
    });
}

#[test]
fn an_answer_that_comes_in_pieces_is_taken_in_up_to_its_bound_and_no_further() {
    on_every_wire(|| {
        let sim = taking(&["a"], 0, 1000);
        let client = sim.client();
        client.stops_reading();
        client.sends(GET);
        let server = sim.server("a").connection(0);
        let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        server.sends(head);
        for _ in 0..20 {
            server.sends("4\r\nabcd\r\n");
        }
        assert_eq!(sim.in_flight("a"), 1);
        server.sends("0\r\n\r\n");
        assert_eq!((sim.in_flight("a"), sim.kept()), (0, 1));
        client.reads_again();
        let (_, payload) = client.receives_message();
        assert_eq!(payload, b"abcd".repeat(20));
    });
}

#[test]
fn an_answer_beyond_the_bound_holds_its_server_until_the_client_has_read() {
    let sim = taking(&["a"], 0, 1000);
    let client = sim.client();
    client.stops_reading();
    client.sends(GET);
    let whole = answer(200_000);
    sim.server("a").connection(0).sends(&whole);
    assert_eq!((sim.in_flight("a"), sim.kept()), (1, 0));
    client.reads_again();
    client.receives(whole);
    assert_eq!((sim.in_flight("a"), sim.kept()), (0, 1));
}

#[test]
fn an_answer_whose_server_breaks_while_the_client_is_slow_is_cut_behind_what_came() {
    on_every_wire(|| {
        let sim = taking(&["a"], 0, 65_536);
        let client = sim.client();
        client.stops_reading();
        client.sends(LAST_GET);
        let server = sim.server("a").connection(0);
        server.sends(format!("HTTP/1.1 200 OK\r\n\r\n{}", "h".repeat(200)));
        server.resets();
        client.reads_again();
        client.sees_the_end();
        let received = String::from_utf8(client.received()).unwrap();
        assert!(!received.contains("0\r\n\r\n"), "the end of the message is missing: {received}");
        sim.saw(&[("a", Outcome::AnswerCut)]);
    });
}

#[test]
fn an_answer_that_its_connections_end_ends_is_whole_for_a_slow_client() {
    on_every_wire(|| {
        let sim = taking(&["a"], 0, 65_536);
        let client = sim.client();
        client.stops_reading();
        client.sends(GET);
        let server = sim.server("a").connection(0);
        server.sends(format!("HTTP/1.1 200 OK\r\n\r\n{}", "a".repeat(200)));
        server.ends();
        assert_eq!(sim.in_flight("a"), 0, "its server is free");
        client.reads_again();
        assert_eq!(client.receives_message().1, [b'a'; 200]);
        client.stays_connected();
        sim.saw(&[("a", answered(200))]);
    });
}

#[test]
fn a_client_that_takes_some_now_and_then_has_its_time_and_one_that_takes_none_has_not() {
    on_every_wire(|| {
        for takes in [true, false] {
            let sim = taking(&["a"], 0, 65_536);
            let client = sim.client();
            client.stops_reading();
            client.sends(GET);
            sim.server("a").connection(0).sends(answer(1_000));
            for _ in 0..4 {
                sim.run_for(20_000);
                if takes {
                    client.reads(100);
                }
            }
            assert_eq!(client.is_dropped(), !takes);
            if takes {
                client.reads_again();
                client.receives(answer(1_000));
            }
        }
    });
}

#[test]
fn what_a_server_sends_is_no_progress_of_a_client_that_takes_nothing() {
    on_every_wire(|| {
        let sim = taking(&["a"], 0, 65_536);
        let client = sim.client();
        client.stops_reading();
        client.sends(GET);
        let server = sim.server("a").connection(0);
        server.sends("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n").sends("x".repeat(100));
        for _ in 0..5 {
            sim.run_for(7_000);
            server.sends("x");
        }
        assert!(client.is_dropped());
        assert_eq!(sim.in_flight("a"), 0);
    });
}

#[test]
fn a_client_that_drips_its_answer_is_cut_by_min_rate() {
    let sim = Sim::with(&["a"], |plan| plan.listeners[0].timeouts.min_rate = 500);
    let client = sim.client();
    client.stops_reading().sends(GET);
    sim.server("a").connection(0).sends(answer(6_000));
    let mut seconds = 0;
    while !client.is_dropped() {
        sim.run_for(1_000);
        client.reads(1);
        seconds += 1;
        assert!(seconds < 20, "it is never too slow");
    }
    assert!(seconds > 8, "the first ten seconds are free");
}

#[test]
fn a_client_is_judged_by_what_it_takes_and_not_by_what_its_kernel_does() {
    for (min_rate, seconds) in [(2, 11), (0, 30)] {
        let sim = Sim::with(&["a"], |plan| plan.listeners[0].timeouts.min_rate = min_rate);
        let client = sim.client();
        client.stops_reading().sends(GET);
        sim.server("a").connection(0).sends(answer(6_000));
        sim.run_for((seconds - 1) * 1000);
        assert!(!client.is_dropped(), "100 bytes are on their way, and there is time");
        sim.run_for(1_200);
        assert!(client.is_dropped(), "it took nothing");
    }
}

#[test]
fn a_server_that_thinks_for_long_is_no_slow_client() {
    let sim = taking(&["a"], 0, 65_536);
    let client = sim.client();
    client.stops_reading().sends(GET);
    let server = sim.server("a").connection(0);
    // The first wait is too short for a look, and the second is for as much: nothing else than that it
    // begins tells it from the first.
    let head =
        "HTTP/1.1 200 OK\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Length: 923\r\n\r\n";
    server.sends(head).sends("x".repeat(500 - head.len()));
    sim.run_for(500);
    client.reads_again();
    sim.run_for(50_000);
    client.stops_reading();
    server.sends("x".repeat(500));
    sim.run_for(20_000);
    assert!(!client.is_dropped(), "it is waited for anew");
    client.reads_again();
    assert_eq!(client.receives_message().1, [b'x'; 923]);
}

/// Times that there was no room to take an answer in.
fn held_back(sim: &Sim) -> u64 {
    sim.counted(Kind::Pool, "evener_pool_taken_in_total", "answer_no_room")
}

#[test]
fn without_room_what_was_read_is_all_that_is_held_and_the_answer_comes_whole() {
    on_every_wire(|| {
        let sim = taking(&["a"], 0, 65_536);
        let others = sim.fill_room();
        let client = sim.client();
        client.stops_reading();
        client.sends(GET);
        let server = sim.server("a").connection(0);
        server.sends("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        for _ in 0..20 {
            server.sends("4\r\nabcd\r\n");
        }
        // The request's, and a small one where a chunk's first bytes came without the rest.
        assert!(buffers::lent() <= 2 * Size::Small.bytes());
        server.sends("0\r\n\r\n");
        assert_eq!(sim.in_flight("a"), 1, "its server waits");
        client.reads_again();
        assert_eq!(client.receives_message().1, b"abcd".repeat(20));
        assert_eq!((sim.in_flight("a"), sim.kept()), (0, 1));
        drop(others);
    });
}

#[test]
fn without_room_an_answer_is_read_as_its_client_takes_it_and_with_room_again_ahead() {
    let sim = taking(&["a"], 0, 65_536);
    let others = sim.fill_room();
    let client = sim.client();
    client.stops_reading();
    client.sends(GET);
    let (head, body) = ("HTTP/1.1 200 OK\r\nContent-Length: 300000\r\n\r\n", "x".repeat(300_000));
    let server = sim.server("a").connection(0);
    server.sends(head).sends(&body);
    assert_eq!(held_back(&sim), 1);
    client.reads(100);
    assert_eq!(held_back(&sim), 1, "what is kept is not kept again");
    let whole = head.len() + body.len();
    while client.taken() < 200_000 {
        client.reads(100);
        assert!(buffers::lent() <= 2 * Size::Small.bytes());
        let ahead = whole - server.unread() - client.taken();
        assert!(ahead <= Size::Small.bytes() + 200, "{ahead} bytes are held");
    }
    drop(others);
    client.reads(17_000);
    assert!(sim.in_flight("a") == 1);
    client.reads_again();
    client.receives(format!("{head}{body}"));
    assert_eq!((sim.in_flight("a"), sim.kept()), (0, 1));
}

#[test]
fn who_takes_nothing_without_room_has_no_more_time() {
    let sim = taking(&["a"], 0, 65_536);
    let _others = sim.fill_room();
    let client = sim.client();
    client.stops_reading();
    client.sends(GET);
    sim.server("a").connection(0).sends(answer(200_000));
    sim.run_for_less_than(30_000);
    assert!(!client.is_dropped());
    sim.run_for(100);
    assert!(client.is_dropped());
    assert_eq!(sim.in_flight("a"), 0);
}

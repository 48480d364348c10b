//! Requests and answers as they mostly are.

use super::{GET, LAST_GET, OK, OURS, answered, forwarded};
use crate::simulation::{Sim, on_every_wire, on_some_wires};

#[test]
fn a_get_goes_to_a_server_and_its_answer_comes_back_as_it_is() {
    on_every_wire(|| {
        let request = "GET /a?b HTTP/1.1\r\nHost: h.test\r\nAccept: */*\r\n\r\n";
        let answer = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-A: b\r\n\r\nhello";
        let sim = Sim::new(&["a"]);
        sim.server("a").answers(answer);
        let client = sim.client();
        client.sends(request).receives(answer).stays_connected();
        sim.server("a").received(forwarded(request));
        sim.saw(&[("a", answered(200))]);
        assert_eq!((sim.in_flight("a"), sim.kept()), (0, 1));
    });
}

#[test]
fn a_connection_to_a_server_carries_one_request_after_another() {
    on_every_wire(|| {
        let sim = Sim::new(&["a"]);
        sim.server("a").answers(OK);
        let client = sim.client();
        client.sends(GET).receives(OK);
        client.sends(GET).receives(OK);
        sim.client().sends(GET).receives(OK);
        assert_eq!((sim.server("a").connections(), sim.kept()), (1, 1));
    });
}

#[test]
fn pipelined_requests_are_answered_in_their_order() {
    on_every_wire(|| {
        let sim = Sim::new(&["a", "b"]);
        sim.server("a").answers("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n1");
        sim.server("a").answers("HTTP/1.1 404 Not Found\r\nContent-Length: 1\r\n\r\n3");
        sim.server("b").answers("HTTP/1.1 201 Created\r\nContent-Length: 1\r\n\r\n2");
        let post = "POST / HTTP/1.1\r\nHost: h.test\r\nContent-Length: 4\r\n\r\nbody";
        let client = sim.client();
        client.sends([GET, post, LAST_GET].concat());
        client.receives(
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n1\
             HTTP/1.1 201 Created\r\nContent-Length: 1\r\n\r\n2\
             HTTP/1.1 404 Not Found\r\nContent-Length: 1\r\nConnection: close\r\n\r\n3",
        );
        client.sees_the_end();
        sim.server("b").received(format!(
            "POST / HTTP/1.1\r\nHost: h.test\r\nContent-Length: 4\r\n{OURS}body"
        ));
        sim.saw(&[("a", answered(200)), ("b", answered(201)), ("a", answered(404))]);
    });
}

#[test]
fn an_empty_line_behind_a_body_is_no_request_that_is_late() {
    on_every_wire(|| {
        let sim = Sim::new(&["a"]);
        sim.server("a").answers(OK);
        let client = sim.client();
        client.sends("POST / HTTP/1.1\r\nHost: h.test\r\nContent-Length: 2\r\n\r\nhi\r\n");
        client.receives(OK);
        sim.run_for(60_000);
        client.receives_nothing().sees_the_end();
    });
}

#[test]
fn a_rule_on_the_host_field_sees_the_one_that_goes_on() {
    on_every_wire(|| {
        let sim = Sim::with(&["a"], |plan| {
            let route = serde_json::json!({"name": "r",
                "match": {"host": [], "path": [], "method": [], "not": null,
                    "header": [{"name": "host", "value": {"any_of": ["b.test"]}}]},
                "answer": {"respond": {"status": 204, "body": "", "type": "", "needs": null}},
                "buffer": {"request": null, "response": null}});
            plan.listeners[0].routes.push(serde_json::from_value(route).unwrap());
        });
        sim.server("a").answers(OK);
        let ask = |target: &str, host: &str| {
            let client = sim.client();
            client.sends(format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n"));
            String::from_utf8(client.received()).unwrap()
        };
        assert!(ask("http://a.test/", "b.test").contains(" 200 "));
        assert!(ask("http://b.test/", "a.test").contains(" 204 "));
        assert!(ask("/", "b.test").contains(" 204 "));
    });
}

#[test]
fn a_redirect_has_a_host_or_is_refused() {
    on_every_wire(|| {
        let sim = Sim::with(&["a"], |plan| {
            let to = serde_json::json!({"to": "https://{host}{uri}", "status": null});
            plan.listeners[0].redirect = serde_json::from_value(to).unwrap();
        });
        let ask = |request: &str| {
            let client = sim.client();
            client.sends(request);
            String::from_utf8(client.received()).unwrap()
        };
        assert!(ask("GET /x?y HTTP/1.0\r\n\r\n").contains(" 400 "));
        assert!(ask("GET //e.test/ HTTP/1.0\r\n\r\n").contains(" 400 "));
        let found = ask("GET /x?y HTTP/1.1\r\nHost: h.test:80\r\n\r\n");
        assert!(found.contains("Location: https://h.test/x?y\r\n"), "{found}");
        let about_us = ask("OPTIONS * HTTP/1.1\r\nHost: h.test\r\n\r\n");
        assert!(about_us.contains(" 200 ") && !about_us.contains("Location"), "{about_us}");
    });
}

#[test]
fn answers_without_a_body_end_with_their_head_whatever_they_declare() {
    on_every_wire(|| {
        let sim = Sim::new(&["a"]);
        let head = "HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n";
        sim.server("a").answers(head).answers("HTTP/1.1 204 No Content\r\n\r\n");
        sim.server("a").answers("HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\n\r\n").answers(OK);
        let client = sim.client();
        client.sends("HEAD / HTTP/1.1\r\nHost: h.test\r\n\r\n").receives(head);
        client.sends(GET).receives("HTTP/1.1 204 No Content\r\n\r\n");
        client.sends(GET).receives("HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\n\r\n");
        client.sends(GET).receives(OK);
        assert_eq!(sim.server("a").connections(), 1);
    });
}

#[test]
fn a_304_that_declares_a_length_loses_it_and_its_connection() {
    on_every_wire(|| {
        let sim = Sim::new(&["a"]);
        sim.server("a").answers("HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n");
        sim.client().sends(GET).receives("HTTP/1.1 304 Not Modified\r\n\r\n");
        assert_eq!(sim.kept(), 0);
    });
}

#[test]
fn a_client_of_1_0_is_told_whether_its_connection_goes_on() {
    on_every_wire(|| {
        let sim = Sim::new(&["a"]);
        sim.server("a").answers(OK);
        let client = sim.client();
        client.sends("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
        client.receives(
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: keep-alive\r\n\r\nhello",
        );
        sim.server("a").received(
            "GET / HTTP/1.1\r\nHost: app.test:80\r\nX-Forwarded-For: 192.0.2.200\r\n\
             X-Forwarded-Proto: http\r\n\r\n",
        );
        client.stays_connected().sends("GET / HTTP/1.0\r\n\r\n");
        client.receives("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello");
        client.sees_the_end();
    });
}

#[test]
fn fields_of_one_connection_end_here_in_both_directions() {
    on_every_wire(|| {
        let sim = Sim::new(&["a"]);
        sim.server("a").answers(
            "HTTP/1.1 200 OK\r\nConnection: x-hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\n\
             Content-Length: 0\r\nX-End: 2\r\n\r\n",
        );
        let client = sim.client();
        client.sends(
            "GET / HTTP/1.1\r\nConnection: x-mine, keep-alive\r\nHost: h.test\r\nX-Mine: 1\r\n\
             X-Forwarded-For: 203.0.113.1\r\nProxy: http://evil.test\r\nX-Stays: 2\r\n\r\n",
        );
        client.receives("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX-End: 2\r\n\r\n");
        let kept = "GET / HTTP/1.1\r\nHost: h.test\r\nX-Stays: 2\r\n";
        sim.server("a").received(format!("{kept}{OURS}"));
    });
}

#[test]
fn surplus_behind_an_answer_reaches_nobody_and_ends_the_connection() {
    on_every_wire(|| {
        let sim = Sim::new(&["a"]);
        let surplus = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil";
        sim.server("a").answers(format!("{OK}{surplus}")).answers(OK);
        sim.client().sends(GET).receives(OK);
        sim.client().sends(GET).receives(OK);
        assert_eq!(sim.server("a").connections(), 2);
        sim.saw(&[("a", answered(200)), ("a", answered(200))]);
    });
}

#[test]
fn an_answer_with_two_framings_or_none_that_holds_is_a_502() {
    for fields in [
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        "Content-Length: 5\r\nContent-Length: 6\r\n",
        "Transfer-Encoding: gzip, chunked\r\n",
        "Content-Length: +5\r\n",
    ] {
        on_every_wire(|| {
            let sim = Sim::new(&["a"]);
            sim.server("a").answers(format!("HTTP/1.1 200 OK\r\n{fields}\r\nhello"));
            let client = sim.client();
            client.sends(GET).receives_status(502);
            client.stays_connected();
            assert!(sim.server("a").connection(0).is_dropped());
            use evener_balance::{Cause, Outcome};
            sim.saw(&[("a", Outcome::Failed(Cause::Junk))]);
        });
    }
}

#[test]
fn a_malformed_request_is_refused_once_and_its_connection_ends() {
    on_every_wire(|| {
        let sim = Sim::new(&["a"]);
        let client = sim.client();
        client.sends("GET / HTTP/1.1\r\nHost: h.test\r\nA : b\r\n\r\nGET / HTTP/1.1\r\n\r\n");
        client.receives_status(400);
        client.sees_the_end();
        assert_eq!(sim.server("a").connections(), 0);
        sim.saw(&[]);
    });
}

#[test]
fn while_it_drains_every_answer_says_close() {
    on_every_wire(|| {
        let sim = Sim::new(&["a"]);
        let client = sim.client();
        client.sends(GET);
        sim.drain();
        sim.server("a").connection(0).sends(OK);
        client.receives("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello");
        client.sees_the_end();
    });
}

#[test]
fn heads_as_large_as_allowed_pass_and_larger_ones_are_refused() {
    on_some_wires(|| {
        let field = |size: usize| format!("X-Large: {}\r\n", "x".repeat(size));
        let sim = Sim::new(&["a"]);
        let answer = |size| format!("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n{}\r\n", field(size));
        sim.server("a").answers(answer(60_000)).answers(answer(70_000));
        let client = sim.client();
        let request = |size| format!("GET / HTTP/1.1\r\nHost: h.test\r\n{}\r\n", field(size));
        client.sends(request(60_000)).receives(answer(60_000));
        sim.server("a").received(forwarded(&request(60_000)));
        client.sends(request(60_000)).receives_status(502);
        client.sends(request(70_000)).receives_status(431);
        client.sees_the_end();
    });
}

#[test]
fn an_absolute_target_becomes_a_path_and_names_the_host() {
    on_every_wire(|| {
        let sim = Sim::new(&["a"]);
        sim.server("a").answers(OK);
        sim.client().sends("GET http://h.test/x?y HTTP/1.1\r\nHost: other.test\r\n\r\n");
        sim.server("a").received(format!("GET /x?y HTTP/1.1\r\nHost: h.test\r\n{OURS}"));
    });
}

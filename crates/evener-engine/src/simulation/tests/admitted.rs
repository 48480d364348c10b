//! What is decided about a request before anybody hears of it.

use evener_plan::LogFormat;

use super::{GET, OK, OURS};
use crate::simulation::{Sim, on_every_wire};

#[test]
fn what_is_refused_is_answered_once_named_and_ends_its_connection() {
    for (line, fields, status, cause) in [
        ("GET / HTTP/1.1", "Expect: 200-ok\r\n", 417, "expect_unknown"),
        ("POST / HTTP/1.1", "Transfer-Encoding: gzip\r\n", 501, "transfer_encoding_unknown"),
        ("GET / HTTP/2.0", "", 505, "version_unsupported"),
        ("OPTIONS / HTTP/1.1", "Max-Forwards: x\r\n", 400, "max_forwards_invalid"),
        ("GET /a/../b HTTP/1.1", "", 400, "path_dots"),
        ("GET /%00 HTTP/1.1", "", 400, "path_nul"),
        ("CONNECT h.test:443 HTTP/1.1", "", 405, "connect_method"),
        ("TRACE / HTTP/1.1", "Max-Forwards: 0\r\n", 405, "trace_refused"),
    ] {
        on_every_wire(|| {
            let sim = Sim::with(&["a"], |plan| plan.access_log.format = LogFormat::Json);
            let client = sim.client();
            client.sends(format!("{line}\r\nHost: h.test\r\n{fields}\r\n{GET}"));
            let answer = client.receives_status(status);
            assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{answer}");
            assert!(answer.contains("Connection: close\r\n"), "{answer}");
            assert_eq!(answer.contains("\r\nAllow: GET, "), status == 405, "{answer}");
            client.sees_the_end();
            assert_eq!(sim.server("a").connections(), 0);
            assert!(sim.log().contains(&format!("{cause:?}")), "{cause}");
        });
    }
}

#[test]
fn the_first_offence_is_the_answer() {
    on_every_wire(|| {
        let sim = Sim::new(&["a"]);
        let client = sim.client();
        client.sends(
            "OPTIONS /.. HTTP/1.1\r\nHost: h.test\r\nMax-Forwards: x\r\nExpect: y\r\n\
             Transfer-Encoding: gzip\r\n\r\n",
        );
        client.receives_status(501);
    });
}

#[test]
fn options_that_may_go_no_further_are_answered_here() {
    on_every_wire(|| {
        let sim = Sim::new(&["a"]);
        sim.server("a").answers(OK);
        let client = sim.client();
        client.sends("OPTIONS * HTTP/1.1\r\nHost: h.test\r\nMax-Forwards: 0\r\n\r\n");
        let answer = client.receives_status(200);
        assert!(answer.contains("\r\nAllow: GET, "), "{answer}");
        assert!(answer.contains("\r\nContent-Length: 0\r\n"), "{answer}");
        assert!(!answer.contains("Content-Type"), "{answer}");
        assert_eq!(sim.server("a").connections(), 0);
        client.sends("OPTIONS * HTTP/1.1\r\nHost: h.test\r\nMax-Forwards: 1\r\n\r\n").receives(OK);
        sim.server("a")
            .received(format!("OPTIONS * HTTP/1.1\r\nHost: h.test\r\nMax-Forwards: 0\r\n{OURS}"));
    });
}

#[test]
fn routes_see_the_one_value_of_a_path() {
    let path = |text: &str| evener_plan::PathPattern::Exact(text.into());
    for (target, status) in
        [("//%61", 299), ("/a", 299), ("http://h.test//a", 299), ("*", 298), ("http://h.test", 298)]
    {
        on_every_wire(|| {
            let sim = Sim::with(&["a"], |plan| {
                for (value, status) in [("/a", 299), ("*", 298)] {
                    plan.listeners[0].routes.push(route(path(value), status));
                }
            });
            let client = sim.client();
            client.sends(format!("OPTIONS {target} HTTP/1.1\r\nHost: h.test\r\n\r\n"));
            client.receives_status(status);
        });
    }
}

#[test]
fn routes_see_fields_as_servers_are_told_of_them() {
    use evener_plan::{HeaderMatch, HeaderValue};
    for (name, fields, trusted, matches) in [
        ("x-forwarded-proto", "X-Forwarded-Proto: https", false, false),
        ("x-forwarded-proto", "X-Forwarded-Proto: https", true, true),
        ("x-real-ip", "X-Real-IP: 10.0.0.1", false, false),
        ("x-real-ip", "X-Real-IP: 10.0.0.1", true, true),
        ("x_real_ip", "x_real_ip: 10.0.0.1", true, false),
        ("x-role", "X-Role: a", false, true),
        ("x-role", "X-Role: a\r\nConnection: x-role", false, false),
        ("upgrade", "Upgrade: websocket\r\nConnection: upgrade", false, true),
        ("a_b", "A_B: c", false, false),
    ] {
        on_every_wire(|| {
            let sim = Sim::with(&["a"], |plan| {
                let listener = &mut plan.listeners[0];
                let mut special = route(evener_plan::PathPattern::Exact("/".into()), 299);
                let value = HeaderValue::Present(true);
                special.matches.header.push(HeaderMatch { name: name.into(), value });
                listener.routes.push(special);
                let mut other = route(evener_plan::PathPattern::Exact("/".into()), 298);
                other.matches.path.clear();
                listener.routes.push(other);
                if trusted {
                    listener.trusted_proxies.push("192.0.2.0/24".to_owned());
                }
            });
            let client = sim.client();
            client.sends(format!("GET / HTTP/1.1\r\nHost: h.test\r\n{fields}\r\n\r\n"));
            client.receives_status(if matches { 299 } else { 298 });
        });
    }
}

fn route(path: evener_plan::PathPattern, status: u16) -> evener_plan::Route {
    let answer = evener_plan::Respond {
        status,
        body: String::new(),
        media_type: "text/plain".into(),
        needs: None,
    };
    evener_plan::Route {
        name: status.to_string(),
        matches: evener_plan::Match {
            host: vec![],
            path: vec![path],
            method: vec![],
            header: vec![],
            not: None,
        },
        answer: evener_plan::Answer::Respond(answer),
        request_headers: None,
        response_headers: None,
        buffer: evener_plan::RouteBuffer::default(),
    }
}

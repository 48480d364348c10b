//! FastCGI responders behind the same exchange.

use evener_balance::{Cause, Outcome};
use evener_plan::{Plan, PoolProtocol, RetryOn, Underscores};

use super::{GET, answered};
use crate::simulation::{Sim, on_every_wire};

const STDOUT: u8 = 6;
const STDERR: u8 = 7;

fn record(kind: u8, content: &[u8]) -> Vec<u8> {
    let [high, low] = (content.len() as u16).to_be_bytes();
    [&[1, kind, 0, 1, high, low, 3, 0], content, b"pad"].concat()
}

/// A whole answer: the program's output in two records, and how it ended.
fn output(text: &str, status: u8) -> Vec<u8> {
    let (one, other) = text.as_bytes().split_at(text.len() / 2);
    let end = record(3, &[0, 0, 0, 0, status, 0, 0, 0]);
    [record(STDOUT, one), record(STDOUT, other), record(STDOUT, b""), end].concat()
}

fn fastcgi(plan: &mut Plan) {
    plan.pools[0].protocol = PoolProtocol::Fastcgi;
    plan.pools[0].params.insert("DOCUMENT_ROOT".to_owned(), "/srv/www/".to_owned());
}

fn sim() -> Sim {
    let sim = Sim::with(&["a", "b"], fastcgi);
    sim.server("a").speaks_fastcgi();
    sim.server("b").speaks_fastcgi();
    sim
}

/// A request's parameters and body, read apart from the code under test.
fn request(bytes: &[u8]) -> (Vec<(String, String)>, Vec<u8>) {
    let (mut params, mut body, mut at) = (Vec::new(), Vec::new(), 0);
    assert_eq!(bytes[..16], [1, 1, 0, 1, 0, 8, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    while at < bytes.len() {
        let length = usize::from(u16::from_be_bytes([bytes[at + 4], bytes[at + 5]]));
        let content = &bytes[at + 8..at + 8 + length];
        match bytes[at + 1] {
            1 => {}
            4 => params.extend_from_slice(content),
            5 => body.extend_from_slice(content),
            other => panic!("a record of type {other}"),
        }
        at += 8 + length + usize::from(bytes[at + 6]);
    }
    (pairs(&params), body)
}

fn pairs(mut rest: &[u8]) -> Vec<(String, String)> {
    fn length(rest: &mut &[u8]) -> usize {
        let (size, taken) = match rest[0] {
            short @ 0..=127 => (usize::from(short), 1),
            first => (
                u32::from_be_bytes([first & 127, rest[1], rest[2], rest[3]]).try_into().unwrap(),
                4,
            ),
        };
        *rest = &rest[taken..];
        size
    }
    let mut found = Vec::new();
    while !rest.is_empty() {
        let (name, value) = (length(&mut rest), length(&mut rest));
        let (pair, behind) = rest.split_at(name + value);
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        found.push((text(&pair[..name]), text(&pair[name..])));
        rest = behind;
    }
    found
}

/// The parameters that a program gets for a request without a body.
fn params_of(head: &str) -> Vec<(String, String)> {
    let sim = sim();
    sim.server("a").answers(output("Status: 204\r\n\r\n", 0));
    sim.client().sends(head).receives_status(204);
    request(&sim.server("a").requests()[0]).0
}

#[track_caller]
fn holds(params: &[(String, String)], name: &str, value: Option<&str>) {
    let found: Vec<_> = params.iter().filter(|(n, _)| n == name).map(|(_, v)| v).collect();
    assert_eq!(found, value.into_iter().collect::<Vec<_>>(), "{name}");
}

#[test]
fn a_get_becomes_records_and_the_programs_output_an_answer() {
    on_every_wire(|| {
        let sim = sim();
        sim.server("a").answers(output("Content-Type: text/plain\r\n\r\nhello", 0));
        let client = sim.client();
        let (head, body) = client.sends(GET).receives_message();
        assert_eq!(
            head,
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n"
        );
        assert_eq!(body, b"hello");
        client.stays_connected();
        let (params, body) = request(&sim.server("a").requests()[0]);
        holds(&params, "REQUEST_METHOD", Some("GET"));
        assert_eq!(body, b"");
        assert_eq!(sim.kept(), 0, "one request per connection");
        sim.saw(&[("a", answered(200))]);
    });
}

#[test]
fn a_length_that_the_program_states_is_passed_on_and_kept_to() {
    on_every_wire(|| {
        let sim = sim();
        let head = "Content-Type: text/plain\r\nContent-Length: 5\r\n\r\n";
        sim.server("a").answers(output(&format!("{head}hello and more"), 0));
        let client = sim.client();
        client.sends(GET).receives(
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello",
        );
        client.stays_connected();
    });
}

#[test]
fn a_program_that_ends_before_its_length_is_cut_visibly() {
    on_every_wire(|| {
        let sim = sim();
        let head = "Content-Type: text/plain\r\nContent-Length: 50\r\n\r\n";
        sim.server("a").answers(output(&format!("{head}hello"), 0));
        let client = sim.client();
        client.sends(GET);
        let received = String::from_utf8(client.received()).unwrap();
        if received.starts_with("HTTP/1.1 200 ") {
            client.sees_the_end();
            sim.saw(&[("a", Outcome::AnswerCut)]);
        } else {
            assert!(received.starts_with("HTTP/1.1 502 "), "{received:?}");
            sim.saw(&[("a", Outcome::Failed(Cause::Junk))]);
        }
        assert!(sim.server("a").connection(0).is_dropped());
    });
}

#[test]
fn output_that_ends_without_its_end_record_is_cut_visibly() {
    on_every_wire(|| {
        let sim = sim();
        let client = sim.client();
        client.sends(GET);
        let server = sim.server("a").connection(0);
        server.sends(record(STDOUT, b"Content-Type: text/plain\r\n\r\nhello")).closes();
        client.sees_the_end();
        assert!(!client.received().ends_with(b"0\r\n\r\n"));
        sim.saw(&[("a", Outcome::AnswerCut)]);
    });
}

#[test]
fn a_request_that_the_responder_ends_unserved_is_a_502() {
    for status in [1, 2, 3] {
        on_every_wire(|| {
            let sim = sim();
            sim.server("a").answers(output("", status));
            let client = sim.client();
            client.sends(GET).receives_status(502);
            client.stays_connected();
            sim.saw(&[("a", Outcome::Failed(Cause::Junk))]);
        });
    }
}

#[test]
fn output_without_a_head_is_a_502() {
    on_every_wire(|| {
        let sim = sim();
        sim.server("a").answers(output("", 0));
        sim.client().sends(GET).receives_status(502);
        sim.server("b").answers("HTTP/1.1 200 OK\r\n\r\n");
        sim.client().sends(GET).receives_status(502);
        let junk = Outcome::Failed(Cause::Junk);
        sim.saw(&[("a", junk), ("b", junk)]);
    });
}

#[test]
fn a_body_of_known_length_goes_to_the_program_and_one_of_unknown_length_is_refused() {
    on_every_wire(|| {
        let sim = sim();
        sim.server("a").answers(output("Status: 201 Made\r\nContent-Length: 0\r\n\r\n", 0));
        let client = sim.client();
        client.sends(
            "POST /x HTTP/1.1\r\nHost: h.test\r\nContent-Length: 11\r\nContent-Type: a/b\r\n\r\n",
        );
        client.sends("hello ").sends("world");
        client.receives("HTTP/1.1 201 Made\r\nContent-Length: 0\r\n\r\n").stays_connected();
        let (params, body) = request(&sim.server("a").requests()[0]);
        assert_eq!(body, b"hello world");
        holds(&params, "CONTENT_LENGTH", Some("11"));
        holds(&params, "CONTENT_TYPE", Some("a/b"));
        holds(&params, "HTTP_CONTENT_LENGTH", None);
        holds(&params, "HTTP_CONTENT_TYPE", None);
        client.sends("POST / HTTP/1.1\r\nHost: h.test\r\nTransfer-Encoding: chunked\r\n\r\n");
        client.receives_status(411);
        client.sees_the_end();
        sim.saw(&[("a", answered(201))]);
        assert_eq!(sim.server("a").connections(), 1, "none is made for what cannot be asked");
    });
}

#[test]
fn a_chunked_body_that_was_taken_in_whole_goes_to_the_program_with_its_length() {
    on_every_wire(|| {
        let sim = Sim::with(&["a", "b"], |plan| {
            fastcgi(plan);
            plan.pools[0].buffer.request = 20;
        });
        sim.server("a").speaks_fastcgi();
        sim.server("b").speaks_fastcgi();
        sim.server("a").answers_and_ends("");
        sim.server("b").answers(output("Status: 204\r\n\r\n", 0));
        let client = sim.client();
        let head = "PUT /x HTTP/1.1\r\nHost: h.test\r\nTransfer-Encoding: chunked\r\n\r\n";
        client.sends(head).sends("6\r\nhello \r\n").sends("5;x\r\nworld\r\n");
        assert_eq!(sim.server("a").connections(), 0);
        client.sends("0\r\n\r\n");
        sim.server("a").connection(0).closes();
        client.receives("HTTP/1.1 204 No Content\r\n\r\n").stays_connected();
        for server in ["a", "b"] {
            let (params, body) = request(&sim.server(server).requests()[0]);
            assert_eq!(body, b"hello world");
            holds(&params, "CONTENT_LENGTH", Some("11"));
            holds(&params, "HTTP_TRANSFER_ENCODING", None);
        }
        // One that is longer than what is taken in has no length yet.
        client.sends(head).sends(format!("15\r\n{}\r\n", "x".repeat(21)));
        client.receives_status(411);
        client.sees_the_end();
        assert_eq!(sim.server("a").connections() + sim.server("b").connections(), 2);
    });
}

#[test]
fn an_empty_chunked_body_that_was_taken_in_has_no_bytes() {
    on_every_wire(|| {
        let sim = Sim::with(&["a"], |plan| {
            fastcgi(plan);
            plan.pools[0].buffer.request = 20;
        });
        sim.server("a").speaks_fastcgi();
        sim.server("a").answers(output("Status: 204\r\n\r\n", 0));
        let client = sim.client();
        client.sends("PUT / HTTP/1.1\r\nHost: h.test\r\nTransfer-Encoding: chunked\r\n\r\n");
        client.sends("0\r\n\r\n").receives_status(204);
        let (params, body) = request(&sim.server("a").requests()[0]);
        assert_eq!(body, b"");
        holds(&params, "CONTENT_LENGTH", Some("0"));
    });
}

#[test]
fn a_continue_that_the_client_waits_for_is_ours_and_said_once() {
    on_every_wire(|| {
        let sim = sim();
        sim.server("a").answers_and_ends("");
        sim.server("b").answers(output("Status: 204\r\n\r\n", 0));
        let client = sim.client();
        let head =
            "PUT / HTTP/1.1\r\nHost: h.test\r\nExpect: 100-continue\r\nContent-Length: 4\r\n";
        client.sends(format!("{head}\r\n")).receives("HTTP/1.1 100 Continue\r\n\r\n");
        sim.server("a").connection(0).closes();
        client.receives_nothing().sends("body").receives("HTTP/1.1 204 No Content\r\n\r\n");
        client.stays_connected();
        let (params, body) = request(&sim.server("b").requests()[0]);
        assert_eq!(body, b"body");
        holds(&params, "HTTP_EXPECT", None);
        sim.saw(&[("a", Outcome::Failed(Cause::Reset)), ("b", answered(204))]);
    });
}

#[test]
fn a_body_that_came_with_its_head_needs_no_word() {
    let sim = sim();
    sim.server("a").answers(output("Status: 204\r\n\r\n", 0));
    let client = sim.client();
    let head = "PUT / HTTP/1.1\r\nHost: h.test\r\nExpect: 100-continue\r\nContent-Length: 4\r\n";
    client.sends(format!("{head}\r\nbody")).receives("HTTP/1.1 204 No Content\r\n\r\n");
}

#[test]
fn an_answer_to_head_ends_with_its_head() {
    on_every_wire(|| {
        let sim = sim();
        let head = "Content-Type: text/plain\r\nContent-Length: 5\r\n\r\n";
        sim.server("a").answers(output(&format!("{head}hello"), 0));
        let client = sim.client();
        client.sends("HEAD / HTTP/1.1\r\nHost: h.test\r\n\r\n");
        client.receives("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\n");
        client.stays_connected();
    });
}

#[test]
fn what_a_program_complains_of_is_told_to_people_with_its_server() {
    on_every_wire(|| {
        let sim = sim();
        let complaint = record(STDERR, b"PHP Warning: careful\n");
        sim.server("a").answers([complaint, output("Status: 204\r\n\r\n", 0)].concat());
        sim.client().sends(GET).receives("HTTP/1.1 204 No Content\r\n\r\n");
        assert_eq!(sim.words(), ["app/a: PHP Warning: careful"]);
    });
}

#[test]
fn a_large_body_is_cut_into_records_that_can_hold_it() {
    let sim = sim();
    sim.server("a").answers(output("Status: 204\r\n\r\n", 0));
    let body = "x".repeat(200_000);
    let client = sim.client();
    client.sends("PUT / HTTP/1.1\r\nHost: h.test\r\nContent-Length: 200000\r\n\r\n").sends(&body);
    client.receives("HTTP/1.1 204 No Content\r\n\r\n");
    assert!(request(&sim.server("a").requests()[0]).1 == body.as_bytes());
}

#[test]
fn meta_variables_say_what_was_asked_and_which_script_runs() {
    let params = params_of("GET /a%20b/?q=1&r HTTP/1.1\r\nHost: H.test:81\r\n\r\n");
    for (name, value) in [
        ("GATEWAY_INTERFACE", "CGI/1.1"),
        ("SERVER_SOFTWARE", "evener"),
        ("REDIRECT_STATUS", "200"),
        ("REQUEST_METHOD", "GET"),
        ("REQUEST_URI", "/a%20b/?q=1&r"),
        ("QUERY_STRING", "q=1&r"),
        ("DOCUMENT_URI", "/a b/index.php"),
        ("SCRIPT_NAME", "/a b/index.php"),
        ("REQUEST_SCHEME", "http"),
        ("REMOTE_ADDR", "192.0.2.200"),
        ("REMOTE_PORT", "50000"),
        ("SERVER_NAME", "h.test"),
        ("SERVER_PROTOCOL", "HTTP/1.1"),
        ("CONTENT_TYPE", ""),
        ("CONTENT_LENGTH", ""),
        ("DOCUMENT_ROOT", "/srv/www/"),
        ("SCRIPT_FILENAME", "/srv/www/a b/index.php"),
        ("HTTP_HOST", "H.test:81"),
        ("HTTP_X_FORWARDED_FOR", "192.0.2.200"),
        ("HTTP_X_FORWARDED_PROTO", "http"),
        ("HTTP_X_FORWARDED_HOST", "H.test:81"),
    ] {
        holds(&params, name, Some(value));
    }
    for name in ["HTTPS", "SERVER_ADDR", "SERVER_PORT", "HTTP_CONNECTION"] {
        holds(&params, name, None);
    }
}

#[test]
fn a_slash_that_is_none_to_the_routes_is_none_to_the_program() {
    let params = params_of("GET /admin%2Fx%2fy%41.php HTTP/1.1\r\nHost: h.test\r\n\r\n");
    for name in ["SCRIPT_NAME", "DOCUMENT_URI"] {
        holds(&params, name, Some("/admin%2Fx%2FyA.php"));
    }
}

#[test]
fn parameters_of_the_configuration_stand_over_ours() {
    let sim = Sim::with(&["a"], |plan| {
        fastcgi(plan);
        let params = &mut plan.pools[0].params;
        params.insert("SCRIPT_FILENAME".to_owned(), "/srv/app.php".to_owned());
        params.insert("SERVER_NAME".to_owned(), "{method} {path}".to_owned());
        params.insert("APP".to_owned(), "x".to_owned());
    });
    sim.server("a").speaks_fastcgi().answers(output("Status: 204\r\n\r\n", 0));
    sim.client().sends("GET /b HTTP/1.1\r\nHost: h.test\r\n\r\n").receives_status(204);
    let (params, _) = request(&sim.server("a").requests()[0]);
    holds(&params, "SCRIPT_FILENAME", Some("/srv/app.php"));
    holds(&params, "SERVER_NAME", Some("GET /b"));
    holds(&params, "APP", Some("x"));
}

#[test]
fn a_host_that_names_a_directory_does_not_lead_out_of_it() {
    let sim = Sim::with(&["a"], |plan| {
        fastcgi(plan);
        plan.pools[0].params.insert("DOCUMENT_ROOT".to_owned(), "/srv/{host}".to_owned());
    });
    sim.server("a").speaks_fastcgi().answers(output("Status: 204\r\n\r\n", 0));
    for host in ["..", "...", "a..", "....:80"] {
        let head = format!("GET /x.php HTTP/1.1\r\nHost: {host}\r\n\r\n");
        sim.client().sends(head).receives_status(400);
    }
    sim.client().sends("GET /x.php HTTP/1.1\r\nHost: a.test.\r\n\r\n").receives_status(204);
    let (params, _) = request(&sim.server("a").requests()[0]);
    holds(&params, "SCRIPT_FILENAME", Some("/srv/a.test/x.php"));
}

#[test]
fn a_parameter_of_the_configuration_stands_over_a_field_of_its_name() {
    let sim = Sim::with(&["a"], |plan| {
        fastcgi(plan);
        let params = &mut plan.pools[0].params;
        params.insert("HTTP_HOST".to_owned(), "app.internal".to_owned());
        params.insert("HTTP_X_ROLE".to_owned(), String::new());
    });
    sim.server("a").speaks_fastcgi().answers(output("Status: 204\r\n\r\n", 0));
    let head = "GET / HTTP/1.1\r\nHost: h.test\r\nx-role: admin\r\nX-Other: 1\r\n\r\n";
    sim.client().sends(head).receives_status(204);
    let (params, _) = request(&sim.server("a").requests()[0]);
    holds(&params, "HTTP_HOST", Some("app.internal"));
    holds(&params, "HTTP_X_ROLE", Some(""));
    holds(&params, "HTTP_X_OTHER", Some("1"));
}

#[test]
fn fields_reach_the_program_joined_and_without_what_ends_here() {
    let params = params_of(
        "GET / HTTP/1.1\r\nHost: h.test\r\nX-A: 1\r\nCookie: a=1\r\nx-a: 2\r\nCookie: b=2\r\n\
         Connection: close, X-Hop\r\nX-Hop: 1\r\nProxy: evil\r\nX_A: 3\r\nTE: trailers\r\n\
         X-Real-IP: 203.0.113.9\r\nForwarded: for=1\r\nX-Forwarded-For: 203.0.113.9\r\n\r\n",
    );
    holds(&params, "HTTP_X_A", Some("1, 2"));
    holds(&params, "HTTP_COOKIE", Some("a=1; b=2"));
    holds(&params, "HTTP_X_FORWARDED_FOR", Some("192.0.2.200"));
    for name in [
        "HTTP_X_HOP",
        "HTTP_PROXY",
        "HTTP_TE",
        "HTTP_X_REAL_IP",
        "HTTP_FORWARDED",
        "HTTP_CONNECTION",
    ] {
        holds(&params, name, None);
    }
}

#[test]
fn a_program_hears_of_underscores_and_via_as_servers_do() {
    on_every_wire(|| {
        let sim = Sim::with(&["a"], |plan| {
            fastcgi(plan);
            plan.listeners[0].http.underscores = Underscores::Pass;
            plan.listeners[0].http.via = true;
        });
        sim.server("a").speaks_fastcgi().answers(output("Status: 204\r\n\r\n", 0));
        let client = sim.client();
        client.sends(
            "GET / HTTP/1.0\r\nHost: h.test\r\nVia: 1.1 first\r\nA_B: 1\r\na-b: 2\r\n\
             X_Real_IP: 3\r\n\r\n",
        );
        assert!(client.receives_status(204).contains("\r\nVia: 1.1 evener\r\n"));
        let (params, _) = request(&sim.server("a").requests()[0]);
        holds(&params, "HTTP_VIA", Some("1.1 first, 1.0 evener"));
        holds(&params, "HTTP_A_B", Some("1, 2"));
        holds(&params, "HTTP_X_REAL_IP", None);
    });
}

#[test]
fn the_host_of_an_absolute_target_is_the_only_one() {
    let params = params_of("GET http://real.test:81/x HTTP/1.1\r\nHost: other.test\r\n\r\n");
    holds(&params, "HTTP_HOST", Some("real.test:81"));
    holds(&params, "SERVER_NAME", Some("real.test"));
    holds(&params, "REQUEST_URI", Some("/x"));
    let params = params_of("GET / HTTP/1.0\r\n\r\n");
    holds(&params, "HTTP_HOST", None);
    holds(&params, "SERVER_NAME", Some("localhost"));
    holds(&params, "SERVER_PROTOCOL", Some("HTTP/1.0"));
}

#[test]
fn a_trusted_proxys_word_is_continued() {
    let sim = Sim::with(&["a"], |plan| {
        fastcgi(plan);
        plan.listeners[0].trusted_proxies.push("192.0.2.0/24".to_owned());
    });
    sim.server("a").speaks_fastcgi().answers(output("Status: 204\r\n\r\n", 0));
    sim.client().sends(
        "GET / HTTP/1.1\r\nHost: h.test\r\nX-Forwarded-For: 203.0.113.9\r\n\
         X-Forwarded-Proto: https\r\n\r\n",
    );
    let (params, _) = request(&sim.server("a").requests()[0]);
    holds(&params, "HTTP_X_FORWARDED_FOR", Some("203.0.113.9, 192.0.2.200"));
    holds(&params, "HTTP_X_FORWARDED_PROTO", Some("https"));
    holds(&params, "REMOTE_ADDR", Some("203.0.113.9"));
}

/// A simulation whose one route edits fields.
fn edited(request: serde_json::Value, answer: serde_json::Value) -> Sim {
    let route = serde_json::json!({
        "name": "all", "match": {"host": [], "path": [], "method": [], "header": [], "not": null},
        "answer": {"pool": "app"}, "request_headers": request, "response_headers": answer,
        "buffer": {"request": null, "response": null}});
    let sim = Sim::with(&["a"], |plan| {
        fastcgi(plan);
        plan.listeners[0].routes.push(serde_json::from_value(route).expect("a route"));
    });
    sim.server("a").speaks_fastcgi();
    sim
}

#[test]
fn what_a_route_changes_of_requests_are_parameters_of_the_program() {
    on_every_wire(|| {
        let line = |name: &str, value: &str| serde_json::json!({"name": name, "value": value});
        let edits = serde_json::json!({
            "set": [line("X-User", "{server}"), line("X-Forwarded-Proto", "https"),
                    line("Content-Type", "a/{method}")],
            "add": [line("X-Trace", "2"), line("X-New", "n"), line("X-Forwarded-For", "10.0.0.1")],
            "remove": ["Cookie", "X-Forwarded-Host"]});
        let sim = edited(edits, serde_json::Value::Null);
        sim.server("a").answers(output("Status: 204\r\n\r\n", 0));
        sim.client()
            .sends(
                "GET / HTTP/1.1\r\nHost: h.test\r\nx-user: eve\r\nX.User: eve\r\nX-Trace: 1\r\n\
                 COOKIE: a=b\r\nContent-Type: text/html\r\n\r\n",
            )
            .receives_status(204);
        let (params, _) = request(&sim.server("a").requests()[0]);
        for (name, value) in [
            ("HTTP_X_USER", Some("a")),
            ("HTTP_X_TRACE", Some("1, 2")),
            ("HTTP_X_NEW", Some("n")),
            ("HTTP_X_FORWARDED_PROTO", Some("https")),
            ("HTTP_X_FORWARDED_FOR", Some("192.0.2.200, 10.0.0.1")),
            ("HTTP_X_FORWARDED_HOST", None),
            ("HTTP_COOKIE", None),
            ("HTTP_HOST", Some("h.test")),
            ("CONTENT_TYPE", Some("a/GET")),
            ("HTTP_CONTENT_TYPE", None),
        ] {
            holds(&params, name, value);
        }
    });
}

#[test]
fn what_a_route_changes_of_answers_goes_for_programs_too() {
    on_every_wire(|| {
        let edits = serde_json::json!({
            "set": [{"name": "X-By", "value": "{pool}"}], "add": [], "remove": ["X-Powered-By"]});
        let sim = edited(serde_json::Value::Null, edits);
        sim.server("a").answers(output(
            "X-POWERED-BY: PHP\r\nx-by: me\r\nContent-Length: 2\r\nA: b\r\nStatus: 200\r\n\r\nhi",
            0,
        ));
        sim.client()
            .sends(GET)
            .receives("HTTP/1.1 200 OK\r\nA: b\r\nContent-Length: 2\r\nX-By: app\r\n\r\nhi");
    });
}

#[test]
fn an_unsafe_value_reaches_no_program() {
    let edits = serde_json::json!({
        "set": [{"name": "X", "value": "a\nb"}], "add": [], "remove": []});
    let sim = edited(edits, serde_json::Value::Null);
    sim.client().sends(GET).receives_status(500);
    assert_eq!(sim.server("a").requests().len(), 0);
}

#[test]
fn an_answer_whose_status_is_retried_is_asked_of_the_next_program() {
    on_every_wire(|| {
        let sim = Sim::with(&["a", "b"], |plan| {
            fastcgi(plan);
            plan.pools[0].retry.on = vec![RetryOn::Status(503), RetryOn::Junk, RetryOn::Reset];
            plan.pools[0].retry.attempts = 3;
        });
        sim.server("a").speaks_fastcgi().answers(output("Status: 503\r\n\r\nbusy", 0));
        sim.server("b").speaks_fastcgi().answers(output("Status: 204\r\n\r\n", 0));
        sim.client().sends(GET).receives_status(204);
        sim.saw(&[("a", answered(503)), ("b", answered(204))]);
        let paths: Vec<_> =
            ["a", "b"].map(|name| request(&sim.server(name).requests()[0]).0).into();
        assert_eq!(paths[0], paths[1], "the same request twice");

        let sim = Sim::with(&["a", "b"], |plan| {
            fastcgi(plan);
            plan.pools[0].retry.on = vec![RetryOn::Junk];
        });
        sim.server("a").speaks_fastcgi().answers(output("", 1));
        sim.server("b").speaks_fastcgi().answers(output("Status: 204\r\n\r\n", 0));
        sim.client().sends(GET).receives_status(204);
        sim.saw(&[("a", Outcome::Failed(Cause::Junk)), ("b", answered(204))]);
    });
}

#[test]
fn a_post_is_not_asked_of_a_second_program_unless_that_is_allowed() {
    for allowed in [false, true] {
        on_every_wire(|| {
            let sim = Sim::with(&["a", "b"], |plan| {
                fastcgi(plan);
                if allowed {
                    plan.pools[0].retry.on.push(RetryOn::NonIdempotent);
                }
            });
            sim.server("a").speaks_fastcgi().answers_and_ends("");
            sim.server("b").speaks_fastcgi().answers(output("Status: 204\r\n\r\n", 0));
            let post = "POST / HTTP/1.1\r\nHost: h.test\r\nContent-Length: 0\r\n\r\n";
            sim.client().sends(post).receives_status(if allowed { 204 } else { 502 });
            assert_eq!(sim.server("b").requests().len(), usize::from(allowed));
        });
    }
}

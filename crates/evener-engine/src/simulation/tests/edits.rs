//! Fields that a route sets, adds and removes.

use evener_plan::LogFormat;
use evener_plan::{Answer, HeaderEdits, HeaderLine, Match, Plan, Redirect, Respond, Route};
use evener_stats::Kind;

use super::{GET, OK, answered};
use crate::simulation::{Sim, on_every_wire};

fn lines(fields: &[(&str, &str)]) -> Vec<HeaderLine> {
    let line =
        |(name, value): &(&str, &str)| HeaderLine { name: (*name).into(), value: (*value).into() };
    fields.iter().map(line).collect()
}

/// Edits that set these fields, add these, remove these.
fn edits(set: &[(&str, &str)], add: &[(&str, &str)], remove: &[&str]) -> Option<HeaderEdits> {
    let remove = remove.iter().map(|name| (*name).to_owned()).collect();
    Some(HeaderEdits { set: lines(set), add: lines(add), remove })
}

/// A route that takes everything.
fn route(answer: Answer) -> Route {
    let matches = Match {
        host: Vec::new(),
        path: Vec::new(),
        method: Vec::new(),
        header: Vec::new(),
        not: None,
    };
    let name = "all".to_owned();
    let buffer = evener_plan::RouteBuffer::default();
    Route { name, matches, answer, request_headers: None, response_headers: None, buffer }
}

fn of_requests(edits: Option<HeaderEdits>) -> impl FnOnce(&mut Plan) {
    move |plan| {
        let route = Route { request_headers: edits, ..route(Answer::Pool("app".into())) };
        plan.listeners[0].routes.push(route);
    }
}

fn of_answers(answer: Answer, edits: Option<HeaderEdits>) -> impl FnOnce(&mut Plan) {
    move |plan| {
        plan.listeners[0].routes.push(Route { response_headers: edits, ..route(answer) });
    }
}

fn app() -> Answer {
    Answer::Pool("app".into())
}

#[test]
fn a_server_gets_what_the_route_sets_and_nothing_of_that_name_from_the_client() {
    on_every_wire(|| {
        let edits = edits(
            &[("X-User", "{client.ip}"), ("X-Forwarded-Proto", "https")],
            &[("X-Trace", "{pool}/{server}")],
            &["Cookie", "X-Forwarded-Host"],
        );
        let sim = Sim::with(&["a"], of_requests(edits));
        sim.server("a").answers(OK);
        sim.client()
            .sends(
                "GET / HTTP/1.1\r\nHost: h.test\r\nx-user: eve\r\nX-TRACE: 1\r\nCOOKIE: a=b\r\n\
                 X.User: eve\r\nX-Users: 2\r\n\r\n",
            )
            .receives(OK);
        sim.server("a").received(
            "GET / HTTP/1.1\r\nHost: h.test\r\nX-TRACE: 1\r\nX-Users: 2\r\n\
             X-Forwarded-For: 192.0.2.200\r\nX-User: 192.0.2.200\r\nX-Forwarded-Proto: https\r\n\
             X-Trace: app/a\r\n\r\n",
        );
        assert_eq!(sim.kept(), 1);
    });
}

#[test]
fn all_words_stand_for_what_the_request_is() {
    let text = "{client.ip} {client.port} {peer.ip} {host} {path} {uri} {query.b} {header.x-a} \
                {cookie.sid} {method} {scheme} {tls.sni}. {server} {pool} {route} {now} {{}";
    let sim = Sim::with(&["a"], of_requests(edits(&[("X", text)], &[], &["X-A", "Cookie"])));
    sim.server("a").answers(OK);
    sim.client().sends(
        "PUT /%61//x?a=1&b=%202 HTTP/1.1\r\nHost: H.test:81\r\nX-A: 1\r\nX-A: 2\r\n\
         Cookie: q=1; sid=s\r\n\r\n",
    );
    let request = String::from_utf8(sim.server("a").requests().remove(0)).unwrap();
    let line = request.lines().find(|line| line.starts_with("X: ")).unwrap();
    let (value, now) = line.strip_suffix(" {}").unwrap().rsplit_once(' ').unwrap();
    assert_eq!(
        value,
        "X: 192.0.2.200 50000 192.0.2.200 h.test /a/x /%61//x?a=1&b=%202 %202 1, 2 s PUT http . \
         a app all"
    );
    assert!(now.parse::<u64>().is_ok());
}

#[test]
fn words_believe_of_the_client_what_servers_are_told() {
    let edits =
        || edits(&[("X", "{header.x-real-ip}|{client.ip}|{client.port}|{peer.ip}")], &[], &[]);
    let ask = "GET / HTTP/1.1\r\nHost: h.test\r\nX-Real-IP: 203.0.113.9\r\n\
               X-Forwarded-For: 203.0.113.9\r\n\r\n";
    let told = |sim: Sim| {
        sim.server("a").answers(OK);
        sim.client().sends(ask).receives(OK);
        String::from_utf8(sim.server("a").requests().remove(0)).unwrap()
    };
    let request = told(Sim::with(&["a"], of_requests(edits())));
    assert!(request.contains("\r\nX: |192.0.2.200|50000|192.0.2.200\r\n"), "{request}");
    let request = told(Sim::with(&["a"], |plan| {
        of_requests(edits())(plan);
        plan.listeners[0].trusted_proxies.push("192.0.2.0/24".to_owned());
    }));
    assert!(request.contains("\r\nX: 203.0.113.9|203.0.113.9||192.0.2.200\r\n"), "{request}");
}

#[test]
fn an_id_is_the_same_wherever_it_is_used_and_never_given_twice() {
    let sim = Sim::with(&["a", "b"], |plan| {
        plan.access_log.format = LogFormat::Json;
        let set = [("X-Request-ID", "{request.id}")];
        let both = Route {
            request_headers: edits(&set, &[], &[]),
            response_headers: edits(&set, &[], &[]),
            ..route(app())
        };
        plan.listeners[0].routes.push(both);
    });
    // The first try breaks off: the second is the same request.
    sim.server("a").answers_and_ends("");
    sim.server("b").answers(OK);
    let client = sim.client();
    let ids: Vec<String> = (0..2)
        .map(|_| {
            let answer = client.sends(GET).receives_status(200);
            let line = answer.lines().find(|line| line.starts_with("X-Request-ID: ")).unwrap();
            line.to_owned()
        })
        .collect();
    assert_ne!(ids[0], ids[1]);
    assert_eq!(ids[0].len(), "X-Request-ID: ".len() + 32);
    let requests = [sim.server("a").requests(), sim.server("b").requests()].concat();
    for (id, log) in ids.iter().zip(sim.log().lines()) {
        let sent = requests
            .iter()
            .filter(|request| String::from_utf8_lossy(request).lines().any(|line| line == id));
        assert!(sent.count() >= 1, "{id}");
        let id = id.strip_prefix("X-Request-ID: ").unwrap();
        assert!(log.contains(&format!("\"evener.request.id\":\"{id}\"")), "{log}");
    }
    let first = requests.iter().filter(|r| String::from_utf8_lossy(r).contains(&ids[0]));
    assert_eq!(first.count(), 2, "both tries of the first");
}

#[test]
fn an_answer_of_a_server_gets_what_the_route_says() {
    on_every_wire(|| {
        let edits = edits(
            &[("X-Served-By", "{server}"), ("Server", "shop")],
            &[("Vary", "Origin")],
            &["X-Powered-By"],
        );
        let sim = Sim::with(&["a"], of_answers(app(), edits));
        sim.server("a").answers(
            "HTTP/1.1 200 OK\r\nServer: nginx\r\nx_served.by: me\r\nVary: A\r\n\
             X-POWERED-BY: PHP\r\nContent-Length: 5\r\n\r\nhello",
        );
        let client = sim.client();
        client.sends(GET).receives(
            "HTTP/1.1 200 OK\r\nVary: A\r\nContent-Length: 5\r\nX-Served-By: a\r\nServer: shop\r\n\
             Vary: Origin\r\n\r\nhello",
        );
        client.stays_connected();
        sim.saw(&[("a", answered(200))]);
    });
}

#[test]
fn what_a_route_says_of_via_stands_over_ours() {
    for (edits, expected) in
        [(edits(&[("Via", "mine")], &[], &[]), "Via: mine\r\n"), (edits(&[], &[], &["Via"]), "")]
    {
        on_every_wire(|| {
            let sim = Sim::with(&["a"], |plan| {
                plan.listeners[0].http.via = true;
                of_answers(app(), edits.clone())(plan);
            });
            sim.server("a").answers("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
            sim.client()
                .sends(GET)
                .receives(format!("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n{expected}\r\n"));
        });
    }
}

#[test]
fn interim_answers_are_not_edited() {
    on_every_wire(|| {
        let sim = Sim::with(&["a"], of_answers(app(), edits(&[("X", "1")], &[], &["Link"])));
        sim.server("a").answers(
            "HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n\
             HTTP/1.1 200 OK\r\nLink: a\r\nContent-Length: 0\r\n\r\n",
        );
        sim.client().sends(GET).receives(
            "HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n\
             HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX: 1\r\n\r\n",
        );
    });
}

#[test]
fn answers_of_our_own_are_edited_errors_included() {
    let set = [("X", "{path}"), ("Content-Type", "text/html"), ("Location", "/b")];
    let respond =
        Respond { status: 200, body: "hi".into(), media_type: "text/plain".into(), needs: None };
    for (answer, status) in [
        (Answer::Respond(respond), 200),
        (Answer::Redirect(Redirect { to: "/a".into(), status: Some(302) }), 302),
        (app(), 502),
    ] {
        on_every_wire(|| {
            let sim = Sim::with(&["a"], of_answers(answer.clone(), edits(&set, &[], &["Date"])));
            sim.server("a").refuses();
            let client = sim.client();
            let answer =
                client.sends("GET /p HTTP/1.1\r\nHost: h.test\r\n\r\n").receives_status(status);
            let head = answer.split("\r\n\r\n").next().unwrap();
            let fields: Vec<&str> =
                head.lines().skip(1).filter(|line| !line.starts_with("Content-Length: ")).collect();
            assert_eq!(fields, ["X: /p", "Content-Type: text/html", "Location: /b"]);
            client.stays_connected();
        });
    }
}

#[test]
fn a_body_that_is_too_large_for_its_route_is_refused_with_the_routes_fields() {
    let sim = Sim::with(&["a"], |plan| {
        of_answers(app(), edits(&[("X", "{path}")], &[], &[]))(plan);
        plan.listeners[0].http.max_body = Some(10);
    });
    let client = sim.client();
    client.sends("POST /p HTTP/1.1\r\nHost: h.test\r\nContent-Length: 11\r\n\r\n");
    assert!(client.receives_status(413).contains("\r\nX: /p\r\n"));
    client.sees_the_end();
}

#[test]
fn what_no_route_has_taken_is_not_edited() {
    let sim = Sim::with(&["a"], of_answers(app(), edits(&[("X", "1")], &[], &[])));
    let client = sim.client();
    let answer = client.sends("GET /.. HTTP/1.1\r\nHost: h.test\r\n\r\n").receives_status(400);
    assert!(!answer.contains("X: 1"));
}

#[test]
fn a_value_that_could_end_its_line_is_a_500_and_nothing_goes_on() {
    for unsafe_ in ["a\r\nX-Evil: 1", "a\nb", "a\0", "\x7f"] {
        on_every_wire(|| {
            let unsafe_ = edits(&[("X", unsafe_)], &[], &[]);
            let sim = Sim::with(&["a"], of_requests(unsafe_.clone()));
            let client = sim.client();
            client.sends(GET).receives_status(500);
            client.stays_connected();
            assert_eq!(sim.server("a").requests().len(), 0);
            sim.saw(&[("a", evener_balance::Outcome::Local)]);
            assert_eq!(
                sim.counted(Kind::Listener, "evener_listener_errors_total", "unsafe_value"),
                1
            );

            let sim = Sim::with(&["a"], of_answers(app(), unsafe_));
            sim.server("a").answers(OK);
            let client = sim.client();
            let answer = client.sends(GET).receives_status(500);
            assert!(!answer.contains("X") && !answer.contains("hello"), "{answer}");
            client.stays_connected();
            assert!(sim.server("a").connection(0).is_dropped(), "its answer was not read");
            assert_eq!(
                sim.counted(Kind::Listener, "evener_listener_errors_total", "unsafe_value"),
                1
            );
        });
    }
}

#[test]
fn a_tunnel_begins_with_an_edited_head() {
    on_every_wire(|| {
        let set = [("X", "1")];
        let sim = Sim::with(&["a"], |plan| {
            let both = Route {
                request_headers: edits(&set, &[], &[]),
                response_headers: edits(&set, &[], &[]),
                ..route(app())
            };
            plan.listeners[0].routes.push(both);
        });
        let client = sim.client();
        client.sends("GET / HTTP/1.1\r\nHost: h.test\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n");
        let server = sim.server("a").connection(0);
        let request = String::from_utf8(server.received()).unwrap();
        assert!(request.ends_with("Connection: upgrade\r\nX: 1\r\n\r\n"), "{request}");
        server
            .sends("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n");
        client.receives(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nX: 1\r\nConnection: upgrade\r\n\r\n",
        );
        server.sends("s");
        client.receives("s").closes();
    });
}

#[test]
fn a_reload_changes_edits_for_requests_that_begin_after_it() {
    let sim = Sim::with(&["a"], of_answers(app(), edits(&[("X", "old")], &[], &[])));
    let (one, other) = (sim.client(), sim.client());
    one.sends(GET);
    sim.reload(|plan| {
        plan.listeners[0].routes[0].response_headers = edits(&[("X", "new")], &[], &[])
    });
    sim.server("a").connection(0).sends(OK);
    assert!(one.receives_status(200).contains("X: old\r\n"));
    sim.server("a").answers(OK);
    assert!(other.sends(GET).receives_status(200).contains("X: new\r\n"));
}

#[test]
fn a_plan_with_edits_that_cannot_be_is_refused() {
    use crate::http::edits::AllEdits;
    let refused = |edits: Option<HeaderEdits>| {
        AllEdits::compile(&[Route { request_headers: edits, ..route(app()) }]).err().unwrap()
    };
    let why = refused(edits(&[("Host", "x")], &[], &[]));
    assert!(why.contains("route all") && why.contains("\"Host\""), "{why}");
    assert!(refused(edits(&[], &[], &["Content-Length"])).contains("Content-Length"));
    assert!(refused(edits(&[], &[("X", "{hots}")], &[])).contains("{hots}"));
}

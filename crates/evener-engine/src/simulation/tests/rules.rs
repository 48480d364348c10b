//! The keys under `http`: what a listener and a pool let through, and how it is marked.

use evener_plan::{HttpRules, Interim, Underscores, Violation};
use evener_stats::Kind;

use super::{GET, OK, OURS, forwarded};
use crate::simulation::{Sim, on_every_wire};

const ALL: [Violation; 3] = [Violation::Lf, Violation::ObsFold, Violation::BadNames];

/// A simulation in which the listener has other rules.
fn with(change: impl FnOnce(&mut HttpRules)) -> Sim {
    Sim::with(&["a"], |plan| change(&mut plan.listeners[0].http))
}

#[test]
fn fields_with_underscores_are_dropped_passed_or_refused() {
    let head = "GET / HTTP/1.1\r\nHost: h.test\r\nA_B: c\r\nX_Forwarded_For: 1\r\nD: e\r\n\r\n";
    for (rule, kept) in [(Underscores::Drop, ""), (Underscores::Pass, "A_B: c\r\n")] {
        on_every_wire(|| {
            let sim = with(|http| http.underscores = rule);
            sim.server("a").answers(OK);
            sim.client().sends(head).receives(OK);
            let start = "GET / HTTP/1.1\r\nHost: h.test\r\n";
            sim.server("a").received(format!("{start}{kept}D: e\r\n{OURS}"));
        });
    }
    on_every_wire(|| {
        let sim = with(|http| http.underscores = Underscores::Refuse);
        let client = sim.client();
        client.sends(head).receives_status(400);
        client.sees_the_end();
        assert_eq!(sim.server("a").connections(), 0);
        assert_eq!(sim.counted(Kind::Listener, "evener_listener_malformed_total", "underscore"), 1);
    });
}

#[test]
fn messages_that_go_through_are_marked_both_ways_where_that_is_wanted() {
    let hints = "HTTP/1.1 103 Early Hints\r\n";
    let ok = "HTTP/1.1 200 OK\r\nVia: 1.1 theirs\r\nContent-Length: 5\r\n";
    on_every_wire(|| {
        let sim = with(|http| http.via = true);
        let old = ok.replace("HTTP/1.1", "HTTP/1.0");
        sim.server("a").answers(format!("{hints}\r\n{ok}\r\nhello"));
        sim.server("a").answers(format!("{old}\r\nhello"));
        let client = sim.client();
        client.sends("GET / HTTP/1.1\r\nHost: h.test\r\nVia: 1.0 first\r\n\r\n");
        let via = "Via: 1.1 evener\r\n";
        client.receives(format!("{hints}{via}\r\n{ok}{via}\r\nhello"));
        let head = "GET / HTTP/1.1\r\nHost: h.test\r\nVia: 1.0 first\r\n";
        let ours = OURS.strip_suffix("\r\n").unwrap();
        sim.server("a").received(format!("{head}{ours}{via}\r\n"));
        client.sends("GET / HTTP/1.0\r\nHost: h.test\r\n\r\n");
        client.receives(format!("{ok}Via: 1.0 evener\r\nConnection: close\r\n\r\nhello"));
        let head = "GET / HTTP/1.1\r\nHost: h.test\r\n";
        sim.server("a").received(format!("{head}{ours}Via: 1.0 evener\r\n\r\n"));
    });
}

#[test]
fn a_message_that_does_not_go_through_is_not_marked_and_none_is_without_the_key() {
    on_every_wire(|| {
        let sim = with(|http| http.via = true);
        sim.server("a").refuses();
        assert!(!sim.client().sends(GET).receives_status(502).contains("Via"));
    });
    on_every_wire(|| {
        let sim = with(|_| {});
        sim.server("a").answers(OK);
        sim.client().sends(GET).receives(OK);
        sim.server("a").received(forwarded(GET));
    });
}

#[test]
fn clients_are_spared_interim_answers_but_not_the_one_they_wait_for() {
    let post = "POST / HTTP/1.1\r\nHost: h.test\r\nExpect: 100-continue\r\n\
         Content-Length: 4\r\n\r\n";
    let (hints, go_on) = ("HTTP/1.1 103 Early Hints\r\n\r\n", "HTTP/1.1 100 Continue\r\n\r\n");
    on_every_wire(|| {
        let sim = with(|http| http.interim = Interim::Drop);
        sim.server("a").answers(OK);
        let client = sim.client();
        client.sends(post);
        sim.server("a").connection(0).sends(format!("{hints}{go_on}{hints}"));
        client.receives(go_on).sends("body").receives(OK);
    });
}

#[test]
fn violations_that_are_named_go_in_rebuilt_and_counted() {
    let head = "GET / HTTP/1.1\nHost: h.test\r\nA: b\n c\nX Y: z\r\n\n";
    let counted =
        |sim: &Sim, word| sim.counted(Kind::Listener, "evener_listener_violations_total", word);
    on_every_wire(|| {
        let sim = with(|http| http.accept = ALL.to_vec());
        sim.server("a").answers(OK);
        let client = sim.client();
        client.sends(head).receives(OK).sends(GET).receives(OK);
        let rebuilt = "GET / HTTP/1.1\r\nHost: h.test\r\nA: b  c\r\n\r\n";
        assert_eq!(sim.server("a").requests()[0], forwarded(rebuilt).as_bytes());
        for word in ["lf", "obs_fold", "bad_names"] {
            assert_eq!(counted(&sim, word), 1, "{word}");
        }
    });
    for missing in ALL {
        on_every_wire(|| {
            let sim =
                with(|http| http.accept = ALL.into_iter().filter(|v| *v != missing).collect());
            let client = sim.client();
            client.sends(head).receives_status(400);
            client.sees_the_end();
            assert_eq!(sim.server("a").connections(), 0);
            assert_eq!(counted(&sim, "lf"), 0);
        });
    }
}

#[test]
fn violations_of_servers_go_on_rebuilt_and_counted_where_their_pool_names_them() {
    let answer = "HTTP/1.1 200 OK\nA: b\n c\nX Y: z\r\nContent-Length: 5\n\nhello";
    let counted =
        |sim: &Sim, word| sim.counted(Kind::Server, "evener_server_violations_total", word);
    on_every_wire(|| {
        let sim = Sim::with(&["a"], |plan| plan.pools[0].http.accept = ALL.to_vec());
        sim.server("a").answers(answer);
        sim.client()
            .sends(GET)
            .receives("HTTP/1.1 200 OK\r\nA: b  c\r\nContent-Length: 5\r\n\r\nhello");
        for word in ["lf", "obs_fold", "bad_names"] {
            assert_eq!(counted(&sim, word), 1, "{word}");
        }
        assert_eq!(sim.kept(), 1);
    });
    on_every_wire(|| {
        let sim = Sim::new(&["a"]);
        sim.server("a").answers(answer);
        sim.client().sends(GET).receives_status(502);
        assert_eq!(counted(&sim, "lf"), 0);
    });
}

#[test]
fn folded_fields_of_answers_become_spaces_without_being_named() {
    on_every_wire(|| {
        let sim = Sim::new(&["a"]);
        sim.server("a").answers("HTTP/1.1 200 OK\r\nA: b\r\n\tc\r\nContent-Length: 0\r\n\r\n");
        sim.client()
            .sends(GET)
            .receives("HTTP/1.1 200 OK\r\nA: b   c\r\nContent-Length: 0\r\n\r\n");
        assert_eq!(sim.counted(Kind::Server, "evener_server_violations_total", "obs_fold"), 1);
    });
}

#[test]
fn an_answer_without_a_date_gets_one_and_one_with_a_date_keeps_it() {
    let dated =
        "HTTP/1.1 200 OK\r\nDate: Tue, 15 Nov 1994 08:12:31 GMT\r\nContent-Length: 0\r\n\r\n";
    on_every_wire(|| {
        let sim = Sim::new(&["a"]);
        sim.server("a").answers(OK).answers(dated);
        let client = sim.client();
        client.sends(GET);
        let ours = "Date: Sun, 06 Nov 1994 08:49:47 GMT\r\n";
        let received = String::from_utf8(client.received_with_dates()).unwrap();
        assert_eq!(received, OK.replace("\r\n\r\n", &format!("\r\n{ours}\r\n")));
        client.sends(GET).receives(dated);
        sim.run_for(900);
        client.sends("GET /.. HTTP/1.1\r\nHost: h.test\r\n\r\n");
        let received = String::from_utf8(client.received_with_dates()).unwrap();
        assert!(received.contains("\r\nDate: Sun, 06 Nov 1994 08:49:47 GMT\r\n"), "{received}");
        let client = sim.client();
        sim.run_for(100);
        client.sends("OPTIONS * HTTP/1.1\r\nHost: h.test\r\nMax-Forwards: 0\r\n\r\n");
        let received = String::from_utf8(client.received_with_dates()).unwrap();
        assert!(received.contains("\r\nDate: Sun, 06 Nov 1994 08:49:48 GMT\r\n"), "{received}");
    });
}

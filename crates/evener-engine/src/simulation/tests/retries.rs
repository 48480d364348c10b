//! Which failures lead to another try, where, and how often.

use evener_balance::{Cause, Outcome};
use evener_plan::{Admin, LogFormat, RetryOn};

use super::{GET, OK, OURS, answered};
use crate::simulation::{Sim, on_every_wire};

const POST: &str = "POST / HTTP/1.1\r\nHost: h.test\r\nContent-Length: 4\r\n\r\nbody";
const UNAVAILABLE: &str = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n";

#[test]
fn a_kept_connection_that_ended_is_not_used() {
    on_every_wire(|| {
        let sim = Sim::new(&["a"]);
        sim.server("a").answers(OK);
        sim.client().sends(GET).receives(OK);
        sim.server("a").connection(0).ends();
        sim.client().sends(POST).receives(OK);
        assert_eq!(sim.server("a").connections(), 2);
        sim.saw(&[("a", answered(200)), ("a", answered(200))]);
    });
}

#[test]
fn a_kept_connection_that_ends_under_a_request_is_made_anew_to_the_same_server_once() {
    on_every_wire(|| {
        let sim = Sim::new(&["a", "b"]);
        sim.server("a").answers(OK);
        sim.server("b").answers(OK);
        sim.client().sends(GET).receives(OK);
        sim.client().sends(GET).receives(OK);
        sim.saw(&[("a", answered(200)), ("b", answered(200))]);
        sim.server("a").falls_silent();
        let client = sim.client();
        client.sends(GET).receives_nothing();
        sim.server("a").answers(OK).connection(0).closes();
        client.receives(OK).stays_connected();
        assert_eq!(sim.server("a").connections(), 2);
        sim.saw(&[("a", Outcome::StaleReuse), ("a", answered(200))]);
    });
}

#[test]
fn a_stale_connection_is_forgiven_once_and_then_the_server_is_to_blame() {
    on_every_wire(|| {
        let sim = Sim::new(&["a", "b"]);
        sim.server("a").answers(OK);
        sim.server("b").answers(OK);
        sim.client().sends(GET).receives(OK);
        sim.client().sends(GET).receives(OK);
        sim.server("a").falls_silent();
        let client = sim.client();
        client.sends(GET);
        sim.server("a").connection(0).resets();
        sim.server("a").connection(1).resets();
        client.receives(OK);
        sim.saw(&[
            ("a", answered(200)),
            ("b", answered(200)),
            ("a", Outcome::StaleReuse),
            ("a", Outcome::Failed(Cause::Reset)),
            ("b", answered(200)),
        ]);
    });
}

#[test]
fn a_post_on_a_stale_connection_is_not_sent_twice() {
    on_every_wire(|| {
        let sim = Sim::new(&["a"]);
        sim.server("a").answers(OK);
        sim.client().sends(GET).receives(OK);
        sim.server("a").falls_silent();
        let client = sim.client();
        client.sends(POST);
        sim.server("a").connection(0).closes();
        client.receives_status(502);
        assert_eq!(sim.server("a").connections(), 1);
        sim.saw(&[("a", answered(200)), ("a", Outcome::StaleReuse)]);
    });
}

#[test]
fn a_server_that_refuses_is_left_for_the_next_one_whatever_the_method() {
    on_every_wire(|| {
        let sim = Sim::new(&["a", "b", "c"]);
        sim.kill("a");
        sim.kill("b");
        sim.server("c").answers(OK);
        let client = sim.client();
        client.sends(POST).receives(OK).stays_connected();
        sim.server("c").received(format!(
            "POST / HTTP/1.1\r\nHost: h.test\r\nContent-Length: 4\r\n{OURS}body"
        ));
        sim.saw(&[
            ("a", Outcome::Failed(Cause::ConnectRefused)),
            ("b", Outcome::Failed(Cause::ConnectRefused)),
            ("c", answered(200)),
        ]);
    });
}

#[test]
fn when_every_server_refuses_each_was_asked_once() {
    on_every_wire(|| {
        let sim = Sim::new(&["a", "b", "c"]);
        for name in ["a", "b", "c"] {
            sim.kill(name);
        }
        let client = sim.client();
        client.sends(GET).receives_status(502);
        client.stays_connected();
        let refused = Outcome::Failed(Cause::ConnectRefused);
        sim.saw(&[("a", refused), ("b", refused), ("c", refused)]);
    });
}

#[test]
fn without_a_server_that_takes_traffic_it_is_a_503() {
    on_every_wire(|| {
        let sim = Sim::with(&["a"], |plan| plan.pools[0].servers[0].admin = Admin::Maint);
        sim.client().sends(GET).receives_status(503);
        assert_eq!(sim.server("a").connections(), 0);
        sim.saw(&[]);
    });
}

#[test]
fn connecting_takes_twice_its_time_at_most_however_many_servers_there_are() {
    let names = ["a", "b", "c", "d", "e", "f", "g", "h"];
    let sim = Sim::new(&names);
    for name in names {
        sim.server(name).hangs();
    }
    let client = sim.client();
    client.sends(GET);
    sim.run_for_less_than(10_000);
    client.receives_nothing();
    sim.run_for(300);
    client.receives_status(504);
    let late = Outcome::Failed(Cause::ConnectTimeout);
    sim.saw(&[("a", late), ("b", late)]);
}

#[test]
fn who_had_no_time_left_for_a_connection_is_not_blamed() {
    let sim = Sim::new(&["a", "b", "c"]);
    for name in ["a", "b", "c"] {
        sim.server(name).hangs();
    }
    let client = sim.client();
    client.sends(GET);
    sim.run_for(5_100);
    sim.run_for(3_000);
    sim.server("b").refuses().wakes();
    sim.run_for(2_000);
    client.receives_status(504);
    sim.saw(&[
        ("a", Outcome::Failed(Cause::ConnectTimeout)),
        ("b", Outcome::Failed(Cause::ConnectRefused)),
        ("c", Outcome::Local),
    ]);
}

#[test]
fn without_a_local_port_towards_a_server_another_is_asked_and_nobody_is_blamed() {
    on_every_wire(|| {
        let sim = Sim::new(&["a", "b"]);
        sim.server("a").is_out_of_ports();
        sim.server("b").answers(OK);
        sim.client().sends(POST).receives(OK);
        sim.saw(&[("a", Outcome::Local), ("b", answered(200))]);
        sim.server("b").is_out_of_ports().connection(0).ends();
        sim.client().sends(POST).receives_status(503);
    });
}

#[test]
fn a_connection_that_ends_before_an_answer_sends_a_get_on_and_refuses_a_post() {
    for (request, retried) in [(GET, true), (POST, false)] {
        on_every_wire(|| {
            let sim = Sim::new(&["a", "b"]);
            sim.server("a").answers_and_ends("HTTP/1.1 20");
            sim.server("b").answers(OK);
            let client = sim.client();
            client.sends(request);
            if retried {
                client.receives(OK);
                sim.saw(&[("a", Outcome::Failed(Cause::Reset)), ("b", answered(200))]);
            } else {
                client.receives_status(502);
                sim.saw(&[("a", Outcome::Failed(Cause::Reset))]);
            }
            client.stays_connected();
        });
    }
}

#[test]
fn with_non_idempotent_a_post_is_sent_again_while_its_body_is_at_hand() {
    for (body_follows, retried) in [(false, true), (true, false)] {
        let sim = Sim::with(&["a", "b"], |plan| {
            plan.pools[0].retry.on.push(RetryOn::NonIdempotent);
        });
        sim.server("b").answers(OK);
        let client = sim.client();
        let (head, body) = POST.split_at(POST.len() - 4);
        if body_follows {
            client.sends(head).sends(body);
        } else {
            client.sends(POST);
        }
        sim.kill("a");
        client.receives_status(if retried { 200 } else { 502 });
        assert_eq!(sim.server("b").connections(), usize::from(retried));
    }
}

#[test]
fn a_body_that_has_passed_is_not_sent_again() {
    on_every_wire(|| {
        let sim = Sim::new(&["a", "b"]);
        let client = sim.client();
        client.sends("PUT / HTTP/1.1\r\nHost: h.test\r\nContent-Length: 8\r\n\r\n").sends("body");
        sim.server("a").connection(0).resets();
        client.receives_status(502);
        client.sees_the_end();
        assert_eq!(sim.server("b").connections(), 0);
        sim.saw(&[("a", Outcome::Failed(Cause::Reset))]);
    });
}

#[test]
fn requests_are_sent_as_often_as_allowed_and_no_more() {
    on_every_wire(|| {
        let sim = Sim::new(&["a", "b", "c"]);
        for name in ["a", "b", "c"] {
            sim.server(name).answers_and_ends("");
        }
        sim.client().sends(GET).receives_status(502);
        let reset = Outcome::Failed(Cause::Reset);
        sim.saw(&[("a", reset), ("b", reset)]);
        assert_eq!(sim.server("c").connections(), 0);
    });
}

#[test]
fn a_status_that_is_retried_goes_to_the_next_server_and_the_last_one_is_passed_on() {
    on_every_wire(|| {
        let sim = Sim::with(&["a", "b", "c"], |plan| {
            plan.pools[0].retry.on.push(RetryOn::Status(503));
        });
        sim.server("a").answers(UNAVAILABLE);
        sim.server("b").answers(OK);
        let client = sim.client();
        client.sends(GET).receives(OK);
        sim.saw(&[("a", answered(503)), ("b", answered(200))]);
        sim.server("b").falls_silent().answers(UNAVAILABLE);
        sim.server("c").answers(UNAVAILABLE);
        client.sends(GET).receives(UNAVAILABLE).stays_connected();
        assert_eq!(sim.outcomes().len(), 2, "attempts bound it");
    });
}

#[test]
fn a_request_that_closes_every_connection_is_sent_once_too_often_at_most() {
    on_every_wire(|| {
        let sim = Sim::new(&["a", "b", "c"]);
        for name in ["a", "b", "c"] {
            sim.server(name).answers(OK);
        }
        let client = sim.client();
        client.sends(GET.repeat(3)).receives(OK.repeat(3));
        for name in ["a", "b", "c"] {
            sim.server(name).falls_silent().answers_and_ends("");
        }
        client.sends(GET).receives_status(502);
        let told: Vec<Outcome> =
            sim.outcomes().split_off(3).into_iter().map(|(_, how)| how).collect();
        let reset = Outcome::Failed(Cause::Reset);
        assert_eq!(told, [Outcome::StaleReuse, reset, reset], "retry.attempts is 2");
    });
}

#[test]
fn a_status_stands_where_nobody_is_left_to_ask() {
    on_every_wire(|| {
        let sim = Sim::with(&["a", "b"], |plan| {
            plan.pools[0].retry.on.push(RetryOn::Status(503));
            plan.pools[0].retry.attempts = 5;
        });
        sim.drain_server("b");
        sim.server("a").answers(UNAVAILABLE);
        sim.client().sends(GET).receives(UNAVAILABLE).stays_connected();
        sim.ready_server("b");
        sim.server("b").answers(UNAVAILABLE);
        sim.client().sends(GET).receives(UNAVAILABLE).stays_connected();
        assert_eq!(sim.outcomes().len(), 3, "both were asked, once");
    });
}

#[test]
fn a_stale_connection_is_no_attempt_at_a_status() {
    on_every_wire(|| {
        let sim = Sim::with(&["a", "b"], |plan| {
            plan.pools[0].retry.on.push(RetryOn::Status(503));
        });
        sim.server("a").answers(OK);
        sim.server("b").answers(OK);
        let client = sim.client();
        client.sends(GET).receives(OK);
        client.sends(GET).receives(OK);
        sim.server("a").falls_silent();
        client.sends(GET);
        sim.server("a").answers(UNAVAILABLE).connection(0).closes();
        client.receives(OK);
        let outcomes = sim.outcomes().split_off(2);
        let told: Vec<Outcome> = outcomes.into_iter().map(|(_, how)| how).collect();
        assert_eq!(told, [Outcome::StaleReuse, answered(503), answered(200)]);
    });
}

#[test]
fn the_status_of_a_post_is_passed_on() {
    on_every_wire(|| {
        let sim = Sim::with(&["a", "b"], |plan| {
            plan.pools[0].retry.on.push(RetryOn::Status(503));
        });
        sim.server("a").answers(UNAVAILABLE);
        sim.client().sends(POST).receives(UNAVAILABLE);
        sim.saw(&[("a", answered(503))]);
    });
}

#[test]
fn junk_is_retried_where_the_plan_says_so() {
    on_every_wire(|| {
        let sim = Sim::with(&["a", "b"], |plan| plan.pools[0].retry.on.push(RetryOn::Junk));
        sim.server("a").answers("SSH-2.0-OpenSSH\r\n");
        sim.server("b").answers(OK);
        sim.client().sends(GET).receives(OK);
        sim.saw(&[("a", Outcome::Failed(Cause::Junk)), ("b", answered(200))]);
    });
}

#[test]
fn the_log_has_the_words_of_a_failed_connection_and_not_those_of_one_before_it() {
    let sim = Sim::with(&["a", "b"], |plan| plan.access_log.format = LogFormat::Json);
    sim.server("a").refuses();
    sim.server("b").answers(OK);
    sim.client().sends(GET).receives(OK);
    let line = sim.log();
    assert!(line.contains("\"evener.server\":\"b\"") && !line.contains("error."), "{line}");
    sim.kill("b");
    sim.client().sends(GET).receives_status(502);
    let line = sim.log();
    let said = "\"error.type\":\"connect_refused\",\"error.detail\":\"connection refused\"";
    assert!(line.contains(said), "{line}");
    sim.server("a").falls_silent().accepts();
    let client = sim.client();
    client.sends(GET);
    sim.server("a").connection(0).sends("HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n");
    client.receives_status(502);
    let line = sim.log();
    assert!(!line.contains("connection refused"), "{line}");
}

#[test]
fn a_limit_of_our_own_is_a_503_that_says_nothing_against_the_server() {
    let sim = Sim::with(&["a", "b"], |plan| plan.access_log.format = LogFormat::Json);
    sim.server("a").is_out_of_reach();
    sim.client().sends(GET).receives_status(503);
    let line = sim.log();
    let said = "\"error.type\":\"local_limit\",\"error.detail\":\"Too many open files\"";
    assert!(line.contains(said), "{line}");
    sim.saw(&[("a", Outcome::Local)]);
    assert_eq!(sim.server("b").connections(), 0, "no other server helps against that");
}

//! TCP listeners: sessions from a client to a server.

use evener_balance::{Cause, Outcome};
use evener_plan::{Admin, ListenerProtocol, LogFormat, Plan};

use crate::simulation::{Sim, on_every_wire};

fn tcp(plan: &mut Plan) {
    plan.listeners[0].protocol = ListenerProtocol::Tcp;
}

#[test]
fn bytes_pass_both_ways_and_each_side_ends_by_itself() {
    on_every_wire(|| {
        let sim = Sim::with(&["a"], tcp);
        let client = sim.client();
        assert_eq!(sim.in_flight("a"), 1, "a session is in flight");
        let server = sim.server("a").connection(0);
        server.sends("220 welcome\r\n");
        client.receives("220 welcome\r\n").sends("EHLO me\r\n");
        server.receives("EHLO me\r\n");
        client.ends();
        server.sees_the_end().sends("bye\r\n");
        client.receives("bye\r\n").stays_connected();
        server.ends();
        client.sees_the_end();
        assert_eq!((sim.in_flight("a"), sim.alive()), (0, 0));
    });
}

#[test]
fn a_server_without_a_local_port_towards_it_is_left_for_the_next_one() {
    let sim = Sim::with(&["a", "b"], tcp);
    sim.server("a").is_out_of_ports();
    sim.client().sends("hello");
    sim.server("b").connection(0).receives("hello");
    sim.saw(&[("a", Outcome::Local), ("b", Outcome::SessionEnded)]);
}

#[test]
fn a_server_that_refuses_is_left_for_the_next_one() {
    on_every_wire(|| {
        let sim = Sim::with(&["a", "b"], tcp);
        sim.server("a").refuses();
        let client = sim.client();
        client.sends("hello");
        sim.server("b").connection(0).receives("hello");
        assert_eq!((sim.in_flight("a"), sim.in_flight("b")), (0, 1));
        let refused = Outcome::Failed(Cause::ConnectRefused);
        sim.saw(&[("a", refused), ("b", Outcome::SessionEnded)]);
        sim.server("a").accepts();
        for _ in 0..3 {
            sim.client();
        }
        assert!(sim.in_flight("a") > 0, "it is asked again");
    });
}

#[test]
fn without_a_server_the_client_is_closed_at_once() {
    let sim = Sim::with(&["a"], |plan| {
        tcp(plan);
        plan.pools[0].servers[0].admin = Admin::Drain;
    });
    sim.client().receives_nothing().sees_the_end();
    let sim = Sim::with(&["a", "b"], tcp);
    sim.kill("a");
    sim.kill("b");
    sim.client().receives_nothing().sees_the_end();
    assert_eq!(sim.outcomes().len(), 2);
}

#[test]
fn connecting_takes_twice_its_time_at_most() {
    let sim = Sim::with(&["a", "b", "c"], tcp);
    for name in ["a", "b", "c"] {
        sim.server(name).hangs();
    }
    let client = sim.client();
    sim.run_for_less_than(10_000);
    client.stays_connected();
    sim.run_for(300);
    client.sees_the_end();
}

/// Sessions in which the client speaks first, as many as it takes to be believed.
fn with_clients_that_speak_first() -> Sim {
    let sim = Sim::with(&["a"], tcp);
    for number in 0..16 {
        let client = sim.client();
        assert_eq!(sim.server("a").connections(), number + 1, "nobody waits yet");
        client.sends("hello").closes();
        sim.server("a").connection(number).receives("hello").ends();
    }
    sim
}

#[test]
fn where_clients_speak_first_a_server_is_connected_to_once_one_has() {
    on_every_wire(|| {
        let sim = with_clients_that_speak_first();
        let client = sim.client();
        assert_eq!(sim.server("a").connections(), 16, "it has said nothing");
        client.sends("hello");
        sim.server("a").connection(16).receives("hello").sends("hi");
        client.receives("hi");
        client.closes();
        sim.server("a").connection(16).ends();
        assert_eq!((sim.in_flight("a"), sim.alive()), (0, 0));
    });
}

#[test]
fn who_says_nothing_there_has_a_server_after_a_moment_and_the_next_one_at_once() {
    let sim = with_clients_that_speak_first();
    let silent = sim.client();
    sim.run_for(150);
    sim.server("a").connection(16).sends("220 welcome");
    silent.receives("220 welcome");
    sim.client();
    assert_eq!(sim.server("a").connections(), 18);
}

#[test]
fn where_servers_greet_nobody_waits_for_a_client() {
    let sim = Sim::with(&["a"], tcp);
    for number in 0..40 {
        let client = sim.client();
        sim.server("a").connection(number).sends("220 welcome");
        client.receives("220 welcome").sends("QUIT").closes();
        sim.server("a").connection(number).receives("QUIT").ends();
    }
}

#[test]
fn a_break_on_either_side_ends_both() {
    on_every_wire(|| {
        let sim = Sim::with(&["a"], tcp);
        let (one, other) = (sim.client(), sim.client());
        one.sends("x").resets();
        assert!(sim.server("a").connection(0).is_dropped());
        other.sends("y");
        sim.server("a").connection(1).resets();
        assert!(other.is_dropped());
        assert_eq!((sim.in_flight("a"), sim.alive()), (0, 0));
    });
}

#[test]
fn a_break_is_no_end_for_the_other_side_either() {
    on_every_wire(|| {
        let sim = Sim::with(&["a"], tcp);
        let (one, other) = (sim.client(), sim.client());
        one.sends("half of").resets();
        assert!(sim.server("a").connection(0).was_reset());
        sim.server("a").connection(1).sends("half of");
        other.receives("half of");
        sim.server("a").connection(1).resets();
        assert!(other.was_reset());
    });
}

#[test]
fn what_was_written_before_a_break_arrives_and_then_the_break() {
    let sim = Sim::with(&["a"], tcp);
    let (slow, stuck) = (sim.client(), sim.client());
    slow.stops_reading();
    stuck.stops_reading();
    for number in 0..2 {
        sim.server("a").connection(number).sends("all that was said").resets();
    }
    sim.run_for(1_000);
    assert!(!slow.is_dropped() && !stuck.is_dropped());
    slow.reads_again().receives("all that was said");
    sim.run_for(200);
    assert!(slow.was_reset() && !stuck.is_dropped());
    sim.run_for(2_000);
    assert!(stuck.was_reset());
}

#[test]
fn a_break_behind_an_end_takes_nothing_from_that() {
    let sim = Sim::with(&["a"], tcp);
    let client = sim.client();
    sim.server("a").connection(0).sends("421 no more\r\n").ends();
    client.receives("421 no more\r\n").sees_the_end();
    sim.server("a").connection(0).resets();
    client.sends("DATA\r\n");
    assert!(client.is_dropped() && !client.was_reset());
}

#[test]
fn a_session_may_be_idle_for_its_time_and_no_longer() {
    let sim = Sim::with(&["a"], tcp);
    let client = sim.client();
    sim.run_for_less_than(60_000);
    sim.server("a").connection(0).sends("still here");
    client.receives("still here");
    sim.run_for_less_than(60_000);
    client.stays_connected();
    sim.run_for(200);
    client.sees_the_end();
    assert_eq!(sim.in_flight("a"), 0);
}

#[test]
fn who_reads_slowly_stops_who_sends_fast() {
    let sim = Sim::with(&["a"], tcp);
    let client = sim.client();
    client.stops_reading();
    let body = "z".repeat(500_000);
    sim.server("a").connection(0).sends(&body);
    assert!(crate::io::buffers::lent() < 100_000);
    client.reads_again().receives(&body);
}

/// What the one line of the log says under these keys.
#[track_caller]
fn logged<const N: usize>(sim: &Sim, keys: [&str; N]) -> [serde_json::Value; N] {
    let log = sim.log();
    let lines: Vec<_> = log.lines().collect();
    let [line] = lines[..] else { panic!("one line was expected: {lines:?}") };
    let line: serde_json::Value = serde_json::from_str(line).unwrap();
    keys.map(|key| line[key].clone())
}

#[test]
fn a_session_has_a_line_in_the_log_when_it_is_over() {
    let sim = Sim::with(&["a", "b"], |plan| {
        tcp(plan);
        plan.access_log.format = LogFormat::Json;
    });
    sim.server("a").refuses();
    let client = sim.client();
    client.sends("hello");
    sim.run_for(2_000);
    sim.server("b").connection(0).sends("hi").ends();
    assert_eq!(sim.log(), "", "it is not over");
    client.ends();
    let [bytes_in, bytes_out, server, tries, duration, cause, detail] = logged(
        &sim,
        [
            "evener.bytes_received",
            "evener.bytes_sent",
            "evener.server",
            "evener.tries",
            "duration",
            "error.type",
            "error.detail",
        ],
    );
    assert_eq!((bytes_in, bytes_out, tries), (5.into(), 2.into(), 2.into()));
    assert_eq!((server, cause, detail), ("b".into(), ().into(), ().into()));
    assert!((2.0..2.2).contains(&duration.as_f64().unwrap()));
}

#[test]
fn a_sessions_line_says_how_it_ended() {
    let ended = |act: fn(&Sim)| {
        let sim = Sim::with(&["a"], |plan| {
            tcp(plan);
            plan.access_log.format = LogFormat::Json;
        });
        act(&sim);
        let [cause, detail] = logged(&sim, ["error.type", "error.detail"]);
        format!("{} {}", cause.as_str().unwrap(), detail.as_str().unwrap_or("-"))
    };
    assert_eq!(
        ended(|sim| {
            sim.client().resets();
        }),
        "reset -"
    );
    let idle = |sim: &Sim| {
        sim.client();
        sim.run_for(60_000);
    };
    assert_eq!(ended(idle), "tunnel_idle -");
    let removed = |sim: &Sim| {
        let client = sim.client();
        sim.run_for(10_000);
        sim.reload(|plan| plan.listeners.clear());
        client.sends("x");
        sim.run_for(30_000);
        client.sends("y");
        sim.run_for(30_000);
    };
    assert_eq!(ended(removed), "drain_cut -");
    let refused = |sim: &Sim| {
        sim.kill("a");
        sim.client();
    };
    assert_eq!(ended(refused), "connect_refused connection refused");
    let late = |sim: &Sim| {
        sim.server("a").hangs();
        sim.client();
        sim.run_for(5_000);
    };
    assert_eq!(ended(late), "connect_timeout no connection in time");
    let nobody = |sim: &Sim| {
        sim.reload(|plan| plan.pools[0].servers.clear());
        sim.client();
    };
    assert_eq!(ended(nobody), "no_server -");
}

#[test]
fn a_session_has_no_line_where_none_is_wanted() {
    let sim = Sim::with(&["a"], tcp);
    sim.client().resets();
    assert_eq!(sim.log(), "");
}

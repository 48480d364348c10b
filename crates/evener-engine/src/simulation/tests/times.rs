//! How long things took, as counters are told.

use evener_plan::RetryOn;
use evener_stats::Kind;

use super::{GET, OK};
use crate::simulation::Sim;

const SERVER: &str = "evener_server_response_duration_seconds";
const POOL: &str = "evener_pool_response_duration_seconds";

/// What server and pool are said to have taken for so many answers, in milliseconds.
#[track_caller]
fn took(sim: &Sim, answers: u64) -> u64 {
    let (count, micros) = sim.measured(Kind::Server, SERVER);
    assert_eq!(count, answers);
    assert_eq!(sim.measured(Kind::Pool, POOL), (count, micros));
    micros / 1000
}

#[test]
fn a_servers_time_is_the_time_it_thinks() {
    let sim = Sim::new(&["a"]);
    let client = sim.client();
    client.sends(GET);
    sim.run_for(400);
    sim.server("a").connection(0).sends(OK);
    client.receives(OK);
    assert!((400..=450).contains(&took(&sim, 1)));
}

#[test]
fn connecting_is_not_a_servers_time() {
    let sim = Sim::new(&["a"]);
    sim.server("a").answers(OK).hangs();
    let client = sim.client();
    client.sends(GET);
    sim.run_for(3_000);
    sim.server("a").accepts();
    client.receives(OK);
    assert_eq!(took(&sim, 1), 0);
}

#[test]
fn a_body_that_comes_slowly_is_not_a_servers_time() {
    let sim = Sim::new(&["a"]);
    sim.server("a").answers(OK);
    let client = sim.client();
    client.sends("POST / HTTP/1.1\r\nHost: h.test\r\nContent-Length: 4\r\n\r\n").sends("bo");
    sim.run_for(2_000);
    client.sends("dy").receives(OK);
    assert_eq!(took(&sim, 1), 0);
}

#[test]
fn a_server_that_answers_before_the_body_has_come_took_no_longer_than_that() {
    let sim = Sim::new(&["a"]);
    let client = sim.client();
    client.sends("POST / HTTP/1.1\r\nHost: h.test\r\nContent-Length: 4\r\n\r\n");
    sim.run_for(400);
    sim.server("a").connection(0).sends("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n");
    sim.run_for(1_000);
    client.sends("body");
    sim.server("a").connection(0).sends("x");
    client.sees_the_end();
    assert!((400..=450).contains(&took(&sim, 1)));
}

#[test]
fn tries_before_are_not_the_time_of_the_server_that_answers() {
    let sim = Sim::with(&["a", "b"], |plan| plan.pools[0].retry.on = vec![RetryOn::Timeout]);
    sim.server("b").answers(OK);
    let client = sim.client();
    client.sends(GET);
    sim.run_for(60_000);
    client.receives(OK);
    assert_eq!(took(&sim, 1), 0);
}

#[test]
fn a_kept_connection_that_had_ended_is_not_the_time_of_the_one_made_after_it() {
    let sim = Sim::new(&["a"]);
    let client = sim.client();
    client.sends(GET);
    sim.server("a").connection(0).sends(OK);
    client.receives(OK).sends(GET);
    sim.run_for(5_000);
    sim.server("a").answers(OK).connection(0).resets();
    client.receives(OK);
    assert_eq!(took(&sim, 2), 0);
}

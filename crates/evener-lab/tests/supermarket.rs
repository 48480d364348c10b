//! The supermarket model: Poisson arrivals, exponential service, queues of their own, and each
//! request joins the shortest of some drawn queues.
//!
//! Known: Mitzenmacher, "The power of two choices in randomized load balancing" (1996): for many
//! servers the mean time in the system, in mean service times, is the sum of `load` to the power of
//! `(d^i - d) / (d - 1)` over all `i` from 1 on.

use evener_lab::{Arrivals, SECOND, Scenario, ServerModel, Service, pool, run};
use evener_plan::Scheduler;

const SERVERS: usize = 1_000;
const SEEDS: u64 = 3;

/// Mean time in the system with so many draws, at a load, over so many seconds after a warm-up.
fn mean_time(draws: u32, load: f64, warm_up: u64, length: u64) -> f64 {
    let until = (warm_up + length) * SECOND;
    let of_seed = |seed| {
        let service = Service::Exponential { mean: SECOND as f64 };
        let servers = vec![ServerModel::new(service).with_slots(1); SERVERS];
        let arrivals = Arrivals::Poisson { rate: load * SERVERS as f64 };
        let pool = pool(Scheduler::Random { draws }, &[1; SERVERS]);
        let scenario = Scenario { seed, length: until, ..Scenario::new(pool, servers, arrivals) };
        run(&scenario).expect("a scenario").between(warm_up * SECOND, until).mean()
    };
    (1..=SEEDS).map(of_seed).sum::<f64>() / (SEEDS * SECOND) as f64
}

fn assert_known(draws: u32, load: f64, known: f64, found: f64) {
    let power = |i: i32| (f64::from(draws).powi(i) - f64::from(draws)) / f64::from(draws - 1);
    let sum: f64 = (1..40).map(|i| load.powf(power(i))).sum();
    assert!((sum - known).abs() < 0.001, "the formula says {sum}");
    assert!((found / known - 1.0).abs() < 0.02, "{found}, known {known}");
}

#[test]
fn one_draw_is_a_queue_of_its_own() {
    let found = mean_time(1, 0.5, 20, 120);
    assert!((found / 2.0 - 1.0).abs() < 0.02, "{found}");
}

#[test]
fn the_best_of_two_at_90_percent() {
    assert_known(2, 0.9, 2.614, mean_time(2, 0.9, 60, 300));
}

#[test]
fn the_best_of_two_at_95_percent() {
    assert_known(2, 0.95, 3.383, mean_time(2, 0.95, 120, 400));
}

#[test]
fn the_best_of_three_at_90_percent() {
    assert_known(3, 0.9, 2.028, mean_time(3, 0.9, 60, 300));
}

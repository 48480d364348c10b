//! The supermarket model: Poisson arrivals, exponential times of mean 1, a queue of its own per
//! server, and each request joins the shortest of some drawn queues. The figure is the mean time in
//! the system after a warm-up.
//!
//! Known for many servers: the sum of `λ` to the power of `(d^i - d) / (d - 1)` over all `i` from 1
//! on. Source: Mitzenmacher, "The power of two choices in randomized load balancing" (1996).

use evener_plan::Scheduler;

use super::{Row, Study};
use crate::{Arrivals, LabError, SECOND, Scenario, ServerModel, Service, pool, run};

pub(super) const STUDY: Study = Study {
    name: "supermarket",
    title: "The power of two choices",
    model: "1000 servers (2000 at λ = 0.99) that work on one request at a time, exponential times of mean 1, Poisson \
            arrivals at λ per server; each request goes to the least loaded of d drawn servers; \
            mean time in the system after the warm-up",
    source: "Mitzenmacher, “The power of two choices in randomized load balancing” (1996)",
    run: rows,
};

type Case = (u32, f64, usize, u64, u64, f64);

/// Draws, load, servers, warm-up and length in mean times, and what is known. Near a load of 1 the
/// figure hangs on what load the seed happens to bring: more requests, and more servers, too.
const CASES: [Case; 4] = [
    (2, 0.9, 1_000, 40, 140, 2.614),
    (2, 0.95, 1_000, 80, 180, 3.383),
    (2, 0.99, 2_000, 200, 1_800, 5.432),
    (3, 0.9, 1_000, 40, 140, 2.028),
];

fn mean_time(case: Case, seed: u64) -> Result<f64, LabError> {
    let (draws, load, servers, warm_up, length, _) = case;
    let until = (warm_up + length) * SECOND;
    let service = Service::Exponential { mean: SECOND as f64 };
    let models = vec![ServerModel::new(service).with_slots(1); servers];
    let arrivals = Arrivals::Poisson { rate: load * servers as f64 };
    let pool = pool(Scheduler::Random { draws }, &vec![1; servers]);
    let scenario = Scenario { seed, length: until, ..Scenario::new(pool, models, arrivals) };
    Ok(run(&scenario)?.between(warm_up * SECOND, until).mean() / SECOND as f64)
}

fn rows(seed: u64) -> Result<Vec<Row>, LabError> {
    let row = |case: Case| {
        let (draws, load, .., known) = case;
        let found = mean_time(case, seed)?;
        let what = format!("mean time, best of {draws} at λ = {load}");
        Ok(Row::published(&what, "", known, 0.02, found))
    };
    CASES.into_iter().map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_is_what_the_formula_says() {
        for (draws, load, .., known) in CASES {
            let draws = f64::from(draws);
            let power = |i: i32| (draws.powi(i) - draws) / (draws - 1.0);
            let sum: f64 = (1..40).map(|i| load.powf(power(i))).sum();
            assert!((sum - known).abs() < 0.001, "{sum}, {known}");
        }
    }

    #[test]
    fn one_draw_is_a_queue_of_its_own() {
        let found = mean_time((1, 0.5, 1_000, 20, 120, 2.0), 1).unwrap();
        assert!((found / 2.0 - 1.0).abs() < 0.02, "{found}");
    }
}

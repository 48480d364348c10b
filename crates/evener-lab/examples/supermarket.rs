//! The supermarket model at more servers and higher load than a test has time for:
//! `cargo run --release -p evener-lab --example supermarket DRAWS LOAD SERVERS SECONDS`.
//!
//! Known for many servers: best of 2 at .9, .95, .99: 2.614, 3.383, 5.432; of 3 at .9: 2.028.

use evener_lab::{Arrivals, LabError, SECOND, Scenario, ServerModel, Service, pool, run};
use evener_plan::Scheduler;

fn main() -> Result<(), LabError> {
    let given: Vec<f64> = std::env::args().skip(1).filter_map(|word| word.parse().ok()).collect();
    let number = |at: usize, default: f64| given.get(at).copied().unwrap_or(default);
    let (draws, load) = (number(0, 2.0) as u32, number(1, 0.9));
    let (servers, seconds) = (number(2, 1_000.0) as usize, number(3, 500.0) as u64);
    let mut means = Vec::new();
    for seed in 1..=5 {
        let service = Service::Exponential { mean: SECOND as f64 };
        let models = vec![ServerModel::new(service).with_slots(1); servers];
        let arrivals = Arrivals::Poisson { rate: load * servers as f64 };
        let pool = pool(Scheduler::Random { draws }, &vec![1; servers]);
        let length = seconds * SECOND;
        let report = run(&Scenario { seed, length, ..Scenario::new(pool, models, arrivals) })?;
        let mean = report.between(length / 4, length).mean() / SECOND as f64;
        println!("seed {seed}: {mean:.3}");
        means.push(mean);
    }
    println!("mean {:.3}", means.iter().sum::<f64>() / means.len() as f64);
    Ok(())
}

//! Servers whose speed changes all the time (C3, NSDI 2015, §5: 50 servers of 4 slots, exponential
//! times of 4 ms in the mean, three times faster or not, redrawn every 100 ms).

use evener_lab::{Arrivals, Pace, Report, SECOND, Scenario, ServerModel, Service, pool, run};
use evener_plan::{Measure, Scheduler};

fn report(scheduler: Scheduler, balancers: usize) -> Report {
    let mut server = ServerModel::new(Service::Exponential { mean: 4_000.0 / 3.0 }).with_slots(4);
    server.pace = Pace::Redrawn { every: 100_000, slower: 3.0 };
    let arrivals = Arrivals::Poisson { rate: 70_000.0 };
    let scenario = Scenario::new(pool(scheduler, &[1; 50]), vec![server; 50], arrivals);
    let scenario = Scenario { balancers, network: 500, length: 3 * SECOND, ..scenario };
    run(&scenario).expect("a scenario").between(SECOND, 3 * SECOND)
}

#[test]
fn one_balancer_that_goes_by_load_keeps_queues_short() {
    let round_robin = report(Scheduler::NginxRoundRobin {}, 1).mean();
    for scheduler in [
        Scheduler::NginxLeastConn {},
        Scheduler::HaproxyLeastconn {},
        Scheduler::Random { draws: 2 },
        Scheduler::PeakEwma { decay: 10_000, unknown: 1 },
        Scheduler::Prequal { pool: 16, probes: 300, age: 1_000, hot: 84 },
        Scheduler::NginxLeastTime { measure: Measure::LastByte, inflight: true },
    ] {
        let mean = report(scheduler.clone(), 1).mean();
        assert!(mean < 4_500.0 && mean < round_robin / 4.0, "{scheduler:?}: {mean}");
    }
}

#[test]
fn of_many_that_see_little_those_that_go_by_time_do_better() {
    let least_conn = report(Scheduler::NginxLeastConn {}, 150).mean();
    for scheduler in [
        Scheduler::Prequal { pool: 16, probes: 300, age: 1_000, hot: 84 },
        Scheduler::NginxLeastTime { measure: Measure::LastByte, inflight: true },
    ] {
        let mean = report(scheduler.clone(), 150).mean();
        assert!(mean < 0.8 * least_conn, "{scheduler:?}: {mean}, least_conn {least_conn}");
    }
}

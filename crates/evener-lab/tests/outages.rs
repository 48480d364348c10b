//! A server that becomes slow, fails or heals: what it costs with which scheduler.

use evener_lab::{
    Arrivals, Deadline, Ending, Fault, LabError, Report, Room, SECOND, Scenario, ServerModel,
    Service, What, pool, run,
};
use evener_plan::{Passive, Readmit, Scheduler};

const SERVERS: usize = 11;
const MEDIAN: f64 = 167_000.0;
const PEAK_EWMA: Scheduler = Scheduler::PeakEwma { decay: 10_000, unknown: 1_000 };

/// 11 servers, 1000 requests a second for a minute; something is wrong with the first one from
/// 15 s to 45 s.
fn outage(scheduler: Scheduler, what: What, seed: u64) -> Scenario {
    let service = Service::Normal { mean: MEDIAN, deviation: 5_000.0 };
    let mut servers = vec![ServerModel::new(service); SERVERS];
    servers[0].faults = vec![Fault::new(15 * SECOND, 45 * SECOND, what)];
    let arrivals = Arrivals::Poisson { rate: 1_000.0 };
    Scenario { seed, ..Scenario::new(pool(scheduler, &[1; SERVERS]), servers, arrivals) }
}

fn share(report: &Report, from: u64, until: u64) -> f64 {
    let picks = report.between(from * SECOND, until * SECOND).picks;
    picks[0] as f64 / picks.iter().sum::<u64>() as f64
}

#[test]
fn a_server_that_refuses_connections_is_ejected_and_comes_back() {
    let mut scenario = outage(Scheduler::NginxRoundRobin {}, What::Refuses, 1);
    scenario.pool.passive =
        Some(Passive { fails: 1, within: 10_000, out: 10_000, readmit: Readmit::Tcp });
    let report = run(&scenario).unwrap();
    let refused = report.samples.iter().filter(|sample| sample.ending == Ending::Refused).count();
    assert!((1..5).contains(&refused), "{refused}");
    assert!(share(&report, 57, 60) > 0.05);
}

#[test]
fn clients_give_up_when_they_said_they_would() {
    let slow = What::Takes(Service::Fixed(2 * SECOND));
    let mut scenario = outage(Scheduler::NginxRoundRobin {}, slow, 1);
    scenario.deadline = Some(Deadline { after: SECOND, blames: true });
    let report = run(&scenario).unwrap();
    let gave_up = report.samples.iter().filter(|sample| sample.ending == Ending::GaveUp);
    assert!(gave_up.clone().all(|sample| sample.took == SECOND && sample.server == Some(0)));
    assert!((2_600..2_900).contains(&gave_up.count()));
}

#[test]
fn equal_seeds_give_equal_reports_and_others_do_not() {
    let scenario = |seed| Scenario { length: SECOND, ..outage(PEAK_EWMA, What::Refuses, seed) };
    assert_eq!(run(&scenario(4)), run(&scenario(4)));
    assert_ne!(run(&scenario(4)), run(&scenario(5)));
}

#[test]
fn a_scenario_that_makes_no_sense_is_not_run() {
    let mut scenario = outage(PEAK_EWMA, What::Refuses, 1);
    scenario.balancers = 0;
    assert_eq!(run(&scenario).unwrap_err().to_string(), "a scenario needs at least one balancer");
    scenario.balancers = 1;
    scenario.arrivals = Arrivals::Poisson { rate: f64::NAN };
    assert_eq!(run(&scenario).unwrap_err().to_string(), "a rate is not a number above 0");
    scenario.servers.pop();
    let error = run(&scenario).unwrap_err().to_string();
    assert_eq!(error, "the pool has 11 servers, the scenario has models of 10");
}

#[test]
fn requests_arrive_as_often_as_is_said_however_often_that_is() {
    let servers = vec![ServerModel::new(Service::Fixed(1)); 2];
    let lasts = |arrivals, length| {
        let pool = pool(Scheduler::NginxRoundRobin {}, &[1; 2]);
        let scenario = Scenario::new(pool, servers.clone(), arrivals);
        run(&Scenario { length, ..scenario }).unwrap().samples.len()
    };
    for rate in [1_000_000.0, 5_000_000.0] {
        let wanted = rate as usize / 5;
        for arrivals in [Arrivals::Poisson { rate }, Arrivals::Steps(vec![(0, rate)])] {
            let came = lasts(arrivals.clone(), SECOND / 5);
            assert!(came.abs_diff(wanted) < wanted / 50, "{came} of {wanted}: {arrivals:?}");
        }
    }
}

#[test]
fn more_requests_than_a_machine_holds_are_refused() {
    let pool = pool(Scheduler::NginxRoundRobin {}, &[1]);
    let servers = vec![ServerModel::new(Service::Fixed(1))];
    for arrivals in [
        Arrivals::Poisson { rate: 999_999_999.0 },
        Arrivals::Even { rate: 2_000_000.0 },
        Arrivals::Steps(vec![(0, 1.0), (30 * SECOND, 4_000_000.0)]),
    ] {
        let scenario = Scenario::new(pool.clone(), servers.clone(), arrivals);
        let refused = run(&scenario).unwrap_err();
        assert!(matches!(refused, LabError::TooMany(_)), "{refused}");
    }
}

#[test]
fn a_tail_without_end_ends() {
    for room in [Room::Endless, Room::Slots(2), Room::Cores(2.0)] {
        let service = Service::LogNormal { median: 50_000.0, spread: 100.0 };
        let model = ServerModel { room, ..ServerModel::new(service) };
        let pool = pool(Scheduler::NginxRoundRobin {}, &[1; 2]);
        let scenario = Scenario::new(pool, vec![model; 2], Arrivals::Even { rate: 100.0 });
        let report = run(&Scenario { length: 2 * SECOND, ..scenario }).unwrap();
        assert_eq!(report.good_within(u64::MAX), 1.0);
        assert!(report.samples.iter().all(|sample| sample.took < 400 * 86_400 * SECOND));
    }
}

//! What goes wrong with servers, what health and retries make of it.

use evener_lab::{
    Arrivals, Deadline, Ending, Fault, Flap, LabError, Recorded, Report, SECOND, Scenario,
    ServerModel, Service, Summary, What, pool, run,
};
use evener_plan::{Check, CheckKind, Expect, Passive, Readmit, RetryOn, Scheduler};

const SERVERS: usize = 4;

/// Four servers of 10 ms, 400 requests a second for a minute; this is wrong with the first one
/// from 20 s to 40 s.
fn scenario(what: What) -> Scenario {
    let mut servers = vec![ServerModel::new(Service::Fixed(10_000)); SERVERS];
    servers[0].faults = vec![Fault::new(20 * SECOND, 40 * SECOND, what)];
    let pool = pool(Scheduler::NginxRoundRobin {}, &[1; SERVERS]);
    Scenario::new(pool, servers, Arrivals::Poisson { rate: 400.0 })
}

fn share(report: &Report, from: u64, until: u64) -> f64 {
    let picks = report.between(from * SECOND, until * SECOND).picks;
    picks[0] as f64 / picks.iter().sum::<u64>() as f64
}

fn check() -> Check {
    let expect = Expect { status: vec![(200, 399)], body: None, header: Default::default() };
    let kind = CheckKind::Http {
        path: "/".into(),
        method: "GET".into(),
        host: None,
        headers: Default::default(),
        expect,
    };
    let (fast, down, port) = (None, None, None);
    let (every, timeout) = (2_000, 1_000);
    Check { kind, every, timeout, rise: 2, fall: 2, fast, down, jitter: 0.1, port }
}

#[test]
fn a_refused_connection_goes_to_every_other_server_without_being_counted() {
    let mut scenario = scenario(What::Refuses);
    scenario.pool.retry.on = vec![RetryOn::Connect];
    let report = run(&scenario).unwrap();
    assert_eq!(report.good_within(SECOND), 1.0);
    let twice = report.samples.iter().filter(|sample| sample.tries == 2).count();
    assert!((1_700..2_300).contains(&twice), "{twice}");
}

#[test]
fn an_answer_is_tried_again_as_often_as_it_is_allowed() {
    let mut scenario = scenario(What::Answers { status: 503, after: 1_000 });
    let failed = |scenario: &Scenario| {
        let report = run(scenario).unwrap();
        assert!(report.samples.iter().all(|sample| sample.tries <= 2));
        report.samples.iter().filter(|sample| !sample.ending.is_good()).count()
    };
    assert!(failed(&scenario) > 1_700);
    scenario.pool.retry.on = vec![RetryOn::Status(503)];
    scenario.pool.retry.attempts = 2;
    assert_eq!(failed(&scenario), 0);
    scenario.pool.retry.attempts = 1;
    assert!(failed(&scenario) > 1_700);
}

#[test]
fn a_check_takes_a_server_out_that_fails_fast_and_lets_it_back() {
    let mut scenario = scenario(What::Answers { status: 503, after: 1_000 });
    scenario.pool.checks = vec![check()];
    let report = run(&scenario).unwrap();
    assert!((share(&report, 0, 20) - 0.25).abs() < 0.02);
    assert_eq!(share(&report, 26, 40), 0.0);
    assert!((share(&report, 46, 60) - 0.25).abs() < 0.02);
}

#[test]
fn a_silent_server_holds_what_it_has_until_somebody_gives_up() {
    let mut scenario = scenario(What::Silent);
    let open = |report: &Report| {
        report.samples.iter().filter(|sample| sample.ending == Ending::Open).count()
    };
    assert!(open(&run(&scenario).unwrap()) > 1_700);
    scenario.deadline = Some(Deadline { after: SECOND, blames: true });
    scenario.pool.passive =
        Some(Passive { fails: 1, within: 10_000, out: 30_000, readmit: Readmit::Tcp });
    scenario.pool.retry.on = vec![RetryOn::Timeout];
    scenario.pool.retry.attempts = 2;
    let report = run(&scenario).unwrap();
    assert_eq!(open(&report), 0);
    assert_eq!(report.good_within(2 * SECOND), 1.0);
    assert_eq!(share(&report, 22, 45), 0.0, "out for 30 s");
}

#[test]
fn a_server_that_flaps_is_out_while_it_is_ejected_and_back_between() {
    let mut scenario = scenario(What::Refuses);
    scenario.servers[0].faults[0].flaps = Some(Flap { on: 2 * SECOND, off: 8 * SECOND });
    scenario.pool.passive =
        Some(Passive { fails: 1, within: 10_000, out: 3_000, readmit: Readmit::Tcp });
    let report = run(&scenario).unwrap();
    assert_eq!(share(&report, 21, 23), 0.0);
    assert!(share(&report, 24, 30) > 0.2);
    assert_eq!(share(&report, 31, 33), 0.0);
    let refused = report.samples.iter().filter(|sample| sample.ending == Ending::Refused).count();
    assert_eq!(refused, 2);
}

#[test]
fn weights_are_shares() {
    let mut scenario = scenario(What::Refuses);
    scenario.servers[0].faults.clear();
    scenario.pool = pool(Scheduler::NginxRoundRobin {}, &[5, 1, 1, 1]);
    let report = run(&scenario).unwrap();
    assert!((share(&report, 0, 60) - 5.0 / 8.0).abs() < 0.001);
}

#[test]
fn a_log_is_played_with_its_own_times_and_clients() {
    let request = |at: u64| Recorded { at: at * 10_000, client: at % 7, key: at % 3, work: at };
    let log = Arrivals::Recorded((1..=300).map(request).collect());
    let servers = vec![ServerModel::new(Service::OfRequest { times: 2.0 }); SERVERS];
    let ring = Scheduler::Ring { points: 160 };
    let report = run(&Scenario::new(pool(ring, &[1; SERVERS]), servers, log)).unwrap();
    let mut by_key = [None; 3];
    for (at, sample) in (1..).zip(&report.samples) {
        assert_eq!(sample.took, 2 * at);
        let server = by_key[at as usize % 3].get_or_insert(sample.server);
        assert_eq!(*server, sample.server, "a key stays");
    }
}

#[test]
fn a_scenario_is_itself_again_after_json_and_junk_is_none() {
    let scenario = scenario(What::Answers { status: 503, after: 1_000 });
    let json = serde_json::to_string(&scenario).unwrap();
    assert_eq!(Scenario::from_json(&json).unwrap(), scenario);
    let more = json.replacen('{', "{\"more\":1,", 1);
    assert!(matches!(Scenario::from_json(&more), Err(LabError::NotRead(_))));
}

#[test]
fn a_summary_says_what_came_of_it_piece_by_piece() {
    let scenario = scenario(What::Answers { status: 503, after: 1_000 });
    let summary = Summary::of(&scenario, &run(&scenario).unwrap(), 3);
    assert_eq!(summary.scheduler, "nginx/round_robin");
    let report = run(&scenario).unwrap();
    for slice in &summary.slices {
        let part = report.between(slice.from, slice.from + 20 * SECOND);
        let figures = [slice.times.p50, slice.times.p90, slice.times.p99, slice.times.p999];
        assert_eq!(figures, [0.5, 0.9, 0.99, 0.999].map(|quantile| part.quantile(quantile)));
    }
    let good: Vec<f64> = summary.slices.iter().map(|slice| slice.times.good).collect();
    assert!(good[0] == 1.0 && (0.72..0.78).contains(&good[1]) && good[2] == 1.0, "{good:?}");
    assert_eq!(summary.whole.p50, Some(10_000));
    assert_eq!(summary.whole.p99, None, "more than one in a hundred failed");
    assert!(summary.slices.iter().all(|slice| (slice.first - 0.25).abs() < 0.01));
    assert_eq!(
        summary.servers.iter().map(|server| server.picks).sum::<u64>(),
        summary.whole.requests
    );
}

#[test]
fn a_try_after_a_refusal_has_a_deadline_of_its_own() {
    let mut scenario = scenario(What::Refuses);
    scenario.pool.retry.on = vec![RetryOn::Connect];
    // A refusal takes 100 ms, an answer 110 ms: more than the deadline together.
    scenario.network = 100_000;
    scenario.deadline = Some(Deadline { after: 150_000, blames: true });
    let report = run(&scenario).unwrap();
    assert!(report.samples.iter().any(|sample| sample.tries == 2));
    assert_eq!(report.good_within(SECOND), 1.0);
}

#[test]
fn time_in_which_nothing_happens_costs_nothing() {
    let passive = Passive { fails: 1, within: 10_000, out: 3_000, readmit: Readmit::Tcp };
    // A log's clock that was not yet set: its first line is of 1970.
    let at = |at| Recorded { at: at * SECOND, client: 1, key: 1, work: 1_000 };
    let day = 86_400;
    let requests = [0, 1, 2, 365 * day, 365 * day + 1].map(at).to_vec();
    let mut scenario = scenario(What::Refuses);
    scenario.servers[0].faults = vec![Fault::new(0, 30 * SECOND, What::Refuses)];
    scenario.pool.passive = Some(passive);
    scenario.pool.retry.on = vec![RetryOn::Connect];
    scenario.arrivals = Arrivals::Recorded(requests);
    scenario.length = 366 * day * SECOND;
    let report = run(&scenario).unwrap();
    assert_eq!(report.good_within(SECOND), 1.0);
    assert!(report.events < 1_000, "{}", report.events);
}

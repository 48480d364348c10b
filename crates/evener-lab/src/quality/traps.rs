//! Traps that schedulers fell into: a server that fails fast draws everything, a healed one stays
//! alone, a new one is flooded, one starves, balancers that see little run to the same server.
//!
//! Source: rules of this project, after what users of other balancers reported; each figure is a
//! part of the fair share, so that 1 is fair.

use evener_balance::{Birth, Group, Lease, Outcome, Timing, Tried};
use evener_plan::Scheduler;

use super::{Row, Study, ours};
use crate::{
    Arrivals, Fault, LabError, Report, SECOND, Scenario, ServerModel, Service, What, pool, run,
};

pub(super) const STUDY: Study = Study {
    name: "traps",
    title: "Traps",
    model: "11 servers, normal times of 167 ms ± 5 ms, 1000 requests a second; from 15 s to 45 s \
            the first one answers 503 in 1 ms, or takes 2 s; a twelfth comes to 11 busy ones; 10 \
            balancers with views of their own over 20 servers; figures are parts of a fair share",
    source: "rules of this project",
    run: rows,
};

const SERVERS: usize = 11;

fn outage(scheduler: Scheduler, what: What, length: u64, seed: u64) -> Result<Report, LabError> {
    let service = Service::Normal { mean: 167_000.0, deviation: 5_000.0 };
    let mut servers = vec![ServerModel::new(service); SERVERS];
    servers[0].faults = vec![Fault::new(15 * SECOND, 45 * SECOND, what)];
    let arrivals = Arrivals::Poisson { rate: 1_000.0 };
    let scenario = Scenario::new(pool(scheduler, &[1; SERVERS]), servers, arrivals);
    run(&Scenario { seed, length: length * SECOND, ..scenario })
}

/// What the first server had in a span of seconds, as a part of its fair share.
fn share(report: &Report, from: u64, until: u64) -> f64 {
    let picks = report.between(from * SECOND, until * SECOND).picks;
    let all: u64 = picks.iter().sum();
    let first = picks.first().copied().unwrap_or_default();
    first as f64 * picks.len() as f64 / all.max(1) as f64
}

/// Least and most that any server had of ten balancers with views of their own: the least of all
/// the time, the most within a second.
fn herd(scheduler: Scheduler, seed: u64) -> Result<(f64, f64), LabError> {
    const MANY: usize = 20;
    let service = Service::LogNormal { median: 50_000.0, spread: 0.5 };
    let servers = vec![ServerModel::new(service).with_slots(20); MANY];
    let arrivals = Arrivals::Poisson { rate: 3_000.0 };
    let scenario = Scenario::new(pool(scheduler, &[1; MANY]), servers, arrivals);
    let report = run(&Scenario { seed, balancers: 10, length: 10 * SECOND, ..scenario })?;
    let of_fair = |report: &Report, picks: u64| {
        picks as f64 * MANY as f64 / report.samples.len().max(1) as f64
    };
    let least = report.picks.iter().min().copied().unwrap_or_default();
    let most = |second: u64| {
        let part = report.between(second * SECOND, (second + 1) * SECOND);
        of_fair(&part, part.picks.iter().max().copied().unwrap_or_default())
    };
    Ok((of_fair(&report, least), (2..10).map(most).fold(0.0, f64::max)))
}

/// What a server that a reload adds to busy ones has of the first thousand picks, as a part of its
/// fair share.
fn newcomer(scheduler: Scheduler, seed: u64) -> f64 {
    const PICKS: usize = 1_000;
    let before = Group::new(&pool(scheduler.clone(), &[1; SERVERS]), None, Birth::Start, 0);
    before.stir(seed);
    let busy = drive(&before, 0, PICKS * 2, Vec::new()).1;
    let grown = pool(scheduler, &[1; SERVERS + 1]);
    let after = Group::new(&grown, Some(&before), Birth::Start, 2_000);
    let picks = drive(&after, 2_000, PICKS, busy).0;
    picks.last().copied().unwrap_or_default() as f64 * (SERVERS + 1) as f64 / PICKS as f64
}

/// A pick a millisecond, each of which takes 167 of them.
fn drive(group: &Group, from: u64, count: usize, hand: Vec<Lease>) -> (Vec<u64>, Vec<Lease>) {
    let mut hand = std::collections::VecDeque::from(hand);
    let mut picks = vec![0; group.len()];
    for now in from..from + count as u64 {
        while hand.front().is_some_and(|lease| lease.begun() + 167 <= now) {
            if let Some(lease) = hand.pop_front() {
                let timing = Timing { head: None, whole: 167_000 };
                group.report_timed(&lease, Outcome::Answered { status: 200 }, timing, now);
            }
        }
        if let Ok(lease) = group.pick(&Tried::new(), now) {
            picks[lease.index()] += 1;
            hand.push_back(lease);
        }
    }
    (picks, hand.into())
}

fn rows(seed: u64) -> Result<Vec<Row>, LabError> {
    let slow = What::Takes(Service::Fixed(2 * SECOND));
    let fails = What::Answers { status: 503, after: 1_000 };
    let mut rows = Vec::new();
    for (name, scheduler) in ours() {
        let (least, most) = herd(scheduler.clone(), seed)?;
        rows.push(Row::at_least(&format!("least share of 20, {name}"), "", 0.33, least));
        let what = format!("most in a second, 10 balancers, {name}");
        rows.push(Row::at_most(&what, "", 2.0, most));
        let what = format!("first second of a new server, {name}");
        rows.push(Row::at_most(&what, "", 2.0, newcomer(scheduler.clone(), seed)));
        if matches!(scheduler, Scheduler::Random { .. }) {
            continue;
        }
        let failing = outage(scheduler.clone(), fails, 45, seed)?;
        let what = format!("share while it answers 503 in 1 ms, {name}");
        rows.push(Row::at_most(&what, "", 1.0, share(&failing, 16, 45)));
        let healed = outage(scheduler, slow, 90, seed)?;
        let back = share(&healed, 75, 90);
        rows.push(Row::at_least(&format!("share 30 s after it healed, {name}"), "", 0.7, back));
        let most = (45..90).map(|at| share(&healed, at, at + 1)).fold(0.0, f64::max);
        let what = format!("most in a second after it healed, {name}");
        rows.push(Row::at_most(&what, "", 3.0, most));
    }
    Ok(rows)
}

//! Shards that share a scheduler's state pick as one would; with one each, each picks for itself.

mod pools;

use evener_balance::{Birth, Cause, Group, Lease, Outcome, Request, Tried};
use evener_plan::{Measure, Passive, Pool, Readmit, Scheduler, Scope};
use pools::{pool, schedulers};

/// A request on a shard.
struct On(usize);

impl Request for On {
    fn shard(&self) -> usize {
        self.0
    }
}

fn with(scheduler: Scheduler, weights: &[u32], scope: Scope) -> Pool {
    let mut pool = pool(weights);
    (pool.scheduler, pool.scope) = (scheduler, scope);
    pool
}

fn group(pool: &Pool) -> Group {
    Group::of_shards(pool, None, Birth::Start, 0, 4)
}

fn pick(group: &Group, shard: usize, now: u64) -> Lease {
    group.pick_for(&On(shard), &Tried::new(), now).expect("a server")
}

/// Whom a shard picks for a request that it is done with at once; hashes find nobody for it.
fn picked(group: &Group, shard: usize) -> Option<usize> {
    group.pick_for(&On(shard), &Tried::new(), 0).ok().map(|lease| lease.index())
}

/// Whom each of four shards picks in turn, so many times.
fn rounds(group: &Group, count: usize) -> Vec<[Option<usize>; 4]> {
    (0..count).map(|_| [0, 1, 2, 3].map(|shard| picked(group, shard))).collect()
}

#[test]
fn with_several_shards_the_spread_is_that_of_one() {
    for (name, scheduler) in schedulers::all() {
        let shared = group(&with(scheduler.clone(), &[5, 3, 1], Scope::Shared));
        let one = Group::new(&with(scheduler, &[5, 3, 1], Scope::Shared), None, Birth::Start, 0);
        let alone: Vec<_> = (0..36).map(|_| picked(&one, 0)).collect();
        assert_eq!(rounds(&shared, 9).concat(), alone, "{name}");
    }
}

#[test]
fn with_a_scheduler_for_each_shard_each_picks_as_one_alone() {
    for scheduler in [Scheduler::NginxRoundRobin {}, Scheduler::HaproxyRoundrobin {}] {
        let own = group(&with(scheduler.clone(), &[5, 3, 1], Scope::Shard));
        let one = group(&with(scheduler, &[5, 3, 1], Scope::Shared));
        let alone: Vec<_> = (0..9).map(|_| picked(&one, 0)).collect();
        let rounds = rounds(&own, 9);
        for shard in 0..4 {
            let picks: Vec<_> = rounds.iter().map(|round| round[shard]).collect();
            assert_eq!(picks, alone, "shard {shard}");
        }
    }
}

#[test]
fn shards_draw_different_lots() {
    let own = group(&with(Scheduler::Random { draws: 1 }, &[1; 50], Scope::Shard));
    own.stir(7);
    assert!(rounds(&own, 20).iter().any(|round| round[0] != round[1]));
}

#[test]
fn a_shard_s_scheduler_counts_what_that_shard_has_in_hand() {
    // On shard 0 the second server has three leases and the first none.
    let load = |scope| {
        let group = group(&with(Scheduler::NginxLeastConn {}, &[1, 1], scope));
        let all: Vec<_> = (0..6).map(|_| pick(&group, 0, 0)).collect();
        let held: Vec<_> = all.into_iter().filter(|lease| lease.index() == 1).collect();
        (group, held)
    };
    let in_flight = |group: &Group, index| group.facts(index).expect("a server").in_flight;
    let of_shard_1 = |group: &Group, count| -> Vec<_> {
        std::iter::repeat_with(|| pick(group, 1, 0)).take(count).collect()
    };
    let (own, held) = load(Scope::Shard);
    assert_eq!((in_flight(&own, 0), in_flight(&own, 1)), (0, 3), "people see all");
    let mine = of_shard_1(&own, 6);
    let on_second = mine.iter().filter(|lease| lease.index() == 1).count();
    assert_eq!(on_second, 3, "this shard had nothing in hand on either");
    let (shared, others) = load(Scope::Shared);
    let all = of_shard_1(&shared, 3);
    assert!(all.iter().all(|lease| lease.index() == 0));
    drop((held, mine, others, all));
    for group in [&own, &shared] {
        assert_eq!((in_flight(group, 0), in_flight(group, 1)), (0, 0));
    }
}

#[test]
fn what_happens_to_a_server_is_told_to_all_shards() {
    let mut plan = with(Scheduler::NginxRoundRobin {}, &[1, 1], Scope::Shard);
    plan.passive = Some(Passive { fails: 1, within: 100, out: 100, readmit: Readmit::Request });
    let own = group(&plan);
    let failed = pick(&own, 2, 0);
    assert_eq!(failed.index(), 0);
    own.report(&failed, Outcome::Failed(evener_balance::Cause::Reset), 0);
    drop(failed);
    assert!(rounds(&own, 3).concat().iter().all(|index| *index == Some(1)));
    let trials = [0, 1, 2, 3].map(|shard| pick(&own, shard, 200));
    let tried = trials.iter().filter(|lease| lease.index() == 0).count();
    assert_eq!(tried, 1, "one trial for all shards together");
}

#[test]
fn leases_and_turns_go_on_when_the_scope_changes() {
    let shared = with(Scheduler::NginxRoundRobin {}, &[1, 1, 1], Scope::Shared);
    let own = Pool { scope: Scope::Shard, ..shared.clone() };
    let first = group(&shared);
    let held = pick(&first, 0, 0);
    let second = Group::of_shards(&own, Some(&first), Birth::Reload, 1, 4);
    let next = [0, 1, 2, 3].map(|shard| pick(&second, shard, 1));
    assert!(next.iter().all(|lease| lease.index() == 1), "each goes on from the turn that was");
    let third = Group::of_shards(&shared, Some(&second), Birth::Reload, 2, 4);
    drop(held);
    drop(next);
    let in_flight: u32 = (0..3).map(|index| third.facts(index).expect("one").in_flight).sum();
    assert_eq!(in_flight, 0);
    assert_eq!(pick(&third, 3, 2).index(), 2);
}

#[test]
fn a_trial_that_another_shard_had_leaves_nothing_behind_in_this_one() {
    for scheduler in [
        Scheduler::PeakEwma { decay: 10_000, unknown: 1 },
        Scheduler::Prequal { pool: 16, probes: 300, age: 1_000, hot: 84 },
        Scheduler::NginxLeastTime { measure: Measure::Header, inflight: true },
    ] {
        let name = format!("{scheduler:?}");
        let counts = after_a_trial_elsewhere(scheduler);
        assert!(counts[0] > 300, "{name}: {counts:?}");
    }
}

/// How often a shard picks each of two servers, of which the first had its trial by another.
fn after_a_trial_elsewhere(scheduler: Scheduler) -> [u32; 2] {
    let mut plan = with(scheduler, &[1, 1], Scope::Shard);
    plan.passive =
        Some(Passive { fails: 1, within: 10_000, out: 10_000, readmit: Readmit::Request });
    let group = group(&plan);
    let fine = Outcome::Answered { status: 200 };
    let picked = |shard, now| {
        let lease = pick(&group, shard, now);
        group.report(&lease, fine, now);
        lease.index()
    };
    let of_first = |now| loop {
        let lease = pick(&group, 0, now);
        match lease.index() {
            0 => break lease,
            _ => group.report(&lease, fine, now),
        };
    };
    let failed = of_first(0);
    group.report(&failed, Outcome::Failed(Cause::ConnectRefused), 0);
    drop(failed);
    let trial = of_first(100_000);
    // Meanwhile the other shard finds the trial taken.
    (0..50).for_each(|_| assert_eq!(picked(1, 100_000), 1));
    group.report(&trial, fine, 100_001);
    drop(trial);
    let mut counts = [0; 2];
    (200_000..201_000).for_each(|now| counts[picked(1, now)] += 1);
    counts
}

#[test]
fn a_server_is_full_for_all_shards_together() {
    for (name, scheduler) in schedulers::all() {
        let mut plan = with(scheduler, &[1, 1], Scope::Shard);
        plan.servers.iter_mut().for_each(|server| server.limits.most = 3);
        let group = group(&plan);
        let ask = |at: usize| group.pick_for(&On(at % 4), &Tried::new(), 0).ok();
        let held: Vec<Lease> = (0..40).filter_map(ask).collect();
        let most = (0..2).map(|index| group.facts(index).expect("one").in_flight).max();
        assert!(most.expect("two") <= 3, "{name}: {most:?}");
        drop(held);
    }
}

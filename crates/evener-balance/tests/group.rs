//! Groups as the engine uses them: picks, leases, outcomes, checks, reloads.

mod pools;

use evener_balance::{
    Birth, Cause, Group, Lease, NoServer, Outcome, Seed, State, Timing, Transition, Tried,
};
use evener_plan::{Admin, HealthState, Initial, Pool, Readmit, Scheduler};
use pools::{check, passive, pool};
use proptest::prelude::*;

const REFUSED: Outcome = Outcome::Failed(Cause::ConnectRefused);
const OK: Outcome = Outcome::Answered { status: 200 };

fn group(pool: &Pool) -> Group {
    Group::new(pool, None, Birth::Start, 0)
}

fn pick(group: &Group, now: u64) -> Lease {
    group.pick(&Tried::new(), now).expect("somebody is up")
}

/// Picks until it is this server; for setting up a failure of it.
fn pick_of(group: &Group, index: usize, now: u64) -> Lease {
    (0..100).map(|_| pick(group, now)).find(|lease| lease.index() == index).expect("takes traffic")
}

fn letters(group: &Group, picks: usize, now: u64) -> String {
    (0..picks).map(|_| pick(group, now).server().id().to_owned()).collect()
}

fn state(group: &Group, index: usize) -> State {
    group.facts(index).unwrap().state
}

fn words(transition: Option<Transition>) -> (State, State) {
    transition.map(|change| (change.before, change.after)).expect("a transition")
}

fn all(states: [bool; 3]) -> Vec<usize> {
    (0..3).filter(|index| states[*index]).collect()
}

#[test]
fn a_failure_ejects_and_says_why() {
    let mut plan = pool(&[1, 1, 1]);
    plan.passive = passive(Readmit::Tcp);
    let group = group(&plan);
    let lease = pick_of(&group, 1, 5_000);
    let change = group.report(&lease, Outcome::Failed(Cause::ConnectTimeout), 5_000).unwrap();
    assert_eq!((change.before, change.after, change.at), (State::Up, State::Ejected, 5_000));
    let wanted = "connect time-out at 10.0.0.1:80, 1 of 1 failures within 10 s";
    assert_eq!(change.reason.to_string(), wanted);
    assert_eq!((group.counts_up(), group.readmit_at(1)), (2, Some(15_000)));
    assert!(!letters(&group, 10, 6_000).contains('b'));
}

#[test]
fn an_ejected_server_comes_back_when_its_tcp_check_passes_and_not_earlier() {
    let mut plan = pool(&[1, 1]);
    plan.passive = passive(Readmit::Tcp);
    let group = group(&plan);
    group.report(&pick_of(&group, 0, 0), REFUSED, 0);
    assert_eq!(group.on_readmit(0, Ok(()), 9_999), None);
    assert_eq!(group.on_readmit(0, Err("refused".into()), 10_000), None);
    let facts = group.facts(0).unwrap();
    assert_eq!((facts.state, facts.ejected_until), (State::Ejected, 20_000));
    assert_eq!(facts.reason.to_string(), "TCP check after ejection failed: refused");
    assert!(!letters(&group, 6, 30_000).contains('a'), "time alone brings nobody back");
    assert_eq!(words(group.on_readmit(0, Ok(()), 20_000)), (State::Ejected, State::Up));
    assert!(letters(&group, 6, 20_000).contains('a'));
}

#[test]
fn by_request_one_pick_in_each_span_tries_the_server() {
    let mut plan = pool(&[1, 1, 1]);
    plan.passive = passive(Readmit::Request);
    let group = group(&plan);
    group.report(&pick_of(&group, 0, 0), REFUSED, 0);
    assert!(!letters(&group, 20, 9_999).contains('a'));
    let tries: Vec<Lease> = (0..20).map(|_| pick(&group, 10_000)).collect();
    let trial: Vec<&Lease> = tries.iter().filter(|lease| lease.index() == 0).collect();
    assert_eq!(trial.len(), 1, "one trial");
    assert_eq!(group.report(trial[0], REFUSED, 10_001), None, "still out");
    assert!(!letters(&group, 20, 20_000).contains('a'));
    let trial = pick_of(&group, 0, 20_001);
    assert_eq!(state(&group, 0), State::Ejected);
    assert_eq!(words(group.report(&trial, OK, 20_002)), (State::Ejected, State::Up));
    assert!(letters(&group, 6, 20_003).contains('a'));
}

#[test]
fn a_trial_whose_client_left_is_made_again_a_span_later() {
    let mut plan = pool(&[1, 1]);
    plan.passive = passive(Readmit::Request);
    let group = group(&plan);
    group.report(&pick_of(&group, 0, 0), REFUSED, 0);
    let trial = pick_of(&group, 0, 10_000);
    assert_eq!(group.report(&trial, Outcome::ClientGone, 10_001), None);
    assert!(!letters(&group, 10, 19_999).contains('a'));
    assert!(letters(&group, 10, 20_000).contains('a'));
}

#[test]
fn failures_add_up_until_a_later_success_as_in_nginx() {
    let mut plan = pool(&[1, 1]);
    plan.passive =
        passive(Readmit::Tcp).map(|passive| evener_plan::Passive { fails: 2, ..passive });
    let group = group(&plan);
    let fail = |now| group.report(&pick_of(&group, 0, now), REFUSED, now);
    assert_eq!(fail(0), None);
    assert_eq!(group.report(&pick_of(&group, 0, 10_000), OK, 10_000), None, "within the window");
    assert_eq!(words(fail(10_000)), (State::Up, State::Ejected));
    group.on_readmit(0, Ok(()), 20_000);
    assert_eq!(fail(30_000), None);
    assert_eq!(group.report(&pick_of(&group, 0, 40_001), OK, 40_001), None, "forgiven");
    assert_eq!(fail(40_002), None, "counted from one again");
}

#[test]
fn the_last_server_is_never_ejected_and_people_may_still_take_it() {
    let mut plan = pool(&[1, 1, 0]);
    plan.passive = passive(Readmit::Tcp);
    let group = group(&plan);
    assert!(group.report(&pick_of(&group, 0, 0), REFUSED, 0).is_some());
    for _ in 0..5 {
        assert_eq!(group.report(&pick(&group, 1), REFUSED, 1), None, "weight 0 is no spare");
    }
    assert_eq!(letters(&group, 2, 2), "bb");
    assert_eq!(words(group.on_admin(1, Admin::Drain, 3)), (State::Up, State::Draining));
    assert_eq!(group.pick(&Tried::new(), 4).unwrap_err(), NoServer::NoneUp);
}

#[test]
fn only_what_the_server_did_before_its_head_counts_against_it() {
    let mut plan = pool(&[1, 1]);
    plan.passive = passive(Readmit::Tcp);
    let harmless = [
        OK,
        Outcome::Answered { status: 503 },
        Outcome::SessionEnded,
        Outcome::AnswerCut,
        Outcome::AnswerStalled,
        Outcome::StaleReuse,
        Outcome::ClientGone,
        Outcome::Local,
    ];
    for outcome in harmless {
        let group = group(&plan);
        assert_eq!(group.report(&pick(&group, 0), outcome, 0), None, "{outcome:?}");
    }
    for cause in Cause::ALL {
        let group = group(&plan);
        assert!(group.report(&pick(&group, 0), Outcome::Failed(cause), 0).is_some(), "{cause}");
    }
}

#[test]
fn without_exclusion_failures_change_nothing() {
    let group = group(&pool(&[1, 1]));
    assert_eq!(group.report(&pick(&group, 0), REFUSED, 0), None);
    assert_eq!(letters(&group, 4, 0), "baba");
}

#[test]
fn a_higher_tier_serves_only_when_none_of_a_lower_is_left() {
    let mut plan = pool(&[1, 1, 1]);
    plan.servers[0].tier = 7;
    let group = group(&plan);
    assert_eq!(letters(&group, 4, 0), "bcbc");
    let mut tried = Tried::new();
    tried.insert(1);
    tried.insert(2);
    assert_eq!(group.pick(&tried, 0).unwrap().index(), 0);
    tried.insert(0);
    assert_eq!(group.pick(&tried, 0).unwrap_err(), NoServer::AllTried);
    group.on_admin(1, Admin::Maint, 0);
    group.on_admin(2, Admin::Maint, 0);
    assert_eq!(letters(&group, 2, 0), "aa");
    assert_eq!(group.pick(&tried, 0).unwrap_err(), NoServer::AllTried);
}

#[test]
fn an_empty_pool_says_so() {
    assert_eq!(group(&pool(&[])).pick(&Tried::new(), 0).unwrap_err(), NoServer::Empty);
    assert_eq!(group(&pool(&[0])).pick(&Tried::new(), 0).unwrap_err(), NoServer::NoneUp);
}

#[test]
fn a_pool_that_is_full_says_so_until_a_lease_ends() {
    let mut plan = pool(&[1, 1]);
    plan.servers.iter_mut().for_each(|server| server.limits.most = 1);
    let group = group(&plan);
    let leases = [pick(&group, 0), pick(&group, 0)];
    assert_eq!(group.pick(&Tried::new(), 0).unwrap_err(), NoServer::NoRoom);
    let mut tried = Tried::new();
    (0..2).for_each(|index| tried.insert(index));
    assert_eq!(group.pick(&tried, 0).unwrap_err(), NoServer::AllTried);
    drop(leases);
    assert!(group.pick(&Tried::new(), 0).is_ok());
}

#[test]
fn the_first_check_decides_at_once_and_streaks_do_from_then_on() {
    let mut plan = pool(&[1, 1]);
    plan.checks = vec![check(2, 3)];
    plan.initial = Initial::Down;
    let group = group(&plan);
    assert_eq!((state(&group, 0), group.counts_up()), (State::Starting, 0));
    assert_eq!(words(group.on_check(0, 0, Ok(()), 1)), (State::Starting, State::Up));
    assert_eq!(words(group.on_check(1, 0, Err("no".into()), 1)), (State::Starting, State::Down));
    assert_eq!(group.on_check(1, 0, Ok(()), 2), None, "rise is 2");
    assert_eq!(words(group.on_check(1, 0, Ok(()), 3)), (State::Down, State::Up));
    for now in 4..6 {
        assert_eq!(group.on_check(0, 0, Err("x".into()), now), None);
    }
    assert_eq!(group.on_check(0, 0, Ok(()), 6), None, "a pass starts the count anew");
    for now in 7..9 {
        assert_eq!(group.on_check(0, 0, Err("x".into()), now), None);
    }
    let change = group.on_check(0, 0, Err("status 500".into()), 9).unwrap();
    assert_eq!((change.after, change.at), (State::Down, 9));
    assert_eq!(change.reason.to_string(), "3 checks in a row failed: status 500");
}

#[test]
fn of_several_checks_all_must_pass() {
    let mut plan = pool(&[1]);
    plan.checks = vec![check(1, 1), check(1, 1)];
    plan.initial = Initial::Down;
    let group = group(&plan);
    assert_eq!(group.on_check(0, 0, Ok(()), 1), None, "one has not said yet");
    assert_eq!(words(group.on_check(0, 1, Ok(()), 2)), (State::Starting, State::Up));
    assert_eq!(words(group.on_check(0, 0, Err("x".into()), 3)), (State::Up, State::Down));
    assert_eq!(group.on_check(0, 1, Err("y".into()), 4), None);
    assert_eq!(group.on_check(0, 0, Ok(()), 5), None, "the other fails still");
    assert_eq!(words(group.on_check(0, 1, Ok(()), 6)), (State::Down, State::Up));
    assert_eq!(group.on_check(0, 2, Err("no such check".into()), 7), None);
    assert_eq!(group.on_check(9, 0, Err("no such server".into()), 7), None);
}

#[test]
fn initial_up_serves_before_its_first_check_and_added_servers_wait_for_theirs() {
    let mut plan = pool(&[1]);
    plan.checks = vec![check(2, 2)];
    let first = group(&plan);
    assert_eq!(state(&first, 0), State::Up);
    plan.servers.push(pools::server(1, 1));
    let second = Group::new(&plan, Some(&first), Birth::Reload, 5);
    second.adopt(&plan, 5);
    assert_eq!((state(&second, 0), state(&second, 1)), (State::Up, State::Starting));
    assert_eq!(words(second.on_check(1, 0, Ok(()), 6)), (State::Starting, State::Up));
}

#[test]
fn where_no_kept_server_takes_traffic_added_ones_are_as_at_a_start() {
    let mut plan = pool(&[1]);
    plan.checks = vec![check(2, 2)];
    let first = group(&plan);
    let reloaded = |servers: Vec<evener_plan::Server>, initial| {
        let next = Pool { servers, initial, ..plan.clone() };
        let second = Group::new(&next, Some(&first), Birth::Reload, 5);
        second.adopt(&next, 5);
        (0..second.len()).map(|index| state(&second, index)).collect::<Vec<_>>()
    };
    let (old, new) = (plan.servers[0].clone(), pools::server(1, 1));
    let leaving = evener_plan::Server { admin: Admin::Drain, ..old.clone() };
    let unused = evener_plan::Server { weight: 0, ..old.clone() };
    // All are replaced; the one that stays is drained, or gets nothing; somebody wants to wait for
    // checks always.
    assert_eq!(reloaded(vec![new.clone()], Initial::Up), [State::Up]);
    assert_eq!(reloaded(vec![leaving, new.clone()], Initial::Up), [State::Draining, State::Up]);
    assert_eq!(reloaded(vec![unused, new.clone()], Initial::Up), [State::Up; 2]);
    assert_eq!(reloaded(vec![new.clone()], Initial::Down), [State::Starting]);
    for _ in 0..2 {
        first.on_check(0, 0, Err("refused".into()), 6);
    }
    assert_eq!(reloaded(vec![old, new], Initial::Up), [State::Down, State::Up]);
}

#[test]
fn out_of_maintenance_a_checked_server_waits_for_a_pass() {
    let mut plan = pool(&[1, 1]);
    plan.checks = vec![check(3, 3)];
    let group = group(&plan);
    group.on_check(0, 0, Ok(()), 1);
    assert_eq!(words(group.on_admin(0, Admin::Maint, 2)), (State::Up, State::Maintenance));
    assert_eq!(group.on_check(0, 0, Err("ignored".into()), 3), None);
    assert_eq!(words(group.on_admin(0, Admin::Ready, 4)), (State::Maintenance, State::Starting));
    assert_eq!(words(group.on_check(0, 0, Ok(()), 5)), (State::Starting, State::Up));
}

#[test]
fn leases_count_until_they_end_also_across_plans() {
    let plan = pool(&[1, 1]);
    let first = group(&plan);
    let lease = pick_of(&first, 0, 0);
    let mut next = plan.clone();
    next.servers.push(pools::server(2, 1));
    let second = Group::new(&next, Some(&first), Birth::Reload, 1);
    drop(first);
    assert_eq!(second.facts(0).unwrap().in_flight, 1);
    drop(lease);
    assert_eq!(second.facts(0).unwrap().in_flight, 0);
}

#[test]
fn least_conn_sees_leases_of_the_plan_before_begin_and_end() {
    let mut plan = pool(&[1, 1]);
    plan.scheduler = Scheduler::NginxLeastConn {};
    let first = group(&plan);
    plan.servers.push(pools::server(2, 0));
    let second = Group::new(&plan, Some(&first), Birth::Reload, 1);
    let (on_a, on_b): (Vec<Lease>, Vec<Lease>) =
        (0..4).map(|_| pick(&first, 1)).partition(|lease| lease.index() == 0);
    assert_eq!((on_a.len(), on_b.len()), (2, 2));
    drop(on_b);
    let other = pick(&second, 1);
    assert_eq!(other.index(), 1, "two of the plan before are on a, none on b");
    drop(on_a);
    assert_eq!(pick(&second, 1).index(), 0, "none on a, one on b");
}

#[test]
fn a_failure_seen_under_the_old_plan_ejects_under_the_new() {
    let mut plan = pool(&[1, 1]);
    plan.passive = passive(Readmit::Tcp);
    let first = group(&plan);
    let lease = pick_of(&first, 0, 0);
    plan.servers.push(pools::server(2, 1));
    let second = Group::new(&plan, Some(&first), Birth::Reload, 1);
    assert!(first.report(&lease, REFUSED, 2).is_some());
    assert_eq!((state(&second, 0), second.counts_up()), (State::Ejected, 2));
    assert!(!letters(&second, 9, 3).contains('a'));
}

#[test]
fn another_address_under_an_old_id_is_another_server() {
    let mut plan = pool(&[1, 1]);
    plan.passive = passive(Readmit::Tcp);
    let first = group(&plan);
    first.report(&pick_of(&first, 0, 0), REFUSED, 0);
    plan.servers[0].address = "10.9.9.9:80".into();
    let second = Group::new(&plan, Some(&first), Birth::Reload, 1);
    assert_eq!((state(&first, 0), state(&second, 0)), (State::Ejected, State::Up));
}

#[test]
fn an_unchanged_pool_goes_on_where_it_was_and_a_plan_not_adopted_changes_nothing() {
    let plan = pool(&[1, 1, 1]);
    let first = group(&plan);
    assert_eq!(letters(&first, 2, 0), "ab");
    let mut drained = plan.clone();
    drained.servers[0].admin = Admin::Drain;
    let refused = Group::new(&drained, Some(&first), Birth::Reload, 1);
    assert_eq!(state(&first, 0), State::Up);
    drop(refused);
    let second = Group::new(&plan, Some(&first), Birth::Reload, 2);
    assert_eq!(second.adopt(&plan, 2), []);
    assert_eq!(letters(&second, 3, 2), "cab");
    let third = Group::new(&drained, Some(&second), Birth::Reload, 3);
    let changes = third.adopt(&drained, 3);
    assert_eq!(changes.len(), 1);
    assert_eq!((changes[0].0, changes[0].1.after), (0, State::Draining));
    assert!(!letters(&third, 6, 3).contains('a'));
}

#[test]
fn a_new_worker_takes_the_health_of_the_last() {
    let mut plan = pool(&[1, 1, 1]);
    plan.checks = vec![check(2, 2)];
    plan.passive = passive(Readmit::Tcp);
    let group = group(&plan);
    let seed = |health, ejected_until| Seed {
        health,
        ejected_until,
        changed: 3,
        reason: "said before".into(),
    };
    group.seed(0, &seed(HealthState::Down, 0));
    group.seed(1, &seed(HealthState::Up, 500));
    assert_eq!((state(&group, 0), state(&group, 1)), (State::Down, State::Ejected));
    assert_eq!(group.facts(0).unwrap().reason.to_string(), "said before");
    assert_eq!((group.counts_up(), group.readmit_at(1)), (1, Some(500)));
    assert_eq!(group.on_check(0, 0, Ok(()), 600), None, "it was down, so rise counts");
    assert!(group.on_check(0, 0, Ok(()), 601).is_some());
    assert!(group.on_readmit(1, Ok(()), 602).is_some());
}

#[test]
fn a_server_that_was_down_and_ejected_is_down_for_the_reason_it_was() {
    let mut plan = pool(&[1, 1]);
    plan.checks = vec![check(1, 1)];
    plan.passive = passive(Readmit::Tcp);
    let group = group(&plan);
    let reason = "2 checks in a row failed: no connection".to_owned();
    let seed = Seed { health: HealthState::Down, ejected_until: 5_000, changed: 3, reason };
    group.seed(0, &seed);
    let facts = group.facts(0).unwrap();
    assert_eq!((facts.state, facts.reason.to_string()), (State::Down, seed.reason));
}

#[test]
fn a_server_that_the_last_worker_ejected_comes_back_by_a_request_too() {
    let mut plan = pool(&[1, 1]);
    plan.passive = passive(Readmit::Request);
    let group = group(&plan);
    let (health, changed, reason) = (HealthState::Up, 3, "said before".into());
    group.seed(0, &Seed { health, ejected_until: 500, changed, reason });
    assert!(!letters(&group, 4, 499).contains('a'));
    let trial = pick_of(&group, 0, 500);
    assert_eq!(words(group.report(&trial, OK, 501)), (State::Ejected, State::Up));
    assert!(letters(&group, 4, 502).contains('a'));
}

#[test]
fn a_request_of_an_older_plan_does_not_use_up_the_trial_of_the_newer() {
    let mut plan = pool(&[1, 1]);
    plan.passive = passive(Readmit::Tcp);
    let old = group(&plan);
    old.report(&pick_of(&old, 0, 0), REFUSED, 0);
    plan.passive = passive(Readmit::Request);
    let new = Group::new(&plan, Some(&old), Birth::Reload, 1);
    new.adopt(&plan, 1);
    drop(pick_of(&old, 1, 10_000));
    assert!(letters(&new, 4, 10_000).contains('a'));
}

#[test]
fn a_request_of_an_older_plan_does_not_forget_a_trial_of_whom_it_does_not_know() {
    let mut plan = pool(&[1, 1]);
    plan.passive = passive(Readmit::Request);
    let old = group(&plan);
    plan.servers.push(pools::server(2, 1));
    let new = Group::new(&plan, Some(&old), Birth::Reload, 1);
    new.adopt(&plan, 1);
    new.report(&pick_of(&new, 2, 2), REFUSED, 2);
    drop(pick(&old, 20_000));
    assert!(letters(&new, 6, 30_000).contains('c'));
}

#[test]
fn what_is_left_to_try_takes_traffic_and_was_not_tried() {
    let mut plan = pool(&[1, 1, 0]);
    plan.passive = passive(Readmit::Tcp);
    let group = group(&plan);
    let mut tried = Tried::new();
    tried.insert(1);
    assert!(group.has_untried(&tried));
    group.on_admin(0, Admin::Drain, 0);
    assert!(!group.has_untried(&tried) && group.has_untried(&Tried::new()));
}

#[test]
fn nginx_leaves_failures_their_mark_on_the_weight() {
    let mut plan = pool(&[4, 4]);
    plan.passive =
        passive(Readmit::Tcp).map(|passive| evener_plan::Passive { fails: 2, ..passive });
    let group = group(&plan);
    let lease = pick(&group, 0);
    assert_eq!(lease.index(), 0);
    group.report(&lease, REFUSED, 0);
    // owed: a −4, b 4; a's effective weight is 2 and recovers by 1 a step.
    assert_eq!(letters(&group, 8, 0), "bbababab");
}

#[derive(Debug, Clone)]
enum Act {
    Pick,
    End(usize),
    Report(usize, bool),
    Check(usize, bool),
    Admin(usize, bool),
    Readmit(usize, bool),
    Reload(bool),
    Wait(u64),
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        8 => Just(Act::Pick),
        4 => any::<usize>().prop_map(Act::End),
        6 => (any::<usize>(), any::<bool>()).prop_map(|(lease, ok)| Act::Report(lease, ok)),
        2 => (0usize..3, any::<bool>()).prop_map(|(server, ok)| Act::Check(server, ok)),
        1 => (0usize..3, any::<bool>()).prop_map(|(server, on)| Act::Admin(server, on)),
        1 => (0usize..3, any::<bool>()).prop_map(|(server, ok)| Act::Readmit(server, ok)),
        1 => any::<bool>().prop_map(Act::Reload),
        3 => (0u64..15_000).prop_map(Act::Wait),
    ]
}

proptest! {
    #[test]
    fn leases_return_to_zero_and_no_failure_takes_the_last(
        acts in prop::collection::vec(act(), 1..200), by_request: bool, least: bool,
    ) {
        let mut plan = pool(&[1, 2, 3]);
        plan.checks = vec![check(1, 2)];
        plan.passive = passive(if by_request { Readmit::Request } else { Readmit::Tcp });
        if least {
            plan.scheduler = Scheduler::NginxLeastConn {};
        }
        let (mut current, mut leases, mut now) = (group(&plan), Vec::<Lease>::new(), 0);
        for act in acts {
            let up = current.counts_up();
            match act {
                Act::Pick => leases.extend(current.pick(&Tried::new(), now)),
                Act::End(at) if !leases.is_empty() => drop(leases.swap_remove(at % leases.len())),
                Act::Report(at, ok) if !leases.is_empty() => {
                    let outcome = if ok { OK } else { REFUSED };
                    current.report(&leases[at % leases.len()], outcome, now);
                    prop_assert!(current.counts_up() >= up.min(1), "an outcome took the last");
                }
                Act::Check(server, ok) => {
                    current.on_check(server, 0, ok.then_some(()).ok_or("no".into()), now);
                }
                Act::Admin(server, on) => {
                    let admin = if on { Admin::Ready } else { Admin::Drain };
                    current.on_admin(server, admin, now);
                    plan.servers[server].admin = admin;
                }
                Act::Readmit(server, ok) => {
                    current.on_readmit(server, ok.then_some(()).ok_or("no".into()), now);
                }
                Act::Reload(reweigh) => {
                    plan.servers[0].weight += u32::from(reweigh);
                    current = Group::new(&plan, Some(&current), Birth::Reload, now);
                    prop_assert_eq!(current.adopt(&plan, now), vec![], "nothing was said anew");
                }
                Act::Wait(span) => now += span,
                Act::End(_) | Act::Report(..) => {}
            }
            let states = [0, 1, 2].map(|index| state(&current, index) == State::Up);
            prop_assert_eq!(current.counts_up(), all(states).len());
            for index in 0..3 {
                // Old and new plan share states, so leases of both are counted.
                let held = leases.iter().filter(|lease| lease.index() == index).count();
                prop_assert_eq!(current.facts(index).unwrap().in_flight as usize, held);
            }
        }
        leases.clear();
        prop_assert!((0..3).all(|index| current.facts(index).unwrap().in_flight == 0));
    }

    #[test]
    fn health_never_flaps_without_input(picks in 1usize..200, spans in prop::collection::vec(0u64..9_999, 1..20)) {
        let mut plan = pool(&[1, 1, 1]);
        plan.checks = vec![check(2, 2)];
        plan.passive = passive(Readmit::Tcp);
        let group = group(&plan);
        group.on_check(1, 0, Err("x".into()), 0);
        group.report(&pick_of(&group, 0, 0), REFUSED, 0);
        let before: Vec<_> = (0..3).map(|index| group.facts(index).unwrap()).collect();
        let mut now = 0;
        for span in spans {
            now += span;
            for _ in 0..picks {
                group.report(&pick(&group, now), OK, now);
            }
        }
        let after: Vec<_> = (0..3).map(|index| group.facts(index).unwrap()).collect();
        prop_assert_eq!(before, after);
    }
}

#[test]
fn a_round_forgets_what_a_much_heavier_weight_was_owed() {
    let before = group(&pool(&[1_000, 1, 1]));
    drop((0..300).map(|_| pick(&before, 0)).collect::<Vec<_>>());
    let after = Group::new(&pool(&[1, 1, 1]), Some(&before), Birth::Reload, 0);
    let picks = letters(&after, 30, 0);
    for id in ['a', 'b', 'c'] {
        assert!((7..=13).contains(&picks.matches(id).count()), "{picks}");
    }
}

#[test]
fn a_host_that_is_written_otherwise_has_its_own_points() {
    let mut plan = pool(&[1; 20]);
    plan.scheduler = Scheduler::NginxHash { consistent: true };
    for (index, server) in plan.servers.iter_mut().enumerate() {
        server.host = format!("old{index}");
    }
    let before = group(&plan);
    for (index, server) in plan.servers.iter_mut().enumerate() {
        server.host = format!("new{index}");
    }
    let (after, fresh) = (Group::new(&plan, Some(&before), Birth::Reload, 0), group(&plan));
    struct Keyed(String);
    impl evener_balance::Request for Keyed {
        fn key(&self) -> Option<&[u8]> {
            Some(self.0.as_bytes())
        }
    }
    let whom = |group: &Group, number: u32| {
        group.pick_for(&Keyed(number.to_string()), &Tried::new(), 0).expect("up").index()
    };
    for number in 0..100 {
        assert_eq!(whom(&after, number), whom(&fresh, number), "key {number}");
    }
}

#[test]
fn clients_that_weight_0_keeps_try_an_ejected_server_once() {
    let persistence = evener_plan::Persistence {
        timeout: 300_000,
        prefix_v4: 32,
        prefix_v6: 128,
        expire_quiescent: false,
    };
    let mut plan = pool(&[1, 1]);
    plan.passive = passive(Readmit::Request);
    let service = evener_plan::LvsService { inactive: 0, persistence: Some(persistence) };
    plan.scheduler = Scheduler::LvsRr(service);
    struct From(u8);
    impl evener_balance::Request for From {
        fn client(&self) -> Option<std::net::SocketAddr> {
            Some(([10, 0, 0, self.0], 1).into())
        }
    }
    let of = |group: &Group, client, now| {
        group.pick_for(&From(client), &Tried::new(), now).expect("somebody is up")
    };
    let before = group(&plan);
    (0..6).for_each(|client| drop(of(&before, client, 0)));
    let kept: Vec<u8> = (0..6).filter(|client| of(&before, *client, 0).index() == 1).collect();
    plan.servers[1].weight = 0;
    let group = Group::new(&plan, Some(&before), Birth::Reload, 0);
    group.adopt(&plan, 0);
    let failed = of(&group, kept[0], 1);
    assert_eq!(words(group.report(&failed, REFUSED, 1)), (State::Up, State::Ejected));
    let trial = of(&group, kept[1], 20_000);
    assert_eq!(trial.index(), 1);
    assert_eq!(of(&group, kept[2], 20_000).index(), 0, "the trial is used up");
    assert_eq!(words(group.report(&trial, OK, 20_001)), (State::Ejected, State::Up));
}

/// Two servers by the time of requests under way, of which the first has one that hangs.
fn with_one_that_hangs() -> (Group, Lease) {
    let mut plan = pool(&[10, 1]);
    let measure = evener_plan::Measure::LastByte;
    plan.scheduler = Scheduler::NginxLeastTime { measure, inflight: true };
    let group = group(&plan);
    let hangs = pick(&group, 0);
    assert_eq!(hangs.index(), 0);
    (group, hangs)
}

/// Picks that end at once.
fn quick(group: &Group, picks: usize, now: u64) -> Vec<usize> {
    let ends = |lease: Lease| {
        group.report(&lease, OK, now);
        lease.index()
    };
    (0..picks).map(|_| ends(pick(group, now))).collect()
}

#[test]
fn a_request_sent_anew_after_a_stale_connection_ends_once() {
    let (group, _hangs) = with_one_that_hangs();
    let mut tried = Tried::new();
    tried.insert(1);
    let lease = group.pick(&tried, 0).unwrap();
    group.report(&lease, Outcome::StaleReuse, 0);
    group.report(&lease, OK, 0);
    drop(lease);
    quick(&group, 2, 60_000);
    assert_eq!(quick(&group, 4, 60_001), [1; 4], "the first has one that takes a minute");
}

#[test]
fn a_request_that_nobody_reported_is_not_under_way_for_ever() {
    let (group, lost) = with_one_that_hangs();
    drop(lost);
    quick(&group, 4, 60_000);
    assert!(quick(&group, 8, 120_000).contains(&0));
}

#[test]
fn a_reload_does_not_begin_the_round_of_a_map_or_ring_anew() {
    let ring = evener_plan::HaproxyHash {
        consistent: true,
        function: evener_plan::HashFunction::Sdbm,
        avalanche: true,
        balance_factor: 0,
        key: evener_plan::HashKey::Id,
        pass_full: false,
    };
    let map = evener_plan::HaproxyHash { consistent: false, ..ring };
    for scheduler in [
        Scheduler::HaproxyStaticRr {},
        Scheduler::HaproxyHash { hash: map },
        Scheduler::HaproxyHash { hash: ring },
    ] {
        let mut plan = pool(&[1; 8]);
        plan.scheduler = scheduler;
        let mut group = group(&plan);
        let mut counts = [0; 8];
        // Someone else's limit changes after every second pick.
        for round in 0..200 {
            letters(&group, 2, 0).bytes().for_each(|id| counts[usize::from(id - b'a')] += 1);
            plan.servers[7].limits.most = 100 + round;
            group = Group::new(&plan, Some(&group), Birth::Reload, 0);
        }
        let name = format!("{:?}", plan.scheduler);
        assert!(counts.iter().all(|count| (25..=75).contains(count)), "{name}: {counts:?}");
    }
}

/// A request under way in a plan whose ejected servers come back this way, while another plan serves.
fn fails_late(then: Option<evener_plan::Passive>, now: Readmit) -> (Group, Option<Transition>) {
    let mut plan = pool(&[1, 1]);
    plan.passive = passive(now);
    let old = group(&plan);
    let lease = pick_of(&old, 0, 0);
    plan.passive = then;
    let new = Group::new(&plan, Some(&old), Birth::Reload, 100);
    new.adopt(&plan, 100);
    let change = old.report(&lease, REFUSED, 200);
    (new, change)
}

#[test]
fn whom_a_request_of_an_older_plan_ejects_comes_back_as_the_newer_one_says() {
    let (new, change) = fails_late(passive(Readmit::Request), Readmit::Tcp);
    assert_eq!(words(change), (State::Up, State::Ejected));
    let trial = pick_of(&new, 0, 20_000);
    assert_eq!(words(new.report(&trial, OK, 20_001)), (State::Ejected, State::Up));
}

#[test]
fn a_request_of_an_older_plan_ejects_nobody_where_the_newer_one_never_does() {
    let (new, change) = fails_late(None, Readmit::Tcp);
    assert_eq!((change, state(&new, 0)), (None, State::Up));
}

#[test]
fn a_lease_of_days_leaves_nothing_behind_that_keeps_requests_away() {
    const DAY: u64 = 86_400_000;
    let mut plan = pool(&[1, 1]);
    plan.scheduler = Scheduler::PeakEwma { decay: 10_000, unknown: 1_000 };
    let group = group(&plan);
    let long = pick_of(&group, 0, 1_000);
    let _other = pick_of(&group, 0, 4 * DAY);
    drop(long);
    let mut picks = [0; 2];
    for _ in 0..1_000 {
        let lease = pick(&group, 4 * DAY + 10);
        picks[lease.index()] += 1;
        let whole = if lease.index() == 0 { 50_000 } else { 1_000_000 };
        group.report_timed(&lease, OK, Timing { head: None, whole }, 4 * DAY + 10);
    }
    assert!(picks[0] > 700, "the second is much slower: {picks:?}");
}

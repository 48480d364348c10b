//! Which checks there are, and which are due.
//!
//! Rules kept here:
//! - Pure: plans, results and `now` come in, checks to make go out. Nothing sleeps or opens a
//!   socket; time is monotonic milliseconds.
//! - What did not change with a plan keeps its time; what is new, or back from maintenance, is
//!   checked at once, a few a millisecond.
//! - Nothing is checked in maintenance; an ejected server only once its time is over.
//! - At most so many checks are under way: others wait for their turn, since silence changes no
//!   state and a check without a descriptor says nothing.
//!
//! Not known here: how a check is made.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::rc::Rc;
use std::sync::Arc;

use evener_balance::Transition;
use evener_plan::{Admin, Check, HealthState, Passive, Readmit};

use super::judge::Ask;
use super::pace::{Dice, head_start, interval};
use super::probe::{Finding, Probe};
use crate::running::{Running, RunningPool};

/// A check of a server, for as long as plans name it unchanged.
pub type JobId = u64;

/// All checks of the plan that serves.
pub struct Jobs {
    jobs: HashMap<JobId, Job>,
    /// By pool and server.
    by_server: HashMap<String, HashMap<String, Vec<JobId>>>,
    due: BinaryHeap<Reverse<(u64, JobId)>>,
    next_id: JobId,
    under_way: usize,
    most: usize,
    dice: Dice,
}

/// A check of a server.
pub struct Job {
    /// Its pool, as the plan that serves has it.
    pub pool: Arc<RunningPool>,
    /// The server's index in it.
    pub server: usize,
    what: What,
    probe: Rc<Probe>,
    /// `u64::MAX` is never, until something happens.
    due: u64,
    /// When it was begun, while it is under way.
    begun: Option<u64>,
}

/// What a check is made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    /// The pool's check with this index.
    Check(usize),
    /// The way back of an ejected server.
    Readmit,
}

/// What came of a check.
pub struct Made<'a> {
    /// Whose.
    pub job: &'a Job,
    /// What health made of it.
    pub change: Option<Transition>,
}

impl Jobs {
    /// No checks yet; at most `most` are under way at once.
    pub fn new(most: usize, seed: u64) -> Jobs {
        Jobs {
            jobs: HashMap::new(),
            by_server: HashMap::new(),
            due: BinaryHeap::new(),
            next_id: 0,
            under_way: 0,
            most,
            dice: Dice::new(seed),
        }
    }

    /// A plan serves.
    pub fn obey(&mut self, running: &Running, now: u64) {
        let mut before = std::mem::take(&mut self.jobs);
        let known = std::mem::take(&mut self.by_server);
        self.due.clear();
        let mut newcomers = 0;
        for pool in &running.pools {
            let name = pool.spec.name.as_str();
            for server in 0..pool.spec.servers.len() {
                let id = pool.spec.servers[server].id.as_str();
                let old = known.get(name).and_then(|servers| servers.get(id));
                let mut mine = Vec::new();
                for what in wanted(pool) {
                    let kept = old.into_iter().flatten().find_map(|job| {
                        let same = before.get(job)?.is(pool, server, what);
                        same.then(|| (*job, before.remove(job)))
                    });
                    let (job_id, mut job) = match kept {
                        Some((job_id, Some(job))) => (job_id, job),
                        _ => {
                            self.next_id += 1;
                            (self.next_id, Job::new(pool, server, what))
                        }
                    };
                    job.pool = pool.clone();
                    job.server = server;
                    if job.is_unseen() {
                        job.due = job.due.min(now + head_start(newcomers));
                        newcomers += 1;
                    }
                    self.jobs.insert(job_id, job);
                    mine.push(job_id);
                    self.book(job_id, None);
                }
                if !mine.is_empty() {
                    let servers = self.by_server.entry(name.to_owned()).or_default();
                    servers.insert(id.to_owned(), mine);
                }
            }
        }
        // Those that no plan names any more are not waited for: their results are dropped.
        self.under_way = self.jobs.values().filter(|job| job.begun.is_some()).count();
    }

    /// Something about a server has changed that may make it due.
    pub fn look(&mut self, pool: &str, server: &str, now: u64) {
        let ids = self.by_server.get(pool).and_then(|servers| servers.get(server));
        for id in ids.cloned().unwrap_or_default() {
            let Some(job) = self.jobs.get(&id) else { continue };
            match job.what {
                What::Readmit => self.book(id, None),
                What::Check(_) if job.is_unseen() => self.book(id, Some(now)),
                What::Check(_) => {}
            }
        }
    }

    /// The next check to make now.
    pub fn next(&mut self, now: u64) -> Option<(JobId, Rc<Probe>)> {
        while self.under_way < self.most {
            let &Reverse((due, id)) = self.due.peek()?;
            if due > now {
                return None;
            }
            self.due.pop();
            let Some(job) = self.jobs.get_mut(&id) else { continue };
            if job.due != due || job.begun.is_some() {
                continue;
            }
            if let Some(later) = job.not_now(now) {
                self.book(id, Some(later));
                continue;
            }
            job.begun = Some(now);
            self.under_way += 1;
            return Some((id, job.probe.clone()));
        }
        None
    }

    /// When [`Jobs::next`] has something next; `None`: not before something else happens.
    pub fn wake_at(&self) -> Option<u64> {
        if self.under_way >= self.most {
            return None;
        }
        self.due.peek().map(|Reverse((due, _))| *due)
    }

    /// A check was made: tells health and books the next. `None` if no plan names it any more.
    pub fn on_made(&mut self, id: JobId, finding: &Finding, now: u64) -> Option<Made<'_>> {
        let job = self.jobs.get_mut(&id)?;
        let begun = job.begun.take()?;
        self.under_way -= 1;
        let result = match finding {
            Finding::Passed(_) => Some(Ok(())),
            Finding::Failed(words) => Some(Err(words.as_str().into())),
            Finding::Ours(_) => None,
        };
        let passed = matches!(finding, Finding::Passed(_));
        let group = &job.pool.group;
        let change = match (job.what, result) {
            (_, None) => None,
            (What::Check(check), Some(result)) => group.on_check(job.server, check, result, now),
            (What::Readmit, Some(result)) => group.on_readmit(job.server, result, now),
        };
        let next = match job.check() {
            Some((index, check)) => {
                let verdict = group.verdict(job.server, index);
                let span = self.dice.jittered(interval(check, verdict, passed), check.jitter);
                Some((begun + span).max(now + 1))
            }
            // Where it could not be made it is due still, but not in the same moment.
            None if matches!(finding, Finding::Ours(_)) => Some(now + RETRY),
            None => None,
        };
        self.book(id, next);
        let job = self.jobs.get(&id)?;
        Some(Made { job, change })
    }

    /// Books the next time of a check: the one given, or its own.
    fn book(&mut self, id: JobId, due: Option<u64>) {
        let Some(job) = self.jobs.get_mut(&id) else { return };
        job.due = match (due, job.what) {
            (Some(due), _) => due,
            (None, What::Readmit) => job.pool.group.readmit_at(job.server).unwrap_or(u64::MAX),
            (None, What::Check(_)) => job.due,
        };
        if job.due < u64::MAX && job.begun.is_none() {
            self.due.push(Reverse((job.due, id)));
        }
    }
}

/// Milliseconds after which a check is tried again for which something of ours was lacking.
const RETRY: u64 = 1000;

impl Job {
    fn new(pool: &Arc<RunningPool>, server: usize, what: What) -> Job {
        let probe = Rc::new(probe(pool, server, what));
        Job { pool: pool.clone(), server, what, probe, due: u64::MAX, begun: None }
    }

    /// Whether it is a check that was never made, or has yet to find anything of its server.
    fn is_unseen(&self) -> bool {
        let verdict = |check| self.pool.group.verdict(self.server, check);
        match self.what {
            What::Check(check) => self.due == u64::MAX || verdict(check) == HealthState::Unchecked,
            What::Readmit => false,
        }
    }

    /// The pool's check that this is, with its index.
    fn check(&self) -> Option<(usize, &Check)> {
        match self.what {
            What::Check(index) => Some((index, self.pool.spec.checks.get(index)?)),
            What::Readmit => None,
        }
    }

    /// Whether it is what this plan wants, unchanged.
    fn is(&self, pool: &RunningPool, server: usize, what: What) -> bool {
        let (ours, theirs) = (&self.pool.spec, &pool.spec);
        let same_target = self.pool.targets.get(self.server) == pool.targets.get(server);
        let same_rule = match what {
            What::Check(index) => ours.checks.get(index) == theirs.checks.get(index),
            What::Readmit => ours.timeouts.connect == theirs.timeouts.connect,
        };
        let same_pool =
            self.pool.fingerprint == pool.fingerprint && self.pool.accept == pool.accept;
        self.what == what && same_target && same_rule && same_pool
    }

    /// When it is to be looked at again, if it is not to be made now; never is `u64::MAX`.
    fn not_now(&self, now: u64) -> Option<u64> {
        let group = &self.pool.group;
        match self.check() {
            Some((_, check)) => {
                let facts = group.facts(self.server)?;
                (facts.admin == Admin::Maint).then(|| now + check.every.max(1))
            }
            None => {
                let due = group.readmit_at(self.server).unwrap_or(u64::MAX);
                (due > now).then_some(due)
            }
        }
    }
}

/// The checks of each server of a pool.
fn wanted(pool: &RunningPool) -> impl Iterator<Item = What> + use<> {
    let tcp = |passive: &Passive| passive.readmit == Readmit::Tcp;
    let readmit = pool.spec.passive.as_ref().is_some_and(tcp).then_some(What::Readmit);
    (0..pool.spec.checks.len()).map(What::Check).chain(readmit)
}

fn probe(pool: &RunningPool, server: usize, what: What) -> Probe {
    let mut target = pool.targets[server].clone();
    let check = match what {
        What::Check(index) => pool.spec.checks.get(index),
        What::Readmit => None,
    };
    if let Some(port) = check.and_then(|check| check.port) {
        target.place = target.place.at_port(port);
        target.authority = target.place.authority(&pool.spec.servers[server].host).into();
    }
    Probe {
        ask: check.and_then(|check| Ask::of(&check.kind, &target.authority, pool.accept)),
        timeout: check.map_or(pool.spec.timeouts.connect, |check| check.timeout).max(1),
        tls: pool.tls.clone(),
        target,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prober::judge::Judge;
    use crate::running::Workshop;
    use evener_balance::State;
    use serde_json::json;
    use std::collections::BTreeMap;

    /// A plan of one pool whose servers are checked by TCP every 2 s.
    fn plan(servers: &[&str]) -> serde_json::Value {
        let server = |id: &&str| {
            json!({
                "id": id, "address": "127.0.0.1:1", "host": "127.0.0.1", "weight": 1, "tier": 0,
                "admin": "ready", "params": {},
            })
        };
        json!({
            "generation": 1, "drain": {"requests": 1, "tunnels": 1}, "connections": 10,
            "access_log": {"format": "off", "sample": 0.0}, "listeners": [],
            "pools": [{
                "name": "app", "protocol": "http", "tls": null,
                "scheduler": {"name": "nginx/round_robin"}, "key": null,
                "servers": servers.iter().map(server).collect::<Vec<_>>(),
                "checks": [{
                    "kind": {"tcp": {}}, "every": 2000, "timeout": 1000, "rise": 2, "fall": 2,
                    "fast": 500, "down": 9000, "jitter": 0.0, "port": null,
                }],
                "passive": {"fails": 1, "within": 10000, "out": 10000, "readmit": "tcp"},
                "initial": "up", "retry": {"attempts": 1, "on": []},
                "buffer": {"request": 0, "response": 65536},
                "keepalive": {"idle": 0, "per_shard": 0, "max_age": 0},
                "timeouts": {"connect": 1, "send": 1, "response": 1, "receive": 1}, "http": {"accept": []}, "params": {},
            }],
        })
    }

    fn build(plan: &serde_json::Value, previous: Option<&Running>) -> Running {
        let (secrets, tickets) = (BTreeMap::new(), Arc::default());
        let host = &crate::policies::NoHost;
        let (secrets, tickets) = (&secrets, &tickets);
        let shop = Workshop { secrets, tickets, previous, now: 1, seed: 1, shards: 1, host };
        let plan = evener_plan::Plan::from_json(plan.to_string().as_bytes()).unwrap();
        Running::build(plan, &shop).unwrap_or_else(|why| panic!("{why:?}"))
    }

    fn passed() -> Finding {
        Finding::Passed("connected".to_owned())
    }

    fn failed() -> Finding {
        Finding::Failed("refused".to_owned())
    }

    /// Makes the checks that are due; how many there were.
    fn make_all(jobs: &mut Jobs, finding: &Finding, now: u64) -> usize {
        let mut made = 0;
        while let Some((id, _)) = jobs.next(now) {
            jobs.on_made(id, finding, now);
            made += 1;
        }
        made
    }

    #[test]
    fn servers_are_checked_at_once_and_then_at_their_interval() {
        let running = build(&plan(&["a", "b"]), None);
        let mut jobs = Jobs::new(10, 1);
        jobs.obey(&running, 1000);
        assert_eq!(make_all(&mut jobs, &passed(), 1000), 2);
        assert_eq!(jobs.wake_at(), Some(3000));
        assert_eq!(make_all(&mut jobs, &passed(), 2999), 0);
        assert_eq!(make_all(&mut jobs, &passed(), 3000), 2);
    }

    #[test]
    fn a_failing_server_is_watched_fast_and_a_down_one_slowly() {
        let running = build(&plan(&["a"]), None);
        let mut jobs = Jobs::new(10, 1);
        jobs.obey(&running, 0);
        make_all(&mut jobs, &passed(), 0);
        make_all(&mut jobs, &failed(), 2000);
        assert_eq!(jobs.wake_at(), Some(2500));
        make_all(&mut jobs, &failed(), 2500);
        assert_eq!(running.pools[0].group.facts(0).unwrap().state, State::Down);
        assert_eq!(jobs.wake_at(), Some(11_500));
    }

    #[test]
    fn a_reload_keeps_the_time_of_what_stays_and_checks_what_is_new_at_once() {
        let first = build(&plan(&["a"]), None);
        let mut jobs = Jobs::new(10, 1);
        jobs.obey(&first, 0);
        make_all(&mut jobs, &passed(), 0);
        let second = build(&plan(&["b", "a"]), Some(&first));
        jobs.obey(&second, 100);
        assert_eq!(make_all(&mut jobs, &passed(), 100), 1);
        assert_eq!(second.pools[0].group.facts(0).unwrap().health, HealthState::Up);
        assert_eq!(jobs.wake_at(), Some(2000));
    }

    /// What the first check of a pool asks.
    fn asked(plan: &serde_json::Value) -> String {
        let mut jobs = Jobs::new(10, 1);
        jobs.obey(&build(plan, None), 0);
        let (_, probe) = jobs.next(0).unwrap();
        String::from_utf8(probe.ask.as_ref().unwrap().request.clone()).unwrap()
    }

    /// A plan with one server that is asked by HTTP.
    fn asking() -> serde_json::Value {
        let mut form = plan(&["a"]);
        let expect = json!({"status": [[200, 299]], "body": null, "header": {}});
        form["pools"][0]["checks"][0]["kind"] = json!({"http": {
            "path": "/", "method": "GET", "host": null, "headers": {}, "expect": expect,
        }});
        form
    }

    #[test]
    fn a_reload_changes_what_is_let_in_of_the_next_answer() {
        let mut form = asking();
        let first = build(&form, None);
        let mut jobs = Jobs::new(10, 1);
        jobs.obey(&first, 0);
        make_all(&mut jobs, &passed(), 0);
        form["pools"][0]["http"]["accept"] = json!(["lf"]);
        jobs.obey(&build(&form, Some(&first)), 1);
        let (_, probe) = jobs.next(10_000).unwrap();
        let mut judge = Judge::new(probe.ask.as_ref().unwrap());
        assert!(judge.take(b"HTTP/1.1 200 OK\n\n").unwrap().is_ok());
    }

    #[test]
    fn a_server_is_asked_by_the_host_it_is_named_by() {
        let mut form = asking();
        assert!(asked(&form).contains("\r\nHost: 127.0.0.1:1\r\n"));
        form["pools"][0]["servers"][0]["host"] = "app.example".into();
        assert!(asked(&form).contains("\r\nHost: app.example:1\r\n"), "{}", asked(&form));
        form["pools"][0]["checks"][0]["port"] = 81.into();
        assert!(asked(&form).contains("\r\nHost: app.example:81\r\n"), "{}", asked(&form));
        form["pools"][0]["servers"][0]["host"] = "::1".into();
        assert!(asked(&form).contains("\r\nHost: [::1]:81\r\n"), "{}", asked(&form));
        form["pools"][0]["checks"][0]["kind"]["http"]["host"] = "own".into();
        assert!(asked(&form).contains("\r\nHost: own\r\n"), "{}", asked(&form));
    }

    #[test]
    fn a_check_goes_on_as_a_reload_says_whom_it_is_to_verify() {
        let mut form = plan(&["a"]);
        form["pools"][0]["tls"] = json!({"verify": false, "ca": null, "server_name": null, "client": null, "min_version": "1.2"});
        let first = build(&form, None);
        let mut jobs = Jobs::new(10, 1);
        jobs.obey(&first, 0);
        make_all(&mut jobs, &passed(), 0);
        form["pools"][0]["servers"][0]["host"] = "other.example".into();
        jobs.obey(&build(&form, Some(&first)), 1);
        let (_, probe) = jobs.next(10_000).unwrap();
        let name = probe.target.server_name.as_ref().unwrap().to_str();
        assert_eq!(name, "other.example");
    }

    #[test]
    fn a_result_that_comes_after_its_server_left_is_dropped() {
        let first = build(&plan(&["a"]), None);
        let mut jobs = Jobs::new(1, 1);
        jobs.obey(&first, 0);
        let (id, _) = jobs.next(0).unwrap();
        jobs.obey(&build(&plan(&["b"]), Some(&first)), 0);
        assert!(jobs.on_made(id, &failed(), 1).is_none());
        assert_eq!(make_all(&mut jobs, &passed(), 1), 1, "it takes no room");
    }

    #[test]
    fn a_check_under_way_goes_to_the_plan_that_serves_when_it_ends() {
        let first = build(&plan(&["a"]), None);
        let mut jobs = Jobs::new(10, 1);
        jobs.obey(&first, 0);
        let (id, _) = jobs.next(0).unwrap();
        let second = build(&plan(&["b", "a"]), Some(&first));
        jobs.obey(&second, 1);
        assert_eq!(jobs.on_made(id, &failed(), 2).unwrap().job.server, 1);
        assert_eq!(second.pools[0].group.facts(1).unwrap().state, State::Down);
    }

    #[test]
    fn in_maintenance_nothing_is_checked_and_after_it_at_once() {
        let running = build(&plan(&["a"]), None);
        let group = &running.pools[0].group;
        let mut jobs = Jobs::new(10, 1);
        jobs.obey(&running, 0);
        make_all(&mut jobs, &passed(), 0);
        group.on_admin(0, Admin::Maint, 10);
        assert_eq!(make_all(&mut jobs, &passed(), 2000), 0);
        group.on_admin(0, Admin::Ready, 2010);
        jobs.look("app", "a", 2010);
        assert_eq!(make_all(&mut jobs, &passed(), 2010), 1);
    }

    #[test]
    fn a_server_that_a_reload_takes_out_of_maintenance_is_checked_at_once() {
        let mut form = plan(&["a"]);
        form["pools"][0]["servers"][0]["admin"] = "maint".into();
        let first = build(&form, None);
        let mut jobs = Jobs::new(10, 1);
        jobs.obey(&first, 0);
        assert_eq!(make_all(&mut jobs, &passed(), 0), 0);
        form["pools"][0]["servers"][0]["admin"] = "ready".into();
        let second = build(&form, Some(&first));
        second.pools[0].group.adopt(&second.plan.pools[0], 100);
        jobs.obey(&second, 100);
        assert_eq!(make_all(&mut jobs, &passed(), 100), 1);
        assert_eq!(second.pools[0].group.facts(0).unwrap().state, State::Up);
    }

    #[test]
    fn an_ejected_server_is_checked_when_its_time_is_over_and_again_later_if_that_fails() {
        let mut form = plan(&["a", "b"]);
        form["pools"][0]["checks"] = json!([]);
        let running = build(&form, None);
        let group = &running.pools[0].group;
        let mut jobs = Jobs::new(10, 1);
        jobs.obey(&running, 0);
        assert_eq!(jobs.wake_at(), None);
        let lease = group.pick(&evener_balance::Tried::new(), 5).unwrap();
        let out = evener_balance::Outcome::Failed(evener_balance::Cause::ConnectRefused);
        group.report(&lease, out, 5).unwrap();
        let id = running.plan.pools[0].servers[lease.index()].id.clone();
        jobs.look("app", &id, 5);
        assert_eq!(jobs.wake_at(), Some(10_005));
        assert_eq!(make_all(&mut jobs, &failed(), 10_005), 1);
        assert_eq!(jobs.wake_at(), Some(20_005));
        assert_eq!(make_all(&mut jobs, &passed(), 20_005), 1);
        assert_eq!(group.counts_up(), 2);
        assert_eq!(jobs.wake_at(), None);
    }

    #[test]
    fn what_is_our_own_fault_changes_nothing_and_is_tried_again() {
        let running = build(&plan(&["a"]), None);
        let mut jobs = Jobs::new(10, 1);
        jobs.obey(&running, 0);
        let ours = Finding::Ours("too many open files".to_owned());
        make_all(&mut jobs, &ours, 0);
        assert_eq!(running.pools[0].group.facts(0).unwrap().health, HealthState::Unchecked);
        assert_eq!(jobs.wake_at(), Some(500));
    }

    #[test]
    fn no_more_than_the_most_are_under_way_and_the_others_have_their_turn() {
        let running = build(&plan(&["a", "b", "c"]), None);
        let mut jobs = Jobs::new(2, 1);
        jobs.obey(&running, 0);
        let first = jobs.next(10).unwrap().0;
        assert!(jobs.next(10).is_some() && jobs.next(10).is_none());
        assert_eq!(jobs.wake_at(), None);
        jobs.on_made(first, &passed(), 20);
        assert!(jobs.next(20).is_some());
    }

    #[test]
    fn ten_thousand_servers_do_not_start_at_once() {
        let names: Vec<String> = (0..10_000).map(|number| format!("s{number}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let running = build(&plan(&names), None);
        let mut jobs = Jobs::new(usize::MAX, 1);
        jobs.obey(&running, 0);
        let made: Vec<_> = (0..2000).map(|now| make_all(&mut jobs, &passed(), now)).collect();
        assert!(made.iter().all(|made| *made <= 5));
        assert_eq!(made.iter().sum::<usize>(), 10_000);
    }
}

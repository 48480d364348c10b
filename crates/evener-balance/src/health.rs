//! Decide whether a server takes traffic, from check results, live outcomes and people's words.
//!
//! Rules kept here:
//! - Pure: inputs and `now` come in, transitions go out. Nothing sleeps, logs or opens a socket.
//! - Only this file changes a server's state. Facts are stored; the word shown is derived.
//! - Live failures count as nginx counts them (`ngx_http_upstream_round_robin.c`: fails, accessed,
//!   checked): they add up until a success of a request picked more than `within` after the last.
//! - Silence never changes a state: without an input there is no transition.
//!
//! Not known here: what a check is, how many servers the pool has, who is picked.

mod reason;

pub use reason::Reason;

use std::fmt;
use std::sync::Arc;

use evener_plan::{Admin, HealthState, Passive, Readmit};

use crate::outcome::Cause;

/// The one word shown of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// Takes traffic.
    Up,
    /// Waits for its first check.
    Starting,
    /// Takes nothing new because people said so; what it has goes on.
    Draining,
    /// Out because people said so, and not checked.
    Maintenance,
    /// Out for a while because of its live answers.
    Ejected,
    /// Out because its checks fail.
    Down,
}

/// A change of the word shown.
#[derive(Debug, Clone, PartialEq)]
pub struct Transition {
    /// The word before.
    pub before: State,
    /// The word since `at`.
    pub after: State,
    /// Why.
    pub reason: Reason,
    /// When, in monotonic milliseconds.
    pub at: u64,
}

/// What health needs to know of the pool's rules.
#[derive(Debug, Clone, PartialEq)]
pub struct Rules {
    /// `rise` and `fall` of each check, in the order of the plan.
    pub checks: Vec<Streaks>,
    /// Exclusion by live answers.
    pub passive: Option<Passive>,
}

impl Rules {
    /// Whether a request decides about an ejected server, not a check.
    pub fn tries_by_request(&self) -> bool {
        self.passive.as_ref().is_some_and(|passive| passive.readmit == Readmit::Request)
    }

    fn tries_by_tcp(&self) -> bool {
        self.passive.as_ref().is_some_and(|passive| passive.readmit == Readmit::Tcp)
    }
}

/// Results in a row that change a check's verdict, once it has one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Streaks {
    /// Passes that bring a server up.
    pub rise: u32,
    /// Failures that take it down.
    pub fall: u32,
}

/// What is stored of one server's health.
#[derive(Debug)]
pub struct Health {
    admin: Admin,
    found: HealthState,
    found_why: Reason,
    /// Takes traffic while no check has decided.
    admitted: bool,
    checks: Vec<CheckRun>,
    ejection: Option<Ejection>,
    failures: u32,
    /// nginx's `checked`: the last failure, or the first pick more than `within` after it.
    checked_at: u64,
    /// Such a pick was made since the last failure, so that a success counts.
    retried: bool,
    changed: u64,
}

/// One check's verdict and the results in a row against it.
#[derive(Debug, Clone, Copy)]
struct CheckRun {
    verdict: HealthState,
    against: u32,
}

#[derive(Debug)]
struct Ejection {
    until: u64,
    /// The next pick is let through, and its outcome decides.
    trial: bool,
    why: Reason,
}

impl State {
    /// All words, in the order in which they are shown.
    pub const ALL: [State; 6] = [
        State::Up,
        State::Starting,
        State::Draining,
        State::Maintenance,
        State::Ejected,
        State::Down,
    ];

    /// Whether a server in this state may be picked.
    pub fn takes_traffic(self) -> bool {
        self == State::Up
    }

    /// The word as it is shown everywhere.
    pub const fn as_str(self) -> &'static str {
        match self {
            State::Up => "up",
            State::Starting => "starting",
            State::Draining => "draining",
            State::Maintenance => "maintenance",
            State::Ejected => "ejected",
            State::Down => "down",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Rules {
    /// The rules of a pool.
    pub fn of(pool: &evener_plan::Pool) -> Rules {
        let streaks = |check: &evener_plan::Check| Streaks { rise: check.rise, fall: check.fall };
        Rules { checks: pool.checks.iter().map(streaks).collect(), passive: pool.passive.clone() }
    }
}

impl Health {
    /// A server nothing is known of. `admitted`: takes traffic before its first check.
    pub fn new(rules: &Rules, admin: Admin, admitted: bool, now: u64) -> Health {
        let mut health = Health {
            admin,
            found: HealthState::Unchecked,
            found_why: Reason::NotChecked,
            admitted,
            checks: Vec::new(),
            ejection: None,
            failures: 0,
            checked_at: 0,
            retried: false,
            changed: now,
        };
        health.fit(rules);
        health
    }

    /// The word, derived. People's words come before checks, checks before live outcomes.
    pub fn state(&self) -> State {
        match self.admin {
            Admin::Maint => return State::Maintenance,
            Admin::Drain => return State::Draining,
            Admin::Ready => {}
        }
        match self.found {
            HealthState::Down => State::Down,
            HealthState::Unchecked if !self.admitted => State::Starting,
            _ if self.ejection.is_some() => State::Ejected,
            _ => State::Up,
        }
    }

    /// Why the word is what it is.
    pub fn reason(&self) -> Reason {
        match (self.state(), &self.ejection) {
            (State::Draining | State::Maintenance, _) => Reason::Asked(self.admin),
            (State::Ejected, Some(ejection)) => ejection.why.clone(),
            _ => self.found_why.clone(),
        }
    }

    /// When the word last changed.
    pub fn changed(&self) -> u64 {
        self.changed
    }

    /// What people want of it.
    pub fn admin(&self) -> Admin {
        self.admin
    }

    /// What checks have found.
    pub fn found(&self) -> HealthState {
        self.found
    }

    /// What the check with this index has found by itself.
    pub fn verdict(&self, check: usize) -> HealthState {
        self.checks.get(check).map_or(HealthState::Unchecked, |run| run.verdict)
    }

    /// When an ejection may end at the earliest; 0 is not ejected.
    pub fn ejected_until(&self) -> u64 {
        self.ejection.as_ref().map_or(0, |ejection| ejection.until)
    }

    /// Whether the next pick is a trial of an ejected server.
    pub fn is_on_trial(&self) -> bool {
        let trial = self.ejection.as_ref().is_some_and(|out| out.trial);
        trial && self.state() == State::Ejected
    }

    /// Whether picks and successes matter just now. An ejection may be an earlier worker's, of whose
    /// failures nothing is known.
    pub fn is_watched(&self) -> bool {
        self.failures > 0 || self.ejection.is_some()
    }

    /// Takes what an earlier worker knew. Not an input that makes a transition: it comes before
    /// any traffic.
    pub fn seed(&mut self, found: HealthState, ejected_until: u64, changed: u64, why: &str) {
        self.found = if self.checks.is_empty() { HealthState::Unchecked } else { found };
        for run in &mut self.checks {
            run.verdict = found;
            run.against = 0;
        }
        let why = Reason::Told(why.into());
        // What was said is why the word was what it was.
        let is_of_checks = self.found == HealthState::Down || ejected_until == 0;
        if is_of_checks && self.found != HealthState::Unchecked {
            self.found_why = why.clone();
        }
        if ejected_until > 0 {
            self.ejection = Some(Ejection { until: ejected_until, trial: false, why });
        }
        self.changed = changed;
    }

    /// The pool's rules changed: what was found stands until a check says otherwise.
    pub fn on_rules(&mut self, rules: &Rules, now: u64) -> Option<Transition> {
        self.step(now, |health| {
            health.fit(rules);
            if rules.passive.is_none() {
                health.forgive();
            }
        })
    }

    /// People said so. Back from maintenance nothing is known of it: it waits for a check, if it
    /// has one.
    pub fn on_admin(&mut self, admin: Admin, now: u64) -> Option<Transition> {
        self.step(now, |health| {
            if health.admin == Admin::Maint && admin != Admin::Maint {
                health.forget();
            }
            health.admin = admin;
        })
    }

    /// A result of the check with this index. The first result decides at once; then `rise` or
    /// `fall` in a row do. Ignored in maintenance and for a check that the rules don't have.
    pub fn on_check(
        &mut self,
        rules: &Rules,
        check: usize,
        result: Result<(), Arc<str>>,
        now: u64,
    ) -> Option<Transition> {
        if self.admin == Admin::Maint {
            return None;
        }
        let (run, streaks) = (self.checks.get_mut(check)?, *rules.checks.get(check)?);
        let wanted = match result {
            Ok(()) => HealthState::Up,
            Err(_) => HealthState::Down,
        };
        if !run.take(wanted, streaks) {
            return None;
        }
        let why = match result {
            Ok(()) => Reason::Passed(run.spent()),
            Err(text) => Reason::CheckFailed(text, run.spent()),
        };
        self.step(now, |health| health.combine(why))
    }

    /// A live failure. `spare`: another server of the pool takes traffic; without one, none is
    /// ejected.
    pub fn on_failure(
        &mut self,
        rules: &Rules,
        cause: Cause,
        address: &Arc<str>,
        spare: bool,
        now: u64,
    ) -> Option<Transition> {
        let passive = rules.passive.as_ref().filter(|passive| passive.fails > 0)?;
        self.failures = self.failures.saturating_add(1);
        self.checked_at = now;
        self.retried = false;
        if self.failures < passive.fails || (self.ejection.is_none() && !spare) {
            return None;
        }
        let why = Reason::LiveFailures {
            cause,
            address: address.clone(),
            failures: self.failures,
            allowed: passive.fails,
            within: passive.within,
        };
        self.step(now, |health| health.eject(now + passive.out, why))
    }

    /// A live success; call it while [`Health::is_watched`].
    pub fn on_success(&mut self, rules: &Rules, now: u64) -> Option<Transition> {
        if !self.retried {
            return None;
        }
        let by_request = rules.tries_by_request();
        self.step(now, |health| {
            health.failures = 0;
            if by_request && health.ejection.take().is_some() {
                health.found_why = Reason::Answered;
            }
        })
    }

    /// It was picked; call it while [`Health::is_watched`]. A trial is used up: the next comes
    /// `out` later.
    pub fn on_pick(&mut self, rules: &Rules, now: u64) {
        let Some(passive) = &rules.passive else {
            return;
        };
        match &mut self.ejection {
            Some(ejection) if ejection.trial => {
                ejection.trial = false;
                ejection.until = now + passive.out;
            }
            None if now.saturating_sub(self.checked_at) > passive.within => {}
            _ => return,
        }
        self.checked_at = now;
        self.retried = true;
    }

    /// Time passed: an ejection by `readmit: request` whose `until` is reached lets one pick
    /// through. True if it does so now.
    pub fn on_time(&mut self, rules: &Rules, now: u64) -> bool {
        if !rules.tries_by_request() {
            return false;
        }
        match &mut self.ejection {
            Some(ejection) if ejection.until <= now && !ejection.trial => {
                ejection.trial = true;
                true
            }
            _ => false,
        }
    }

    /// The TCP check that `readmit: tcp` asks for once `until` is reached; earlier it says nothing.
    pub fn on_readmit(
        &mut self,
        rules: &Rules,
        result: Result<(), Arc<str>>,
        now: u64,
    ) -> Option<Transition> {
        let out = rules.passive.as_ref()?.out;
        let ejection = self.ejection.as_mut()?;
        if now < ejection.until {
            return None;
        }
        match result {
            Ok(()) => self.step(now, |health| {
                health.forgive();
                health.found_why = Reason::Reachable;
            }),
            Err(text) => {
                ejection.until = now + out;
                ejection.why = Reason::StillUnreachable(text);
                None
            }
        }
    }

    /// When the TCP check of an ejected server is due.
    pub fn readmit_at(&self, rules: &Rules) -> Option<u64> {
        let by_tcp = rules.tries_by_tcp() && self.admin != Admin::Maint;
        self.ejection.as_ref().filter(|_| by_tcp).map(|ejection| ejection.until)
    }

    /// When a request may try an ejected server (`readmit: request`), unless one may already.
    pub fn trial_at(&self, rules: &Rules) -> Option<u64> {
        let by_request = rules.tries_by_request();
        self.ejection
            .as_ref()
            .filter(|ejection| by_request && !ejection.trial)
            .map(|ejection| ejection.until)
    }

    /// Applies a change of facts and tells whether the word changed.
    fn step(&mut self, now: u64, change: impl FnOnce(&mut Health)) -> Option<Transition> {
        let before = self.state();
        change(self);
        let after = self.state();
        (before != after).then(|| {
            self.changed = now;
            Transition { before, after, reason: self.reason(), at: now }
        })
    }

    fn eject(&mut self, until: u64, why: Reason) {
        self.ejection = Some(Ejection { until, trial: false, why });
    }

    fn forgive(&mut self) {
        self.ejection = None;
        self.failures = 0;
    }

    fn forget(&mut self) {
        self.forgive();
        self.found = HealthState::Unchecked;
        self.admitted = self.checks.is_empty();
        self.found_why = match self.admitted {
            true => Reason::NoChecks,
            false => Reason::NotChecked,
        };
        self.checks.fill(CheckRun::NEW);
    }

    fn fit(&mut self, rules: &Rules) {
        if self.checks.len() != rules.checks.len() {
            self.checks = vec![CheckRun::NEW; rules.checks.len()];
        }
        if self.checks.is_empty() {
            self.found = HealthState::Unchecked;
            self.found_why = Reason::NoChecks;
            self.admitted = true;
        } else if self.found_why == Reason::NoChecks {
            self.found_why = Reason::NotChecked;
        }
    }

    /// Down if any check says so, up if all do; while some have not said, as before.
    fn combine(&mut self, why: Reason) {
        let all = |wanted| self.checks.iter().all(|run| run.verdict == wanted);
        let any = |wanted| self.checks.iter().any(|run| run.verdict == wanted);
        let found = if any(HealthState::Down) {
            HealthState::Down
        } else if all(HealthState::Up) {
            HealthState::Up
        } else {
            self.found
        };
        if found != self.found {
            self.found = found;
            self.found_why = why;
        }
    }
}

impl CheckRun {
    const NEW: CheckRun = CheckRun { verdict: HealthState::Unchecked, against: 0 };

    /// Counts a result; true when the verdict changes.
    fn take(&mut self, wanted: HealthState, streaks: Streaks) -> bool {
        if wanted == self.verdict {
            self.against = 0;
            return false;
        }
        self.against = self.against.saturating_add(1);
        let needed = match (self.verdict, wanted) {
            (HealthState::Unchecked, _) => 1,
            (_, HealthState::Up) => streaks.rise,
            _ => streaks.fall,
        };
        if self.against < needed {
            return false;
        }
        self.verdict = wanted;
        true
    }

    /// Results it took to reach this verdict; leaves the count ready for the next.
    fn spent(&mut self) -> u32 {
        std::mem::take(&mut self.against)
    }
}

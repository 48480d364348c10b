//! The servers of one pool under one plan: picks, leases, outcomes, checks, people's words.
//!
//! Rules kept here:
//! - What happened goes to `health` first; the schedulers hear what became of it.
//! - A success costs one relaxed load, unless failures are pending.
//! - The last server that takes traffic is never ejected.
//!
//! Not known here: who asks, and what is done with a transition.

mod chosen;
mod facts;

pub use facts::{Facts, Seed};

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use evener_plan::{Admin, HealthState, Initial, Pool, Scope};

use crate::hashes::xxh64;
use crate::health::{Health, Rules, Transition};
use crate::lease::Lease;
use crate::outcome::{Cause, Outcome, Verdict};
use crate::request::{Request, Unknown};
use crate::roster::{House, Picked, Roster, Seat};
use crate::schedule::{Done, How};
use crate::server::{ServerState, Standing};
use crate::tried::Tried;

/// The servers of one pool under one plan. Indexes are those of the plan's `servers`.
pub struct Group {
    name: Box<str>,
    rules: Arc<Rules>,
    roster: Arc<Roster>,
}

/// When a group is born, which decides about servers that no check has seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Birth {
    /// With the first plan of a worker: `initial` says whether they take traffic.
    Start,
    /// Later: they wait for one pass of their checks while others take traffic. Where nobody would,
    /// it is as at a start: a reload that replaces all servers must refuse nobody.
    Reload,
}

/// How long an exchange took, in microseconds from the pick.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Timing {
    /// To the head of the answer, if one came and its time is known.
    pub head: Option<u64>,
    /// To the end of the exchange.
    pub whole: u64,
}

/// Why nobody was picked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NoServer {
    /// The pool has no servers.
    #[error("the pool has no servers")]
    Empty,
    /// No server takes traffic.
    #[error("no server of the pool takes traffic")]
    NoneUp,
    /// Those that take traffic were all tried.
    #[error("every server that takes traffic was tried")]
    AllTried,
    /// Some take traffic, but none has room, or none is one that the scheduler would use for this
    /// request (IPVS's hashes without fallback).
    #[error("no server has room for the request")]
    NoRoom,
}

impl Group {
    /// The group of a pool. Servers of `previous` (the same pool under the plan before) that stay
    /// keep their leases, health, ejection and their place in the schedule, as far as the new
    /// weights have it. People's words in the plan apply.
    pub fn new(pool: &Pool, previous: Option<&Group>, birth: Birth, now: u64) -> Group {
        Group::of_shards(pool, previous, birth, now, 1)
    }

    /// The same in a worker of so many shards, each of which has a scheduler of its own if the
    /// pool's `scope` says so.
    pub fn of_shards(
        pool: &Pool,
        previous: Option<&Group>,
        birth: Birth,
        now: u64,
        shards: usize,
    ) -> Group {
        let rules = Arc::new(Rules::of(pool));
        let before = previous.map(|group| &group.roster);
        let stay = before.filter(|roster| roster.seats_pool(pool));
        let roster = match stay {
            Some(roster) => roster.clone(),
            None => {
                let house = before.map_or_else(
                    || House::new(seed_of(pool, now), rules.clone()),
                    |roster| roster.house().clone(),
                );
                let states = states(pool, &rules, before.map(|roster| &**roster), birth, now);
                let shards = if pool.scope == Scope::Shard { shards } else { 1 };
                Roster::new(pool, states, house, before.map(|roster| &**roster), shards)
            }
        };
        Group { name: pool.name.as_str().into(), rules, roster }
    }

    /// The plan of this group begins to serve: its rules and people's words apply to the servers
    /// it shares with the group before. Gives what changed, by index.
    pub fn adopt(&self, pool: &Pool, now: u64) -> Vec<(usize, Transition)> {
        let admins = pool.servers.iter().map(|server| server.admin);
        let seats = self.roster.seats().iter().zip(admins).enumerate();
        self.roster.house().obey(&self.rules);
        let mut changes = Vec::new();
        for (index, (seat, admin)) in seats {
            let (rules, said) = seat.state.change(|health| {
                let rules = health.on_rules(&self.rules, now);
                (rules, health.on_admin(admin, now))
            });
            if rules.is_some() || said.is_some() {
                self.roster.spread(index);
            }
            self.note_trial(&seat.state);
            changes.extend(rules.into_iter().chain(said).map(|change| (index, change)));
        }
        changes
    }

    /// The pool's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Servers, whatever their state.
    pub fn len(&self) -> usize {
        self.roster.seats().len()
    }

    /// Whether the pool has no servers.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A server. `None` past the last.
    pub fn server(&self, index: usize) -> Option<&Arc<ServerState>> {
        self.roster.seats().get(index).map(|seat| &seat.state)
    }

    /// Index of the server with this id.
    pub fn index_of(&self, id: &str) -> Option<usize> {
        self.roster.index_of(id)
    }

    /// Servers that take traffic.
    pub fn counts_up(&self) -> usize {
        self.roster.up()
    }

    /// Picks for a request of which nothing is known: see [`Group::pick_for`].
    ///
    /// # Errors
    /// [`NoServer`] says why there is none.
    pub fn pick(&self, tried: &Tried, now: u64) -> Result<Lease, NoServer> {
        self.pick_for(&Unknown, tried, now)
    }

    /// Picks a server that was not tried: in the lowest tier that has one, by the pool's
    /// scheduler, which asks the request what it needs.
    ///
    /// # Errors
    /// [`NoServer`] says why there is none.
    pub fn pick_for(
        &self,
        request: &dyn Request,
        tried: &Tried,
        now: u64,
    ) -> Result<Lease, NoServer> {
        if now >= self.roster.house().next_trial.load(Ordering::Relaxed) {
            self.open_trials(now);
        }
        let Some(picked) = self.roster.pick(request, tried, now) else {
            return Err(self.why_none(tried));
        };
        let lease = Lease::of_begun(self.roster.clone(), &picked, now);
        let Picked { index, was_trial, .. } = picked;
        let state = self.roster.state(index);
        if was_trial || state.is_watched() {
            state.change(|health| health.on_pick(&self.rules, now));
            if was_trial {
                self.note_trial(state);
            }
        }
        Ok(lease)
    }

    /// The server with this index without asking the scheduler, for a request that belongs to it;
    /// `None` where it takes no traffic.
    pub fn pin(&self, index: usize, shard: usize, now: u64) -> Option<Lease> {
        let shard = self.roster.own(shard);
        self.roster.pin(index, shard).then(|| self.pinned(index, shard, now))
    }

    fn pinned(&self, index: usize, shard: usize, now: u64) -> Lease {
        Lease::of_pinned(self.roster.clone(), index, shard, now)
    }

    /// How the try that a lease was for has ended (or is certain to end). Call it once per lease,
    /// before the lease is dropped, and once more before for each kept connection that was stale.
    pub fn report(&self, lease: &Lease, outcome: Outcome, now: u64) -> Option<Transition> {
        let whole = now.saturating_sub(lease.begun()) * 1_000;
        self.report_timed(lease, outcome, Timing { head: None, whole }, now)
    }

    /// [`Group::report`] with times finer than `now`, for schedulers that go by them.
    pub fn report_timed(
        &self,
        lease: &Lease,
        outcome: Outcome,
        timing: Timing,
        now: u64,
    ) -> Option<Transition> {
        if lease.is_timed() {
            let how = outcome.how();
            let answered = matches!(how, How::Works | How::Refuses);
            let head = timing.head.or(answered.then_some(timing.whole));
            let (headed, mark) = (lease.is_headed(), lease.mark());
            let again = !lease.note_report();
            let done = Done { how, head, whole: timing.whole, headed, again, mark };
            lease.roster().on_done(lease.index(), lease.shard(), &done, now);
        }
        match outcome.verdict() {
            Verdict::Nothing => None,
            Verdict::Works if !lease.server().is_watched() => None,
            Verdict::Works => self.change(lease.roster(), lease.index(), |health| {
                health.on_success(&self.rules, now)
            }),
            Verdict::Fails(cause) => self.on_failure(lease, cause, now),
        }
    }

    /// Whether a further try could have another server, as far as can be told now.
    pub fn has_untried(&self, tried: &Tried) -> bool {
        self.roster.has_untried(tried)
    }

    /// Whether its scheduler goes by time, so that [`Group::on_head`] and
    /// [`Group::report_timed`] have a use.
    pub fn times(&self) -> bool {
        self.roster.times()
    }

    /// The head of an answer came, so many microseconds after the pick. Only
    /// `nginx/least_time` with `measure: header` and `inflight` has a use for it before the end.
    pub fn on_head(&self, lease: &Lease, micros: u64, now: u64) {
        if lease.is_timed() && lease.note_head() {
            lease.roster().on_head(lease.index(), lease.shard(), micros, now);
        }
    }

    /// Schedulers that draw lots draw from this seed from now on; give each process one of its
    /// own. Until then it is made of the pool's name and the time of its birth.
    pub fn stir(&self, seed: u64) {
        self.roster.stir(seed);
    }

    /// A result of the pool's check with index `check`; an error says what was wrong.
    pub fn on_check(
        &self,
        index: usize,
        check: usize,
        result: Result<(), Arc<str>>,
        now: u64,
    ) -> Option<Transition> {
        self.server(index)?;
        self.change(&self.roster, index, |health| health.on_check(&self.rules, check, result, now))
    }

    /// What the pool's check with index `check` has found by itself: the state of a server is what
    /// all its checks have found together.
    pub fn verdict(&self, index: usize, check: usize) -> HealthState {
        let server = self.server(index);
        server.map_or(HealthState::Unchecked, |server| server.health().verdict(check))
    }

    /// The result of the TCP check that was due by [`Group::readmit_at`].
    pub fn on_readmit(
        &self,
        index: usize,
        result: Result<(), Arc<str>>,
        now: u64,
    ) -> Option<Transition> {
        self.server(index)?;
        self.change(&self.roster, index, |health| health.on_readmit(&self.rules, result, now))
    }

    /// When an ejected server is due for a TCP check (`passive.readmit: tcp`); `None` if it is not
    /// ejected, is in maintenance, or comes back by a request.
    pub fn readmit_at(&self, index: usize) -> Option<u64> {
        self.server(index)?.health().readmit_at(&self.rules)
    }

    /// People's word.
    pub fn on_admin(&self, index: usize, admin: Admin, now: u64) -> Option<Transition> {
        self.server(index)?;
        self.change(&self.roster, index, |health| health.on_admin(admin, now))
    }

    /// Takes what an earlier worker knew of a server; before any traffic. Unknown ids are the
    /// caller's to drop.
    pub fn seed(&self, index: usize, seed: &Seed) {
        if let Some(state) = self.server(index) {
            state.change(|health| {
                health.seed(seed.health, seed.ejected_until, seed.changed, &seed.reason);
            });
            self.roster.spread(index);
            self.note_trial(state);
        }
    }

    /// What is known of a server, for people and for the next worker.
    pub fn facts(&self, index: usize) -> Option<Facts> {
        let seat = self.roster.seats().get(index)?;
        Some(Facts::of(&seat.state, seat.weight, seat.tier_number))
    }

    fn on_failure(&self, lease: &Lease, cause: Cause, now: u64) -> Option<Transition> {
        let (roster, index) = (lease.roster(), lease.index());
        let _deciding = roster.house().decide();
        let rules = roster.house().rules();
        let allowed = rules.passive.as_ref().map_or(0, |passive| passive.fails);
        if allowed == 0 {
            return None;
        }
        let spare = roster.has_spare(index);
        roster.on_failure(index, lease.shard(), allowed);
        self.change(roster, index, |health| {
            health.on_failure(&rules, cause, roster.state(index).address(), spare, now)
        })
    }

    /// Changes a server's health and lets the schedulers know.
    fn change(
        &self,
        roster: &Roster,
        index: usize,
        f: impl FnOnce(&mut Health) -> Option<Transition>,
    ) -> Option<Transition> {
        let state = roster.state(index);
        let before = state.standing();
        let transition = state.change(f);
        if state.standing() != before {
            roster.spread(index);
            self.note_trial(state);
        }
        transition
    }

    /// Lets a request through to each ejected server whose time has come.
    fn open_trials(&self, now: u64) {
        // A pinned older plan, of other servers, must not forget what the newer one waits for.
        let serves = Arc::ptr_eq(&self.rules, &self.roster.house().rules());
        if !serves || !self.rules.tries_by_request() {
            return;
        }
        // Forgotten first: an ejection meanwhile is either seen below or notes itself.
        let next_trial = &self.roster.house().next_trial;
        next_trial.store(u64::MAX, Ordering::SeqCst);
        for (index, seat) in self.roster.seats().iter().enumerate() {
            if seat.state.change(|health| health.on_time(&self.rules, now)) {
                self.roster.spread(index);
            }
            self.note_trial(&seat.state);
        }
    }

    /// Makes sure that picks look when this server's trial is due.
    fn note_trial(&self, state: &ServerState) {
        let rules = self.roster.house().rules();
        if let Some(due) = state.health().trial_at(&rules) {
            let next_trial = &self.roster.house().next_trial;
            next_trial.fetch_min(due, Ordering::SeqCst);
        }
    }

    fn why_none(&self, tried: &Tried) -> NoServer {
        let takes = |seat: &Seat| seat.weight > 0 && seat.state.standing() != Standing::Out;
        let seats = self.roster.seats();
        let mut taking = seats.iter().enumerate().filter(|(_, seat)| takes(seat)).peekable();
        if taking.peek().is_none() {
            return if seats.is_empty() { NoServer::Empty } else { NoServer::NoneUp };
        }
        match taking.all(|(index, _)| tried.contains(index)) {
            true => NoServer::AllTried,
            false => NoServer::NoRoom,
        }
    }
}

impl fmt::Debug for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Group")
            .field("name", &self.name)
            .field("servers", &self.len())
            .field("up", &self.counts_up())
            .finish()
    }
}

fn seed_of(pool: &Pool, now: u64) -> u64 {
    xxh64(pool.name.as_bytes(), now)
}

/// The states of the pool's servers: those that stay, and new ones.
fn states(
    pool: &Pool,
    rules: &Rules,
    before: Option<&Roster>,
    birth: Birth,
    now: u64,
) -> Vec<Arc<ServerState>> {
    let kept = |server: &evener_plan::Server| {
        let old = before.and_then(|roster| Some(roster.state(roster.index_of(&server.id)?)));
        old.filter(|old| **old.address() == *server.address)
    };
    let serves = |server: &evener_plan::Server| {
        server.admin == Admin::Ready
            && server.weight > 0
            && kept(server).is_some_and(|old| old.standing() == Standing::In)
    };
    let waits = birth == Birth::Reload && pool.servers.iter().any(serves);
    let admitted = pool.initial == Initial::Up && !waits;
    let state = |server: &evener_plan::Server| match kept(server) {
        Some(old) => old.clone(),
        None => {
            let health = Health::new(rules, server.admin, admitted, now);
            Arc::new(ServerState::new(&server.id, &server.address, health))
        }
    };
    pool.servers.iter().map(state).collect()
}

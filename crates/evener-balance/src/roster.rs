//! The servers of a pool under one plan, in tiers, each with its scheduler.
//!
//! Rules kept here:
//! - A server's standing and leases are facts of its [`ServerState`]; the copy a scheduler has is
//!   refreshed under its tier's lock from the state itself, so the last refresh is always right.
//! - Every living roster of a pool hears of a change, since exchanges pin the plan they began
//!   with; of leases, if one of them goes by these. While only one lives, that costs nothing.
//! - Where the scope is a shard, each shard has a scheduler in each tier that counts that shard's
//!   leases alone; whoever tells of a server tells all of them.
//! - A pick holds one tier's lock and no other; whoever holds the lock of a server's health may
//!   not wait for a tier's.
//!
//! Not known here: why a server stands where it stands.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use evener_plan::{Limits, Pool, Scheduler, Scope};

use crate::dice::mix;
use crate::health::Rules;
use crate::key::KeyRule;
use crate::request::Request;
use crate::schedule::{Ask, Crew, Done, Position, Schedule, make};
use crate::server::{ServerState, Standing};
use crate::tried::Tried;

/// The window of failures where none is set: nginx's `fail_timeout`.
const WITHIN: u64 = 10_000;

/// The servers of a pool under one plan.
pub(crate) struct Roster {
    scheduler: Scheduler,
    scope: Scope,
    /// The window that failures are counted in.
    within: u64,
    seats: Vec<Seat>,
    tiers: Vec<Tier>,
    /// Schedulers of each tier: one, or one for each shard.
    shards: usize,
    by_id: BTreeMap<Box<str>, u32>,
    rule: KeyRule,
    counts_leases: bool,
    times: bool,
    house: Arc<House>,
}

/// What is shared by all rosters of a pool, from plan to plan.
pub(crate) struct House {
    living: AtomicUsize,
    /// Those of the living whose schedulers go by leases.
    counting: AtomicUsize,
    rosters: Mutex<Vec<Weak<Roster>>>,
    /// Held while it is decided who is ejected, so that two failures never eject the last two.
    deciding: Mutex<()>,
    /// Of the plan that serves. Requests that began under another one go by them, too: whom they
    /// eject, this plan brings back.
    rules: Mutex<Arc<Rules>>,
    /// When the next ejected server may have its trial; `u64::MAX` is none.
    pub(crate) next_trial: AtomicU64,
    /// Where random numbers come from.
    seed: AtomicU64,
}

pub(crate) struct Seat {
    pub(crate) state: Arc<ServerState>,
    pub(crate) weight: u32,
    /// As the plan writes it; nginx's ring goes by it.
    host: Box<str>,
    limits: Limits,
    pub(crate) tier_number: u32,
    tier: u32,
    place: u32,
}

struct Tier {
    /// Place in the scheduler → index of the seat.
    seats: Vec<u32>,
    /// Shard → its scheduler; one for all, unless the scope is a shard.
    lines: Box<[Mutex<Line>]>,
}

/// What a tier's lock guards.
struct Line {
    schedule: Box<dyn Schedule>,
    standing: Vec<Standing>,
    /// Places that take traffic, trials not counted.
    up: usize,
}

/// What a pick found.
pub(crate) struct Picked {
    pub(crate) index: usize,
    pub(crate) was_trial: bool,
    /// The scheduler's word for the lease.
    pub(crate) mark: u32,
    /// Whose scheduler it was; 0 where there is one for all.
    pub(crate) shard: usize,
}

impl House {
    pub(crate) fn new(seed: u64, rules: Arc<Rules>) -> Arc<House> {
        Arc::new(House {
            living: AtomicUsize::new(0),
            counting: AtomicUsize::new(0),
            rosters: Mutex::new(Vec::new()),
            deciding: Mutex::new(()),
            rules: Mutex::new(rules),
            next_trial: AtomicU64::new(u64::MAX),
            seed: AtomicU64::new(seed),
        })
    }

    pub(crate) fn decide(&self) -> MutexGuard<'_, ()> {
        self.deciding.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The rules of the plan that serves.
    pub(crate) fn rules(&self) -> Arc<Rules> {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// These rules serve from now on; what is being decided by those before is waited for.
    pub(crate) fn obey(&self, rules: &Arc<Rules>) {
        let _deciding = self.decide();
        *self.rules.lock().unwrap_or_else(PoisonError::into_inner) = rules.clone();
    }

    fn rosters(&self) -> MutexGuard<'_, Vec<Weak<Roster>>> {
        self.rosters.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A seed for a shard's scheduler of the tier in this row.
    fn seed_of(&self, tier: usize, shard: usize) -> u64 {
        let whose = tier as u64 + 1 + ((shard as u64) << 32);
        mix(self.seed.load(Ordering::Relaxed) ^ mix(whose))
    }

    fn is_shared(&self) -> bool {
        self.living.load(Ordering::Acquire) > 1
    }

    /// Whether leases of this roster matter to another one.
    fn counts_besides(&self, roster: &Roster) -> bool {
        self.is_shared()
            && self.counting.load(Ordering::Acquire) > usize::from(roster.counts_leases)
    }
}

impl Roster {
    /// Seats the pool's servers; `states` are theirs, in the same order. Where a server of
    /// `previous` stays, its place in the schedule does too.
    pub(crate) fn new(
        pool: &Pool,
        states: Vec<Arc<ServerState>>,
        house: Arc<House>,
        previous: Option<&Roster>,
        shards: usize,
    ) -> Arc<Roster> {
        let shards = shards.max(1);
        if shards > 1 {
            states.iter().for_each(|state| state.count_by_shard(shards));
        }
        let (seats, tiers) = seat(pool, states, &house, shards);
        let by_id = (0..).zip(&seats);
        let by_id = by_id.map(|(index, seat)| (seat.state.id().into(), index));
        let rule = tiers.first().map_or(KeyRule::Nothing, |tier| tier.line(0).schedule.key_rule());
        let mut roster = Roster {
            scheduler: pool.scheduler.clone(),
            scope: pool.scope,
            within: within(pool),
            by_id: by_id.collect(),
            rule,
            counts_leases: tiers.iter().any(|tier| tier.line(0).schedule.counts_leases()),
            times: tiers.iter().any(|tier| tier.line(0).schedule.times())
                || matches!(pool.scheduler, Scheduler::Python { .. }),
            seats,
            tiers,
            shards,
            house: house.clone(),
        };
        if let Some(previous) = previous {
            roster.resume(previous);
        }
        let roster = Arc::new(roster);
        // Registered before the states are read: what changes meanwhile is heard or read.
        house.rosters().push(Arc::downgrade(&roster));
        house.counting.fetch_add(usize::from(roster.counts_leases), Ordering::AcqRel);
        house.living.fetch_add(1, Ordering::AcqRel);
        (0..roster.seats.len()).for_each(|index| roster.tell(index));
        roster
    }

    /// Whether it seats exactly this pool's servers under the same scheduler.
    pub(crate) fn seats_pool(&self, pool: &Pool) -> bool {
        let same = |(seat, server): (&Seat, &evener_plan::Server)| {
            seat.state.id() == server.id
                && **seat.state.address() == *server.address
                && *seat.host == *server.host
                && seat.weight == server.weight
                && seat.tier_number == server.tier
                && seat.limits == server.limits
        };
        self.scheduler == pool.scheduler
            && self.scope == pool.scope
            && self.within == within(pool)
            && self.seats.len() == pool.servers.len()
            && self.seats.iter().zip(&pool.servers).all(same)
    }

    pub(crate) fn house(&self) -> &Arc<House> {
        &self.house
    }

    pub(crate) fn seats(&self) -> &[Seat] {
        &self.seats
    }

    pub(crate) fn state(&self, index: usize) -> &Arc<ServerState> {
        &self.seats[index].state
    }

    pub(crate) fn index_of(&self, id: &str) -> Option<usize> {
        self.by_id.get(id).map(|index| *index as usize)
    }

    /// Picks in the lowest tier that has someone, and raises the in-flight count.
    pub(crate) fn pick(&self, request: &dyn Request, tried: &Tried, now: u64) -> Option<Picked> {
        let ask = Ask { tried: &[], key: self.rule.of(request), now };
        let shard = if self.shards > 1 { self.own(request.shard()) } else { 0 };
        let mut tiers = self.tiers.iter().enumerate();
        tiers.find_map(|(number, tier)| self.pick_in((number, shard), tier, tried, ask))
    }

    /// Whose scheduler a shard asks.
    pub(crate) fn own(&self, shard: usize) -> usize {
        if self.shards > 1 { shard % self.shards } else { 0 }
    }

    /// `at`: number of the tier, and whose scheduler.
    fn pick_in(
        &self,
        at: (usize, usize),
        tier: &Tier,
        tried: &Tried,
        ask: Ask<'_>,
    ) -> Option<Picked> {
        let (number, shard) = at;
        if tried.is_empty() {
            return self.pick_besides(tier, shard, &ask);
        }
        let mut few = [0; 8];
        let here = tried.iter().filter_map(|index| self.seats.get(index));
        let mut here = here.filter(|seat| seat.tier as usize == number);
        let mut len = 0;
        for (slot, seat) in few.iter_mut().zip(&mut here) {
            *slot = seat.place;
            len += 1;
        }
        let many: Vec<u32> = here.map(|seat| seat.place).collect();
        if many.is_empty() {
            return self.pick_besides(tier, shard, &Ask { tried: &few[..len], ..ask });
        }
        self.pick_besides(tier, shard, &Ask { tried: &[&few[..len], &many].concat(), ..ask })
    }

    fn pick_besides(&self, tier: &Tier, shard: usize, ask: &Ask<'_>) -> Option<Picked> {
        let mut line = tier.line(shard);
        let mut full = Vec::new();
        let (place, mark, was_trial) = loop {
            let place = match full.is_empty() {
                true => line.schedule.pick(ask)?,
                false => line.schedule.pick(&Ask { tried: &full, ..*ask })?,
            };
            let mark = line.schedule.mark();
            let seat = &self.seats[tier.seats[place] as usize];
            if !self.reserve(seat) {
                line.schedule.take_back(place, mark, ask.now);
                if full.is_empty() {
                    full.extend_from_slice(ask.tried);
                }
                full.push(place as u32);
                continue;
            }
            if !line.is_on_trial(seat) {
                break (place, mark, false);
            }
            line.put(place, Standing::Out);
            line.schedule.set_alive(place, false);
            // Another shard or plan may have had it already: then somebody else is picked.
            if seat.state.take_trial() {
                break (place, mark, true);
            }
            seat.state.end();
            line.schedule.take_back(place, mark, ask.now);
        };
        let index = tier.seats[place] as usize;
        let leases = self.note_begun(&self.seats[index].state, shard);
        if self.counts_leases {
            line.schedule.set_in_flight(place, leases);
        }
        drop(line);
        self.tell_of_pick(index);
        Some(Picked { index, was_trial, mark, shard })
    }

    /// Raises the in-flight count of a server. Where each shard has a scheduler, none of them knows
    /// what the others have sent there: false if the server is full.
    fn reserve(&self, seat: &Seat) -> bool {
        if self.shards > 1 && seat.limits.most > 0 {
            return seat.state.begin_below(seat.limits.most);
        }
        seat.state.begin();
        true
    }

    /// Raises the in-flight count, and gives that which the shard's scheduler goes by.
    fn begin(&self, state: &ServerState, shard: usize) -> u32 {
        state.begin();
        self.note_begun(state, shard)
    }

    /// The in-flight count was raised; gives that which the shard's scheduler goes by.
    fn note_begun(&self, state: &ServerState, shard: usize) -> u32 {
        if self.shards > 1 { state.begin_of(shard) } else { state.in_flight() }
    }

    /// Leases that the shard's scheduler goes by.
    fn leases(&self, state: &ServerState, shard: usize) -> u32 {
        if self.shards > 1 { state.in_flight_of(shard) } else { state.in_flight() }
    }

    /// A pick was made: other living rosters that count leases hear of it. That a trial is used up
    /// nobody need hear: who picks it next finds it taken, and picks another.
    fn tell_of_pick(&self, index: usize) {
        if self.house.counts_besides(self) {
            self.tell_others(index, Roster::refresh);
        }
    }

    /// Raises the in-flight count of this very server, if it takes traffic.
    pub(crate) fn pin(&self, index: usize, shard: usize) -> bool {
        let Some(seat) = self.seats.get(index) else { return false };
        let (_, mut line) = self.line_of(index, shard);
        if line.standing[seat.place as usize] != Standing::In {
            return false;
        }
        let leases = self.begin(&seat.state, shard);
        if self.counts_leases {
            line.schedule.set_in_flight(seat.place as usize, leases);
        }
        drop(line);
        self.tell_of_pick(index);
        true
    }

    /// Servers that may be chosen besides those tried: of the lowest tier that has one.
    pub(crate) fn free(&self, tried: &Tried) -> Vec<usize> {
        for tier in &self.tiers {
            let line = tier.line(0);
            let seats = tier.seats.iter().zip(&line.standing);
            let seats = seats.filter(|(_, standing)| **standing == Standing::In);
            let indexes = seats.map(|(index, _)| *index as usize);
            let free: Vec<usize> = indexes
                .filter(|&index| !tried.contains(index) && self.seats[index].has_room())
                .collect();
            if !free.is_empty() {
                return free;
            }
        }
        Vec::new()
    }

    /// Whether a server that was not tried takes traffic and has room.
    pub(crate) fn has_untried(&self, tried: &Tried) -> bool {
        self.seats.iter().enumerate().any(|(index, seat)| {
            seat.weight > 0
                && seat.state.standing() == Standing::In
                && !tried.contains(index)
                && seat.has_room()
        })
    }

    /// Raises the in-flight count of this very server, if it takes traffic and has room.
    pub(crate) fn choose(&self, index: usize, shard: usize) -> bool {
        self.seats.get(index).is_some_and(Seat::has_room) && self.pin(index, shard)
    }

    /// Uses up the trial of this very server, if it is on one; its in-flight count is raised.
    pub(crate) fn try_out(&self, index: usize, shard: usize) -> bool {
        let (seat, mut line) = self.line_of(index, shard);
        let place = seat.place as usize;
        if line.standing[place] != Standing::Trial || !seat.state.take_trial() {
            return false;
        }
        line.put(place, Standing::Out);
        line.schedule.set_alive(place, false);
        let leases = self.begin(&seat.state, shard);
        if self.counts_leases {
            line.schedule.set_in_flight(place, leases);
        }
        drop(line);
        self.tell_of_pick(index);
        true
    }

    /// Ends a lease.
    pub(crate) fn end(&self, index: usize, shard: usize, mark: u32, begun: u64) {
        let state = &self.seats[index].state;
        state.end();
        if self.shards > 1 {
            state.end_of(shard);
        }
        self.count_end(index, shard, mark, begun);
        if self.house.counts_besides(self) {
            self.tell_others(index, |other, there| {
                other.count_end(there, other.own(shard), 0, begun);
            });
        }
    }

    /// Whether its schedulers want [`Roster::on_head`] and [`Roster::on_done`].
    pub(crate) fn times(&self) -> bool {
        self.times
    }

    pub(crate) fn on_head(&self, index: usize, shard: usize, micros: u64, now: u64) {
        let (seat, mut line) = self.line_of(index, shard);
        line.schedule.on_head(seat.place as usize, micros, now);
    }

    pub(crate) fn on_done(&self, index: usize, shard: usize, done: &Done, now: u64) {
        let (seat, mut line) = self.line_of(index, shard);
        line.schedule.on_done(seat.place as usize, done, now);
    }

    /// Random numbers of this pool come from this seed from now on.
    pub(crate) fn stir(&self, seed: u64) {
        self.house.seed.store(seed, Ordering::Relaxed);
        for (number, tier) in self.tiers.iter().enumerate() {
            for shard in 0..self.shards {
                tier.line(shard).schedule.stir(self.house.seed_of(number, shard));
            }
        }
    }

    /// The server's standing changed: tells all schedulers that know it.
    pub(crate) fn spread(&self, index: usize) {
        self.refresh(index);
        self.tell_others(index, Roster::refresh);
    }

    pub(crate) fn on_failure(&self, index: usize, shard: usize, allowed: u32) {
        // nginx leaves a group of one server alone: there is nobody to prefer.
        if self.seats.len() > 1 {
            let (seat, mut line) = self.line_of(index, shard);
            line.schedule.on_failure(seat.place as usize, allowed);
        }
    }

    /// Servers that take traffic.
    pub(crate) fn up(&self) -> usize {
        self.tiers.iter().map(|tier| tier.line(0).up).sum()
    }

    /// Whether a server other than this one takes traffic.
    pub(crate) fn has_spare(&self, index: usize) -> bool {
        let takes = |seat: &Seat| seat.weight > 0 && seat.state.standing() == Standing::In;
        let (before, from) = self.seats.split_at(index);
        from.iter().skip(1).chain(before).any(takes)
    }

    fn refresh(&self, index: usize) {
        for shard in 0..self.shards {
            let (seat, mut line) = self.line_of(index, shard);
            line.stand(seat);
            if self.counts_leases {
                let leases = self.leases(&seat.state, shard);
                line.schedule.set_in_flight(seat.place as usize, leases);
            }
        }
    }

    /// Tells new schedulers how things are with a server, whatever they took over.
    fn tell(&self, index: usize) {
        for shard in 0..self.shards {
            let (seat, mut line) = self.line_of(index, shard);
            let place = seat.place as usize;
            line.stand(seat);
            let is_in = line.standing[place] != Standing::Out;
            line.schedule.set_active(place, is_in);
            if self.counts_leases {
                let leases = self.leases(&seat.state, shard);
                line.schedule.set_in_flight(place, leases);
            }
        }
    }

    fn count_end(&self, index: usize, shard: usize, mark: u32, begun: u64) {
        if self.counts_leases {
            let (seat, mut line) = self.line_of(index, shard);
            let leases = self.leases(&seat.state, shard);
            line.schedule.ended(seat.place as usize, mark, begun);
            line.schedule.set_in_flight(seat.place as usize, leases);
        }
    }

    fn line_of(&self, index: usize, shard: usize) -> (&Seat, MutexGuard<'_, Line>) {
        let seat = &self.seats[index];
        (seat, self.tiers[seat.tier as usize].line(shard))
    }

    /// Does the same to the other living rosters, where they have this very server.
    fn tell_others(&self, index: usize, what: impl Fn(&Roster, usize)) {
        if !self.house.is_shared() {
            return;
        }
        let state = &self.seats[index].state;
        let living: Vec<Arc<Roster>> =
            self.house.rosters().iter().filter_map(Weak::upgrade).collect();
        for other in living.iter().filter(|other| !std::ptr::eq(&***other, self)) {
            let there = other.index_of(state.id());
            if let Some(there) = there.filter(|&there| Arc::ptr_eq(other.state(there), state)) {
                what(other, there);
            }
        }
    }

    fn resume(&mut self, previous: &Roster) {
        let mut rounds = Vec::with_capacity(self.tiers.len());
        for tier in &self.tiers {
            for shard in 0..self.shards {
                self.inherit(tier, shard, previous);
            }
            let weights = tier.seats.iter().map(|index| self.seats[*index as usize].weight);
            rounds.push(weights.map(i64::from).sum::<i64>());
        }
        for seat in &self.seats {
            let before = previous.index_of(seat.state.id());
            let before = before.filter(|&index| Arc::ptr_eq(previous.state(index), &seat.state));
            if let Some(before) = before {
                for shard in 0..self.shards {
                    let mut position = previous.position(before, previous.own(shard));
                    // Nobody is ever owed more than a round; that of the weights before was another.
                    let round = rounds[seat.tier as usize];
                    position.owed = position.owed.clamp(-round, round);
                    let mut line = self.tiers[seat.tier as usize].line(shard);
                    line.schedule.resume(seat.place as usize, position);
                }
            }
        }
    }

    /// A shard's scheduler of a tier takes over from that of the same tier before.
    fn inherit(&self, tier: &Tier, shard: usize, previous: &Roster) {
        let number = |roster: &Roster, tier: &Tier| {
            tier.seats.first().map(|index| roster.seats[*index as usize].tier_number)
        };
        let same = |old: &&Tier| number(previous, old) == number(self, tier);
        let Some(old) = previous.tiers.iter().find(same) else {
            return;
        };
        let kept = |index: &u32| {
            let state = &self.seats[*index as usize].state;
            let before = previous.index_of(state.id())?;
            let seat = &previous.seats[before];
            let stays = Arc::ptr_eq(&seat.state, state)
                && old.seats.get(seat.place as usize) == Some(&(before as u32));
            stays.then_some(seat.place)
        };
        let kept: Vec<Option<u32>> = tier.seats.iter().map(kept).collect();
        let old = old.line(previous.own(shard));
        tier.line(shard).schedule.inherit(&*old.schedule, &kept);
    }

    fn position(&self, index: usize, shard: usize) -> Position {
        let (seat, line) = self.line_of(index, shard);
        line.schedule.position(seat.place as usize)
    }
}

impl Seat {
    fn has_room(&self) -> bool {
        self.limits.most == 0 || self.state.in_flight() < self.limits.most
    }
}

impl Drop for Roster {
    fn drop(&mut self) {
        self.house.living.fetch_sub(1, Ordering::AcqRel);
        self.house.counting.fetch_sub(usize::from(self.counts_leases), Ordering::AcqRel);
        let mut rosters = self.house.rosters();
        rosters.retain(|roster| roster.strong_count() > 0);
    }
}

impl Tier {
    fn line(&self, shard: usize) -> MutexGuard<'_, Line> {
        self.lines[shard].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Line {
    /// The standing of a server, by its health and weight.
    fn stand(&mut self, seat: &Seat) {
        let standing = seat.state.standing();
        self.schedule.set_alive(seat.place as usize, standing != Standing::Out);
        let is_weighted = seat.weight > 0;
        self.put(seat.place as usize, if is_weighted { standing } else { Standing::Out });
    }

    /// Whether a pick of this server is its trial. One of weight 0 stands out of the line, but IPVS
    /// picks it for the clients it keeps there.
    fn is_on_trial(&self, seat: &Seat) -> bool {
        match seat.weight {
            0 => seat.state.standing() != Standing::In,
            _ => self.standing[seat.place as usize] == Standing::Trial,
        }
    }

    fn put(&mut self, place: usize, standing: Standing) {
        let before = std::mem::replace(&mut self.standing[place], standing);
        if before == standing {
            return;
        }
        self.up -= usize::from(before == Standing::In);
        self.up += usize::from(standing == Standing::In);
        self.schedule.set_active(place, standing != Standing::Out);
    }
}

fn within(pool: &Pool) -> u64 {
    pool.passive.as_ref().map_or(WITHIN, |passive| passive.within)
}

fn seat(
    pool: &Pool,
    states: Vec<Arc<ServerState>>,
    house: &House,
    shards: usize,
) -> (Vec<Seat>, Vec<Tier>) {
    let mut numbers: Vec<u32> = pool.servers.iter().map(|server| server.tier).collect();
    numbers.sort_unstable();
    numbers.dedup();
    let mut members: Vec<Vec<u32>> = vec![Vec::new(); numbers.len()];
    let mut seats = Vec::with_capacity(states.len());
    for (index, (server, state)) in pool.servers.iter().zip(states).enumerate() {
        let tier = numbers.partition_point(|number| *number < server.tier);
        seats.push(Seat {
            state,
            weight: server.weight,
            host: server.host.as_str().into(),
            limits: server.limits,
            tier_number: server.tier,
            tier: tier as u32,
            place: members[tier].len() as u32,
        });
        members[tier].push(index as u32);
    }
    let tiers = members.into_iter().enumerate();
    let tiers = tiers.map(|(tier, members)| {
        let seeds = (0..shards).map(|shard| house.seed_of(tier, shard));
        Tier::new(pool, members, seeds)
    });
    (seats, tiers.collect())
}

impl Tier {
    /// With a scheduler for each of the seeds.
    fn new(pool: &Pool, seats: Vec<u32>, seeds: impl Iterator<Item = u64>) -> Tier {
        let number = |index: &u32| match pool.servers[*index as usize].limits.number {
            0 => index + 1,
            number => number,
        };
        let line = |seed| {
            let crew = Crew {
                servers: seats.iter().map(|index| &pool.servers[*index as usize]).collect(),
                numbers: seats.iter().map(number).collect(),
                within: within(pool),
                seed,
            };
            let schedule = make(&pool.scheduler, &crew);
            Mutex::new(Line { schedule, standing: vec![Standing::Out; seats.len()], up: 0 })
        };
        let lines = seeds.map(line).collect();
        Tier { seats, lines }
    }
}

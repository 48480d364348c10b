//! The servers of a pool under one plan, in tiers, each with its scheduler.
//!
//! Rules kept here:
//! - A server's standing and leases are facts of its [`ServerState`]; the copy a scheduler has is
//!   refreshed under its tier's lock from the state itself, so the last refresh is always right.
//! - Every living roster of a pool hears of a change, since exchanges pin the plan they began
//!   with. While only one lives, that costs nothing.
//! - A pick holds one tier's lock and no other; whoever holds the lock of a server's health may
//!   not wait for a tier's.
//!
//! Not known here: why a server stands where it stands.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use evener_plan::{Pool, Scheduler};

use crate::schedule::{Position, Schedule, make};
use crate::server::{ServerState, Standing};
use crate::tried::Tried;

/// The servers of a pool under one plan.
pub(crate) struct Roster {
    scheduler: Scheduler,
    seats: Vec<Seat>,
    tiers: Vec<Tier>,
    by_id: BTreeMap<Box<str>, u32>,
    counts_leases: bool,
    house: Arc<House>,
}

/// What is shared by all rosters of a pool, from plan to plan.
pub(crate) struct House {
    living: AtomicUsize,
    rosters: Mutex<Vec<Weak<Roster>>>,
    /// Held while it is decided who is ejected, so that two failures never eject the last two.
    deciding: Mutex<()>,
    /// When the next ejected server may have its trial; `u64::MAX` is none.
    pub(crate) next_trial: AtomicU64,
}

pub(crate) struct Seat {
    pub(crate) state: Arc<ServerState>,
    pub(crate) weight: u32,
    pub(crate) tier_number: u32,
    tier: u32,
    place: u32,
}

struct Tier {
    /// Place in the scheduler → index of the seat.
    seats: Vec<u32>,
    line: Mutex<Line>,
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
}

impl House {
    pub(crate) fn new() -> Arc<House> {
        Arc::new(House {
            living: AtomicUsize::new(0),
            rosters: Mutex::new(Vec::new()),
            deciding: Mutex::new(()),
            next_trial: AtomicU64::new(u64::MAX),
        })
    }

    pub(crate) fn decide(&self) -> MutexGuard<'_, ()> {
        self.deciding.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn rosters(&self) -> MutexGuard<'_, Vec<Weak<Roster>>> {
        self.rosters.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_shared(&self) -> bool {
        self.living.load(Ordering::Acquire) > 1
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
    ) -> Arc<Roster> {
        let (seats, tiers) = seat(pool, states);
        let by_id = (0..).zip(&seats);
        let by_id = by_id.map(|(index, seat)| (seat.state.id().into(), index));
        let mut roster = Roster {
            scheduler: pool.scheduler.clone(),
            by_id: by_id.collect(),
            counts_leases: tiers.iter().any(|tier| tier.line().schedule.counts_leases()),
            seats,
            tiers,
            house: house.clone(),
        };
        if let Some(previous) = previous {
            roster.resume(previous);
        }
        let roster = Arc::new(roster);
        // Registered before the states are read: what changes meanwhile is heard or read.
        house.rosters().push(Arc::downgrade(&roster));
        house.living.fetch_add(1, Ordering::AcqRel);
        (0..roster.seats.len()).for_each(|index| roster.refresh(index));
        roster
    }

    /// Whether it seats exactly this pool's servers under the same scheduler.
    pub(crate) fn seats_pool(&self, pool: &Pool) -> bool {
        let same = |(seat, server): (&Seat, &evener_plan::Server)| {
            seat.state.id() == server.id
                && **seat.state.address() == *server.address
                && seat.weight == server.weight
                && seat.tier_number == server.tier
        };
        self.scheduler == pool.scheduler
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
    pub(crate) fn pick(&self, tried: &Tried) -> Option<Picked> {
        self.tiers.iter().enumerate().find_map(|(number, tier)| self.pick_in(number, tier, tried))
    }

    fn pick_in(&self, number: usize, tier: &Tier, tried: &Tried) -> Option<Picked> {
        if tried.is_empty() {
            return self.pick_besides(tier, &[]);
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
            return self.pick_besides(tier, &few[..len]);
        }
        self.pick_besides(tier, &[&few[..len], &many].concat())
    }

    fn pick_besides(&self, tier: &Tier, tried: &[u32]) -> Option<Picked> {
        let mut line = tier.line();
        let place = line.schedule.pick(tried)?;
        let index = tier.seats[place] as usize;
        let state = &self.seats[index].state;
        let leases = state.begin();
        let was_trial = line.standing[place] == Standing::Trial && state.take_trial();
        if was_trial {
            line.stand(place, Standing::Out);
        }
        if self.counts_leases {
            line.schedule.set_in_flight(place, leases);
        }
        drop(line);
        if self.house.is_shared() {
            self.tell_others(index, Roster::refresh);
        }
        Some(Picked { index, was_trial })
    }

    /// Ends a lease.
    pub(crate) fn end(&self, index: usize) {
        self.seats[index].state.end();
        if self.counts_leases {
            self.recount(index);
        }
        if self.house.is_shared() {
            self.tell_others(index, Roster::recount);
        }
    }

    /// The server's standing changed: tells all schedulers that know it.
    pub(crate) fn spread(&self, index: usize) {
        self.refresh(index);
        if self.house.is_shared() {
            self.tell_others(index, Roster::refresh);
        }
    }

    pub(crate) fn on_failure(&self, index: usize, allowed: u32) {
        // nginx leaves a group of one server alone: there is nobody to prefer.
        if self.seats.len() > 1 {
            let (seat, mut line) = self.line_of(index);
            line.schedule.on_failure(seat.place as usize, allowed);
        }
    }

    /// Servers that take traffic.
    pub(crate) fn up(&self) -> usize {
        self.tiers.iter().map(|tier| tier.line().up).sum()
    }

    /// Whether a server other than this one takes traffic.
    pub(crate) fn has_spare(&self, index: usize) -> bool {
        let takes = |seat: &Seat| seat.weight > 0 && seat.state.standing() == Standing::In;
        let (before, from) = self.seats.split_at(index);
        from.iter().skip(1).chain(before).any(takes)
    }

    fn refresh(&self, index: usize) {
        let (seat, mut line) = self.line_of(index);
        let standing = match seat.weight {
            0 => Standing::Out,
            _ => seat.state.standing(),
        };
        line.stand(seat.place as usize, standing);
        if self.counts_leases {
            let leases = seat.state.in_flight();
            line.schedule.set_in_flight(seat.place as usize, leases);
        }
    }

    fn recount(&self, index: usize) {
        let (seat, mut line) = self.line_of(index);
        let leases = seat.state.in_flight();
        line.schedule.set_in_flight(seat.place as usize, leases);
    }

    fn line_of(&self, index: usize) -> (&Seat, MutexGuard<'_, Line>) {
        let seat = &self.seats[index];
        (seat, self.tiers[seat.tier as usize].line())
    }

    /// Does the same to the other living rosters, where they have this very server.
    fn tell_others(&self, index: usize, what: fn(&Roster, usize)) {
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
        for seat in &self.seats {
            let before = previous.index_of(seat.state.id());
            let before = before.filter(|&index| Arc::ptr_eq(previous.state(index), &seat.state));
            if let Some(before) = before {
                let position = previous.position(before);
                let mut line = self.tiers[seat.tier as usize].line();
                line.schedule.resume(seat.place as usize, position);
            }
        }
    }

    fn position(&self, index: usize) -> Position {
        let (seat, line) = self.line_of(index);
        line.schedule.position(seat.place as usize)
    }
}

impl Drop for Roster {
    fn drop(&mut self) {
        self.house.living.fetch_sub(1, Ordering::AcqRel);
        let mut rosters = self.house.rosters();
        rosters.retain(|roster| roster.strong_count() > 0);
    }
}

impl Tier {
    fn line(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Line {
    fn stand(&mut self, place: usize, standing: Standing) {
        let before = std::mem::replace(&mut self.standing[place], standing);
        if before == standing {
            return;
        }
        self.up -= usize::from(before == Standing::In);
        self.up += usize::from(standing == Standing::In);
        self.schedule.set_active(place, standing != Standing::Out);
    }
}

fn seat(pool: &Pool, states: Vec<Arc<ServerState>>) -> (Vec<Seat>, Vec<Tier>) {
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
            tier_number: server.tier,
            tier: tier as u32,
            place: members[tier].len() as u32,
        });
        members[tier].push(index as u32);
    }
    let tiers = members.into_iter().map(|members| Tier::new(pool, members));
    (seats, tiers.collect())
}

impl Tier {
    fn new(pool: &Pool, seats: Vec<u32>) -> Tier {
        let weight = |index: &u32| pool.servers[*index as usize].weight;
        let weights: Vec<u32> = seats.iter().map(weight).collect();
        let line = Line {
            schedule: make(&pool.scheduler, &weights),
            standing: vec![Standing::Out; seats.len()],
            up: 0,
        };
        Tier { seats, line: Mutex::new(line) }
    }
}

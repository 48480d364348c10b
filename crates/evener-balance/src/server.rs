//! A server as all shards and successive plans share it.
//!
//! Rules kept here:
//! - What a pick reads is atomic; the mutex around health is taken only when something happens.
//! - Identity is id and address together: another address under an old id is another server.
//!
//! Not known here: its weight and tier (a plan's, see `roster`), and who else is in the pool.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use crate::health::Health;

/// A server as all shards and successive plans share it.
#[derive(Debug)]
pub struct ServerState {
    id: Box<str>,
    address: Arc<str>,
    in_flight: AtomicU32,
    /// Of them those of each shard, once a plan has a scheduler for each.
    by_shard: OnceLock<Box<[AtomicU32]>>,
    standing: AtomicU8,
    watched: AtomicBool,
    health: Mutex<Health>,
}

/// Whether a server takes picks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    Out = 0,
    /// One pick, whose outcome decides (`passive.readmit: request`).
    Trial = 1,
    In = 2,
}

impl ServerState {
    pub(crate) fn new(id: &str, address: &str, health: Health) -> ServerState {
        let standing = standing_of(&health);
        ServerState {
            id: id.into(),
            address: address.into(),
            in_flight: AtomicU32::new(0),
            by_shard: OnceLock::new(),
            standing: AtomicU8::new(standing as u8),
            watched: AtomicBool::new(health.is_watched()),
            health: Mutex::new(health),
        }
    }

    /// Its id in the pool.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// `192.0.2.1:80`, `[2001:db8::1]:80` or `unix:/path`.
    pub fn address(&self) -> &Arc<str> {
        &self.address
    }

    /// Leases that have not ended.
    pub fn in_flight(&self) -> u32 {
        self.in_flight.load(Ordering::Relaxed)
    }

    pub(crate) fn begin(&self) {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
    }

    /// The same while there are fewer than so many; false if there are not.
    pub(crate) fn begin_below(&self, most: u32) -> bool {
        let one_more = |leases| (leases < most).then_some(leases + 1);
        self.in_flight.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).is_ok()
    }

    pub(crate) fn end(&self) {
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
    }

    /// Leases are counted for each of so many shards from now on, too.
    pub(crate) fn count_by_shard(&self, shards: usize) {
        self.by_shard.get_or_init(|| (0..shards).map(|_| AtomicU32::new(0)).collect());
    }

    /// Leases of a shard that have not ended, of those that were counted so.
    pub(crate) fn in_flight_of(&self, shard: usize) -> u32 {
        self.of_shard(shard).map_or(0, |count| count.load(Ordering::Relaxed))
    }

    pub(crate) fn begin_of(&self, shard: usize) -> u32 {
        self.of_shard(shard).map_or(0, |count| count.fetch_add(1, Ordering::Relaxed) + 1)
    }

    pub(crate) fn end_of(&self, shard: usize) {
        if let Some(count) = self.of_shard(shard) {
            count.fetch_sub(1, Ordering::Relaxed);
        }
    }

    fn of_shard(&self, shard: usize) -> Option<&AtomicU32> {
        self.by_shard.get()?.get(shard)
    }

    pub(crate) fn standing(&self) -> Standing {
        match self.standing.load(Ordering::Acquire) {
            0 => Standing::Out,
            1 => Standing::Trial,
            _ => Standing::In,
        }
    }

    /// Uses up the one pick of a trial; true for exactly one caller.
    pub(crate) fn take_trial(&self) -> bool {
        let (trial, out) = (Standing::Trial as u8, Standing::Out as u8);
        self.standing.compare_exchange(trial, out, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }

    /// Whether picks and successes matter to its health just now (failures are pending).
    pub(crate) fn is_watched(&self) -> bool {
        self.watched.load(Ordering::Relaxed)
    }

    /// Changes health and publishes what picks need of it.
    pub(crate) fn change<T>(&self, f: impl FnOnce(&mut Health) -> T) -> T {
        let mut health = self.health();
        let answer = f(&mut health);
        self.watched.store(health.is_watched(), Ordering::Relaxed);
        self.standing.store(standing_of(&health) as u8, Ordering::Release);
        answer
    }

    pub(crate) fn health(&self) -> MutexGuard<'_, Health> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn standing_of(health: &Health) -> Standing {
    if health.state().takes_traffic() {
        Standing::In
    } else if health.is_on_trial() {
        Standing::Trial
    } else {
        Standing::Out
    }
}

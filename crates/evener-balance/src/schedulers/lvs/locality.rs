//! What `lblc` and `lblcr` remember per address, and how they forget.
//!
//! Rules kept here (Linux `ip_vs_lblc.c`):
//! - 1024 buckets, the newest entry of each first. Once a minute: every 30th time all entries that
//!   nobody asked for within the expiration go; else, while there are more than 16384, those that
//!   nobody asked for in 6 minutes, bucket by bucket, until a third more than the surplus is gone.
//! - Ours: beyond 131072 entries nothing more is remembered. The kernel has no such limit.
//!
//! Cost: forgetting looks at all entries, in the pick that comes first after the minute.

use std::net::IpAddr;

use crate::hashes::{folded, golden};

/// What is remembered per address.
pub(super) struct Locality<V> {
    buckets: Vec<Vec<Entry<V>>>,
    entries: usize,
    expiration: u64,
    next_tick: Option<u64>,
    rover: usize,
    ticks: u32,
}

/// What is remembered of one address.
#[derive(Clone)]
pub(super) struct Entry<V> {
    address: IpAddr,
    last_use: u64,
    pub(super) value: V,
}

const BITS: u32 = 10;
const BUCKETS: usize = 1 << BITS;
const ENTRIES: usize = 16 * BUCKETS;
const MOST: usize = 128 * BUCKETS;
const TICK: u64 = 60_000;
const STALE: u64 = 6 * TICK;
const FULL_SWEEP: u32 = 30;

impl<V: Clone> Locality<V> {
    pub(super) fn new(expiration: u64) -> Locality<V> {
        Locality {
            buckets: (0..BUCKETS).map(|_| Vec::new()).collect(),
            entries: 0,
            expiration,
            next_tick: None,
            rover: 0,
            ticks: 1,
        }
    }

    /// What is known of an address, which is asked for now.
    pub(super) fn asked(&mut self, address: IpAddr, now: u64) -> Option<&mut V> {
        self.tick(now);
        let bucket = &mut self.buckets[bucket_of(address)];
        let entry = bucket.iter_mut().rev().find(|entry| entry.address == address)?;
        entry.last_use = now;
        Some(&mut entry.value)
    }

    /// Remembers an address anew.
    pub(super) fn remember(&mut self, address: IpAddr, value: V, now: u64) {
        let bucket = &mut self.buckets[bucket_of(address)];
        let before = bucket.len();
        bucket.retain(|entry| entry.address != address);
        self.entries -= before - bucket.len();
        if self.entries < MOST {
            bucket.push(Entry { address, last_use: now, value });
            self.entries += 1;
        }
    }

    /// Takes over entries; a value that comes to nothing is forgotten.
    pub(super) fn inherit(&mut self, before: &Locality<V>, heir: impl Fn(&V) -> Option<V>) {
        self.entries = 0;
        for (bucket, old) in self.buckets.iter_mut().zip(&before.buckets) {
            let entry = |old: &Entry<V>| Some(Entry { value: heir(&old.value)?, ..old.clone() });
            *bucket = old.iter().filter_map(entry).collect();
            self.entries += bucket.len();
        }
        self.next_tick = before.next_tick;
        self.rover = before.rover;
        self.ticks = before.ticks;
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.entries
    }

    fn tick(&mut self, now: u64) {
        let next = *self.next_tick.get_or_insert(now + TICK);
        if now < next {
            return;
        }
        // Ticks that nobody was there for come all at once; a round of them has a full sweep.
        let missed = ((now - next) / TICK + 1).min(u64::from(FULL_SWEEP));
        self.next_tick = Some(next + ((now - next) / TICK + 1) * TICK);
        for _ in 0..missed {
            self.sweep(now);
        }
    }

    fn sweep(&mut self, now: u64) {
        if self.ticks.is_multiple_of(FULL_SWEEP) {
            self.forget(now, self.expiration, usize::MAX);
            self.ticks = 1;
        } else if self.entries <= ENTRIES {
            self.ticks += 1;
        } else {
            let goal = (self.entries - ENTRIES) * 4 / 3;
            self.forget(now, STALE, goal.min(ENTRIES / 2));
        }
    }

    fn forget(&mut self, now: u64, age: u64, goal: usize) {
        let mut goal = goal;
        for _ in 0..BUCKETS {
            self.rover = (self.rover + 1) % BUCKETS;
            let bucket = &mut self.buckets[self.rover];
            let before = bucket.len();
            bucket.retain(|entry| now < entry.last_use + age);
            self.entries -= before - bucket.len();
            goal = goal.saturating_sub(before - bucket.len());
            if goal == 0 {
                break;
            }
        }
    }
}

fn bucket_of(address: IpAddr) -> usize {
    golden(folded(address), BITS) as usize
}

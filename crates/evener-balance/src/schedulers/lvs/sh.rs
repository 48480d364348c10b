//! `lvs/sh`: by the client's address, over 256 buckets.
//!
//! Rules kept here:
//! - Servers take as many buckets in a row as their weight says, in list order, in turn; weight 0
//!   takes one.
//! - With `port` the client's port is added to its address before hashing.
//! - A server that takes nothing new leaves its buckets without one, unless `fallback`: then the
//!   bucket is looked for again from each of 256 offsets, the first that of the hash itself.
//!
//! Source: Linux `net/netfilter/ipvs/ip_vs_sh.c`.

use std::net::SocketAddr;

use evener_plan::LvsHash;

use super::Rule;
use super::roll::Roll;
use crate::hashes::{folded, golden};
use crate::key::Key;

/// By the client's address.
pub(crate) struct Sh {
    port: bool,
    fallback: bool,
    /// Places by bucket; empty is to be made anew.
    buckets: Vec<u32>,
}

const BITS: u32 = 8;
const MASK: u32 = (1 << BITS) - 1;

impl Sh {
    pub(crate) fn new(hash: &LvsHash) -> Sh {
        Sh { port: hash.port, fallback: hash.fallback, buckets: Vec::new() }
    }

    fn fill(&mut self, roll: &Roll) {
        let servers: Vec<usize> = roll.listed().collect();
        let turn = servers.iter().flat_map(|place| {
            let buckets = roll.weight(*place).clamp(1, 1 << BITS);
            std::iter::repeat_n(*place as u32, buckets as usize)
        });
        self.buckets = turn.clone().cycle().take(1 << BITS).collect();
    }

    fn hash(&self, client: SocketAddr) -> u32 {
        let port = if self.port { u32::from(client.port()) } else { 0 };
        golden(port.wrapping_add(folded(client.ip())), BITS)
    }

    fn available(&self, roll: &Roll, bucket: u32) -> Option<usize> {
        let place = *self.buckets.get(bucket as usize)? as usize;
        roll.is_available(place).then_some(place)
    }
}

impl Rule for Sh {
    const ASKS: bool = true;

    fn pick(&mut self, roll: &Roll, key: &Key<'_>, _now: u64) -> Option<usize> {
        if self.buckets.is_empty() {
            self.fill(roll);
        }
        let hash = self.hash(key.client?);
        let first = self.available(roll, hash);
        if first.is_some() || !self.fallback {
            return first;
        }
        (0..=MASK).find_map(|offset| self.available(roll, (((offset + hash) & MASK) + hash) & MASK))
    }

    fn on_load(&mut self, _roll: &Roll, _place: usize) {}

    fn on_list(&mut self, _roll: &Roll, _place: usize) {
        self.buckets.clear();
    }
}

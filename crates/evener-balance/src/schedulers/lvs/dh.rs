//! `lvs/dh`: by the address the client asked for, over 256 buckets.
//!
//! Rules kept here:
//! - Buckets go to the servers in list order, in turn; weights say nothing about shares.
//! - A server that takes nothing new leaves its buckets without one: there is no other.
//!
//! Source: Linux `net/netfilter/ipvs/ip_vs_dh.c`.

use super::Rule;
use super::roll::Roll;
use crate::hashes::{folded, golden};
use crate::key::Key;

/// By the address the client asked for.
#[derive(Default)]
pub(crate) struct Dh {
    /// Places by bucket; empty is to be made anew.
    buckets: Vec<u32>,
}

const BITS: u32 = 8;

impl Rule for Dh {
    const ASKS: bool = true;

    fn pick(&mut self, roll: &Roll, key: &Key<'_>, _now: u64) -> Option<usize> {
        if self.buckets.is_empty() {
            let servers: Vec<u32> = roll.listed().map(|place| place as u32).collect();
            self.buckets = servers.iter().copied().cycle().take(1 << BITS).collect();
        }
        let bucket = golden(folded(key.local?), BITS);
        let place = *self.buckets.get(bucket as usize)? as usize;
        roll.is_available(place).then_some(place)
    }

    fn on_load(&mut self, _roll: &Roll, _place: usize) {}

    fn on_list(&mut self, _roll: &Roll, _place: usize) {
        self.buckets.clear();
    }
}

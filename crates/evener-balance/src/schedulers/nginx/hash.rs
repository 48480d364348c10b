//! `nginx/hash`: the pool's key modulo the weights, as Cache::Memcached does it.
//!
//! Rules kept here (nginx, `ngx_http_upstream_get_hash_peer`):
//! - `(crc32(key) >> 16) & 0x7fff`, plus, after a miss, that of the number of the rehash before the
//!   key. Sums, not replaces.
//! - Without a key, and with one server, round robin picks.

use super::chain::Misses;
use super::round_robin::RoundRobin;
use crate::hashes::Crc32;
use crate::key::{Key, KeyRule};
use crate::schedule::{Ask, Crew, Schedule};
use crate::structures::Shares;

/// The pool's key modulo the weights.
pub(crate) struct Hash {
    robin: RoundRobin,
    shares: Shares,
    places: usize,
}

impl Hash {
    pub(crate) fn new(crew: &Crew<'_>) -> Hash {
        Hash {
            robin: RoundRobin::new(crew),
            shares: Shares::of(&crew.weights()),
            places: crew.len(),
        }
    }

    fn hashed(&self, key: &Key<'_>, tried: &[u32]) -> Option<usize> {
        let (bytes, mut crc) = (key.bytes?, key.hash? as u32);
        let (mut hash, mut misses) = (0_u32, Misses::new(tried));
        for rehash in 1.. {
            hash = hash.wrapping_add((crc >> 16) & 0x7fff);
            let place = self.shares.owner(u64::from(hash) % self.shares.total().max(1))?;
            if misses.takes(place, self.robin.gate().is_open(place)) {
                return Some(place);
            }
            if !misses.are_few() {
                break;
            }
            crc = crc_of_rehash(rehash, bytes);
        }
        None
    }
}

/// CRC-32 of a number's decimal digits and the key.
fn crc_of_rehash(rehash: u32, key: &[u8]) -> u32 {
    Crc32::new().with(rehash.to_string().as_bytes()).with(key).value()
}

impl Schedule for Hash {
    fn pick(&mut self, ask: &Ask<'_>) -> Option<usize> {
        let hashed = if self.places < 2 { None } else { self.hashed(&ask.key, ask.tried) };
        hashed.or_else(|| self.robin.pick_besides(ask.tried))
    }

    fn key_rule(&self) -> KeyRule {
        KeyRule::Crc
    }

    robin_keeps!();
}

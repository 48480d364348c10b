//! `lvs/mh`: by the client's address, over a Maglev table.
//!
//! Rules kept here:
//! - The table has 4093 entries, or the kernel's next prime that has one for each server.
//! - Shares are by the last weight above 0, so that draining moves nobody else: entries of a server
//!   that takes nothing new are without one, unless `fallback` hashes on from each offset.
//! - The table is made anew with the first pick after a change of the list (about 0.1 ms).
//!
//! Source: Linux `net/netfilter/ipvs/ip_vs_mh.c`.

use std::net::SocketAddr;

use evener_plan::LvsHash;

use super::Rule;
use super::roll::Roll;
use crate::hashes::{folded, siphash13_word, xxh32};
use crate::key::Key;
use crate::schedule::Crew;
use crate::structures::common_divisor;

/// By the client's address, over a Maglev table.
pub(crate) struct Mh {
    port: bool,
    fallback: bool,
    size: u32,
    /// By place: address and port of the server in one number.
    servers: Vec<u32>,
    /// Places; empty is to be made anew.
    table: Vec<u32>,
}

/// A server's way through the table.
struct Walk {
    place: u32,
    at: u32,
    skip: u32,
    turns: u32,
}

const PRIMES: [u32; 6] = [4093, 8191, 16381, 32749, 65521, 131_071];
/// Turns of the heaviest server are cut to so many bits.
const TURN_BITS: u32 = 6;
const KEYS: [[u64; 2]; 2] = [[2_654_435_761; 2], [2_654_446_892; 2]];
const NOBODY: u32 = u32::MAX;

impl Mh {
    pub(crate) fn new(crew: &Crew<'_>, hash: &LvsHash) -> Mh {
        let servers = crew.len() as u32;
        let number = |server: &&evener_plan::Server| match server.address.parse::<SocketAddr>() {
            Ok(address) => number_of(address, true),
            Err(_) => xxh32(server.address.as_bytes(), 0),
        };
        Mh {
            port: hash.port,
            fallback: hash.fallback,
            size: PRIMES.into_iter().find(|prime| *prime >= servers).unwrap_or(PRIMES[5]),
            servers: crew.servers.iter().map(number).collect(),
            table: Vec::new(),
        }
    }

    fn fill(&mut self, roll: &Roll) {
        self.table = vec![NOBODY; self.size as usize];
        let mut walks = self.walks(roll);
        let mut left = if walks.is_empty() { 0 } else { self.size };
        'full: loop {
            for walk in &mut walks {
                for _ in 0..walk.turns {
                    if left == 0 {
                        break 'full;
                    }
                    while self.table[walk.at as usize] != NOBODY {
                        walk.at = (walk.at + walk.skip) % self.size;
                    }
                    self.table[walk.at as usize] = walk.place;
                    left -= 1;
                }
            }
            if left == 0 {
                break;
            }
        }
    }

    /// The ways of those with a share, in list order.
    fn walks(&self, roll: &Roll) -> Vec<Walk> {
        let weighted = || roll.listed().filter(|place| roll.last_weight(*place) > 0);
        let divisor = weighted().map(|place| roll.last_weight(place)).fold(0, common_divisor);
        let heaviest = weighted().map(|place| roll.last_weight(place) / divisor).max();
        let bits = heaviest.map_or(0, |weight| weight.ilog2() + 1);
        let shift = bits.saturating_sub(TURN_BITS);
        let walk = |place: usize| {
            let server = self.servers[place];
            Walk {
                place: place as u32,
                at: siphash13_word(server, KEYS[0]) % self.size,
                skip: siphash13_word(server, KEYS[1]) % (self.size - 1) + 1,
                turns: ((roll.last_weight(place) / divisor) >> shift).max(1),
            }
        };
        weighted().map(walk).collect()
    }

    fn available(&self, roll: &Roll, number: u32) -> Option<usize> {
        let place = self.table[(siphash13_word(number, KEYS[0]) % self.size) as usize];
        (place != NOBODY && roll.is_available(place as usize)).then_some(place as usize)
    }
}

fn number_of(address: SocketAddr, with_port: bool) -> u32 {
    let port = if with_port { u32::from(address.port()) } else { 0 };
    port.wrapping_add(folded(address.ip()))
}

impl Rule for Mh {
    const ASKS: bool = true;

    fn pick(&mut self, roll: &Roll, key: &Key<'_>, _now: u64) -> Option<usize> {
        if self.table.is_empty() {
            self.fill(roll);
        }
        let number = number_of(key.client?, self.port);
        let first = self.available(roll, number);
        if first.is_some() || !self.fallback {
            return first;
        }
        let hash = siphash13_word(number, KEYS[0]) % self.size;
        (0..self.size).find_map(|offset| {
            self.available(roll, number.wrapping_add((offset + hash) % self.size))
        })
    }

    fn on_load(&mut self, _roll: &Roll, _place: usize) {}

    fn on_list(&mut self, _roll: &Roll, _place: usize) {
        self.table.clear();
    }
}

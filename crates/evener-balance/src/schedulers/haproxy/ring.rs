//! HAProxy's ring (`hash-type consistent`, `random`).
//!
//! Rules kept here (HAProxy `src/lb_chash.c`):
//! - A server has a node per unit of effective weight, at `avalanche(its key + node)`. Its key is
//!   by `hash-key`.
//! - A hash belongs to the nearest node on either side, of equals the one before; from there on,
//!   upward, to the first that will do.
//! - Bounded load: of `⌈(all requests + 1) × factor⌉` slots each server has its share by weight, at
//!   least one, and takes nothing while they are full.
//! - Round robin, for requests without a hash, goes from node to node past those without room.
//!   HAProxy, once nobody had room, asks the first node alone until that one has; here all are
//!   asked, since nobody waits.
//! - Nodes of servers that are out stay and are passed by: the fewer servers are active, the
//!   longer a walk.

use std::net::{IpAddr, SocketAddr};

use evener_plan::{HaproxyHash, HashKey};

use super::SCALE;
use super::room::Room;
use crate::hashes::{avalanche, xxh32};
use crate::schedule::Crew;
use crate::structures::Circle;

/// HAProxy's ring.
pub(super) struct Ring {
    /// Places by hash.
    nodes: Circle<u32>,
    weights: Vec<u64>,
    /// By place: the weights before it. As in HAProxy, those of the start, however servers were
    /// re-weighed since.
    before: Vec<u64>,
    /// Of those that are active.
    total: u64,
    factor: u64,
    pass_full: bool,
    /// Round robin's last node.
    last: Option<usize>,
}

impl Ring {
    pub(super) fn new(crew: &Crew<'_>, hash: &HaproxyHash) -> Ring {
        let weights: Vec<u32> = crew.weights().into_iter().map(|weight| weight * SCALE).collect();
        let mut nodes = Vec::with_capacity(weights.iter().map(|weight| *weight as usize).sum());
        for (place, weight) in (0..).zip(&weights) {
            let server = &crew.servers[place as usize];
            let key = key_of(&server.address, crew.numbers[place as usize], hash.key);
            nodes.extend((0..*weight).map(|node| (avalanche(key.wrapping_add(node)), place)));
        }
        nodes.sort_by_key(|(hash, _)| *hash);
        let sum = |sum: &mut u64, weight: &u32| {
            let before = *sum;
            *sum += u64::from(*weight);
            Some(before)
        };
        Ring {
            nodes: Circle::new(nodes),
            before: weights.iter().scan(0, sum).collect(),
            weights: weights.into_iter().map(u64::from).collect(),
            total: 0,
            factor: hash.balance_factor.into(),
            pass_full: hash.pass_full,
            last: None,
        }
    }

    /// Takes over from the ring of the plan before what does not change with a server's weight:
    /// where round robin is, too.
    pub(super) fn inherit(&mut self, before: &Ring, kept: &[Option<u32>]) {
        let last = before.last.map(|last| self.nodes.first(before.node(last).0));
        self.last = last.filter(|last| *last < self.len());
        for (place, kept) in kept.iter().enumerate() {
            if let Some(kept) = kept {
                self.before[place] = before.before[*kept as usize];
            }
        }
    }

    pub(super) fn set_active(&mut self, place: usize, active: bool, room: &Room) {
        match active {
            true => self.total += self.weights[place],
            false => {
                self.total -= self.weights[place];
                self.move_off(place, room);
            }
        }
    }

    /// The server a hash belongs to, past those that are full or were tried.
    pub(super) fn hashed(&self, hash: u32, room: &Room, tried: &[u32]) -> Option<usize> {
        if room.actives() == 0 {
            return None;
        }
        let from = self.nodes.first(hash);
        let next = self.after(from, room)?;
        let prev = self.before(from, room)?;
        let (down, up) =
            (hash.wrapping_sub(self.node(prev).0), self.node(next).0.wrapping_sub(hash));
        let nearest = if down <= up { prev } else { next };
        let will_do = |place: usize| self.is_eligible(place, room);
        self.walk(nearest, room, tried, will_do).or_else(|| {
            // Nobody will: as in HAProxy, the last node's server, of those that were not tried.
            let last = self.before(self.len(), room)?;
            self.walk(last, room, tried, |_| true)
        })
    }

    /// The next node's server that has room and was not tried.
    pub(super) fn next(&mut self, room: &Room, tried: &[u32]) -> Option<usize> {
        if room.actives() == 0 {
            return None;
        }
        let start = self.after(self.last.map_or(0, |last| last + 1), room)?;
        let mut at = start;
        loop {
            let place = self.node(at).1;
            if room.has_room(place as usize) && !tried.contains(&place) {
                self.last = Some(at);
                return Some(place as usize);
            }
            at = self.after(at + 1, room)?;
            if at == start {
                return None;
            }
        }
    }

    pub(super) fn is_bounded(&self) -> bool {
        self.factor > 0
    }

    pub(super) fn weight(&self, place: usize) -> u64 {
        self.weights[place]
    }

    fn len(&self) -> usize {
        self.nodes.points().len()
    }

    /// Hash and place.
    fn node(&self, at: usize) -> (u32, u32) {
        self.nodes.points()[at]
    }

    fn walk(
        &self,
        from: usize,
        room: &Room,
        tried: &[u32],
        will_do: impl Fn(usize) -> bool,
    ) -> Option<usize> {
        let round = (from..self.len()).chain(0..from).map(|node| self.node(node).1);
        let mut active = round.filter(|place| room.is_active(*place as usize));
        let found = active.find(|place| !tried.contains(place) && will_do(*place as usize));
        found.map(|place| place as usize)
    }

    fn is_eligible(&self, place: usize, room: &Room) -> bool {
        if self.pass_full && !room.has_room(place) {
            return false;
        }
        if self.factor == 0 || self.total == 0 {
            return true;
        }
        let all = ((room.served() + 1) * self.factor).div_ceil(100);
        let (each, rest) = (all / self.total, all % self.total);
        let (before, weight) = (self.before[place], self.weights[place]);
        let share = (before + weight) * rest / self.total - before * rest / self.total;
        u64::from(room.leases(place)) < (weight * each + share).max(1)
    }

    /// The first active node from here on, around.
    fn after(&self, from: usize, room: &Room) -> Option<usize> {
        let from = from.min(self.len());
        let mut round = (from..self.len()).chain(0..from);
        round.find(|node| room.is_active(self.node(*node).1 as usize))
    }

    /// The last active node before this, around.
    fn before(&self, from: usize, room: &Room) -> Option<usize> {
        let mut round = (0..from).rev().chain((from..self.len()).rev());
        round.find(|node| room.is_active(self.node(*node).1 as usize))
    }

    /// Round robin goes on after the next node of another server.
    fn move_off(&mut self, place: usize, room: &Room) {
        let Some(last) = self.last.filter(|last| self.node(*last).1 as usize == place) else {
            return;
        };
        self.last = self.after(last + 1, room);
    }
}

fn key_of(address: &str, number: u32, key: HashKey) -> u32 {
    let by_number = || number.wrapping_mul(super::HIGHEST);
    let (with_port, address) = match (key, address.parse::<SocketAddr>()) {
        (HashKey::Id32, _) => return avalanche(number.to_be()),
        (HashKey::Addr, Ok(address)) => (false, address),
        (HashKey::AddrPort, Ok(address)) => (true, address),
        _ => return by_number(),
    };
    let port = if with_port { avalanche(address.port().into()) } else { 0 };
    match address.ip() {
        // HAProxy takes the bytes as they stand in the packet for a number.
        IpAddr::V4(four) => avalanche(port.wrapping_add(u32::from_le_bytes(four.octets()))),
        IpAddr::V6(six) => xxh32(&six.octets(), port),
    }
}

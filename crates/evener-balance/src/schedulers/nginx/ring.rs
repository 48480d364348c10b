//! `nginx/hash` with `consistent`: the pool's key on a ring of points, as Cache::Memcached::Fast
//! (ketama) does it.
//!
//! Rules kept here (nginx, `ngx_http_upstream_update_chash`, `…_get_chash_peer`):
//! - Each server has 160 points per unit of weight: the CRC-32 of its host, a zero byte, its port
//!   and the point before.
//! - A point belongs to a name: servers of one name (a name that resolved to several) share its
//!   points, and smooth weighted round robin picks among them.
//! - A key goes to the first point at or above its hash. A point whose servers can't take it is
//!   left for the next, 20 times; then round robin picks.
//!
//! Known difference: round robin among servers of one name keeps an account of its own here; nginx
//! has one account for it and for the round robin after 20 misses.

use std::collections::BTreeMap;

use super::round_robin::RoundRobin;
use crate::hashes::Crc32;
use crate::key::KeyRule;
use crate::schedule::{Ask, Crew, Schedule};
use crate::structures::Circle;

/// The pool's key on a ring of points.
pub(crate) struct Ring {
    robin: RoundRobin,
    /// Names by hash.
    circle: Circle<u32>,
    /// By name: its servers.
    names: Vec<Namesakes>,
}

/// The servers of one name.
struct Namesakes {
    places: Vec<u32>,
    weights: Vec<i64>,
    owed: Vec<i64>,
}

/// Points per unit of weight.
const POINTS: u32 = 160;
/// Misses after which round robin picks.
const MISSES: usize = 20;

impl Ring {
    pub(crate) fn new(crew: &Crew<'_>) -> Ring {
        let mut by_name: BTreeMap<(&str, &str), u32> = BTreeMap::new();
        let mut names: Vec<Namesakes> = Vec::new();
        let mut points = Vec::new();
        for (place, server) in (0..).zip(&crew.servers) {
            let (host, port) = host_and_port(server);
            let name = *by_name.entry((host, port)).or_insert(names.len() as u32);
            if name as usize == names.len() {
                names.push(Namesakes::new());
            }
            names[name as usize].add(place, server.weight);
            points.extend(points_of(host, port, server.weight).map(|hash| (hash, name)));
        }
        points.sort_by_key(|(hash, _)| *hash);
        points.dedup_by_key(|(hash, _)| *hash);
        Ring { robin: RoundRobin::new(crew), circle: Circle::new(points), names }
    }

    fn hashed(&mut self, hash: u32, tried: &[u32]) -> Option<usize> {
        let (points, from) = (self.circle.points(), self.circle.first(hash));
        for miss in 0..=MISSES {
            let (_, name) = *points.get((from + miss) % points.len().max(1))?;
            let gate = self.robin.gate();
            let is_free = |place: u32| gate.is_open(place as usize) && !tried.contains(&place);
            if let Some(place) = self.names[name as usize].pick(is_free) {
                self.robin.give_back(place);
                return Some(place);
            }
        }
        None
    }
}

/// Host and port as the configuration wrote them; of a socket its path alone.
fn host_and_port(server: &evener_plan::Server) -> (&str, &str) {
    match server.address.strip_prefix("unix:") {
        Some(path) => (path, ""),
        None => (&server.host, server.address.rsplit(':').next().unwrap_or_default()),
    }
}

fn points_of(host: &str, port: &str, weight: u32) -> impl Iterator<Item = u32> {
    let base = Crc32::new().with(host.as_bytes()).with(&[0]).with(port.as_bytes());
    let next = move |before: u32| base.with(&before.to_le_bytes()).value();
    let first = next(0);
    std::iter::successors(Some(first), move |before| Some(next(*before)))
        .take((weight * POINTS) as usize)
}

impl Namesakes {
    fn new() -> Namesakes {
        Namesakes { places: Vec::new(), weights: Vec::new(), owed: Vec::new() }
    }

    fn add(&mut self, place: u32, weight: u32) {
        self.places.push(place);
        self.weights.push(weight.into());
        self.owed.push(0);
    }

    /// Smooth weighted round robin among those that are free.
    fn pick(&mut self, is_free: impl Fn(u32) -> bool) -> Option<usize> {
        let (mut best, mut total) = (None, 0);
        for (at, place) in self.places.iter().enumerate() {
            if is_free(*place) {
                self.owed[at] += self.weights[at];
                total += self.weights[at];
                if best.is_none_or(|best: usize| self.owed[at] > self.owed[best]) {
                    best = Some(at);
                }
            }
        }
        let best = best?;
        self.owed[best] -= total;
        Some(self.places[best] as usize)
    }
}

impl Schedule for Ring {
    fn pick(&mut self, ask: &Ask<'_>) -> Option<usize> {
        let hash = ask.key.hash.filter(|_| self.names.len() > 1 || self.circle.points().is_empty());
        let hashed = hash.and_then(|hash| self.hashed(hash as u32, ask.tried));
        hashed.or_else(|| self.robin.pick_besides(ask.tried))
    }

    fn key_rule(&self) -> KeyRule {
        KeyRule::Crc
    }

    robin_keeps!();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::Key;
    use crate::schedule::tests::Troop;

    fn pick(ring: &mut Ring, hash: u32) -> usize {
        let key = Key { hash: Some(hash.into()), bytes: Some(b"k"), ..Key::default() };
        ring.pick(&Ask { tried: &[], key, now: 0 }).unwrap()
    }

    fn hashes() -> impl Iterator<Item = u32> {
        (0..2_000u32).map(crate::hashes::avalanche)
    }

    #[test]
    fn a_lost_server_moves_its_own_keys_only() {
        let mut ring = Ring::new(&Troop::new(&[1; 6]).crew());
        (0..6).for_each(|place| ring.set_active(place, true));
        let before: Vec<usize> = hashes().map(|hash| pick(&mut ring, hash)).collect();
        ring.set_active(2, false);
        for (hash, before) in hashes().zip(before) {
            let after = pick(&mut ring, hash);
            assert!(after != 2 && (after == before || before == 2));
        }
    }

    #[test]
    fn servers_of_one_name_share_its_points_in_turn() {
        let mut troop = Troop::new(&[1, 2, 1]);
        troop.servers[1].host = troop.servers[0].host.clone();
        let mut ring = Ring::new(&troop.crew());
        (0..3).for_each(|place| ring.set_active(place, true));
        let mut counts = [0u32; 3];
        hashes().for_each(|hash| counts[pick(&mut ring, hash)] += 1);
        assert!(counts[2] > 400 && counts[1].abs_diff(2 * counts[0]) <= 2, "{counts:?}");
    }
}

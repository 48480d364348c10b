//! `haproxy/source`, `uri`, `url_param`, `hdr`, `rdp-cookie` and `hash`: a hash of something of the
//! request, over a map or a ring.
//!
//! Rules kept here (HAProxy `src/backend.c`):
//! - Who has nothing to hash is spread by round robin over the same map or ring.
//! - On a map a hash has one server and no other; a retry goes by round robin.

use std::any::Any;

use evener_plan::HaproxyHash;

use super::input::Input;
use super::map::Map;
use super::ring::Ring;
use super::room::Room;
use crate::key::KeyRule;
use crate::schedule::{Ask, Crew, Schedule};

/// A hash of something of the request.
pub(crate) struct Hashed {
    input: Input,
    room: Room,
    servers: Servers,
}

enum Servers {
    Map(Map),
    Ring(Ring),
}

impl Hashed {
    pub(crate) fn new(crew: &Crew<'_>, input: Input, hash: &HaproxyHash) -> Hashed {
        let servers = match hash.consistent {
            true => Servers::Ring(Ring::new(crew, hash)),
            false => Servers::Map(Map::new(crew)),
        };
        Hashed { input, room: Room::new(crew), servers }
    }
}

impl Schedule for Hashed {
    fn pick(&mut self, ask: &Ask<'_>) -> Option<usize> {
        let hash = ask.key.hash.map(|hash| hash as u32);
        // HAProxy hashes nothing when there is one server; then nothing is spread, either.
        let hash = if self.room.actives() == 1 { Some(0) } else { hash };
        match (&mut self.servers, hash) {
            (Servers::Ring(ring), Some(hash)) => ring.hashed(hash, &self.room, ask.tried),
            (Servers::Ring(ring), None) => ring.next(&self.room, ask.tried),
            (Servers::Map(map), Some(hash)) => {
                let place = map.hashed(hash, &self.room)?;
                match ask.tried.contains(&(place as u32)) {
                    true => map.next(&self.room, ask.tried),
                    false => Some(place),
                }
            }
            (Servers::Map(map), None) => map.next(&self.room, ask.tried),
        }
    }

    fn key_rule(&self) -> KeyRule {
        KeyRule::Haproxy(self.input.clone())
    }

    fn set_active(&mut self, place: usize, active: bool) {
        if self.room.set_active(place, active) {
            match &mut self.servers {
                Servers::Map(map) => map.outdate(),
                Servers::Ring(ring) => ring.set_active(place, active, &self.room),
            }
        }
    }

    fn counts_leases(&self) -> bool {
        let is_bounded = matches!(&self.servers, Servers::Ring(ring) if ring.is_bounded());
        is_bounded || self.room.has_limits()
    }

    fn set_in_flight(&mut self, place: usize, leases: u32) {
        self.room.set_leases(place, leases);
    }

    fn inherit(&mut self, before: &dyn Any, kept: &[Option<u32>]) {
        let before = before.downcast_ref::<Hashed>().map(|before| &before.servers);
        match (&mut self.servers, before) {
            (Servers::Ring(ring), Some(Servers::Ring(before))) => ring.inherit(before, kept),
            (Servers::Map(map), Some(Servers::Map(before))) => map.inherit(before),
            _ => {}
        }
    }
}

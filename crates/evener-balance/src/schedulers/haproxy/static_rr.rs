//! `haproxy/static-rr`: a fixed map of the round, gone through.
//!
//! Rules kept here:
//! - Servers without room are passed by, at worst over the whole map.
//! - Weights are those of the plan; nothing changes them while it runs.
//!
//! Source: HAProxy `src/lb_map.c`.

use std::any::Any;

use super::map::Map;
use super::room::Room;
use crate::schedule::{Ask, Crew, Schedule};

/// A fixed map of the round, gone through.
pub(crate) struct StaticRr {
    map: Map,
    room: Room,
}

impl StaticRr {
    pub(crate) fn new(crew: &Crew<'_>) -> StaticRr {
        StaticRr { map: Map::new(crew), room: Room::new(crew) }
    }
}

impl Schedule for StaticRr {
    fn pick(&mut self, ask: &Ask<'_>) -> Option<usize> {
        self.map.next(&self.room, ask.tried)
    }

    fn set_active(&mut self, place: usize, active: bool) {
        if self.room.set_active(place, active) {
            self.map.outdate();
        }
    }

    fn counts_leases(&self) -> bool {
        self.room.has_limits()
    }

    fn set_in_flight(&mut self, place: usize, leases: u32) {
        self.room.set_leases(place, leases);
    }

    fn inherit(&mut self, before: &dyn Any, _kept: &[Option<u32>]) {
        if let Some(before) = before.downcast_ref::<StaticRr>() {
            self.map.inherit(&before.map);
        }
    }
}

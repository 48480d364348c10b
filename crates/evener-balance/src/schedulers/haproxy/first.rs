//! `haproxy/first`: the server with the lowest number that has room.
//!
//! Source: HAProxy `src/lb_fas.c`.

use super::room::Room;
use crate::schedule::{Ask, Crew, Schedule};
use crate::structures::Tournament;

/// The server with the lowest number that has room.
pub(crate) struct First {
    numbers: Vec<u32>,
    room: Room,
    /// Those that are active and have room.
    free: Tournament<u32>,
}

impl First {
    pub(crate) fn new(crew: &Crew<'_>) -> First {
        First {
            numbers: crew.numbers.clone(),
            room: Room::new(crew),
            free: Tournament::new(crew.len()),
        }
    }

    fn seat(&mut self, place: usize) {
        let is_free = self.room.is_active(place) && self.room.has_room(place);
        self.free.set(place, is_free.then_some(self.numbers[place]));
    }
}

impl Schedule for First {
    fn pick(&mut self, ask: &Ask<'_>) -> Option<usize> {
        ask.tried.iter().for_each(|place| self.free.set(*place as usize, None));
        let picked = self.free.winner();
        ask.tried.iter().for_each(|place| self.seat(*place as usize));
        picked
    }

    fn set_active(&mut self, place: usize, active: bool) {
        self.room.set_active(place, active);
        self.seat(place);
    }

    fn counts_leases(&self) -> bool {
        self.room.has_limits()
    }

    fn set_in_flight(&mut self, place: usize, leases: u32) {
        self.room.set_leases(place, leases);
        self.seat(place);
    }
}

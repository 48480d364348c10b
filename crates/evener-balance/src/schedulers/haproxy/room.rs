//! Who is active, and who has room under `maxconn`.

use crate::schedule::Crew;

/// Who is active, and who has room.
pub(super) struct Room {
    most: Vec<u32>,
    leases: Vec<u32>,
    active: Vec<bool>,
    actives: usize,
    served: u64,
}

impl Room {
    pub(super) fn new(crew: &Crew<'_>) -> Room {
        Room {
            most: crew.servers.iter().map(|server| server.limits.most).collect(),
            leases: vec![0; crew.len()],
            active: vec![false; crew.len()],
            actives: 0,
            served: 0,
        }
    }

    pub(super) fn is_active(&self, place: usize) -> bool {
        self.active[place]
    }

    pub(super) fn actives(&self) -> usize {
        self.actives
    }

    pub(super) fn has_limits(&self) -> bool {
        self.most.iter().any(|most| *most > 0)
    }

    /// Whether it has room; active or not.
    pub(super) fn has_room(&self, place: usize) -> bool {
        self.most[place] == 0 || self.leases[place] < self.most[place]
    }

    pub(super) fn leases(&self, place: usize) -> u32 {
        self.leases[place]
    }

    /// Leases of all servers.
    pub(super) fn served(&self) -> u64 {
        self.served
    }

    /// True if that is news.
    pub(super) fn set_active(&mut self, place: usize, active: bool) -> bool {
        let before = std::mem::replace(&mut self.active[place], active);
        self.actives = self.actives + usize::from(active) - usize::from(before);
        before != active
    }

    pub(super) fn set_leases(&mut self, place: usize, leases: u32) {
        let before = std::mem::replace(&mut self.leases[place], leases);
        self.served = self.served + u64::from(leases) - u64::from(before);
    }
}

//! Which places are open: active, with room under `max_conns`.

use crate::schedule::Crew;

/// Which places are open.
pub(super) struct Gate {
    most: Vec<u32>,
    leases: Vec<u32>,
    active: Vec<bool>,
}

impl Gate {
    pub(super) fn new(crew: &Crew<'_>) -> Gate {
        Gate {
            most: crew.servers.iter().map(|server| server.limits.most).collect(),
            leases: vec![0; crew.len()],
            active: vec![false; crew.len()],
        }
    }

    /// Whether any place can be full.
    pub(super) fn has_limits(&self) -> bool {
        self.most.iter().any(|most| *most > 0)
    }

    pub(super) fn is_open(&self, place: usize) -> bool {
        let most = self.most[place];
        self.active[place] && (most == 0 || self.leases[place] < most)
    }

    pub(super) fn leases(&self, place: usize) -> u32 {
        self.leases[place]
    }

    pub(super) fn set_active(&mut self, place: usize, active: bool) {
        self.active[place] = active;
    }

    pub(super) fn set_leases(&mut self, place: usize, leases: u32) {
        self.leases[place] = leases;
    }
}

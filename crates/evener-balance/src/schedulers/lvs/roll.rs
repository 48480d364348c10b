//! The list of real servers with their connections: what the kernel keeps beside its schedulers.
//!
//! Rules kept here:
//! - A rank is a position in the list, 0 the head; a place is the plan's.
//! - A server is overloaded from `most` connections on, and until they are below `again`, or three
//!   quarters of `most`.

use super::inactive::Inactive;
use crate::schedule::Crew;

/// The list of real servers.
pub(crate) struct Roll {
    servers: Vec<Server>,
    /// By rank: the place.
    order: Vec<u32>,
    inactive: Inactive,
}

#[derive(Clone)]
struct Server {
    rank: u32,
    weight: u32,
    /// The last weight above 0.
    last_weight: u32,
    most: u32,
    again: u32,
    active: u32,
    inactive: u32,
    templates: u32,
    is_listed: bool,
    is_over: bool,
    is_tried: bool,
}

impl Roll {
    pub(super) fn new(crew: &Crew<'_>, inactive: u64) -> Roll {
        let last = crew.len() as u32;
        let server = |(place, server): (u32, &&evener_plan::Server)| Server {
            rank: last - 1 - place,
            weight: server.weight,
            last_weight: server.weight,
            most: server.limits.most,
            again: match server.limits.again {
                0 => server.limits.most - server.limits.most / 4,
                again => again,
            },
            active: 0,
            inactive: 0,
            templates: 0,
            is_listed: false,
            is_over: false,
            is_tried: false,
        };
        Roll {
            servers: (0..).zip(&crew.servers).map(server).collect(),
            order: (0..last).rev().collect(),
            inactive: Inactive::new(crew.len(), inactive),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.servers.len()
    }

    pub(super) fn rank(&self, place: usize) -> usize {
        self.servers[place].rank as usize
    }

    pub(super) fn place(&self, rank: usize) -> usize {
        self.order[rank] as usize
    }

    /// Places on the list, from its head.
    pub(super) fn listed(&self) -> impl Iterator<Item = usize> + '_ {
        let places = self.order.iter().map(|place| *place as usize);
        places.filter(|place| self.is_listed(*place))
    }

    pub(super) fn is_listed(&self, place: usize) -> bool {
        self.servers[place].is_listed
    }

    /// Whether it takes new connections.
    pub(super) fn is_available(&self, place: usize) -> bool {
        let server = &self.servers[place];
        server.is_listed && server.weight > 0 && !server.is_over && !server.is_tried
    }

    /// Whether an entry of a cache may still point there: what its load says is not asked.
    pub(super) fn is_usable(&self, place: usize) -> bool {
        let server = &self.servers[place];
        server.is_listed && server.weight > 0 && !server.is_tried
    }

    pub(super) fn weight(&self, place: usize) -> u32 {
        self.servers[place].weight
    }

    pub(super) fn last_weight(&self, place: usize) -> u32 {
        self.servers[place].last_weight
    }

    /// Connections that are active.
    pub(super) fn active(&self, place: usize) -> u32 {
        self.servers[place].active
    }

    /// What the kernel's least-connection schedulers compare.
    pub(super) fn overhead(&self, place: usize) -> u64 {
        let server = &self.servers[place];
        (u64::from(server.active) << 8) + server.total()
    }

    pub(super) fn set_listed(&mut self, place: usize, is_listed: bool) {
        self.servers[place].is_listed = is_listed;
    }

    pub(super) fn set_tried(&mut self, place: usize, is_tried: bool) {
        self.servers[place].is_tried = is_tried;
    }

    pub(super) fn set_active(&mut self, place: usize, active: u32) {
        let server = &mut self.servers[place];
        server.active = active;
        server.weigh();
    }

    pub(super) fn add_template(&mut self, place: usize, count: i32) {
        let server = &mut self.servers[place];
        server.templates = server.templates.saturating_add_signed(count);
        server.weigh();
    }

    /// A connection ended; it is inactive from now on. The new number of active ones follows.
    pub(super) fn ended(&mut self, place: usize, now: u64) {
        self.servers[place].inactive += u32::from(self.inactive.add(place, now));
    }

    /// Forgets connections of one server that were inactive for long enough, and names it. Call it
    /// until it has none.
    pub(super) fn expire(&mut self, now: u64) -> Option<usize> {
        let (place, count) = self.inactive.next(now)?;
        let server = &mut self.servers[place];
        server.inactive = server.inactive.saturating_sub(count);
        server.weigh();
        Some(place)
    }

    /// Takes over order, connections and overload; new servers go to the head.
    pub(super) fn inherit(&mut self, before: &Roll, kept: &[Option<u32>], now: u64) {
        let mut stay: Vec<(u32, u32)> = Vec::new();
        let mut order = Vec::with_capacity(kept.len());
        for (place, kept) in (0..kept.len() as u32).zip(kept).rev() {
            match kept {
                None => order.push(place),
                Some(kept) => {
                    let old = &before.servers[*kept as usize];
                    stay.push((old.rank, place));
                    self.servers[place as usize].take_over(old);
                }
            }
        }
        stay.sort_unstable();
        order.extend(stay.iter().map(|(_, place)| place));
        for (rank, place) in (0..).zip(&order) {
            self.servers[*place as usize].rank = rank;
        }
        self.order = order;
        self.inactive.inherit(&before.inactive, kept, now);
    }
}

impl Server {
    fn total(&self) -> u64 {
        u64::from(self.active) + u64::from(self.inactive) + u64::from(self.templates)
    }

    fn weigh(&mut self) {
        if self.most > 0 && self.total() >= u64::from(self.most) {
            self.is_over = true;
        } else if self.total() < u64::from(self.again) {
            self.is_over = false;
        }
    }

    fn take_over(&mut self, old: &Server) {
        if self.last_weight == 0 {
            self.last_weight = old.last_weight;
        }
        self.active = old.active;
        self.inactive = old.inactive;
        self.is_listed = old.is_listed;
        // A higher threshold lifts the overload until it is reached.
        self.is_over = old.is_over && self.most > 0 && self.most <= old.most;
    }
}

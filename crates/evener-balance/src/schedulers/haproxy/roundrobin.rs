//! `haproxy/roundrobin`: smooth weighted round robin by positions.
//!
//! Rules kept here (HAProxy `src/lb_fwrr.c`):
//! - Servers stand in a queue by their next position, in units of one pick; a pick moves its server
//!   on by `total / weight`, the remainder carried.
//! - Who has not run in this round yet stands in `init` by falling weight, and runs when the
//!   queue has nobody due. Who is through with the round stands in `next`; when the queue and
//!   `init` are empty, `next` becomes `init`.
//! - Those without room, and those that were tried, are moved on as if they had run, and go back
//!   to where they then belong: a pick costs as much as there are such servers before the first
//!   that has room.
//! - Weights change in place, by HAProxy's own rule; a server that comes back runs after its share
//!   of what is left of the round.
//!
//! Of equals the one that came to its place first is first, as in HAProxy's trees.

use std::any::Any;

use super::room::Room;
use super::{HIGHEST, SCALE};
use crate::schedule::{Ask, Crew, Schedule};
use crate::structures::Tournament;

/// Smooth weighted round robin by positions.
pub(crate) struct Roundrobin {
    servers: Vec<Server>,
    room: Room,
    queues: [Tournament<(i64, u64)>; 3],
    /// Which of the queues is `init`; `next` is the other one of the last two.
    init: usize,
    arrivals: u64,
    /// Until the first pick servers come to `init`.
    has_begun: bool,
    /// The sum of weights of this round, and of the next.
    weight: i64,
    next_weight: i64,
    position: i64,
}

#[derive(Debug, Clone, Copy)]
struct Server {
    weight: i64,
    last: i64,
    next: i64,
    remainder: i64,
    queue: Option<usize>,
}

const CURRENT: usize = 0;

impl Roundrobin {
    pub(crate) fn new(crew: &Crew<'_>) -> Roundrobin {
        let server = |weight: u32| Server {
            weight: i64::from(weight * SCALE),
            last: 0,
            next: 0,
            remainder: 0,
            queue: None,
        };
        Roundrobin {
            servers: crew.weights().into_iter().map(server).collect(),
            room: Room::new(crew),
            queues: std::array::from_fn(|_| Tournament::new(crew.len())),
            init: 1,
            arrivals: 0,
            has_begun: false,
            weight: 0,
            next_weight: 0,
            position: 0,
        }
    }

    fn next_queue(&self) -> usize {
        3 - self.init
    }

    fn enqueue(&mut self, place: usize, queue: usize, key: i64) {
        self.arrivals += 1;
        self.queues[queue].set(place, Some((key, self.arrivals)));
        self.servers[place].queue = Some(queue);
    }

    fn enqueue_by_weight(&mut self, place: usize, queue: usize) {
        self.enqueue(place, queue, i64::from(HIGHEST) - self.servers[place].weight);
    }

    /// To where its next position is.
    fn enqueue_by_position(&mut self, place: usize) {
        let server = &mut self.servers[place];
        if server.next >= 2 * self.weight || server.next >= self.weight + self.next_weight {
            server.next -= self.weight;
            self.enqueue_by_weight(place, self.next_queue());
        } else {
            let scale = i64::from(SCALE);
            let fine = (i64::from(HIGHEST) + server.remainder - server.weight).div_euclid(scale);
            let key = 256 * server.next + fine;
            self.enqueue(place, CURRENT, key);
        }
    }

    fn dequeue(&mut self, place: usize) {
        if let Some(queue) = self.servers[place].queue.take() {
            self.queues[queue].set(place, None);
        }
    }

    /// Who is due, or else who has not run in this round, or else who is next all the same.
    fn first(&mut self) -> Option<usize> {
        let due = self.queues[CURRENT].winner();
        if let Some(place) = due.filter(|place| self.servers[*place].next <= self.position) {
            return Some(place);
        }
        if let Some(place) = self.queues[self.init].winner() {
            self.servers[place].next = 0;
            self.servers[place].remainder = 0;
            return Some(place);
        }
        due
    }

    /// Moves a server on by one pick.
    fn advance(&mut self, place: usize) {
        let (total, position) = (self.next_weight, self.position);
        let server = &mut self.servers[place];
        if server.next == 0 {
            server.next = position;
        }
        server.last = server.next;
        server.next += total / server.weight;
        server.remainder += total % server.weight;
        if server.remainder >= server.weight {
            server.remainder -= server.weight;
            server.next += 1;
        }
    }

    /// Servers that were passed by go back; with a new round to its start.
    fn give_back(&mut self, passed: Vec<usize>, is_new_round: bool) {
        for place in passed.into_iter().rev() {
            match is_new_round {
                true => self.enqueue_by_weight(place, self.init),
                false => self.enqueue_by_position(place),
            }
        }
    }

    fn set_weight(&mut self, place: usize, weight: i64) {
        let before = std::mem::replace(&mut self.servers[place].weight, weight);
        let Some(queue) = self.servers[place].queue.filter(|_| before != weight) else {
            return;
        };
        self.next_weight += weight - before;
        self.dequeue(place);
        if queue == self.init {
            self.enqueue_by_weight(place, self.init);
            return;
        }
        let (total, position, round) = (self.next_weight, self.position, self.weight);
        let server = &mut self.servers[place];
        if queue != CURRENT {
            server.next += round;
        }
        let step = total / weight.max(1);
        server.next = server.next.min(server.last + step);
        server.remainder = 0;
        if server.next < position + 2 {
            server.next = position + step;
        }
        self.enqueue_by_position(place);
    }

    fn leave(&mut self, place: usize) {
        self.next_weight -= self.servers[place].weight;
        self.dequeue(place);
    }

    fn enter(&mut self, place: usize) {
        let weight = self.servers[place].weight;
        self.next_weight += weight;
        if !self.has_begun {
            self.enqueue_by_weight(place, self.init);
            return;
        }
        let left = self.next_weight + self.weight - self.position;
        self.servers[place].next = self.position + left / weight.max(1);
        self.enqueue_by_position(place);
    }
}

impl Schedule for Roundrobin {
    fn pick(&mut self, ask: &Ask<'_>) -> Option<usize> {
        // HAProxy does not ask where nobody is: the round stays where it is.
        if self.room.actives() == 0 {
            return None;
        }
        if !std::mem::replace(&mut self.has_begun, true) || self.weight == 0 {
            self.weight = self.next_weight;
            self.position = self.weight;
        }
        let (mut passed, mut is_new_round) = (Vec::new(), false);
        let picked = loop {
            let Some(place) = self.first() else {
                if is_new_round {
                    break None;
                }
                is_new_round = true;
                self.init = self.next_queue();
                self.weight = self.next_weight;
                self.position = self.weight;
                continue;
            };
            self.advance(place);
            self.dequeue(place);
            self.position += 1;
            if self.room.has_room(place) && !ask.tried.contains(&(place as u32)) {
                break Some(place);
            }
            passed.push(place);
        };
        if let Some(place) = picked {
            self.enqueue_by_position(place);
        }
        self.give_back(passed, is_new_round);
        picked
    }

    fn set_active(&mut self, place: usize, active: bool) {
        if self.room.set_active(place, active) {
            match active {
                true => self.enter(place),
                false => self.leave(place),
            }
        }
    }

    fn counts_leases(&self) -> bool {
        self.room.has_limits()
    }

    fn set_in_flight(&mut self, place: usize, leases: u32) {
        self.room.set_leases(place, leases);
    }

    fn inherit(&mut self, before: &dyn Any, kept: &[Option<u32>]) {
        let Some(before) = before.downcast_ref::<Roundrobin>().filter(|old| old.has_begun) else {
            return;
        };
        self.has_begun = true;
        self.init = before.init;
        self.arrivals = before.arrivals;
        (self.weight, self.position) = (before.weight, before.position);
        let mut reweighed = Vec::new();
        for (place, kept) in kept.iter().enumerate() {
            let Some(old) = kept.map(|kept| kept as usize) else {
                continue;
            };
            let weight = std::mem::replace(&mut self.servers[place], before.servers[old]).weight;
            if !before.room.is_active(old) {
                self.servers[place].weight = weight;
                continue;
            }
            self.room.set_active(place, true);
            self.next_weight += self.servers[place].weight;
            if let Some(queue) = self.servers[place].queue {
                self.queues[queue].set(place, before.queues[queue].score(old).copied());
            }
            reweighed.push((place, weight));
        }
        for (place, weight) in reweighed {
            match weight {
                0 => {
                    self.room.set_active(place, false);
                    self.leave(place);
                    self.servers[place].weight = 0;
                }
                _ => self.set_weight(place, weight),
            }
        }
    }
}

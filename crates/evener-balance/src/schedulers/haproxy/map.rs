//! A fixed order of all picks of a round: what `static-rr` goes through and hashes point into.
//!
//! Rules kept here (HAProxy `src/lb_map.c`):
//! - With each step every server's score grows by its weight (divided by the weights' common
//!   divisor). The first of those with the highest `score / total`, cut to a whole number, is next
//!   and pays the total.
//! - HAProxy asks all servers for each step; here each is asked when its number changes, which
//!   happens once per step in all.
//! - Made anew with the first pick after a server came or went, which costs about 50 ns per step.
//!   As in HAProxy, all keys may move then.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::room::Room;
use crate::schedule::Crew;
use crate::structures::{Tournament, common_divisor};

/// A fixed order of all picks of a round.
pub(super) struct Map {
    /// Divided by their common divisor.
    weights: Vec<u32>,
    steps: Vec<u32>,
    is_current: bool,
    /// Round robin's next step.
    next: usize,
}

impl Map {
    pub(super) fn new(crew: &Crew<'_>) -> Map {
        let divisor = crew.weights().into_iter().fold(0, common_divisor);
        let weights = crew.weights().into_iter().map(|weight| weight / divisor.max(1));
        Map { weights: weights.collect(), steps: Vec::new(), is_current: false, next: 0 }
    }

    /// Round robin goes on at the same step.
    pub(super) fn inherit(&mut self, before: &Map) {
        self.next = before.next;
    }

    /// A server came or went.
    pub(super) fn outdate(&mut self) {
        self.is_current = false;
    }

    /// The step a hash points to.
    pub(super) fn hashed(&mut self, hash: u32, room: &Room) -> Option<usize> {
        self.update(room);
        let at = hash as usize % self.steps.len().max(1);
        self.steps.get(at).map(|place| *place as usize)
    }

    /// The next step whose server has room and was not tried.
    pub(super) fn next(&mut self, room: &Room, tried: &[u32]) -> Option<usize> {
        self.update(room);
        if self.next >= self.steps.len() {
            self.next = 0;
        }
        let mut last_with_room = None;
        for offset in 0..self.steps.len() {
            let at = (self.next + offset) % self.steps.len();
            let place = self.steps[at];
            if room.has_room(place as usize) {
                if !tried.contains(&place) {
                    self.next = at + 1;
                    return Some(place as usize);
                }
                last_with_room = Some(at + 1);
            }
        }
        self.next = last_with_room.unwrap_or(self.next);
        None
    }

    fn update(&mut self, room: &Room) {
        if !self.is_current {
            self.is_current = true;
            let active = (0..self.weights.len()).filter(|place| room.is_active(*place));
            self.steps = steps(&self.weights, active.collect());
        }
    }
}

/// The round of these places.
fn steps(weights: &[u32], active: Vec<usize>) -> Vec<u32> {
    let weight = |at: usize| u64::from(weights[active[at]]);
    let total: u64 = (0..active.len()).map(weight).sum();
    // `score / total` goes up by one, for the `ups`-th time, at this step.
    let next_up = |at: usize, ups: u64| (total * ups).div_ceil(weight(at).max(1));
    let mut ranks: Tournament<Reverse<i64>> = Tournament::new(active.len());
    let mut rising = BinaryHeap::new();
    for at in 0..active.len() {
        ranks.set(at, Some(Reverse(0)));
        rising.push(Reverse((next_up(at, 1), at, 1)));
    }
    let rank_of = |ranks: &Tournament<Reverse<i64>>, at| ranks.score(at).map_or(0, |rank| rank.0);
    let mut steps = Vec::with_capacity(total as usize);
    for step in 1..=total {
        while let Some(&Reverse((due, at, ups))) = rising.peek().filter(|up| up.0.0 <= step) {
            debug_assert_eq!(due, step);
            rising.pop();
            ranks.set(at, Some(Reverse(rank_of(&ranks, at) + 1)));
            rising.push(Reverse((next_up(at, ups + 1), at, ups + 1)));
        }
        if let Some(at) = ranks.winner() {
            steps.push(active[at] as u32);
            ranks.set(at, Some(Reverse(rank_of(&ranks, at) - 1)));
        }
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The rule as HAProxy writes it: all are asked for each step.
    fn scan(weights: &[u32]) -> Vec<u32> {
        let total: i64 = weights.iter().map(|weight| i64::from(*weight)).sum();
        let mut scores = vec![0; weights.len()];
        let step = |_| {
            let (mut best, mut most) = (0, -1);
            for (place, weight) in weights.iter().enumerate() {
                scores[place] += i64::from(*weight);
                let rank = (scores[place] + total) / total;
                if rank > most {
                    (best, most) = (place, rank);
                }
            }
            scores[best] -= total;
            best as u32
        };
        (0..total).map(step).collect()
    }

    proptest! {
        #[test]
        fn asking_those_that_rise_is_asking_all(weights in prop::collection::vec(1u32..40, 1..30)) {
            prop_assert_eq!(steps(&weights, (0..weights.len()).collect()), scan(&weights));
        }
    }
}

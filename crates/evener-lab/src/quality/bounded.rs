//! Bounded loads: keys as skewed as people's, and no server ever has more than its share and the
//! excess.
//!
//! Source: Mirrokni, Thorup, Zadimoghaddam, "Consistent hashing with bounded loads" (2016): the
//! greatest load is at most `⌈(1 + ε) × mean⌉`, always.

use std::collections::VecDeque;

use evener_balance::{Birth, Group, Lease, Request, Tried};
use evener_plan::Scheduler;

use super::{Row, Study};
use crate::{Draw, LabError, pool};

pub(super) const STUDY: Study = Study {
    name: "bounded",
    title: "Bounded loads",
    model: "50 servers, 1000 keys asked for in proportion to 1 / rank, 20 000 picks; up to 500 \
            requests in hand, the oldest ends; ε of 5 %, 25 % and 100 %; what a server is given, \
            as a part of ⌈(1 + ε) × mean⌉, at its greatest",
    source: "Mirrokni, Thorup and Zadimoghaddam, “Consistent hashing with bounded loads” (2016)",
    run: rows,
};

const SERVERS: usize = 50;
const KEYS: u64 = 1_000;
const PICKS: usize = 20_000;
const IN_HAND: usize = 500;

struct Key([u8; 8]);

impl Request for Key {
    fn key(&self) -> Option<&[u8]> {
        Some(&self.0)
    }
}

/// The greatest load after a pick, of what is allowed.
fn greatest(scheduler: Scheduler, excess: u32, seed: u64) -> f64 {
    let group = Group::new(&pool(scheduler, &[1; SERVERS]), None, Birth::Start, 0);
    let mut draw = Draw::new(seed);
    let mut hand: VecDeque<Lease> = VecDeque::new();
    let mut greatest: f64 = 0.0;
    for _ in 0..PICKS {
        if hand.len() == IN_HAND {
            hand.pop_front();
        }
        // In proportion to 1 / rank: the logarithm of the rank is even.
        let key = (KEYS as f64).powf(draw.unit()) as u64;
        let Ok(lease) = group.pick_for(&Key(key.to_be_bytes()), &Tried::new(), 0) else {
            return f64::INFINITY;
        };
        let mean = (hand.len() + 1) as f64 / SERVERS as f64;
        let bound = (f64::from(100 + excess) / 100.0 * mean - 1e-9).ceil();
        greatest = greatest.max(f64::from(lease.server().in_flight()) / bound);
        hand.push_back(lease);
    }
    greatest
}

fn rows(seed: u64) -> Result<Vec<Row>, LabError> {
    let row = |excess: u32| {
        let found = greatest(Scheduler::BoundedHash { points: 160, excess }, excess, seed);
        Row::at_most(&format!("greatest load, ε = {excess} %"), "", 1.0, found)
    };
    let unbounded = greatest(Scheduler::Ring { points: 160 }, 25, seed);
    let without = Row::at_least("greatest load, ring (no bound), ε = 25 %", "", 2.0, unbounded);
    Ok([5, 25, 100].map(row).into_iter().chain([without]).collect())
}

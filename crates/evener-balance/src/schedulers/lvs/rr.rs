//! `lvs/rr`: one after another, from the head of the list.
//!
//! Rules kept here:
//! - The cursor is the last one picked; when that one is removed, the one before it.
//!
//! Source: Linux `net/netfilter/ipvs/ip_vs_rr.c`.

use super::roll::Roll;
use super::{Heirs, Rule};
use crate::key::Key;
use crate::schedule::Crew;
use crate::structures::Heights;

/// One after another.
pub(crate) struct Rr {
    /// By rank: 1 is available.
    available: Heights,
    /// The rank of the last one picked.
    cursor: Option<u32>,
}

impl Rr {
    pub(crate) fn new(crew: &Crew<'_>) -> Rr {
        Rr { available: Heights::new(crew.len()), cursor: None }
    }
}

impl Rule for Rr {
    fn pick(&mut self, roll: &Roll, _key: &Key<'_>, _now: u64) -> Option<usize> {
        let after = self.cursor.map_or(0, |cursor| cursor as usize + 1);
        let rank = self.available.next(after, 1).or_else(|| self.available.next(0, 1))?;
        self.cursor = Some(rank as u32);
        Some(roll.place(rank))
    }

    fn on_load(&mut self, roll: &Roll, place: usize) {
        self.available.set(roll.rank(place), roll.is_available(place).into());
    }

    fn inherit(&mut self, before: &Rr, heirs: &Heirs<'_>) {
        let moves = heirs.moves();
        let up_to_cursor = (0..before.cursor.map_or(0, |cursor| cursor as usize + 1)).rev();
        let mut still_there = up_to_cursor.filter_map(|rank| moves[heirs.before.place(rank)]);
        self.cursor = still_there.next().map(|place| heirs.roll.rank(place as usize) as u32);
    }
}

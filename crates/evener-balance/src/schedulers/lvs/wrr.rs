//! `lvs/wrr`: one after another by weight, in falling passes.
//!
//! Rules kept here:
//! - A pass takes all from the cursor on whose weight reaches `level`; each pass is lower than the
//!   one before by the weights' common divisor, and the first as high as the highest weight.
//! - With every edit of the list the cursor returns to its head. A level that is 0, or above the
//!   first pass, becomes the first pass, any other one its pass under the new divisor.
//!
//! Source: Linux `net/netfilter/ipvs/ip_vs_wrr.c`.

use super::roll::Roll;
use super::{Heirs, Rule};
use crate::key::Key;
use crate::schedule::Crew;
use crate::structures::{Heights, common_divisor};

/// One after another by weight, in falling passes.
pub(crate) struct Wrr {
    /// By rank: the weight of those available.
    available: Heights,
    /// The rank of the last one picked; `None` is before the head.
    cursor: Option<usize>,
    level: u32,
    /// The first pass.
    top: u32,
    divisor: u32,
}

impl Wrr {
    pub(crate) fn new(crew: &Crew<'_>) -> Wrr {
        Wrr { available: Heights::new(crew.len()), cursor: None, level: 0, top: 0, divisor: 1 }
    }

    /// The list was edited and has this divisor and highest weight now.
    fn edit(&mut self, divisor: u32, highest: u32) {
        self.cursor = None;
        self.divisor = divisor.max(1);
        self.top = highest.saturating_sub(self.divisor - 1);
        if self.level > self.top || self.level == 0 {
            self.level = self.top;
        } else if self.divisor > 1 {
            self.level = self.level / self.divisor * self.divisor + 1;
        }
    }

    fn edit_anew(&mut self, roll: &Roll) {
        let weights = || roll.listed().map(|place| roll.weight(place));
        self.edit(weights().fold(0, common_divisor), weights().max().unwrap_or(0));
    }

    /// Down by one pass from the end of the list; true when the first pass begins again.
    fn fall(&mut self) -> bool {
        match self.level.checked_sub(self.divisor) {
            Some(level) if level > 0 => self.level = level,
            _ => {
                self.level = self.top;
                return true;
            }
        }
        false
    }

    /// Passes that nobody is high enough for are left out, down to the last one.
    fn skip_empty_passes(&mut self) {
        let wanted = self.available.top().max(self.divisor);
        if self.level > wanted {
            self.level -= (self.level - wanted).div_ceil(self.divisor) * self.divisor;
        }
    }
}

impl Rule for Wrr {
    fn pick(&mut self, roll: &Roll, _key: &Key<'_>, _now: u64) -> Option<usize> {
        if self.top == 0 {
            return None;
        }
        let last = self.cursor;
        let (mut from, mut stop) = (last.map_or(0, |last| last + 1), None);
        let (mut is_last_pass, mut has_restarted) = (false, false);
        loop {
            let found = self.available.next(from, self.level);
            if let Some(rank) = found.filter(|rank| stop.is_none_or(|stop| *rank <= stop)) {
                self.cursor = Some(rank);
                return Some(roll.place(rank));
            }
            if stop.is_some() {
                self.cursor = stop;
                return None;
            }
            if self.fall() {
                if is_last_pass || last.is_none() {
                    self.cursor = None;
                    return None;
                }
                has_restarted = true;
            }
            self.skip_empty_passes();
            is_last_pass = self.level <= self.divisor;
            // All after `last` have been asked in this pass: now those up to it.
            stop = last.filter(|_| is_last_pass && has_restarted);
            from = 0;
        }
    }

    fn on_load(&mut self, roll: &Roll, place: usize) {
        let height = if roll.is_available(place) { roll.weight(place) } else { 0 };
        self.available.set(roll.rank(place), height);
    }

    fn on_list(&mut self, roll: &Roll, place: usize) {
        self.on_load(roll, place);
        if roll.is_listed(place) {
            let weight = roll.weight(place);
            let divisor = if self.top == 0 { 0 } else { self.divisor };
            let highest = if self.top == 0 { 0 } else { self.top + self.divisor - 1 };
            self.edit(common_divisor(divisor, weight), highest.max(weight));
        } else {
            self.edit_anew(roll);
        }
    }

    fn inherit(&mut self, before: &Wrr, heirs: &Heirs<'_>) {
        *self = Wrr { available: Heights::new(self.available.len()), ..*before };
        let moves = heirs.moves();
        let same_weight = |(place, before): (usize, &Option<u32>)| {
            before.is_none_or(|old| heirs.before.weight(old as usize) == heirs.roll.weight(place))
        };
        let none_left = moves.iter().all(Option::is_some);
        if none_left && heirs.kept.iter().enumerate().all(same_weight) {
            let here = before.cursor.and_then(|rank| moves[heirs.before.place(rank)]);
            self.cursor = here.map(|place| heirs.roll.rank(place as usize));
        } else {
            self.edit_anew(heirs.roll);
        }
    }
}

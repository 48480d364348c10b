//! `lvs/twos`: the better of two weighted draws.
//!
//! Rules kept here:
//! - Numbers from 0 up to and including the sum of weights are drawn; 0 falls to the first, too.
//! - The second is taken if its overhead by weight is less.
//!
//! Source: Linux `net/netfilter/ipvs/ip_vs_twos.c`.

use super::Rule;
use super::roll::Roll;
use crate::dice::Dice;
use crate::key::Key;
use crate::schedule::Crew;
use crate::structures::{Ratio, Shares};

/// The better of two weighted draws.
pub(crate) struct Twos {
    /// By rank: the weight of those available.
    shares: Shares,
    dice: Dice,
}

impl Twos {
    pub(crate) fn new(crew: &Crew<'_>) -> Twos {
        Twos { shares: Shares::new(crew.len()), dice: Dice::new(crew.seed) }
    }

    fn draw(&mut self, roll: &Roll) -> Option<usize> {
        let number = self.dice.below(self.shares.total() + 1);
        self.shares.owner(number.saturating_sub(1)).map(|rank| roll.place(rank))
    }
}

impl Rule for Twos {
    fn pick(&mut self, roll: &Roll, _key: &Key<'_>, _now: u64) -> Option<usize> {
        let (one, other) = (self.draw(roll)?, self.draw(roll)?);
        let share = |place: usize| Ratio { load: roll.overhead(place), weight: roll.weight(place) };
        Some(if share(other) < share(one) { other } else { one })
    }

    fn on_load(&mut self, roll: &Roll, place: usize) {
        let share = if roll.is_available(place) { roll.weight(place) } else { 0 };
        self.shares.set(roll.rank(place), share);
    }

    fn stir(&mut self, seed: u64) {
        self.dice = Dice::new(seed);
    }
}

//! `evener/random`: the least loaded of some draws.
//!
//! Rules kept here:
//! - Draws are by weight; the one with the fewest leases by weight is taken, the first of equals.
//!
//! Precedent: Mitzenmacher, "The power of two choices in randomized load balancing" (1996).

use super::field::Field;
use crate::schedule::{Ask, Crew, Schedule};

/// The least loaded of some draws.
pub(crate) struct Random {
    field: Field,
    draws: u32,
}

impl Random {
    pub(crate) fn new(crew: &Crew<'_>, draws: u32) -> Random {
        Random { field: Field::new(crew), draws: draws.max(1) }
    }
}

impl Schedule for Random {
    fn pick(&mut self, ask: &Ask<'_>) -> Option<usize> {
        let draws = self.draws;
        self.field.draw(ask, |draw, field| {
            let load = |place: usize| u64::from(field.leases(place));
            let weight = |place: usize| u64::from(field.weight(place));
            let mut best = draw()?;
            for _ in 1..draws {
                let other = draw()?;
                if load(other) * weight(best) < load(best) * weight(other) {
                    best = other;
                }
            }
            Some(best)
        })
    }

    field_keeps!();
}

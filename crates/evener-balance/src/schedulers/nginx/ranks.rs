//! The least by `load / weight`, ties by smooth weighted round robin.
//!
//! Rules kept here (nginx, `ngx_http_upstream_get_least_conn_peer`, `…_least_time_peer`):
//! - `load / weight` is compared exactly.
//! - Where several are least, smooth weighted round robin makes a step among them alone; where
//!   one is, nobody is owed or pays, and what failures took is not given back.
//! - A place that was tried sits out: two that are least without it count as several.
//! - Up to [`FEW`] places are looked at one by one, which is what nginx does: that costs less than
//!   keeping an order. More are not.

mod few;
mod many;

use few::Few;
use many::Many;

use crate::schedule::Position;

/// Places by their load.
pub(super) enum Ranks {
    /// As many as are looked at.
    Few(Few),
    /// More.
    Many(Many),
}

/// Most places that are looked at one by one.
const FEW: usize = 16;

/// Calls the same verb of whichever this is.
macro_rules! on_ranks {
    ($ranks:expr, $inner:ident => $call:expr) => {
        match $ranks {
            Ranks::Few($inner) => $call,
            Ranks::Many($inner) => $call,
        }
    };
}

impl Ranks {
    /// Nobody takes part yet; loads are 0.
    pub(super) fn new(weights: &[u32]) -> Ranks {
        match weights.len() <= FEW {
            true => Ranks::Few(Few::new(weights)),
            false => Ranks::Many(Many::new(weights)),
        }
    }

    /// However few there are, as where they are many.
    #[cfg(test)]
    pub(super) fn many(weights: &[u32]) -> Ranks {
        Ranks::Many(Many::new(weights))
    }

    /// The least of those who take part and were not tried. [`Ranks::seat`] of it follows.
    pub(super) fn pick(&mut self, tried: &[u32]) -> Option<usize> {
        on_ranks!(self, ranks => ranks.pick(tried))
    }

    /// The place takes part with this load, or not at all.
    pub(super) fn seat(&mut self, place: usize, is_in: bool, load: u32) {
        on_ranks!(self, ranks => ranks.seat(place, is_in, load));
    }

    /// A failure takes its part of what the place is owed at each step.
    pub(super) fn fail(&mut self, place: usize, allowed: u32) {
        on_ranks!(self, ranks => ranks.fail(place, allowed));
    }

    /// Where the place stands in the round among equals.
    pub(super) fn position(&self, place: usize) -> Position {
        on_ranks!(self, ranks => ranks.position(place))
    }

    /// Takes over a position; before the place takes part.
    pub(super) fn resume(&mut self, place: usize, position: Position) {
        on_ranks!(self, ranks => ranks.resume(place, position));
    }

    #[cfg(test)]
    pub(super) fn heats(&self) -> usize {
        match self {
            Ranks::Few(_) => 0,
            Ranks::Many(many) => many.heats(),
        }
    }
}

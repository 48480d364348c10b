//! Smooth weighted round robin by scan: the rule itself, for a few places, and for tests to hold the
//! contest to.
//!
//! Rules kept here (nginx, `ngx_http_upstream_get_peer`):
//! - Each place that takes part is owed its effective weight; the one that is owed most is picked,
//!   the first of equals, and pays the sum.
//! - A failure takes `weight / max_fails` off the effective weight, never below 0; each part taken
//!   gives 1 back.

use crate::schedule::Position;

/// What smooth weighted round robin keeps per place.
#[derive(Debug, Clone)]
pub(crate) struct Smooth {
    weight: Vec<i64>,
    effective: Vec<i64>,
    owed: Vec<i64>,
}

impl Smooth {
    pub(crate) fn new(weights: &[u32]) -> Smooth {
        let weight: Vec<i64> = weights.iter().copied().map(i64::from).collect();
        Smooth { effective: weight.clone(), owed: vec![0; weight.len()], weight }
    }

    /// Picks among the places given, in list order.
    pub(crate) fn pick(&mut self, places: impl Iterator<Item = usize>) -> Option<usize> {
        // Who of two is owed more is even odds, so it is no branch.
        let (mut best, mut most, mut total) = (None, i64::MIN, 0);
        for place in places {
            let effective = self.effective[place];
            let owed = self.owed[place] + effective;
            self.owed[place] = owed;
            total += effective;
            self.effective[place] += i64::from(effective < self.weight[place]);
            let more = owed > most;
            best = if more { Some(place) } else { best };
            most = if more { owed } else { most };
        }
        self.owed[best?] -= total;
        best
    }

    pub(crate) fn on_failure(&mut self, place: usize, allowed: u32) {
        let loss = self.weight[place] / i64::from(allowed.max(1));
        self.effective[place] = (self.effective[place] - loss).max(0);
    }

    pub(crate) fn position(&self, place: usize) -> Position {
        Position {
            owed: self.owed[place],
            lost: (self.weight[place] - self.effective[place]) as u32,
        }
    }

    /// Takes over a position.
    pub(crate) fn resume(&mut self, place: usize, position: Position) {
        self.owed[place] = position.owed;
        self.effective[place] = (self.weight[place] - i64::from(position.lost)).max(0);
    }
}

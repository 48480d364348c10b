//! A few places by their load: one look at each.
//!
//! Rules kept here: those of `ranks`, as nginx writes them. Places are bits, so there are 32 at most.

use crate::schedule::Position;
use crate::schedulers::nginx::smooth::Smooth;

/// Places by their load.
pub(in crate::schedulers::nginx) struct Few {
    smooth: Smooth,
    weight: Vec<u32>,
    load: Vec<u32>,
    /// Who takes part.
    is_in: u32,
}

impl Few {
    pub(super) fn new(weights: &[u32]) -> Few {
        debug_assert!(weights.len() <= u32::BITS as usize);
        let weight = weights.iter().map(|weight| (*weight).max(1)).collect();
        Few { smooth: Smooth::new(weights), weight, load: vec![0; weights.len()], is_in: 0 }
    }

    pub(super) fn pick(&mut self, tried: &[u32]) -> Option<usize> {
        let free = tried.iter().fold(self.is_in, |free, place| free & !bit(*place as usize));
        let (mut load, mut weight, mut least) = (0, 0, 0);
        for (place, (&its, &own)) in self.load.iter().zip(&self.weight).enumerate() {
            if free & bit(place) == 0 {
                continue;
            }
            // `its / own` beside `load / weight`. Which is less is even odds, so it is no branch.
            let (mine, yours) = (u64::from(its) * weight, load * u64::from(own));
            let less = mine < yours || least == 0;
            let equal = if mine == yours { bit(place) } else { 0 };
            load = if less { its.into() } else { load };
            weight = if less { own.into() } else { weight };
            least = if less { bit(place) } else { least | equal };
        }
        match least.count_ones() {
            0 => None,
            1 => Some(least.trailing_zeros() as usize),
            _ => self.smooth.pick(places(least)),
        }
    }

    pub(super) fn seat(&mut self, place: usize, is_in: bool, load: u32) {
        self.load[place] = load;
        match is_in {
            true => self.is_in |= bit(place),
            false => self.is_in &= !bit(place),
        }
    }

    pub(super) fn fail(&mut self, place: usize, allowed: u32) {
        self.smooth.on_failure(place, allowed);
    }

    pub(super) fn position(&self, place: usize) -> Position {
        self.smooth.position(place)
    }

    pub(super) fn resume(&mut self, place: usize, position: Position) {
        self.smooth.resume(place, position);
    }
}

fn bit(place: usize) -> u32 {
    // A place beyond the last bit is none of these.
    1u32.checked_shl(place as u32).unwrap_or(0)
}

/// The places whose bits are set, in order.
fn places(mut bits: u32) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let place = (bits != 0).then(|| bits.trailing_zeros() as usize);
        bits &= bits.wrapping_sub(1);
        place
    })
}

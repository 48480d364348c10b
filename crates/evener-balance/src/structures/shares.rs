//! Whose share a number falls into.
//!
//! Rules kept here:
//! - Shares lie one after another, in the order of their owners; one of 0 is nobody's.
//! - A change and a question cost one step per level (Fenwick 1994). Which way a step of a question
//!   goes is nobody's to foretell, so it is no branch.

/// Shares of a whole.
#[derive(Debug, Clone)]
pub(crate) struct Shares {
    /// As many as a power of two; owners that are not there have no share.
    sums: Vec<u64>,
    shares: Vec<u32>,
    total: u64,
}

impl Shares {
    /// All are 0.
    pub(crate) fn new(owners: usize) -> Shares {
        let sums = vec![0; (owners + 1).next_power_of_two()];
        Shares { sums, shares: vec![0; owners], total: 0 }
    }

    pub(crate) fn of(shares: &[u32]) -> Shares {
        let mut all = Shares::new(shares.len());
        for (owner, share) in shares.iter().enumerate() {
            all.set(owner, *share);
        }
        all
    }

    pub(crate) fn total(&self) -> u64 {
        self.total
    }

    pub(crate) fn set(&mut self, owner: usize, share: u32) {
        let before = u64::from(std::mem::replace(&mut self.shares[owner], share));
        let share = u64::from(share);
        self.total = self.total + share - before;
        let mut at = owner + 1;
        while at < self.sums.len() {
            self.sums[at] = self.sums[at] + share - before;
            at += at & at.wrapping_neg();
        }
    }

    /// The owner in whose share this number, below the total, falls.
    pub(crate) fn owner(&self, number: u64) -> Option<usize> {
        if number >= self.total {
            return None;
        }
        let (mut at, mut rest) = (0, number);
        let mut step = self.sums.len() / 2;
        while step > 0 {
            let sum = self.sums[at + step];
            let is_past = sum <= rest;
            at += if is_past { step } else { 0 };
            rest -= if is_past { sum } else { 0 };
            step /= 2;
        }
        Some(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_number_falls_where_a_walk_would_end(
            shares in prop::collection::vec(0u32..5, 0..30),
            again in prop::collection::vec((0usize..30, 0u32..5), 0..10),
        ) {
            let mut shares = shares;
            let mut all = Shares::of(&shares);
            for (owner, share) in again {
                if let Some(before) = shares.get_mut(owner) {
                    all.set(owner, share);
                    *before = share;
                }
            }
            let walk: Vec<usize> = shares
                .iter()
                .enumerate()
                .flat_map(|(owner, share)| vec![owner; *share as usize])
                .collect();
            prop_assert_eq!(all.total(), walk.len() as u64);
            for (number, owner) in walk.iter().enumerate() {
                prop_assert_eq!(all.owner(number as u64), Some(*owner));
            }
            prop_assert_eq!(all.owner(walk.len() as u64), None);
        }
    }
}

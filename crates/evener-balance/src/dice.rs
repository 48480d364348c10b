//! Random numbers from a seed that was given.
//!
//! Rules kept here:
//! - Equal seeds give equal numbers; where seeds come from is the caller's (`Group::stir`).
//!
//! Precedent: Steele, Lea, Flood, "Fast splittable pseudorandom number generators" (2014).

/// A stream of random numbers.
#[derive(Debug, Clone)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Dice {
        Dice(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// Below `bound`, or 0 when that is 0. Off by less than 2⁻³² of evenness for bounds below 2³².
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(bound)) >> 64) as u64
    }
}

/// Mixes a number so that each bit in changes each bit out with odds of a half.
pub(crate) fn mix(number: u64) -> u64 {
    let z = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_below_a_bound_are_even() {
        let mut dice = Dice::new(7);
        let mut seen = [0u32; 10];
        (0..100_000).for_each(|_| seen[dice.below(10) as usize] += 1);
        assert!(seen.iter().all(|&count| (9_600..10_400).contains(&count)), "{seen:?}");
        assert_eq!(dice.below(0), 0);
    }
}

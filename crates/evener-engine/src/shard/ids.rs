//! Ids of requests: 128 bits as 32 hexadecimal digits.
//!
//! Rules kept here: no two requests of a shard have the same one, and those of other shards, workers
//! and machines are unlike them by chance, as random ids are. They are no secrets: who has seen some
//! can guess others.

use std::cell::Cell;

/// Gives ids, one after the other.
pub struct Ids {
    seeds: [u64; 2],
    given: Cell<u64>,
}

/// An id as it is written.
pub type Id = [u8; 32];

impl Ids {
    /// Ids unlike those of another seed or another shard.
    pub fn new(seed: u64, shard: u32) -> Ids {
        let first = mix(seed ^ mix(u64::from(shard)));
        Ids { seeds: [first, mix(!first)], given: Cell::new(0) }
    }

    /// One that nobody else has; never 0.
    pub fn next(&self) -> u128 {
        let n = self.given.get() + 1;
        self.given.set(n);
        // Each half takes every value once before it repeats one.
        let [high, low] = self.seeds.map(|seed| mix(seed.wrapping_add(n.wrapping_mul(STEP))));
        (u128::from(high) << 64 | u128::from(low)).max(1)
    }
}

/// The digits of an id.
pub fn written(id: u128) -> Id {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    std::array::from_fn(|at| {
        let digit = (id >> (4 * (31 - at))) & 15;
        DIGITS.get(digit as usize).copied().unwrap_or(b'0')
    })
}

/// The golden ratio's step, and the mixing that goes with it: SplitMix64 (Steele, Lea, Flood 2014).
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_two_are_the_same_in_either_half() {
        let shards = [Ids::new(7, 0), Ids::new(7, 1), Ids::new(8, 0)];
        let ids: HashSet<u128> =
            (0..10_000).flat_map(|_| shards.each_ref().map(Ids::next)).collect();
        assert_eq!(ids.len(), 30_000);
        for half in [0, 64] {
            let halves: HashSet<u64> = ids.iter().map(|id| (id >> half) as u64).collect();
            assert_eq!(halves.len(), 30_000);
        }
    }

    #[test]
    fn an_id_is_written_with_all_its_digits() {
        assert_eq!(&written(0xab), b"000000000000000000000000000000ab");
        assert_eq!(&written(u128::MAX), &[b'f'; 32]);
    }
}

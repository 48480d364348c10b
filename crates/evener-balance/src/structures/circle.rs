//! Points on a circle, and the first at or above a hash.
//!
//! Rules kept here:
//! - Equal to a search over all points. The leading bits of a hash say between which few of them it
//!   falls, so that a look costs a cache line or two however many points there are.

/// A hash that points stand at.
pub(crate) trait Hash: Copy + Ord {
    /// Its first bits, as many as that; at most 32, which may be none.
    fn leading(self, bits: u32) -> usize;
}

/// Points and whose they are, by hash.
#[derive(Debug, Clone)]
pub(crate) struct Circle<H> {
    points: Vec<(H, u32)>,
    bits: u32,
    /// By leading bits: the first point that has these or more.
    starts: Vec<u32>,
}

/// Points that share leading bits, around: their hashes are even.
const SHARED: usize = 4;

impl<H: Hash> Circle<H> {
    /// Of points in the order of their hashes.
    pub(crate) fn new(points: Vec<(H, u32)>) -> Circle<H> {
        let bits = (points.len() / SHARED).max(1).ilog2();
        let mut starts = vec![0; (1 << bits) + 1];
        for (hash, _) in &points {
            starts[hash.leading(bits) + 1] += 1;
        }
        for at in 1..starts.len() {
            starts[at] += starts[at - 1];
        }
        Circle { points, bits, starts }
    }

    /// In the order of their hashes.
    pub(crate) fn points(&self) -> &[(H, u32)] {
        &self.points
    }

    /// The first point at or above the hash; past the last where there is none.
    pub(crate) fn first(&self, hash: H) -> usize {
        let cell = hash.leading(self.bits);
        let (from, to) = (self.starts[cell] as usize, self.starts[cell + 1] as usize);
        from + self.points[from..to].partition_point(|(point, _)| *point < hash)
    }
}

impl Hash for u32 {
    fn leading(self, bits: u32) -> usize {
        self.checked_shr(32 - bits).unwrap_or(0) as usize
    }
}

impl Hash for u64 {
    fn leading(self, bits: u32) -> usize {
        self.checked_shr(64 - bits).unwrap_or(0) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn searched<H: Hash>(points: &[(H, u32)], hash: H) -> usize {
        points.partition_point(|(point, _)| *point < hash)
    }

    proptest! {
        #[test]
        fn it_is_a_search(
            hashes in prop::collection::vec(prop_oneof![any::<u64>(), 0u64..9], 0..200),
            asked in prop::collection::vec(any::<u64>(), 1..50),
        ) {
            let mut wide: Vec<(u64, u32)> = hashes.iter().copied().zip(0..).collect();
            wide.sort_unstable();
            let narrow: Vec<(u32, u32)> =
                wide.iter().map(|(hash, whose)| ((hash >> 32) as u32, *whose)).collect();
            let (of_wide, of_narrow) = (Circle::new(wide.clone()), Circle::new(narrow.clone()));
            for hash in asked.into_iter().chain(hashes).chain([0, u64::MAX]) {
                prop_assert_eq!(of_wide.first(hash), searched(&wide, hash));
                let hash = (hash >> 32) as u32;
                prop_assert_eq!(of_narrow.first(hash), searched(&narrow, hash));
            }
        }
    }
}

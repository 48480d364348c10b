//! The next one in a row that is high enough, without asking those between.
//!
//! Rules kept here:
//! - A change and a question cost one step per level.

/// A row of heights.
#[derive(Debug, Clone)]
pub(crate) struct Heights {
    /// The highest of each half, as a heap: 1 is the whole row; the second half are the heights.
    tops: Vec<u32>,
    len: usize,
}

impl Heights {
    /// All are 0.
    pub(crate) fn new(len: usize) -> Heights {
        Heights { tops: vec![0; 2 * len.next_power_of_two()], len }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn top(&self) -> u32 {
        self.tops[1]
    }

    pub(crate) fn set(&mut self, at: usize, height: u32) {
        let mut node = self.tops.len() / 2 + at;
        self.tops[node] = height;
        while node > 1 {
            node /= 2;
            self.tops[node] = self.tops[2 * node].max(self.tops[2 * node + 1]);
        }
    }

    /// The first from `from` on that is at least this high, which is above 0.
    pub(crate) fn next(&self, from: usize, height: u32) -> Option<usize> {
        if from >= self.len {
            return None;
        }
        let leaves = self.tops.len() / 2;
        let mut node = leaves + from;
        while self.tops[node] < height {
            // Up while this is a right half, then to the half beside it.
            while node % 2 == 1 {
                node /= 2;
            }
            if node == 0 {
                return None;
            }
            node += 1;
        }
        while node < leaves {
            node = 2 * node + usize::from(self.tops[2 * node] < height);
        }
        Some(node - leaves)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn it_is_a_scan(
            heights in prop::collection::vec(0u32..5, 1..40),
            from in 0usize..45,
            height in 1u32..6,
        ) {
            let mut row = Heights::new(heights.len());
            for (at, height) in heights.iter().enumerate() {
                row.set(at, *height);
            }
            let wanted = (from..heights.len()).find(|at| heights[*at] >= height);
            prop_assert_eq!(row.next(from, height), wanted);
            prop_assert_eq!(Some(row.top()), heights.iter().max().copied());
        }
    }
}

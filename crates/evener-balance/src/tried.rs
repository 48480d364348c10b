//! The servers one request has already been sent to.
//!
//! Rules kept here:
//! - No allocation for pools of up to 64 servers, nor for the first four tries in a larger one.
//! - Indexes are those of one [`Group`](crate::Group); an exchange pins its plan, so they hold for
//!   its life.

/// The servers one request has already been sent to, by index in its group.
#[derive(Debug, Clone, Default)]
pub struct Tried {
    low: u64,
    few: [u32; 4],
    few_len: u8,
    rest: Vec<u32>,
}

impl Tried {
    /// None yet.
    pub const fn new() -> Tried {
        Tried { low: 0, few: [0; 4], few_len: 0, rest: Vec::new() }
    }

    /// Marks a server; a second time changes nothing.
    pub fn insert(&mut self, index: usize) {
        if self.contains(index) {
            return;
        }
        if index < 64 {
            self.low |= 1 << index;
        } else if let Some(slot) = self.few.get_mut(usize::from(self.few_len)) {
            *slot = index as u32;
            self.few_len += 1;
        } else {
            self.rest.push(index as u32);
        }
    }

    /// Whether a server was tried.
    pub fn contains(&self, index: usize) -> bool {
        if index < 64 {
            return self.low & (1 << index) != 0;
        }
        self.far().any(|tried| tried == index)
    }

    /// How many were tried.
    pub fn len(&self) -> usize {
        self.low.count_ones() as usize + usize::from(self.few_len) + self.rest.len()
    }

    /// Whether none was.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Forgets all, keeping the memory.
    pub fn clear(&mut self) {
        self.low = 0;
        self.few_len = 0;
        self.rest.clear();
    }

    /// The indexes, in no order that matters.
    pub fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        let mut bits = self.low;
        let near = std::iter::from_fn(move || {
            let index = bits.trailing_zeros();
            bits &= bits.wrapping_sub(1);
            (index < 64).then_some(index as usize)
        });
        near.chain(self.far())
    }

    fn far(&self) -> impl Iterator<Item = usize> + '_ {
        let few = self.few.iter().take(usize::from(self.few_len));
        few.chain(&self.rest).map(|index| *index as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn holds_near_and_far_indexes_once_each() {
        let wanted = [0, 63, 64, 65, 9_999, 70, 71, 72, 1, 63, 9_999];
        let mut tried = Tried::new();
        for index in wanted {
            tried.insert(index);
        }
        let unique: BTreeSet<usize> = wanted.into_iter().collect();
        assert_eq!(tried.iter().collect::<BTreeSet<_>>(), unique);
        assert_eq!(tried.len(), unique.len());
        assert!(unique.iter().all(|&index| tried.contains(index)));
        assert!(!tried.contains(2) && !tried.contains(66));
        tried.clear();
        assert!(tried.is_empty() && !tried.contains(9_999));
    }
}

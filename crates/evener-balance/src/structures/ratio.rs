//! Load by weight, compared without dividing; what weights have in common.

use std::cmp::Ordering;

/// `load / weight`. Equal are those whose values are, however they are written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ratio {
    pub(crate) load: u64,
    /// Above 0.
    pub(crate) weight: u32,
}

/// The greatest common divisor; 0 and a number have that number.
pub(crate) fn common_divisor(one: u32, other: u32) -> u32 {
    let (mut one, mut other) = (one, other);
    while other != 0 {
        (one, other) = (other, one % other);
    }
    one
}

impl Ratio {
    fn cross(&self, other: &Ratio) -> u128 {
        u128::from(self.load) * u128::from(other.weight)
    }
}

impl Ord for Ratio {
    fn cmp(&self, other: &Ratio) -> Ordering {
        self.cross(other).cmp(&other.cross(self))
    }
}

impl PartialOrd for Ratio {
    fn partial_cmp(&self, other: &Ratio) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Ratio {
    fn eq(&self, other: &Ratio) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Ratio {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loads_are_compared_by_weight() {
        let of = |load, weight| Ratio { load, weight };
        assert_eq!(of(2, 4), of(1, 2));
        assert!(of(u64::MAX, 3) > of(u64::MAX - 1, 3) && of(1, 3) < of(1, 2));
        assert!(of(0, 1) == of(0, 9) && of(0, 1) < of(1, u32::MAX));
    }
}

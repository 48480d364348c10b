//! What is used again: taken when it is needed, put back when it is not.
//!
//! Rules kept here:
//! - What was put back last is taken first: it is in the cache.
//! - As much is kept as was in use lately. What nobody needed goes, half of it at a time: load comes
//!   in waves.

use std::cell::{Cell, RefCell};

/// Fewest places that the list itself keeps.
const PLACES: usize = 64;

/// Things of one kind that nobody uses at the moment.
pub struct Spare<T> {
    things: RefCell<Vec<T>>,
    /// Fewest that lay here at once since the last trim: nobody needed those.
    low: Cell<usize>,
}

impl<T> Default for Spare<T> {
    fn default() -> Spare<T> {
        Spare::new()
    }
}

impl<T> Spare<T> {
    /// None yet.
    pub const fn new() -> Spare<T> {
        Spare { things: RefCell::new(Vec::new()), low: Cell::new(0) }
    }

    /// The one that was put back last.
    #[inline]
    pub fn take(&self) -> Option<T> {
        let mut things = self.things.borrow_mut();
        let thing = things.pop();
        self.low.set(self.low.get().min(things.len()));
        thing
    }

    /// Puts one back.
    #[inline]
    pub fn give(&self, thing: T) {
        self.things.borrow_mut().push(thing);
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.things.borrow().len()
    }

    /// Lets half of those go that nobody needed since the last call.
    pub fn trim(&self) {
        let mut things = self.things.borrow_mut();
        let unused = self.low.get().min(things.len());
        let keep = things.len() - unused.div_ceil(2);
        things.truncate(keep);
        things.shrink_to(keep.max(PLACES));
        self.low.set(keep);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_one_put_back_is_taken_first() {
        let spare = Spare::new();
        assert_eq!(spare.take(), None);
        spare.give('a');
        spare.give('b');
        assert_eq!((spare.take(), spare.take(), spare.take()), (Some('b'), Some('a'), None));
    }

    #[test]
    fn what_nobody_needs_goes_by_halves_and_what_is_needed_stays() {
        let spare = Spare::new();
        (0..10).for_each(|thing| spare.give(thing));
        spare.trim();
        assert_eq!(spare.len(), 10, "all came since the last look");
        for _ in 0..4 {
            spare.take();
        }
        (0..4).for_each(|thing| spare.give(thing));
        spare.trim();
        assert_eq!(spare.len(), 7, "six lay there all along");
        for left in [3, 1, 0] {
            spare.trim();
            assert_eq!(spare.len(), left);
        }
    }
}

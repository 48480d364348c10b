//! Twenty misses of a hash, counted as nginx counts them over all tries of one request.
//!
//! Rules kept here:
//! - nginx keeps its place in the chain of rehashes from try to try; here each try goes through it
//!   from the start. A tried place met for the first time is the pick of an earlier try, which was
//!   no miss; met again it is one.

/// The misses of one walk along a chain.
pub(super) struct Misses<'a> {
    tried: &'a [u32],
    met: Vec<u32>,
    count: u32,
}

/// Misses after which round robin picks.
const MOST: u32 = 20;

impl<'a> Misses<'a> {
    pub(super) fn new(tried: &'a [u32]) -> Misses<'a> {
        Misses { tried, met: Vec::new(), count: 0 }
    }

    /// Whether the walk goes on.
    pub(super) fn are_few(&self) -> bool {
        self.count <= MOST
    }

    /// Whether the chain's next place is the pick; a miss is counted.
    pub(super) fn takes(&mut self, place: usize, is_open: bool) -> bool {
        let number = place as u32;
        if self.tried.contains(&number) {
            if self.met.contains(&number) {
                self.count += 1;
            } else {
                self.met.push(number);
            }
            return false;
        }
        self.count += u32::from(!is_open);
        is_open
    }
}

//! Connections that ended and still count, until their time-out.
//!
//! Rules kept here:
//! - Time is cut into 64 steps per time-out, so that an entry stands for all connections of a
//!   server in one step; a connection may count up to one step longer than its time-out.
//! - With each question one entry is forgotten; callers ask until there is none, and as many
//!   entries are made as connections end.

use std::collections::VecDeque;

/// Connections that ended and still count.
pub(super) struct Inactive {
    timeout: u64,
    step: u64,
    /// Oldest first.
    entries: VecDeque<Entry>,
    /// Entries that were forgotten so far: the number of the first one.
    first: u64,
    /// By place: the number of its newest entry, plus 1.
    newest: Vec<u64>,
}

#[derive(Clone)]
struct Entry {
    until: u64,
    place: u32,
    count: u32,
}

impl Inactive {
    pub(super) fn new(places: usize, timeout: u64) -> Inactive {
        Inactive {
            timeout,
            step: (timeout / 64).max(1),
            entries: VecDeque::new(),
            first: 0,
            newest: vec![0; places],
        }
    }

    /// One more; false when they are not counted at all.
    pub(super) fn add(&mut self, place: usize, now: u64) -> bool {
        if self.timeout == 0 {
            return false;
        }
        let until = (now + self.timeout).next_multiple_of(self.step);
        let at = self.newest[place].checked_sub(self.first + 1);
        let newest = at.and_then(|at| self.entries.get_mut(at as usize));
        match newest.filter(|entry| entry.until == until && entry.place == place as u32) {
            Some(entry) => entry.count += 1,
            None => {
                self.entries.push_back(Entry { until, place: place as u32, count: 1 });
                self.newest[place] = self.first + self.entries.len() as u64;
            }
        }
        true
    }

    /// A server and how many of its connections are forgotten now.
    pub(super) fn next(&mut self, now: u64) -> Option<(usize, u32)> {
        self.entries.front().filter(|entry| entry.until <= now)?;
        let entry = self.entries.pop_front()?;
        self.first += 1;
        Some((entry.place as usize, entry.count))
    }

    /// Takes over those of servers that stay, none for longer than from now on.
    pub(super) fn inherit(&mut self, before: &Inactive, kept: &[Option<u32>], now: u64) {
        let last = (now + self.timeout).next_multiple_of(self.step);
        let mut moves = vec![None; before.newest.len()];
        for (place, before) in (0..).zip(kept) {
            if let Some(before) = before {
                moves[*before as usize] = Some(place);
            }
        }
        let moved = |entry: &Entry| {
            Some(Entry {
                place: moves[entry.place as usize]?,
                until: entry.until.min(last),
                ..entry.clone()
            })
        };
        self.entries = before.entries.iter().filter_map(moved).collect();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_are_forgotten_within_a_step_of_their_time_out() {
        let mut inactive = Inactive::new(2, 6_400);
        assert!((0..5).all(|_| inactive.add(1, 50)) && inactive.add(0, 60) && inactive.add(1, 250));
        assert_eq!(inactive.next(6_449), None);
        let mut forgotten = Vec::new();
        while let Some(entry) = inactive.next(6_550) {
            forgotten.push(entry);
        }
        assert_eq!(forgotten, [(1, 5), (0, 1)]);
        assert_eq!(inactive.next(6_750), Some((1, 1)));
        assert!(!Inactive::new(1, 0).add(0, 1));
    }
}

//! `nginx/round_robin`: smooth weighted round robin, pick for pick as nginx, without its scan.
//!
//! The rule (see `smooth`) makes every place's credit a straight line over the steps: it grows by
//! the effective weight each step, and drops by the sum of all when picked. So the places play a
//! *kinetic tournament*: each match knows the step at which its loser overtakes, and is played
//! again only then, or when a line bends (a pick, a failure, a place that comes or goes).
//!
//! Rules kept here:
//! - Equal to the scan for any sequence of picks, tries, failures and changes; a property test
//!   says so.
//! - A pick costs O(log n) matches and those that are due; with equal weights none ever is.
//! - Many bends at once (more than a share of the places) rebuild the tournament instead.
//!
//! Precedent: Basch, Guibas, Hershberger, "Data structures for mobile data" (1997).

use crate::schedule::{Position, Schedule};

/// Nobody.
const NONE: u32 = u32::MAX;
/// Steps after which lines are drawn anew from step 0, so that products stay far below 2^63
/// (weights are below 2^16).
const REBASE: i64 = 1 << 40;

/// Smooth weighted round robin.
pub(crate) struct NginxRoundRobin {
    lines: Vec<Line>,
    /// Matches as a heap: 1 is the final, the children of `i` are `2i` and `2i + 1`; from
    /// `matches.len()` on come the places themselves.
    matches: Vec<Match>,
    /// The step all lines are at.
    step: i64,
    /// Sum of the active effective weights.
    total: i64,
    /// Places whose effective weight is below their weight.
    recovering: Vec<u32>,
}

/// A place's credit: `base + step × effective` while it is active, `base` while it is not.
#[derive(Debug, Clone, Copy)]
struct Line {
    base: i64,
    effective: i64,
    weight: i64,
    active: bool,
}

#[derive(Debug, Clone, Copy)]
struct Match {
    winner: u32,
    /// The first step at which this match or one below it must be played again.
    due: i64,
}

impl NginxRoundRobin {
    pub(crate) fn new(weights: &[u32]) -> NginxRoundRobin {
        let line = |weight: &u32| Line {
            base: 0,
            effective: i64::from(*weight),
            weight: i64::from(*weight),
            active: false,
        };
        let nobody = Match { winner: NONE, due: i64::MAX };
        NginxRoundRobin {
            lines: weights.iter().map(line).collect(),
            matches: vec![nobody; weights.len().next_power_of_two().max(2)],
            step: 0,
            total: 0,
            recovering: Vec::new(),
        }
    }

    /// One step: everybody active is owed, the one owed most pays.
    fn advance(&mut self) -> Option<usize> {
        if self.matches[1].winner == NONE {
            return None;
        }
        self.step += 1;
        self.replay_due(1);
        let winner = self.matches[1].winner as usize;
        self.lines[winner].base -= self.total;
        self.replay_path(winner);
        if !self.recovering.is_empty() {
            self.recover();
        }
        if self.step >= REBASE {
            self.rebase();
        }
        Some(winner)
    }

    /// Those that took part get one back of what failures took.
    fn recover(&mut self) {
        let mut places = std::mem::take(&mut self.recovering);
        let rebuild = self.is_many(places.len());
        places.retain(|&place| {
            let line = &mut self.lines[place as usize];
            if line.active {
                line.effective += 1;
                line.base -= self.step;
                self.total += 1;
                if !rebuild {
                    self.replay_path(place as usize);
                }
            }
            let line = &self.lines[place as usize];
            line.effective < line.weight
        });
        self.recovering = places;
        if rebuild {
            self.replay_all();
        }
    }

    fn exclude(&mut self, tried: &[u32], excluded: bool) {
        let rebuild = self.is_many(tried.len());
        for &place in tried {
            self.bend(place as usize, |line| line.active = !excluded);
            if !rebuild {
                self.replay_path(place as usize);
            }
        }
        if rebuild {
            self.replay_all();
        }
    }

    /// Changes a line so that its credit at this step stays what it is.
    fn bend(&mut self, place: usize, change: impl FnOnce(&mut Line)) {
        let line = &mut self.lines[place];
        let credit = line.credit(self.step);
        self.total -= line.slope();
        change(line);
        line.base = credit - self.step * line.slope();
        self.total += line.slope();
    }

    fn rebase(&mut self) {
        for line in &mut self.lines {
            line.base = line.credit(self.step);
        }
        self.step = 0;
        self.replay_all();
    }

    /// Whether replaying all costs less than replaying so many paths.
    fn is_many(&self, places: usize) -> bool {
        places * (self.matches.len().ilog2() as usize) > self.matches.len()
    }

    fn replay_path(&mut self, place: usize) {
        let mut at = (self.matches.len() + place) / 2;
        while at > 0 {
            self.matches[at] = self.play(at);
            at /= 2;
        }
    }

    fn replay_all(&mut self) {
        for at in (1..self.matches.len()).rev() {
            self.matches[at] = self.play(at);
        }
    }

    fn replay_due(&mut self, at: usize) {
        if at < self.matches.len() && self.matches[at].due <= self.step {
            self.replay_due(2 * at);
            self.replay_due(2 * at + 1);
            self.matches[at] = self.play(at);
        }
    }

    /// Plays a match between the winners below it; the first in the list wins a tie.
    fn play(&self, at: usize) -> Match {
        let (left, right) = (self.below(2 * at), self.below(2 * at + 1));
        let due = left.due.min(right.due);
        if left.winner == NONE || right.winner == NONE {
            let winner = left.winner.min(right.winner);
            return Match { winner, due };
        }
        let (one, other) = (self.line(left.winner), self.line(right.winner));
        // The right one leads once this is above 0.
        let lead = other.credit(self.step) - one.credit(self.step);
        let gain = other.effective - one.effective;
        let (winner, turn) = match lead > 0 {
            false if gain > 0 => (left.winner, -lead / gain + 1),
            true if gain < 0 => (right.winner, (lead - 1) / -gain + 1),
            false => (left.winner, i64::MAX),
            true => (right.winner, i64::MAX),
        };
        Match { winner, due: due.min(self.step.saturating_add(turn)) }
    }

    fn below(&self, at: usize) -> Match {
        match at.checked_sub(self.matches.len()) {
            None => self.matches[at],
            Some(place) => {
                let active = self.lines.get(place).is_some_and(|line| line.active);
                Match { winner: if active { place as u32 } else { NONE }, due: i64::MAX }
            }
        }
    }

    fn line(&self, place: u32) -> &Line {
        &self.lines[place as usize]
    }
}

impl Line {
    fn slope(&self) -> i64 {
        if self.active { self.effective } else { 0 }
    }

    fn credit(&self, step: i64) -> i64 {
        self.base + step * self.slope()
    }
}

impl Schedule for NginxRoundRobin {
    fn pick(&mut self, tried: &[u32]) -> Option<usize> {
        if tried.is_empty() {
            return self.advance();
        }
        let active = |place: &u32| self.line(*place).active;
        let excluded: Vec<u32> = tried.iter().copied().filter(active).collect();
        self.exclude(&excluded, true);
        let picked = self.advance();
        self.exclude(&excluded, false);
        picked
    }

    fn set_active(&mut self, place: usize, active: bool) {
        if self.lines[place].active != active {
            self.bend(place, |line| line.active = active);
            self.replay_path(place);
        }
    }

    fn set_in_flight(&mut self, _place: usize, _leases: u32) {}

    fn counts_leases(&self) -> bool {
        false
    }

    fn on_failure(&mut self, place: usize, allowed: u32) {
        self.bend(place, |line| {
            let loss = line.weight / i64::from(allowed.max(1));
            line.effective = (line.effective - loss).max(0);
        });
        self.replay_path(place);
        let line = &self.lines[place];
        if line.effective < line.weight && !self.recovering.contains(&(place as u32)) {
            self.recovering.push(place as u32);
        }
    }

    fn position(&self, place: usize) -> Position {
        let line = &self.lines[place];
        Position { owed: line.credit(self.step), lost: (line.weight - line.effective) as u32 }
    }

    fn resume(&mut self, place: usize, position: Position) {
        let line = &mut self.lines[place];
        line.base = position.owed;
        line.effective = (line.weight - i64::from(position.lost)).max(0);
        if line.effective < line.weight {
            self.recovering.push(place as u32);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedulers::smooth::Smooth;
    use proptest::prelude::*;

    fn all_active(weights: &[u32]) -> NginxRoundRobin {
        let mut robin = NginxRoundRobin::new(weights);
        (0..weights.len()).for_each(|place| robin.set_active(place, true));
        robin
    }

    fn letters(robin: &mut NginxRoundRobin, picks: usize) -> String {
        let letter = |place| (b'a' + place as u8) as char;
        (0..picks).map(|_| letter(robin.pick(&[]).unwrap())).collect()
    }

    #[test]
    fn five_one_one_goes_as_nginx_documents_it() {
        assert_eq!(letters(&mut all_active(&[5, 1, 1]), 14), "aabacaaaabacaa");
    }

    #[test]
    fn nobody_active_is_no_pick_and_no_step() {
        let mut robin = NginxRoundRobin::new(&[1, 2]);
        assert_eq!(robin.pick(&[]), None);
        assert_eq!(NginxRoundRobin::new(&[]).pick(&[]), None);
        robin.set_active(1, true);
        assert_eq!(robin.pick(&[1]), None);
        assert_eq!(robin.pick(&[0]), Some(1));
    }

    #[test]
    fn drawing_the_lines_anew_changes_no_pick() {
        let weights = [3, 1, 2, 4];
        let (mut robin, mut twin) = (all_active(&weights), all_active(&weights));
        letters(&mut robin, 7);
        letters(&mut twin, 7);
        robin.rebase();
        assert_eq!(robin.step, 0);
        assert_eq!(letters(&mut robin, 100), letters(&mut twin, 100));
    }

    #[derive(Debug, Clone)]
    enum Event {
        Pick(Vec<u32>),
        Active(usize, bool),
        Fail(usize, u32),
    }

    fn event(places: usize) -> impl Strategy<Value = Event> {
        let tried = prop::collection::btree_set(0..places as u32, 0..4);
        let many = prop::collection::btree_set(0..places as u32, 0..places);
        prop_oneof![
            20 => Just(Event::Pick(Vec::new())),
            4 => tried.prop_map(|tried| Event::Pick(tried.into_iter().collect())),
            1 => many.prop_map(|tried| Event::Pick(tried.into_iter().collect())),
            2 => (0..places, any::<bool>()).prop_map(|(place, on)| Event::Active(place, on)),
            1 => (0..places, 1u32..4).prop_map(|(place, allowed)| Event::Fail(place, allowed)),
        ]
    }

    fn story() -> impl Strategy<Value = (Vec<u32>, Vec<Event>)> {
        let weight = prop_oneof![Just(1u32), 1u32..20, 1u32..65_536];
        prop::collection::vec(weight, 4..40).prop_flat_map(|weights| {
            let events = prop::collection::vec(event(weights.len()), 1..300);
            (Just(weights), events)
        })
    }

    proptest! {
        #[test]
        fn the_tournament_equals_the_scan_pick_for_pick((weights, events) in story()) {
            let mut robin = NginxRoundRobin::new(&weights);
            let (mut scan, mut active) = (Smooth::new(&weights), vec![false; weights.len()]);
            for (place, active) in active.iter_mut().enumerate() {
                robin.set_active(place, true);
                *active = true;
            }
            for event in events {
                match event {
                    Event::Pick(tried) => {
                        let free = |p: &usize| active[*p] && !tried.contains(&(*p as u32));
                        let wanted = scan.pick((0..weights.len()).filter(free));
                        prop_assert_eq!(robin.pick(&tried), wanted);
                    }
                    Event::Active(place, on) => {
                        robin.set_active(place, on);
                        active[place] = on;
                    }
                    Event::Fail(place, allowed) => {
                        robin.on_failure(place, allowed);
                        scan.on_failure(place, allowed);
                    }
                }
            }
            for place in 0..weights.len() {
                prop_assert_eq!(robin.position(place), scan.position(place));
            }
        }

        #[test]
        fn over_a_cycle_each_place_gets_exactly_its_weight(
            weights in prop::collection::vec(1u32..50, 1..30),
        ) {
            let mut robin = all_active(&weights);
            let mut picks = vec![0; weights.len()];
            for _ in 0..weights.iter().sum::<u32>() {
                picks[robin.pick(&[]).unwrap()] += 1;
            }
            prop_assert_eq!(picks, weights);
        }
    }
}

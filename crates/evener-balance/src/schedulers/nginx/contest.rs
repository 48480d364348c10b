//! Smooth weighted round robin without its scan, among those who rank first.
//!
//! The rule (see `smooth`) makes every place's credit a straight line over the steps: it grows by
//! the effective weight each step, and drops by the sum of all when picked. So the places play a
//! *kinetic tournament*: each match knows the step at which its loser overtakes, and is played
//! again only then, or when a line bends (a pick, a failure, a place that comes or goes).
//!
//! Places stand in *heats*: equals among whom credit decides. Between heats the rank does, `load /
//! weight`, the lesser first. Only the first heat ever steps, so only its lines move, and a match
//! between two of another heat stays as it was.
//!
//! Rules kept here:
//! - Equal to the scan for any sequence of picks, failures and changes; property tests of the
//!   schedulers say so.
//! - A pick costs O(log n) matches and those that are due; with equal weights none ever is.
//!
//! Precedent: Basch, Guibas, Hershberger, "Data structures for mobile data" (1997).

use crate::schedule::Position;

/// Nobody, and no heat.
pub(super) const NONE: u32 = u32::MAX;
/// Steps after which a heat's lines are drawn anew from step 0, so that products stay far below
/// 2^63 (weights are below 2^16).
const REBASE: i64 = 1 << 40;

/// The places of a tier, in a standing tournament.
pub(super) struct Contest {
    lines: Vec<Line>,
    /// Matches as a heap: 1 is the final, the children of `i` are `2i` and `2i + 1`; from
    /// `matches.len()` on come the places themselves.
    matches: Vec<Match>,
    heats: Vec<Heat>,
    /// Places whose effective weight is below their weight.
    recovering: Vec<u32>,
}

/// A place: its credit is `base + step × effective` in a heat, `base` in none.
#[derive(Debug, Clone, Copy)]
struct Line {
    base: i64,
    effective: i64,
    weight: i64,
    load: i64,
    heat: u32,
}

/// Equals in rank.
#[derive(Debug, Clone, Copy, Default)]
struct Heat {
    step: i64,
    /// Sum of the effective weights.
    total: i64,
    members: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Match {
    winner: u32,
    /// The first step of the winner's heat at which this match or one below must be played again.
    due: i64,
}

impl Contest {
    /// Nobody takes part yet.
    pub(super) fn new(weights: &[u32]) -> Contest {
        let line = |weight: &u32| Line {
            base: 0,
            effective: i64::from(*weight),
            weight: i64::from(*weight),
            load: 0,
            heat: NONE,
        };
        Contest {
            lines: weights.iter().map(line).collect(),
            matches: vec![Match::NOBODY; weights.len().next_power_of_two().max(2)],
            heats: Vec::new(),
            recovering: Vec::new(),
        }
    }

    /// Who leads, and the heat it leads.
    pub(super) fn leader(&self) -> Option<(usize, u32)> {
        let winner = self.matches[1].winner;
        (winner != NONE).then(|| (winner as usize, self.line(winner).heat))
    }

    /// Places in a heat.
    pub(super) fn members(&self, heat: u32) -> u32 {
        self.heats[heat as usize].members
    }

    /// Whether the place takes part.
    pub(super) fn is_in(&self, place: usize) -> bool {
        self.lines[place].heat != NONE
    }

    /// A heat without members, under a number that was free.
    pub(super) fn clear_heat(&mut self, heat: u32) {
        let heat = heat as usize;
        if heat >= self.heats.len() {
            self.heats.resize(heat + 1, Heat::default());
        }
        self.heats[heat] = Heat::default();
    }

    /// One step of the first heat: each member is owed, the one owed most is picked and pays. It
    /// has to be settled or placed anew before anything else is asked.
    pub(super) fn step(&mut self) -> Option<usize> {
        let (_, number) = self.leader()?;
        let heat = &mut self.heats[number as usize];
        heat.step += 1;
        let Heat { step, total, .. } = *heat;
        self.replay_due(1, step);
        let winner = self.matches[1].winner as usize;
        self.lines[winner].base -= total;
        if !self.recovering.is_empty() {
            self.recover(number);
        }
        if step >= REBASE {
            self.rebase(number);
        }
        Some(winner)
    }

    /// Plays on after a step whose winner stays in its heat.
    pub(super) fn settle(&mut self, winner: usize) {
        self.replay_path(winner);
    }

    /// Puts a place into a heat (or none) with this load; its credit stays what it is. The caller
    /// sees to it that places are in one heat exactly if their `load / weight` is equal.
    pub(super) fn place(&mut self, place: usize, heat: u32, load: u32) {
        self.bend(place, |line| {
            line.heat = heat;
            line.load = i64::from(load);
        });
        self.replay_path(place);
    }

    /// A failure takes `weight / allowed` off the effective weight, never below 0.
    pub(super) fn fail(&mut self, place: usize, allowed: u32) {
        self.bend(place, |line| {
            let loss = line.weight / i64::from(allowed.max(1));
            line.effective = (line.effective - loss).max(0);
        });
        self.replay_path(place);
        self.note_recovering(place);
    }

    /// One of what failures took comes back.
    pub(super) fn give_back(&mut self, place: usize) {
        if self.lines[place].effective < self.lines[place].weight {
            self.bend(place, |line| line.effective += 1);
            self.replay_path(place);
        }
    }

    pub(super) fn position(&self, place: usize) -> Position {
        let line = &self.lines[place];
        Position { owed: self.credit(line), lost: (line.weight - line.effective) as u32 }
    }

    /// Takes over a position; before the place takes part.
    pub(super) fn resume(&mut self, place: usize, position: Position) {
        let line = &mut self.lines[place];
        line.base = position.owed;
        line.effective = (line.weight - i64::from(position.lost)).max(0);
        self.note_recovering(place);
    }

    fn note_recovering(&mut self, place: usize) {
        let line = &self.lines[place];
        let place = place as u32;
        if line.effective < line.weight && !self.recovering.contains(&place) {
            self.recovering.push(place);
        }
    }

    /// Those that took part in a step get one back of what failures took.
    fn recover(&mut self, heat: u32) {
        let mut places = std::mem::take(&mut self.recovering);
        // Beyond this many, playing everything once is less than every path.
        let rebuild = places.len() * self.matches.len().ilog2() as usize > self.matches.len();
        places.retain(|&place| {
            if self.line(place).heat == heat {
                self.bend(place as usize, |line| line.effective += 1);
                if !rebuild {
                    self.replay_path(place as usize);
                }
            }
            let line = self.line(place);
            line.effective < line.weight
        });
        self.recovering = places;
        if rebuild {
            self.replay_all();
        }
    }

    /// Changes a line so that its credit stays what it is.
    fn bend(&mut self, place: usize, change: impl FnOnce(&mut Line)) {
        let line = &mut self.lines[place];
        if let Some(heat) = self.heats.get_mut(line.heat as usize) {
            line.base += heat.step * line.effective;
            heat.total -= line.effective;
            heat.members -= 1;
        }
        change(line);
        if let Some(heat) = self.heats.get_mut(line.heat as usize) {
            line.base -= heat.step * line.effective;
            heat.total += line.effective;
            heat.members += 1;
        }
    }

    fn rebase(&mut self, heat: u32) {
        let step = std::mem::take(&mut self.heats[heat as usize].step);
        for line in self.lines.iter_mut().filter(|line| line.heat == heat) {
            line.base += step * line.effective;
        }
        self.replay_all();
    }

    fn replay_all(&mut self) {
        for at in (1..self.matches.len()).rev() {
            self.matches[at] = self.play(at);
        }
    }

    fn replay_path(&mut self, place: usize) {
        let mut at = (self.matches.len() + place) / 2;
        while at > 0 {
            let before = self.matches[at];
            self.matches[at] = self.play(at);
            // Won by the same other place as before: nothing above hangs on this one.
            if before.winner != place as u32 && before == self.matches[at] {
                break;
            }
            at /= 2;
        }
    }

    /// Plays what is due in the heat of this match's winner. Below, only that heat's matches can
    /// be: the others carry dues of their own heats.
    fn replay_due(&mut self, at: usize, step: i64) {
        if at >= self.matches.len() || self.matches[at].due > step {
            return;
        }
        let heat = self.line(self.matches[at].winner).heat;
        for child in [2 * at, 2 * at + 1] {
            let winner = self.below(child).winner;
            if winner != NONE && self.line(winner).heat == heat {
                self.replay_due(child, step);
            }
        }
        self.matches[at] = self.play(at);
    }

    /// Plays a match between the winners below it; the first in the list wins a tie.
    fn play(&self, at: usize) -> Match {
        let (left, right) = (self.below(2 * at), self.below(2 * at + 1));
        if right.winner == NONE {
            return left;
        }
        if left.winner == NONE {
            return right;
        }
        let (one, other) = (self.line(left.winner), self.line(right.winner));
        if one.heat != other.heat {
            let right_is_first = other.load * one.weight < one.load * other.weight;
            return if right_is_first { right } else { left };
        }
        let step = self.heats[one.heat as usize].step;
        let gain = other.effective - one.effective;
        // The right one leads once this is above 0.
        let lead = other.base - one.base + step * gain;
        let (winner, turn) = match lead > 0 {
            false if gain > 0 => (left.winner, step + -lead / gain + 1),
            true if gain < 0 => (right.winner, step + (lead - 1) / -gain + 1),
            false => (left.winner, i64::MAX),
            true => (right.winner, i64::MAX),
        };
        let due = turn.min(left.due).min(right.due);
        Match { winner, due }
    }

    fn below(&self, at: usize) -> Match {
        let Some(place) = at.checked_sub(self.matches.len()) else {
            return self.matches[at];
        };
        let is_in = self.lines.get(place).is_some_and(|line| line.heat != NONE);
        Match { winner: if is_in { place as u32 } else { NONE }, due: i64::MAX }
    }

    fn credit(&self, line: &Line) -> i64 {
        let heat = self.heats.get(line.heat as usize);
        line.base + heat.map_or(0, |heat| heat.step * line.effective)
    }

    fn line(&self, place: u32) -> &Line {
        &self.lines[place as usize]
    }
}

impl Match {
    const NOBODY: Match = Match { winner: NONE, due: i64::MAX };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drawing_the_lines_anew_changes_no_pick() {
        let contest = || {
            let mut contest = Contest::new(&[3, 1, 2, 4]);
            contest.clear_heat(0);
            (0..4).for_each(|place| contest.place(place, 0, 0));
            contest
        };
        let (mut one, mut twin) = (contest(), contest());
        for round in 0..100 {
            let winner = one.step().unwrap();
            assert_eq!(twin.step(), Some(winner));
            one.settle(winner);
            twin.settle(winner);
            if round % 7 == 0 {
                one.rebase(0);
            }
        }
        assert!(one.heats[0].step < 7 && twin.heats[0].step == 100);
    }
}

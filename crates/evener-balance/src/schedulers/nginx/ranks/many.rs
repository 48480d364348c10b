//! Many places by their load, without looking at all.
//!
//! Rules kept here:
//! - Equal to `few`, pick for pick. Places that are equal in `load / weight` stand in one heat of a
//!   `contest`.
//! - A pick is played on when its place is seated with its new load, which follows; one walk through
//!   the tournament is enough.

use std::collections::BTreeMap;

use crate::schedule::Position;
use crate::schedulers::nginx::contest::{Contest, NONE};
use crate::structures::Ratio;

/// Places by their load.
pub(in crate::schedulers::nginx) struct Many {
    contest: Contest,
    weight: Vec<u32>,
    load: Vec<u32>,
    /// The heat each place is in.
    heat: Vec<u32>,
    heats: Heats,
    /// The last pick, while its step has not been played on.
    picked: Option<usize>,
}

/// Heats by the `load / weight` of their members.
#[derive(Default)]
struct Heats {
    by_ratio: BTreeMap<Ratio, u32>,
    ratio: Vec<Ratio>,
    free: Vec<u32>,
}

impl Many {
    /// Nobody takes part yet; loads are 0.
    pub(super) fn new(weights: &[u32]) -> Many {
        Many {
            contest: Contest::new(weights),
            weight: weights.to_vec(),
            load: vec![0; weights.len()],
            heat: vec![NONE; weights.len()],
            heats: Heats::default(),
            picked: None,
        }
    }

    /// The least of those who take part and were not tried. [`Many::seat`] of it follows.
    pub(super) fn pick(&mut self, tried: &[u32]) -> Option<usize> {
        self.play_on();
        let is_in = |place: &usize| self.contest.is_in(*place);
        let out: Vec<usize> = tried.iter().map(|place| *place as usize).filter(is_in).collect();
        out.iter().for_each(|place| self.leave(*place));
        let picked = match self.contest.leader() {
            Some((_, heat)) if self.contest.members(heat) > 1 => {
                self.picked = self.contest.step();
                self.picked
            }
            leader => leader.map(|(place, _)| place),
        };
        if !out.is_empty() {
            self.play_on();
        }
        out.iter().for_each(|place| self.enter(*place));
        picked
    }

    /// The place takes part with this load, or not at all.
    pub(super) fn seat(&mut self, place: usize, is_in: bool, load: u32) {
        let was_in = self.contest.is_in(place);
        let is_news = was_in != is_in || (is_in && self.load[place] != load);
        if self.picked != Some(place) || !is_news {
            self.play_on();
        }
        self.load[place] = load;
        if is_news && is_in {
            self.enter(place);
        } else if is_news {
            self.leave(place);
        }
        self.picked = None;
    }

    fn play_on(&mut self) {
        if let Some(place) = self.picked.take() {
            self.contest.settle(place);
        }
    }

    pub(super) fn fail(&mut self, place: usize, allowed: u32) {
        self.contest.fail(place, allowed);
    }

    pub(super) fn position(&self, place: usize) -> Position {
        self.contest.position(place)
    }

    pub(super) fn resume(&mut self, place: usize, position: Position) {
        self.contest.resume(place, position);
    }

    #[cfg(test)]
    pub(super) fn heats(&self) -> usize {
        self.heats.by_ratio.len()
    }

    /// Moves a place to the heat of its load.
    fn enter(&mut self, place: usize) {
        let load = self.load[place];
        let ratio = Ratio { load: load.into(), weight: self.weight[place].max(1) };
        let left = self.heat[place];
        let heat = self.heats.of(ratio, &mut self.contest);
        self.contest.place(place, heat, load);
        self.heat[place] = heat;
        self.give_up(left);
    }

    fn leave(&mut self, place: usize) {
        self.contest.place(place, NONE, 0);
        let left = std::mem::replace(&mut self.heat[place], NONE);
        self.give_up(left);
    }

    fn give_up(&mut self, heat: u32) {
        if heat != NONE && self.contest.members(heat) == 0 {
            self.heats.remove(heat);
        }
    }
}

impl Heats {
    fn of(&mut self, ratio: Ratio, contest: &mut Contest) -> u32 {
        if let Some(heat) = self.by_ratio.get(&ratio) {
            return *heat;
        }
        let heat = self.free.pop().unwrap_or_else(|| {
            self.ratio.push(ratio);
            self.ratio.len() as u32 - 1
        });
        contest.clear_heat(heat);
        self.ratio[heat as usize] = ratio;
        self.by_ratio.insert(ratio, heat);
        heat
    }

    fn remove(&mut self, heat: u32) {
        self.by_ratio.remove(&self.ratio[heat as usize]);
        self.free.push(heat);
    }
}

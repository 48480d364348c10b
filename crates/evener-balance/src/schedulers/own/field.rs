//! Who can be picked, and with which chance a draw finds whom.

use crate::dice::Dice;
use crate::schedule::{Ask, Crew};
use crate::structures::Shares;

/// Who can be picked.
pub(super) struct Field {
    weights: Vec<u32>,
    most: Vec<u32>,
    leases: Vec<u32>,
    active: Vec<bool>,
    /// The weights of those that are open.
    shares: Shares,
    dice: Dice,
    /// Leases, and weights, of those that are active.
    load: u64,
    weight: u64,
}

/// Draws of somebody else before the same one is taken twice.
const REDRAWS: u32 = 4;

impl Field {
    pub(super) fn new(crew: &Crew<'_>) -> Field {
        Field {
            weights: crew.weights(),
            most: crew.servers.iter().map(|server| server.limits.most).collect(),
            leases: vec![0; crew.len()],
            active: vec![false; crew.len()],
            shares: Shares::new(crew.len()),
            dice: Dice::new(crew.seed),
            load: 0,
            weight: 0,
        }
    }

    pub(super) fn weight(&self, place: usize) -> u32 {
        self.weights[place]
    }

    pub(super) fn leases(&self, place: usize) -> u32 {
        self.leases[place]
    }

    /// Leases of all that are active.
    pub(super) fn load(&self) -> u64 {
        self.load
    }

    /// Weights of all that are active.
    pub(super) fn active_weight(&self) -> u64 {
        self.weight
    }

    /// Whether it can be picked: active, with room.
    pub(super) fn is_open(&self, place: usize) -> bool {
        self.active[place] && (self.most[place] == 0 || self.leases[place] < self.most[place])
    }

    /// Whether it can be picked for this request.
    pub(super) fn takes(&self, place: usize, ask: &Ask<'_>) -> bool {
        self.is_open(place) && !ask.tried.contains(&(place as u32))
    }

    pub(super) fn set_active(&mut self, place: usize, active: bool) {
        if std::mem::replace(&mut self.active[place], active) == active {
            return;
        }
        let (weight, leases) = (u64::from(self.weights[place]), u64::from(self.leases[place]));
        match active {
            true => (self.weight, self.load) = (self.weight + weight, self.load + leases),
            false => (self.weight, self.load) = (self.weight - weight, self.load - leases),
        }
        self.share(place, true);
    }

    pub(super) fn set_leases(&mut self, place: usize, leases: u32) {
        let before = std::mem::replace(&mut self.leases[place], leases);
        if self.active[place] {
            self.load = self.load + u64::from(leases) - u64::from(before);
        }
        if self.most[place] > 0 {
            self.share(place, true);
        }
    }

    pub(super) fn stir(&mut self, seed: u64) {
        self.dice = Dice::new(seed);
    }

    /// The hash of a request, or a drawn one.
    pub(super) fn hash(&mut self, ask: &Ask<'_>) -> u64 {
        ask.key.hash.unwrap_or_else(|| self.dice.next())
    }

    /// Draws by weight among those that can be picked; one after another, not twice in a row
    /// where there are others.
    pub(super) fn draw<T>(
        &mut self,
        ask: &Ask<'_>,
        draws: impl FnOnce(&mut dyn FnMut() -> Option<usize>, &Field) -> T,
    ) -> T {
        ask.tried.iter().for_each(|place| self.share(*place as usize, false));
        let mut dice = self.dice.clone();
        let mut last = None;
        let field = &*self;
        let mut draw = || {
            let mut place = None;
            for _ in 0..REDRAWS {
                place = field.shares.owner(dice.below(field.shares.total()));
                if place != last {
                    break;
                }
            }
            last = place;
            place
        };
        let drawn = draws(&mut draw, field);
        self.dice = dice;
        ask.tried.iter().for_each(|place| self.share(*place as usize, true));
        drawn
    }

    fn share(&mut self, place: usize, is_in: bool) {
        let share = if is_in && self.is_open(place) { self.weights[place] } else { 0 };
        self.shares.set(place, share);
    }
}

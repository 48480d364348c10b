//! The least of a score, ties by list order: what seven of the kernel's schedulers are.

use std::marker::PhantomData;

use super::Rule;
use super::roll::Roll;
use crate::key::Key;
use crate::schedule::Crew;
use crate::structures::Tournament;

/// What is compared; the kernel scans for it, here a tournament has it ready.
pub(crate) trait Score: Send + 'static {
    /// Its value.
    type Value: Ord + Send;

    /// The value of an available place, or `None` where it has none for another reason.
    fn of(roll: &Roll, place: usize) -> Option<Self::Value>;
}

/// The available place with the least score.
pub(crate) struct Least<S: Score> {
    /// By rank.
    scores: Tournament<S::Value>,
    score: PhantomData<S>,
}

impl<S: Score> Least<S> {
    pub(crate) fn new(crew: &Crew<'_>) -> Least<S> {
        Least { scores: Tournament::new(crew.len()), score: PhantomData }
    }

    pub(super) fn winner(&self, roll: &Roll) -> Option<usize> {
        self.scores.winner().map(|rank| roll.place(rank))
    }
}

impl<S: Score> Rule for Least<S> {
    fn pick(&mut self, roll: &Roll, _key: &Key<'_>, _now: u64) -> Option<usize> {
        self.winner(roll)
    }

    fn on_load(&mut self, roll: &Roll, place: usize) {
        let score = roll.is_available(place).then(|| S::of(roll, place));
        self.scores.set(roll.rank(place), score.flatten());
    }
}

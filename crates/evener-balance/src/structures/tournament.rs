//! Who has the least of something, kept up to date: a standing tournament.
//!
//! Rules kept here:
//! - Equal to a scan for the least in which the first of equals wins, for any order.
//! - A change costs one match per level up to the first that it changes nothing of; the answer costs
//!   nothing.

/// Players with a score each, or none. The least score wins, the first of equals.
#[derive(Debug, Clone)]
pub(crate) struct Tournament<K> {
    scores: Vec<Option<K>>,
    /// As a heap: 1 is the final, the children of `i` are `2i` and `2i + 1`; from `winners.len()`
    /// on come the players themselves.
    winners: Vec<u32>,
}

const NOBODY: u32 = u32::MAX;

impl<K: Ord> Tournament<K> {
    pub(crate) fn new(players: usize) -> Tournament<K> {
        Tournament {
            scores: (0..players).map(|_| None).collect(),
            winners: vec![NOBODY; players.next_power_of_two().max(2)],
        }
    }

    /// Who has the least score.
    pub(crate) fn winner(&self) -> Option<usize> {
        self.held(self.winners[1])
    }

    /// A player's score.
    pub(crate) fn score(&self, player: usize) -> Option<&K> {
        self.scores[player].as_ref()
    }

    pub(crate) fn set(&mut self, player: usize, score: Option<K>) {
        self.scores[player] = score;
        let mut at = (self.winners.len() + player) / 2;
        while at > 0 {
            let before = std::mem::replace(&mut self.winners[at], NOBODY);
            self.winners[at] = self.play(at);
            // Won by the same other player as before: nothing above hangs on this one.
            if before == self.winners[at] && before != player as u32 {
                break;
            }
            at /= 2;
        }
    }

    fn play(&self, at: usize) -> u32 {
        let (left, right) = (self.below(2 * at), self.below(2 * at + 1));
        match (self.held(left), self.held(right)) {
            (_, None) => left,
            (None, _) => right,
            (Some(one), Some(other)) if self.scores[other] < self.scores[one] => right,
            _ => left,
        }
    }

    fn below(&self, at: usize) -> u32 {
        match at.checked_sub(self.winners.len()) {
            None => self.winners[at],
            Some(player) if self.scores.get(player).is_some_and(Option::is_some) => player as u32,
            Some(_) => NOBODY,
        }
    }

    fn held(&self, player: u32) -> Option<usize> {
        (player != NOBODY).then_some(player as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn it_is_a_scan(
            players in 0usize..40,
            changes in prop::collection::vec((any::<usize>(), prop::option::of(0u8..6)), 0..200),
        ) {
            let mut tournament = Tournament::new(players);
            let mut scores = vec![None; players];
            prop_assert_eq!(tournament.winner(), None);
            for (player, score) in changes {
                if players > 0 {
                    tournament.set(player % players, score);
                    scores[player % players] = score;
                }
                let least = scores.iter().enumerate().filter(|(_, score)| score.is_some());
                let least = least.min_by_key(|(player, score)| (**score, *player));
                prop_assert_eq!(tournament.winner(), least.map(|(player, _)| player));
            }
        }
    }
}

//! When the next check of a server is due.
//!
//! Rules kept here:
//! - Pure: a rule, what was found and dice in; a time out.
//! - While the state is changing in either direction `fast` counts, while it is down `down`.

use evener_plan::{Check, HealthState, Millis};

/// First checks of newcomers begun in a millisecond: ten thousand servers take two seconds, three
/// are checked at once.
const NEWCOMERS: u64 = 5;

/// Time from one check to the next, before jitter. `verdict` is what this check has found of the
/// server by now, `passed` how it went this time.
pub fn interval(check: &Check, verdict: HealthState, passed: bool) -> Millis {
    let other = match (verdict, passed) {
        (HealthState::Up, true) => None,
        (HealthState::Down, false) => check.down,
        _ => check.fast,
    };
    other.unwrap_or(check.every).max(1)
}

/// How long the newcomer with this number waits for its first check.
pub fn head_start(number: u64) -> Millis {
    number / NEWCOMERS
}

/// Random numbers for jitter.
#[derive(Debug)]
pub struct Dice(u64);

impl Dice {
    /// Dice that fall the same way for the same seed.
    pub fn new(seed: u64) -> Dice {
        Dice(seed | 1)
    }

    /// A span moved by at most `share` of it, in either direction.
    pub fn jittered(&mut self, span: Millis, share: f64) -> Millis {
        let most = span as f64 * share.clamp(0.0, 1.0);
        let moved = span as f64 + most * (2.0 * self.roll() - 1.0);
        (moved as u64).max(1)
    }

    /// A number from 0 to 1. xorshift64 (Marsaglia 2003): spreading checks needs nothing better.
    fn roll(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as f64 / (1u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use evener_plan::CheckKind;

    fn check(fast: Option<Millis>, down: Option<Millis>) -> Check {
        Check {
            kind: CheckKind::Tcp {},
            every: 2000,
            timeout: 1000,
            rise: 2,
            fall: 3,
            fast,
            down,
            jitter: 0.1,
            port: None,
        }
    }

    #[test]
    fn a_change_is_followed_fast_and_a_down_server_slowly() {
        let check = check(Some(500), Some(9000));
        assert_eq!(interval(&check, HealthState::Up, true), 2000);
        assert_eq!(interval(&check, HealthState::Up, false), 500);
        assert_eq!(interval(&check, HealthState::Down, true), 500);
        assert_eq!(interval(&check, HealthState::Down, false), 9000);
    }

    #[test]
    fn without_paces_of_their_own_all_states_have_the_ordinary_one() {
        let check = check(None, None);
        for verdict in [HealthState::Up, HealthState::Down, HealthState::Unchecked] {
            for passed in [true, false] {
                assert_eq!(interval(&check, verdict, passed), 2000);
            }
        }
    }

    #[test]
    fn jitter_stays_within_its_share_and_uses_it() {
        let mut dice = Dice::new(7);
        let spans: Vec<_> = (0..1000).map(|_| dice.jittered(2000, 0.1)).collect();
        assert!(spans.iter().all(|span| (1800..=2200).contains(span)));
        assert!(spans.iter().any(|&span| span < 1850) && spans.iter().any(|&span| span > 2150));
        assert_eq!(dice.jittered(2000, 0.0), 2000);
    }

    #[test]
    fn few_newcomers_are_checked_at_once_and_many_over_two_seconds() {
        assert_eq!((head_start(0), head_start(2), head_start(9_999)), (0, 0, 1_999));
    }
}

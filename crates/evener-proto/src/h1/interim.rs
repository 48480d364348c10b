//! Decides what becomes of a 1xx answer (RFC 9110 §15.2).
//!
//! Rules kept here:
//! - A 101 answers an Upgrade that we forwarded, or it is an offence: nobody else left HTTP.
//! - A 100 goes to a client that waits for one, once. Others go to clients of 1.1 unless they are
//!   to be spared, at most 8 per exchange. None goes to a client of 1.0.
//! - What does not go on is dropped, and a server that sends them without end is an offence.
//!
//! Not known here: their heads; the answer proper.

use crate::Malformed;
use crate::h1::Version;

/// Whether clients hear of interim answers they did not ask for (CONFIG.md `http.interim`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Interim {
    /// They do.
    #[default]
    Pass,
    /// They do not: some clients take a 103 for the answer.
    Drop,
}

/// What becomes of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It goes on to the client.
    Pass,
    /// It ends here; another head follows.
    Drop,
    /// It is a 101 that was asked for: the connection is a tunnel from here on.
    Switch,
}

/// Most of them that reach a client, 100 apart; browsers act on the first 103 alone.
const MOST_PASSED: u8 = 8;
/// Most of them that a server may send: a 102 every 20 s for half an hour.
const MOST_READ: u8 = 100;

/// The interim answers of one exchange, counted.
#[derive(Debug, Clone, Copy)]
pub struct Interims {
    policy: Interim,
    version: Version,
    awaits: bool,
    upgrade: bool,
    passed: u8,
    read: u8,
}

impl Interims {
    /// Before the first, for a client of `version` that waits for a 100 if `awaits`, and whose
    /// Upgrade was forwarded if `upgrade`.
    pub fn new(policy: Interim, version: Version, awaits: bool, upgrade: bool) -> Self {
        Interims { policy, version, awaits, upgrade, passed: 0, read: 0 }
    }

    /// The client has got the 100 that it waits for, from us.
    pub fn continued(&mut self) {
        self.awaits = false;
    }

    /// Whether the client still waits for its 100.
    pub fn awaits(&self) -> bool {
        self.awaits
    }

    /// What becomes of an answer with this status, which must be below 200.
    ///
    /// # Errors
    /// `SwitchUnasked`, `TooManyInterim`: the exchange is a 502.
    pub fn judge(&mut self, status: u16) -> Result<Fate, Malformed> {
        debug_assert!(status < 200, "not interim");
        self.read = self.read.saturating_add(1);
        if self.read > MOST_READ {
            return Err(Malformed::TooManyInterim);
        }
        let spared = self.version == Version::Http10;
        match status {
            101 if self.upgrade => Ok(Fate::Switch),
            101 => Err(Malformed::SwitchUnasked),
            100 if self.awaits && !spared => {
                self.awaits = false;
                Ok(Fate::Pass)
            }
            100 => Ok(Fate::Drop),
            _ if spared || self.policy == Interim::Drop || self.passed == MOST_PASSED => {
                Ok(Fate::Drop)
            }
            _ => {
                self.passed += 1;
                Ok(Fate::Pass)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fates(mut interims: Interims, statuses: &[u16]) -> Vec<Result<Fate, Malformed>> {
        statuses.iter().map(|&status| interims.judge(status)).collect()
    }

    fn plain() -> Interims {
        Interims::new(Interim::Pass, Version::Http11, false, false)
    }

    #[test]
    fn a_100_goes_on_once_and_only_where_it_is_awaited() {
        assert_eq!(fates(plain(), &[100]), [Ok(Fate::Drop)]);
        for policy in [Interim::Pass, Interim::Drop] {
            let waiting = Interims::new(policy, Version::Http11, true, false);
            assert_eq!(fates(waiting, &[100, 100]), [Ok(Fate::Pass), Ok(Fate::Drop)]);
        }
        let old = Interims::new(Interim::Pass, Version::Http10, true, false);
        assert_eq!(fates(old, &[100]), [Ok(Fate::Drop)]);
        let mut told = Interims::new(Interim::Pass, Version::Http11, true, false);
        told.continued();
        assert_eq!(fates(told, &[100]), [Ok(Fate::Drop)]);
    }

    #[test]
    fn a_101_answers_an_upgrade_or_nobody() {
        assert_eq!(fates(plain(), &[101]), [Err(Malformed::SwitchUnasked)]);
        let asked = Interims::new(Interim::Drop, Version::Http11, false, true);
        assert_eq!(fates(asked, &[103, 101]), [Ok(Fate::Drop), Ok(Fate::Switch)]);
    }

    #[test]
    fn others_go_to_clients_of_1_1_that_are_not_spared() {
        assert_eq!(fates(plain(), &[102, 103, 199]), [Ok(Fate::Pass); 3]);
        let spared = Interims::new(Interim::Drop, Version::Http11, false, false);
        assert_eq!(fates(spared, &[103]), [Ok(Fate::Drop)]);
        let old = Interims::new(Interim::Pass, Version::Http10, false, false);
        assert_eq!(fates(old, &[103]), [Ok(Fate::Drop)]);
    }

    #[test]
    fn eight_go_on_and_a_flood_is_an_offence() {
        let fates = fates(plain(), &[103; 300]);
        assert_eq!(fates[..8], [Ok(Fate::Pass); 8]);
        assert_eq!(fates[8..100], [Ok(Fate::Drop); 92]);
        assert_eq!(fates[100..], [Err(Malformed::TooManyInterim); 200]);
    }
}

//! Who speaks first in the sessions of a listener, learned from those that were.
//!
//! Rules kept here:
//! - Clients are held to speak first once many in a row have, and no longer when one has not: where
//!   servers greet, nobody ever waits for a client.
//!
//! Not known here: what is done about it.

use std::cell::Cell;

/// Who was heard first in a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Side {
    /// Nobody said a word.
    #[default]
    Neither,
    /// The client.
    Client,
    /// The server.
    Server,
}

/// What a listener's sessions were like on one shard.
#[derive(Debug, Default)]
pub struct Speakers {
    /// Sessions in a row in which the client spoke first, up to [`ENOUGH`].
    clients: Cell<u8>,
}

/// Sessions after which the next one is held to be alike. One wrong guess costs a client a moment, so
/// at most one in so many is guessed wrong.
const ENOUGH: u8 = 16;

impl Speakers {
    /// Whether a client is likely to speak before its server does.
    #[inline]
    pub fn are_clients(&self) -> bool {
        self.clients.get() >= ENOUGH
    }

    /// A session has shown who speaks first.
    #[inline]
    pub fn heard(&self, first: Side) {
        self.clients.set(match first {
            Side::Client => ENOUGH.min(self.clients.get() + 1),
            Side::Neither | Side::Server => 0,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_speak_first_once_many_have_in_a_row_and_one_that_does_not_ends_it() {
        for other in [Side::Server, Side::Neither] {
            let speakers = Speakers::default();
            for _ in 0..ENOUGH {
                assert!(!speakers.are_clients());
                speakers.heard(Side::Client);
            }
            for _ in 0..1000 {
                speakers.heard(Side::Client);
                assert!(speakers.are_clients());
            }
            speakers.heard(other);
            assert!(!speakers.are_clients());
        }
    }
}

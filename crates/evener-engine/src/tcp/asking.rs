//! A session as a scheduler may ask about it.
//!
//! Rules kept here:
//! - Our end's address is asked of the socket when a scheduler asks; the pool's key is written down
//!   before.
//! - A remote desktop's first packet says how long it is (TPKT, RFC 1006 §6): it is whole then, or
//!   when it is none.
//!
//! Not known here: what a scheduler asks, and how long the first bytes are waited for.

use std::net::{IpAddr, SocketAddr};

use evener_balance::Request;

use crate::http::forwarded::write_address;
use crate::http::template::{Template, Word, Words};
use crate::io::Stream;
use crate::policies::{Question, Subject};

/// A session in hand, as its pool's scheduler sees it.
pub struct Asking<'a> {
    /// Number of the shard.
    pub shard: usize,
    /// Who connected; `None` on a unix socket.
    pub peer: Option<SocketAddr>,
    /// The client's connection.
    pub stream: &'a Stream,
    /// What the client said first.
    pub first: &'a [u8],
    /// What the pool's hash is of.
    pub key: &'a [u8],
}

impl Request for Asking<'_> {
    fn shard(&self) -> usize {
        self.shard
    }

    fn client(&self) -> Option<SocketAddr> {
        self.peer.map(|peer| SocketAddr::new(peer.ip().to_canonical(), peer.port()))
    }

    fn local(&self) -> Option<IpAddr> {
        self.stream.local_address().map(|address| address.ip())
    }

    fn payload(&self) -> Option<&[u8]> {
        Some(self.first)
    }

    fn key(&self) -> Option<&[u8]> {
        Some(self.key)
    }
}

impl Subject for Asking<'_> {
    fn question(&self, headers: &[String]) -> Question {
        let client = self.client().map(|client| client.ip());
        Question { client, headers: vec![None; headers.len()], ..Question::default() }
    }
}

/// What the pool's hash is of.
pub fn key_of(peer: Option<SocketAddr>, key: Option<&Template>) -> Vec<u8> {
    let mut bytes = Vec::new();
    if let Some(key) = key {
        key.expand(&SessionWords(peer), &mut bytes);
    }
    bytes
}

/// Whether the first packet of a remote desktop is whole, or this is none.
pub fn is_whole(first: &[u8]) -> bool {
    match first {
        [] => false,
        [3] | [3, _] | [3, _, _] => false,
        [3, _, high, low, ..] => first.len() >= usize::from(u16::from_be_bytes([*high, *low])),
        _ => true,
    }
}

struct SessionWords(Option<SocketAddr>);

impl Words for SessionWords {
    fn append(&self, word: &Word, out: &mut Vec<u8>) {
        let peer = self.0;
        match word {
            Word::ClientIp | Word::PeerIp => write_address(peer.map(|peer| peer.ip()), out),
            Word::ClientPort => {
                if let Some(peer) = peer {
                    out.extend_from_slice(itoa::Buffer::new().format(peer.port()).as_bytes());
                }
            }
            // A configuration with words of HTTP in a tcp pool's key is refused.
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_packet_of_a_remote_desktop_is_whole_at_its_length() {
        let packet = [3, 0, 0, 6, 1, 0xe0, 9];
        for end in 0..=packet.len() {
            assert_eq!(is_whole(&packet[..end]), end >= 6, "{end}");
        }
        assert!(is_whole(b"GET / HTTP/1.1"), "it is none");
    }
}

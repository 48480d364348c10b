//! What a pick is keyed on, taken from the request before any lock.
//!
//! Rules kept here:
//! - A [`KeyRule`] says what a scheduler asks of a request; one that asks nothing costs nothing.
//! - The bytes of a key are the caller's; nothing is copied.
//!
//! Not known here: what a scheduler does with the hash.

use std::net::{IpAddr, SocketAddr};

use crate::hashes::{crc32, xxh64};
use crate::request::Request;
use crate::schedulers::HaproxyInput;

/// What a scheduler asks of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum KeyRule {
    /// Nothing.
    Nothing,
    /// Who the client is and which address it asked for.
    Addresses,
    /// The pool's key with its CRC-32; nginx.
    Crc,
    /// The pool's key with 64 bits of hash; without one the client's address.
    Wide,
    /// One of HAProxy's inputs.
    Haproxy(HaproxyInput),
}

/// What a pick is keyed on.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Key<'a> {
    pub(crate) client: Option<SocketAddr>,
    pub(crate) local: Option<IpAddr>,
    /// Never empty.
    pub(crate) bytes: Option<&'a [u8]>,
    pub(crate) hash: Option<u64>,
}

impl KeyRule {
    pub(crate) fn of<'a>(&self, request: &'a dyn Request) -> Key<'a> {
        match self {
            KeyRule::Nothing => Key::default(),
            KeyRule::Addresses => {
                Key { client: request.client(), local: request.local(), ..Key::default() }
            }
            KeyRule::Crc => {
                let bytes = request.key().filter(|bytes| !bytes.is_empty());
                Key { bytes, hash: bytes.map(|bytes| crc32(bytes).into()), ..Key::default() }
            }
            KeyRule::Wide => {
                let bytes = request.key().filter(|bytes| !bytes.is_empty());
                let hash = bytes.map(|bytes| xxh64(bytes, 0));
                let by_client = || request.client().map(|client| address_hash(client.ip()));
                Key { bytes, hash: hash.or_else(by_client), ..Key::default() }
            }
            KeyRule::Haproxy(input) => {
                Key { hash: input.hash(request).map(u64::from), ..Key::default() }
            }
        }
    }
}

fn address_hash(address: IpAddr) -> u64 {
    match address {
        IpAddr::V4(four) => xxh64(&four.octets(), 0),
        IpAddr::V6(six) => xxh64(&six.octets(), 0),
    }
}

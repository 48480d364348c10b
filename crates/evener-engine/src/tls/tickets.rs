//! Session tickets sealed with keys that the supervisor holds, so that a new worker resumes the
//! sessions of the old.
//!
//! Rules kept here:
//! - A ticket is: name of the key (16 bytes), nonce (12), sealed state, tag (16): AES-256-GCM.
//! - The newest key seals, all open; an unknown or damaged ticket is no error, just no resumption.

use std::sync::{Arc, RwLock};

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use rustls::server::ProducesTickets;

/// Bytes of a key as the supervisor sends it: 16 of name, 32 of AES-256 key.
pub const KEY_BYTES: usize = 48;
const NAME_BYTES: usize = 16;
const NONCE_BYTES: usize = 12;
/// How long clients may use a ticket, in seconds: keys rotate every 12 h and the last two open.
const LIFETIME: u32 = 12 * 3600;

/// The ticket keys of the worker, shared by all listeners and generations.
#[derive(Default)]
pub struct TicketKeys {
    keys: RwLock<Arc<[Key]>>,
}

struct Key {
    name: [u8; NAME_BYTES],
    seal: LessSafeKey,
}

impl TicketKeys {
    /// Replaces all keys, the newest first.
    ///
    /// # Errors
    /// A sentence when a key is not of [`KEY_BYTES`].
    pub fn replace(&self, keys: &[Vec<u8>]) -> Result<(), String> {
        let keys = keys.iter().map(|key| Key::new(key)).collect::<Result<Vec<_>, _>>()?;
        *self.keys.write().unwrap_or_else(std::sync::PoisonError::into_inner) = keys.into();
        Ok(())
    }

    fn current(&self) -> Arc<[Key]> {
        self.keys.read().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }
}

impl Key {
    fn new(bytes: &[u8]) -> Result<Key, String> {
        let (name, secret) = bytes
            .split_first_chunk::<NAME_BYTES>()
            .filter(|_| bytes.len() == KEY_BYTES)
            .ok_or_else(|| format!("a ticket key has {} bytes, not {KEY_BYTES}", bytes.len()))?;
        let seal = UnboundKey::new(&AES_256_GCM, secret)
            .map_err(|_| "a ticket key is not usable".to_owned())?;
        Ok(Key { name: *name, seal: LessSafeKey::new(seal) })
    }
}

impl std::fmt::Debug for TicketKeys {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "TicketKeys({})", self.current().len())
    }
}

/// How rustls asks for tickets.
#[derive(Debug)]
pub struct Ticketer(pub Arc<TicketKeys>);

impl ProducesTickets for Ticketer {
    fn enabled(&self) -> bool {
        !self.0.current().is_empty()
    }

    fn lifetime(&self) -> u32 {
        LIFETIME
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        let keys = self.0.current();
        let key = keys.first()?;
        let mut nonce = [0; NONCE_BYTES];
        aws_lc_rs::rand::fill(&mut nonce).ok()?;
        let mut sealed = plain.to_vec();
        let unique = Nonce::assume_unique_for_key(nonce);
        key.seal.seal_in_place_append_tag(unique, Aad::from(&key.name), &mut sealed).ok()?;
        Some([&key.name[..], &nonce, &sealed].concat())
    }

    fn decrypt(&self, ticket: &[u8]) -> Option<Vec<u8>> {
        let (name, rest) = ticket.split_first_chunk::<NAME_BYTES>()?;
        let (nonce, sealed) = rest.split_first_chunk::<NONCE_BYTES>()?;
        let keys = self.0.current();
        let key = keys.iter().find(|key| key.name == *name)?;
        let mut sealed = sealed.to_vec();
        let unique = Nonce::assume_unique_for_key(*nonce);
        let plain = key.seal.open_in_place(unique, Aad::from(&key.name), &mut sealed).ok()?;
        Some(plain.to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ticketer(keys: &[Vec<u8>]) -> Ticketer {
        let store = Arc::new(TicketKeys::default());
        store.replace(keys).unwrap();
        Ticketer(store)
    }

    #[test]
    fn the_newest_key_seals_and_older_ones_still_open() {
        let (old, new) = (vec![1; KEY_BYTES], vec![2; KEY_BYTES]);
        let ticket = ticketer(std::slice::from_ref(&old)).encrypt(b"state").unwrap();
        assert_eq!(ticketer(&[new.clone(), old]).decrypt(&ticket).unwrap(), b"state");
        assert_eq!(ticketer(&[new]).decrypt(&ticket), None);
    }

    #[test]
    fn a_damaged_ticket_resumes_nothing_and_breaks_nothing() {
        let tickets = ticketer(&[vec![1; KEY_BYTES]]);
        let mut ticket = tickets.encrypt(b"state").unwrap();
        *ticket.last_mut().unwrap() ^= 1;
        assert_eq!(tickets.decrypt(&ticket), None);
        assert_eq!(tickets.decrypt(b"short"), None);
    }

    #[test]
    fn a_key_of_the_wrong_size_is_refused_with_its_size() {
        let refused = TicketKeys::default().replace(&[vec![0; 47]]).unwrap_err();
        assert!(refused.contains("47"));
    }
}

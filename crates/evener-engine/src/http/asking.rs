//! A request as a scheduler may ask about it.
//!
//! Rules kept here:
//! - Nothing is prepared but the pool's key, and that only where the pool has one.
//! - The client is whom rules and logs name, after trusted proxies; its port is known only while
//!   nobody spoke for it.
//!
//! Not known here: what a scheduler asks.

use std::net::{IpAddr, SocketAddr};

use evener_balance::Request;

use super::exchange::Exchange;
use super::forwarded::{self, ClientAddress};
use super::template::{Template, Word, Words};
use super::words::ExchangeWords;
use crate::policies::{Question, Subject};

/// A request in hand, as its pool's scheduler sees it.
pub struct Asking<'a, 'e>(pub &'a Exchange<'e>);

impl Request for Asking<'_, '_> {
    fn shard(&self) -> usize {
        self.0.shard.number
    }

    fn client(&self) -> Option<SocketAddr> {
        let Exchange { client, view, work, .. } = self.0;
        match forwarded::client_address(client, view, work) {
            ClientAddress::Ip(ip) => {
                let own = client.peer.filter(|peer| peer.ip().to_canonical() == ip);
                Some(SocketAddr::new(ip, own.map_or(0, |peer| peer.port())))
            }
            ClientAddress::Unix => None,
        }
    }

    fn local(&self) -> Option<IpAddr> {
        self.0.client.stream.local_address().map(|address| address.ip())
    }

    fn target(&self) -> Option<&[u8]> {
        Some(self.0.work.request.head().target.of(self.0.client.inbox.bytes()))
    }

    fn header(&self, name: &str) -> Option<&[u8]> {
        let bytes = self.0.client.inbox.bytes();
        let field = self.0.work.request.head().fields.named(name.as_bytes(), bytes)?;
        Some(field.value.of(bytes))
    }

    fn payload(&self) -> Option<&[u8]> {
        let (head, data) = (self.0.asked.head, &self.0.body.prefix.data);
        self.0.client.inbox.bytes().get(head + data.start..head + data.end)
    }

    fn key(&self) -> Option<&[u8]> {
        Some(&self.0.work.key)
    }
}

impl Subject for Asking<'_, '_> {
    fn question(&self, headers: &[String]) -> Question {
        let exchange = self.0;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let word = |word: Word| {
            let mut bytes = Vec::new();
            ExchangeWords(exchange).append(&word, &mut bytes);
            text(&bytes)
        };
        Question {
            method: word(Word::Method),
            host: exchange.work.host.clone(),
            path: word(Word::Path),
            client: self.client().map(|client| client.ip()),
            headers: headers.iter().map(|name| self.header(name).map(text)).collect(),
        }
    }
}

impl Exchange<'_> {
    /// Writes down what the pool's hash is of.
    #[cold]
    pub(super) fn note_key(&mut self, key: &Template) {
        let mut bytes = std::mem::take(&mut self.work.key);
        bytes.clear();
        key.expand(&ExchangeWords(self), &mut bytes);
        self.work.key = bytes;
    }
}

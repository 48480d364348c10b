//! What one exchange works with and the next one uses again: parsers, pieces, scratch space.
//!
//! A shard lends it with the first byte of a request and takes it back after the answer, so that
//! nothing is allocated in steady state and an idle connection holds none.

use evener_proto::h1::{RequestParser, ResponseParser, Segments};

use crate::io::Outgoing;

/// The working set of one exchange.
#[derive(Default)]
pub struct Work {
    /// Reads the request's head; its spans count from the client's first unread byte.
    pub request: RequestParser,
    /// Reads the answer's head; its spans count from the server's first unread byte.
    pub answer: ResponseParser,
    /// Pieces of a head that go on.
    pub segments: Segments,
    /// On its way to the server.
    pub up: Outgoing,
    /// On its way to the client.
    pub down: Outgoing,
    /// Lines that the route adds to the head that is made next.
    pub edited: Vec<u8>,
    /// The canonical path where it differs from the raw one.
    pub path: Vec<u8>,
    /// The host in lower case, without port.
    pub host: String,
    /// What the pool's hash is of, where it asks for it.
    pub key: Vec<u8>,
}

impl Work {
    /// Makes it as good as new; keeps its storage.
    pub fn clear(&mut self) {
        self.request.clear();
        self.answer.clear();
        self.up.clear();
        self.down.clear();
        self.edited.clear();
        self.path.clear();
        self.host.clear();
        self.key.clear();
    }
}

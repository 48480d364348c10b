//! What one exchange works with and the next one uses again: parsers, pieces, scratch space.
//!
//! A shard lends it with the first byte of a request and takes it back after the answer, so that
//! nothing is allocated in steady state and an idle connection holds none. What only reading and
//! writing need, it lends for that alone: hundreds of requests that wait for their servers would
//! push each other's out of the cache.

use std::cell::OnceCell;
use std::ops::{Deref, DerefMut};
use std::rc::Rc;

use evener_proto::h1::{RequestParser, ResponseParser, Segments};

use crate::io::{Outgoing, Spare};

/// The working set of one exchange.
#[derive(Default)]
pub struct Work {
    /// Reads the request's head; its spans count from the client's first unread byte.
    pub request: RequestParser,
    /// What reading and writing need.
    pub desk: Desk,
    /// The canonical path where it differs from the raw one.
    pub path: Vec<u8>,
    /// The host in lower case, without port.
    pub host: String,
    /// What the pool's hash is of, where it asks for it.
    pub key: Vec<u8>,
}

impl Work {
    /// A new one. `tools` are the shard's.
    pub fn new(tools: &Rc<Spare<Box<Tools>>>) -> Work {
        let desk = Desk { tools: OnceCell::new(), spare: tools.clone() };
        Work { desk, ..Work::default() }
    }

    /// Makes it as good as new; keeps its storage.
    pub fn clear(&mut self) {
        self.request.clear();
        self.desk.leave();
        self.path.clear();
        self.host.clear();
        self.key.clear();
    }
}

/// What is used while bytes of an exchange are read or written.
#[derive(Default)]
pub struct Tools {
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
}

impl Tools {
    fn clear(&mut self) {
        self.answer.clear();
        self.up.clear();
        self.down.clear();
        self.edited.clear();
    }
}

/// Where [`Tools`] lie while they are used: taken from the shard at the first touch.
#[derive(Default)]
pub struct Desk {
    tools: OnceCell<Box<Tools>>,
    spare: Rc<Spare<Box<Tools>>>,
}

impl Desk {
    /// Gives the tools back, as good as new. Whoever comes next finds nothing on the desk.
    pub fn leave(&mut self) {
        if let Some(mut tools) = self.tools.take() {
            tools.clear();
            self.spare.give(tools);
        }
    }
}

impl Deref for Desk {
    type Target = Tools;

    #[inline]
    fn deref(&self) -> &Tools {
        self.tools.get_or_init(|| self.spare.take().unwrap_or_default())
    }
}

impl DerefMut for Desk {
    #[inline]
    fn deref_mut(&mut self) -> &mut Tools {
        let _: &Tools = self;
        // It is there since the line before: what stands behind is never made.
        match self.tools.get_mut() {
            Some(tools) => tools,
            None => unreachable!("taken one line above"),
        }
    }
}

//! What a scheduler may ask of the request it picks for.
//!
//! Rules kept here:
//! - Nothing is prepared unless asked; a scheduler that needs nothing asks nothing.
//! - Asked before any lock is taken, once per pick.
//!
//! Not known here: protocols. Who calls knows where the answers stand in its buffers.

use std::net::{IpAddr, SocketAddr};

/// What a scheduler may ask of the request (or session) it picks for. `None` is "has none"; what
/// a scheduler does then is said in its charter.
pub trait Request {
    /// Number of the shard that asks, where each has a scheduler of its own.
    fn shard(&self) -> usize {
        0
    }

    /// Where the client is, as routes and logs see it.
    fn client(&self) -> Option<SocketAddr> {
        None
    }

    /// The address the client asked for.
    fn local(&self) -> Option<IpAddr> {
        None
    }

    /// The target of an HTTP request, as it came.
    fn target(&self) -> Option<&[u8]> {
        None
    }

    /// The first value of an HTTP header; `name` is in lower case.
    fn header(&self, name: &str) -> Option<&[u8]> {
        let _ = name;
        None
    }

    /// The first bytes of a session, or of the body of a POST, as far as they are there.
    fn payload(&self) -> Option<&[u8]> {
        None
    }

    /// The value of the pool's key expression (`hash`).
    fn key(&self) -> Option<&[u8]> {
        None
    }
}

/// A request of which nothing is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unknown;

impl Request for Unknown {}

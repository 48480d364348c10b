//! Wire formats as sans-IO state machines: bytes in, events out.
//!
//! Rules kept here:
//! - No socket, no clock, no randomness, no unsafe code; nothing allocates once its storage has
//!   grown to what a connection needs.
//! - Any split of the same bytes gives the same events and the same error.
//! - One tokeniser reads the fields of requests, answers and CGI heads, and one place decides how
//!   long a body is ([`h1::framing`]): what was checked is what is forwarded.
//! - Bytes from the network never panic.
//!
//! Not known here: who sent the bytes, routes, servers, time-outs, logs.

#![forbid(unsafe_code)]
#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::unreachable
)]

mod bytes;
mod error;
pub mod fastcgi;
pub mod h1;
mod span;

pub use error::Malformed;
pub use span::{Progress, Span};

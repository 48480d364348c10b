//! The hashes that programs pick by: numbers in, numbers out.
//!
//! Rules kept here:
//! - Each is bit for bit that of the program it is taken from; tests hold published values.
//! - None of them resists an attacker who picks the keys; those that must are keyed by their users.

mod bytes;
mod numbers;
mod siphash;
mod xxh;

pub(crate) use bytes::{Crc32, crc32, djb2, sdbm, wt6};
pub(crate) use numbers::{avalanche, folded, golden};
pub(crate) use siphash::siphash13_word;
pub(crate) use xxh::{xxh32, xxh64};

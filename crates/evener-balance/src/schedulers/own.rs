//! Our own schedulers.
//!
//! Rules kept here:
//! - A server with `limits.most` leases is passed by, as is one that was tried.
//! - What a server is in a hash is its id, so that a new address keeps its keys.
//! - A request without key and client is drawn a hash.

mod at_load;
mod bounded_hash;
mod field;
mod latency;
mod maglev;
mod peak_ewma;
mod prequal;
mod random;
mod rendezvous;
mod ring;

pub(crate) use bounded_hash::BoundedHash;
pub(crate) use maglev::Maglev;
pub(crate) use peak_ewma::PeakEwma;
pub(crate) use prequal::{Prequal, Rule as PrequalRule};
pub(crate) use random::Random;
pub(crate) use rendezvous::Rendezvous;
pub(crate) use ring::Ring;

//! Our own schedulers.
//!
//! Rules kept here:
//! - A server with `limits.most` leases is passed by, as is one that was tried.
//! - What a server is in a hash is its id, so that a new address keeps its keys.
//! - A request without key and client is drawn a hash.

/// The verbs of [`crate::schedule::Schedule`] that a scheduler leaves to its `field`, which knows who
/// takes part and how loaded each is.
macro_rules! field_keeps {
    () => {
        fn set_active(&mut self, place: usize, active: bool) {
            self.field.set_active(place, active);
        }

        fn counts_leases(&self) -> bool {
            true
        }

        fn set_in_flight(&mut self, place: usize, leases: u32) {
            self.field.set_leases(place, leases);
        }

        fn stir(&mut self, seed: u64) {
            self.field.stir(seed);
        }
    };
}

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

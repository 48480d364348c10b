//! nginx's schedulers (`src/http/modules/ngx_http_upstream_*_module.c`).
//!
//! Rules kept here:
//! - A place is *open* when it is active and has room under its `max_conns`; the others keep their
//!   share of a hash or draw, so that keys of the rest stay where they are.
//! - After 20 misses, a hash or draw leaves the pick to smooth weighted round robin.

/// The verbs of [`crate::schedule::Schedule`] that a hash leaves to the round robin behind it (its
/// field `robin`), which knows who is open, how loaded, and where its turn stands.
macro_rules! robin_keeps {
    () => {
        fn set_active(&mut self, place: usize, active: bool) {
            self.robin.set_active(place, active);
        }

        fn counts_leases(&self) -> bool {
            self.robin.counts_leases()
        }

        fn set_in_flight(&mut self, place: usize, leases: u32) {
            self.robin.set_in_flight(place, leases);
        }

        fn on_failure(&mut self, place: usize, allowed: u32) {
            self.robin.on_failure(place, allowed);
        }

        fn position(&self, place: usize) -> $crate::schedule::Position {
            self.robin.position(place)
        }

        fn resume(&mut self, place: usize, position: $crate::schedule::Position) {
            self.robin.resume(place, position);
        }
    };
}

mod chain;
mod contest;
mod gate;
mod hash;
mod ip_hash;
mod least_conn;
mod least_time;
mod random;
mod ranks;
mod ring;
mod round_robin;
mod smooth;
mod times;

pub(crate) use hash::Hash;
pub(crate) use ip_hash::IpHash;
pub(crate) use least_conn::LeastConn;
pub(crate) use least_time::LeastTime;
pub(crate) use random::Random;
pub(crate) use ring::Ring;
pub(crate) use round_robin::RoundRobin;

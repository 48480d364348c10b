//! HAProxy's schedulers (2.6 to 3.5, `src/lb_*.c`, `src/backend.c`).
//!
//! Rules kept here:
//! - Where versions differ the recorded one (2.6) holds: equals of `leastconn` stand in the order
//!   they became equal, not in a random one.
//! - An effective weight is 16 times the weight; weights are 0 to 256.
//! - A server is full from `limits.most` leases on. Hashes pick a full one all the same, as HAProxy
//!   lets requests wait for it; whether to wait is the caller's.
//! - HAProxy avoids the server of the last try and takes it when there is no other; here no tried
//!   one is ever taken.

mod first;
mod hashed;
mod input;
mod leastconn;
mod map;
mod random;
mod ring;
mod room;
mod roundrobin;
mod static_rr;
#[cfg(test)]
mod tests;

pub(crate) use first::First;
pub(crate) use hashed::Hashed;
pub(crate) use input::{Input, Part, Uri};
pub(crate) use leastconn::Leastconn;
pub(crate) use random::Random;
pub(crate) use roundrobin::Roundrobin;
pub(crate) use static_rr::StaticRr;

/// Effective weight per weight (`BE_WEIGHT_SCALE`).
const SCALE: u32 = 16;
/// The highest effective weight (`SRV_EWGHT_MAX`).
const HIGHEST: u32 = 256 * SCALE;

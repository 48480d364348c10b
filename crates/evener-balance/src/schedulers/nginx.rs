//! nginx's schedulers (`src/http/modules/ngx_http_upstream_*_module.c`).
//!
//! Rules kept here:
//! - A place is *open* when it is active and has room under its `max_conns`; the others keep their
//!   share of a hash or draw, so that keys of the rest stay where they are.
//! - After 20 misses, a hash or draw leaves the pick to smooth weighted round robin.

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
#[cfg(test)]
mod smooth;
mod times;

pub(crate) use hash::Hash;
pub(crate) use ip_hash::IpHash;
pub(crate) use least_conn::LeastConn;
pub(crate) use least_time::LeastTime;
pub(crate) use random::Random;
pub(crate) use ring::Ring;
pub(crate) use round_robin::RoundRobin;

//! Servers as a shard sees them: where they are, connections to them, and how a pick becomes one.

pub mod connect;
pub mod dial;
pub mod idle;
pub mod owned;
pub mod target;

//! Schedulers, health and leases: who gets the next request, and who may.
//!
//! Rules kept here:
//! - No IO, no clock, no randomness: `now` (monotonic milliseconds) and random numbers are
//!   arguments.
//! - A pick gives a [`Lease`] or says why not; only the end of the lease lowers the server's
//!   in-flight count.
//! - Health is decided in [`health`] alone; what is shown of a server is derived from stored facts.
//! - State is shared by all shards. Nobody waits for another shard longer than a pick takes.
//!
//! Not known here: sockets, requests, how a check is made, where a plan comes from.

#![forbid(unsafe_code)]

mod group;
pub mod health;
mod lease;
mod outcome;
mod roster;
mod schedule;
mod schedulers;
mod server;
mod tried;

pub use group::{Birth, Facts, Group, NoServer, Seed};
pub use health::{Reason, State, Transition};
pub use lease::Lease;
pub use outcome::{Cause, Outcome};
pub use server::ServerState;
pub use tried::Tried;

//! Schedulers, health, leases and limits of clients: who gets the next request, and who may.
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

pub mod clients;
mod dice;
mod group;
mod hashes;
pub mod health;
mod key;
mod lease;
mod outcome;
mod request;
mod roster;
mod schedule;
mod schedulers;
mod server;
mod structures;
mod tried;

pub use group::{Birth, Facts, Group, NoServer, Seed, Timing};
pub use health::{Reason, State, Transition};
pub use lease::Lease;
pub use outcome::{Cause, Outcome};
pub use request::{Request, Unknown};
pub use server::ServerState;
pub use tried::Tried;

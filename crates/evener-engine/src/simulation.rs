//! Simulation: scripted clients and servers joined to the real code by pipes in memory, under a
//! virtual clock. Built for tests, and with the feature `simulation` for the fuzz target `engine`.
//!
//! Rules kept here:
//! - One thread, no socket, no sleep: the same test gives the same run.
//! - What a peer sends is delivered in pieces, each once everything else has come to rest; how it
//!   is cut is the [`Wire`]'s. A test that runs [`on_every_wire`] sees every event split at every
//!   byte, in both directions, and a failure names the wire.
//! - A simulation ends by freezing its peers: everything that waits must end by itself, all leases,
//!   buffers, deadlines must have come back. Each test checks that, on every wire.
//!
//! Not known here: what is right; tests say that.

mod executor;
mod message;
mod network;
mod peer;
mod policy;
mod sim;
mod stream;
mod tests;
mod wire;

pub use message::parts;
pub use network::connect;
pub use peer::Peer;
pub use policy::{Policy, was_begun};
pub use sim::{Sim, build, common, heard, plan};
pub use stream::{Pipe, ScriptedStream, pair};
pub use wire::{Wire, on_every_wire, on_some_wires};

//! The data plane: sockets, shards, exchanges, sessions, checks.
//!
//! Rules kept here:
//! - Thread per core: a shard's connections, buffers and counters are its own; what shards share is
//!   immutable (a generation) or atomic (picks).
//! - Network bytes never panic; a panic all the same ends one connection and is counted.
//! - Every wait has a deadline, every limit a counter.
//!
//! Not known here: configuration, names, files, people.

#![deny(unsafe_code)]

pub mod clock;
pub mod control;
mod counters;
mod date;
mod error;
mod events;
mod http;
mod io;
mod log;
mod networks;
pub mod policies;
mod pool;
mod prober;
pub mod rehearsal;
mod running;
pub mod segments;
mod shard;
#[cfg(any(test, feature = "simulation"))]
pub mod simulation;
mod steps;
mod sys;
mod tcp;
mod tls;

pub use error::EngineError;

/// Serves one plan on one shard in this thread, for ever: what measuring the loop alone needs.
///
/// # Errors
/// In words, when the plan does not build or the shard does not start.
pub fn standalone(
    plan: evener_plan::Plan,
    secrets: &std::collections::BTreeMap<String, String>,
    memory: std::os::fd::OwnedFd,
    sockets: Vec<(String, std::os::fd::OwnedFd)>,
) -> Result<(), String> {
    let tickets = std::sync::Arc::default();
    let now = clock::millis();
    let seed = clock::unix_millis();
    let host = &policies::NoHost;
    let (previous, tickets, shards) = (None, &tickets, 1);
    let shop = running::Workshop { secrets, tickets, previous, now, seed, shards, host };
    let running = running::Running::build(plan, &shop).map_err(|errors| errors.join("\n"))?;
    let (log, writer) = log::queue();
    std::thread::spawn(|| writer.run());
    let (events, _heard) = events::Events::new().map_err(|why| why.to_string())?;
    let common = shard::Common {
        connections: Default::default(),
        parked: Default::default(),
        limit: std::sync::Arc::new(running.plan.connections.into()),
        events,
        log,
        seed,
    };
    let (sender, commands) = tokio::sync::mpsc::unbounded_channel();
    let (done, _) = std::sync::mpsc::channel();
    let _ = sender.send(shard::Command::Sockets(sockets));
    let _ = sender.send(shard::Command::Serve(std::sync::Arc::new(running), done));
    let memory = sys::memory::SharedMemory::writable(memory).map_err(|why| why.to_string())?;
    shard::run(0, memory, common, commands)
}

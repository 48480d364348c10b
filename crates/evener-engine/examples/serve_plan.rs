//! Serves a plan from a JSON file on one shard, without a supervisor: for measuring the loop alone.
//!
//! `cargo run --release -p evener-engine --example serve_plan PLAN.json [SECRETS.json]`

use std::net::TcpListener;
use std::os::fd::OwnedFd;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args().nth(1).ok_or("usage: serve_plan PLAN.json")?;
    let plan = evener_plan::Plan::from_json(&std::fs::read(path)?)?;
    let secrets = match std::env::args().nth(2) {
        Some(path) => serde_json::from_slice(&std::fs::read(path)?)?,
        None => Default::default(),
    };
    let mut sockets: Vec<(String, OwnedFd)> = Vec::new();
    for address in plan.listeners.iter().flat_map(|listener| &listener.bind) {
        sockets.push((address.clone(), TcpListener::bind(address)?.into()));
    }
    let memory = rustix::fs::memfd_create("counters", rustix::fs::MemfdFlags::CLOEXEC)?;
    evener_engine::standalone(plan, &secrets, memory, sockets)?;
    Ok(())
}

//! Limits per client: `limits.per_client` and `limits.rate_per_client` of a listener.
//!
//! Rules kept here:
//! - They hold for `client.ip`. A peer that is no believed proxy is the client, so its connections
//!   count from the moment they are made, before any handshake. Behind a believed proxy a client is
//!   known with each request alone: there its requests in hand are what it holds.
//! - A rate counts requests on HTTP listeners, connections on TCP listeners.
//! - Peers without an address (unix sockets) are nobody's connections.
//! - What is remembered outlives generations as long as it means the same.
//!
//! Not known here: what a refused client is told, schedulers, how a table is kept
//! (`evener-balance::clients`).

use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::Arc;

use evener_balance::clients::{Client, Counts, Entered, Held, Rate, Rates};
use evener_plan::{Listener, ListenerProtocol};

use super::Shard;
use super::view::ListenerView;
use crate::counters::ListenerCounter;
use crate::http::answers::Local;

/// What a listener allows each client, and what it remembers of them.
pub struct ClientLimits {
    most: Option<(u64, Arc<Counts>)>,
    rate: Option<Arc<Rates>>,
}

/// Why a client is turned away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// It holds as many connections as it may.
    PerClient,
    /// It asks too fast; in so many milliseconds it may ask again.
    Rate(u64),
}

impl ClientLimits {
    /// Those of a listener, with what the generation before remembers.
    pub fn build(spec: &Listener, before: Option<&ClientLimits>) -> ClientLimits {
        let most = spec.per_client.map(|most| {
            let known = before.and_then(|before| Some(before.most.as_ref()?.1.clone()));
            (most, known.unwrap_or_else(|| Arc::new(Counts::new(key()))))
        });
        let rate = spec.rate_per_client.as_ref().map(|rate| {
            let rate = Rate { count: rate.count, per: rate.per };
            let known = before.and_then(|before| before.rate.as_ref());
            let same = known.filter(|known| known.rate() == rate).cloned();
            same.unwrap_or_else(|| Arc::new(Rates::new(rate, key())))
        });
        ClientLimits { most, rate }
    }

    /// Whether there are none.
    #[inline]
    pub fn are_off(&self) -> bool {
        self.most.is_none() && self.rate.is_none()
    }
}

/// A connection is made: whether it may stay. What it holds is given back with the result.
///
/// # Errors
/// Why not.
#[inline]
pub fn connects(
    shard: &Shard,
    view: &ListenerView,
    peer: Option<IpAddr>,
) -> Result<Option<Box<Held>>, Refusal> {
    let limits = &view.running().clients;
    if limits.are_off() || view.running().trusted.believe(peer) {
        return Ok(None);
    }
    let Some(client) = peer.map(Client::of) else { return Ok(None) };
    let held = holds(view, limits, client)?;
    if view.spec().protocol == ListenerProtocol::Tcp {
        // The shard's clock may be a tick behind: too old for a rate.
        let now = shard.micros() / 1000;
        asks_now(view, limits, client, now)?;
    }
    Ok(held.map(Box::new))
}

/// A request has come: whether it may go on. What it holds is given back with the result.
///
/// # Errors
/// Why not.
pub fn asks(
    shard: &Shard,
    view: &ListenerView,
    peer: Option<IpAddr>,
    client: Option<IpAddr>,
) -> Result<Option<Held>, Refusal> {
    let limits = &view.running().clients;
    let Some(client) = client.map(Client::of) else { return Ok(None) };
    asks_now(view, limits, client, shard.now())?;
    match view.running().trusted.believe(peer) {
        true => holds(view, limits, client),
        false => Ok(None),
    }
}

fn holds(
    view: &ListenerView,
    limits: &ClientLimits,
    client: Client,
) -> Result<Option<Held>, Refusal> {
    let Some((most, counts)) = &limits.most else { return Ok(None) };
    match counts.enter(client, *most) {
        Entered::In(held) => Ok(Some(held)),
        Entered::Full => {
            view.counters.add(ListenerCounter::LimitPerClient);
            Err(Refusal::PerClient)
        }
        Entered::Unknown => {
            view.counters.add(ListenerCounter::LimitClientTable);
            Ok(None)
        }
    }
}

fn asks_now(
    view: &ListenerView,
    limits: &ClientLimits,
    client: Client,
    now: u64,
) -> Result<(), Refusal> {
    let Some(rates) = &limits.rate else { return Ok(()) };
    rates.take(client, now).map_err(|wait| {
        view.counters.add(ListenerCounter::LimitRatePerClient);
        Refusal::Rate(wait)
    })
}

/// Numbers that nobody outside knows.
fn key() -> [u64; 2] {
    [0, 1].map(|word: u8| RandomState::new().hash_one(word))
}

impl Refusal {
    /// Name of the cause in the log: the key of the limit.
    pub fn cause(self) -> &'static str {
        match self {
            Refusal::PerClient => "per_client",
            Refusal::Rate(_) => "rate_per_client",
        }
    }

    /// What an HTTP client is told (RFC 6585 §4).
    pub fn local(self) -> Local {
        let local = Local::new(429, self.cause());
        match self {
            Refusal::PerClient => local,
            Refusal::Rate(wait) => local.retry_after(wait.div_ceil(1000)),
        }
    }
}

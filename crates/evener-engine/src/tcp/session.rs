//! A TCP session: one client connection carried to one server of the pool.
//!
//! Rules kept here:
//! - A server that cannot be connected to is left for the next one; nothing was sent, so this is
//!   always safe. All of it takes at most twice `timeouts.connect`.
//! - The lease lasts as long as the session.
//! - Whoever finds no server is closed at once.

use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;

use evener_balance::{Outcome, Tried};

use super::relay::{Bounds, Relay};
use crate::counters::{ListenerCounter, PoolCounter, RouteHistogram, ServerCounter, WorkerCounter};
use crate::io::{Buffer, Stream};
use crate::pool::dial;
use crate::running::RunningAnswer;
use crate::shard::{ListenerView, Open, PoolView, Shard};

/// Carries a session to its end.
pub async fn serve(shard: Rc<Shard>, view: Rc<ListenerView>, mut client: Stream, open: Open) {
    let shard = &shard;
    let RunningAnswer::Pool(index) = view.running().answer(None) else { return };
    let Some(pool) = view.pool(*index) else { return };
    let started = shard.micros();
    // What the client says at once can travel with the end of the handshake.
    let mut first = Buffer::empty();
    let said = poll_fn(|cx| Poll::Ready(client.poll_read(cx, &mut first))).await;
    if let Poll::Ready(Err(_)) = said {
        // Sockets tell an error once.
        return view.counters.add(ListenerCounter::Reset);
    }
    pool.counters.add(PoolCounter::Requests);
    let speaks = !first.is_empty();
    first.release();
    let Some((lease, mut server)) = connect(shard, &pool, speaks).await else {
        view.counters.add(ListenerCounter::SessionsRefused);
        return;
    };
    view.counters.add(ListenerCounter::SessionsServed);
    let mut relay = Relay::new(shard, Bounds::of(view.spec()));
    relay.client_first(first);
    let end = relay.run(&mut client, &mut server, open.tunnel()).await;
    let counters = pool.server_counters(shard, lease.index());
    counters.add(ServerCounter::BytesOut, end.up);
    counters.add(ServerCounter::BytesIn, end.down);
    counters.outcome(Outcome::SessionEnded);
    view.counters.add_n(ListenerCounter::BytesIn, end.up);
    view.counters.add_n(ListenerCounter::BytesOut, end.down);
    match end.cause {
        Some("tunnel_idle") => view.counters.add(ListenerCounter::TunnelIdle),
        Some("tunnel_max") => view.counters.add(ListenerCounter::LimitTunnel),
        Some("drain_cut") => shard.worker.add(WorkerCounter::DrainCut, 1),
        Some(_) => view.counters.add(ListenerCounter::Reset),
        None => {}
    }
    let took = shard.micros().saturating_sub(started);
    view.route_counters(shard, None).record(RouteHistogram::Duration, took);
}

async fn connect(
    shard: &Rc<Shard>,
    pool: &Rc<PoolView>,
    speaks: bool,
) -> Option<(evener_balance::Lease, Stream)> {
    let mut tried = Tried::new();
    let until = shard.now().saturating_add(pool.spec().timeouts.connect.saturating_mul(2));
    loop {
        let lease = match pool.group().pick(&tried, shard.now()) {
            Ok(lease) => lease,
            Err(why) => {
                pool.counters.no_server(why);
                return None;
            }
        };
        tried.insert(lease.index());
        match dial::dial(shard, pool, lease.index(), until, speaks).await {
            Ok(stream) => {
                dial::report(shard, pool, &lease, Outcome::SessionEnded);
                return Some((lease, stream));
            }
            Err(why) => {
                let outcome = why.cause.map_or(Outcome::Local, Outcome::Failed);
                dial::report(shard, pool, &lease, outcome);
                if shard.now() >= until {
                    return None;
                }
                pool.counters.add(PoolCounter::RetriesConnect);
            }
        }
    }
}

//! A connection that became a tunnel: bytes both ways until either side ends.

use super::exchange::Exchange;
use super::proxy::Attempt;
use crate::counters::{RouteCounter, RouteGauge, ServerCounter};
use crate::io::Buffer;
use crate::tcp::relay::{Bounds, Cut, Relay};

/// Carries an upgraded connection to its end.
pub async fn upgraded(exchange: &mut Exchange<'_>, attempt: Attempt) {
    let route = exchange.view.route_counters(exchange.shard, exchange.asked.route);
    route.add(RouteCounter::Tunnels, 1);
    route.raise(RouteGauge::TunnelsOpen);
    let early = exchange.client.inbox.split_off(exchange.asked.head);
    if exchange.record.logged {
        exchange.client.inbox.shrink_to_fit();
    } else {
        // Nobody asks what the head said: a tunnel holds no buffer.
        exchange.client.inbox = Buffer::empty();
    }
    let bounds = Bounds::of(exchange.view.spec());
    let mut relay = Relay::new(exchange.shard, bounds);
    relay.client_first(early);
    relay.server_first(attempt.server.inbox);
    let mut server = attempt.server.stream;
    let tunnel = exchange.client.open.tunnel();
    let end = relay.run(&mut exchange.client.stream, &mut server, tunnel).await;
    route.lower(RouteGauge::TunnelsOpen);
    exchange.record.at_once = false;
    exchange.record.received += end.up;
    exchange.record.out += end.down;
    exchange.record.sent += end.down;
    exchange.record.from_server += end.down;
    if let (Some(pool), Some(index)) = (&exchange.record.pool, exchange.record.server) {
        pool.server_counters(exchange.shard, index).add(ServerCounter::BytesOut, end.up);
    }
    exchange.record.cause = end.cut.map(Cut::cause);
    if let Some(cut) = end.cut {
        cut.count(exchange.shard, &exchange.view);
    }
}

//! Bytes both ways between two streams, for TCP sessions and for connections that were upgraded.
//!
//! Rules kept here:
//! - Each direction ends by itself (half-close); the relay ends with both, or with an error, or when
//!   neither has moved a byte for `tunnel.idle`, or after `tunnel.max`, or when a drain says so.
//!
//! Not known here: who the two are.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::{Context, Poll};

use evener_plan::Listener;

use super::pump::Pump;
use crate::io::{Buffer, Deadline, Stream};
use crate::shard::{Shard, Tunnel};

/// How long a relay may last.
pub struct Bounds {
    idle: u64,
    max: Option<u64>,
}

/// Two directions and what bounds them.
pub struct Relay {
    up: Pump,
    down: Pump,
    bounds: Bounds,
    idle: Deadline,
    max: Deadline,
    /// Set when a drain wants it to end.
    cut: Deadline,
    /// Bytes moved when the idle time last began.
    seen: u64,
}

/// How a relay ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct End {
    /// Bytes to the server.
    pub up: u64,
    /// Bytes to the client.
    pub down: u64,
    /// What ended it, where it was not both sides.
    pub cause: Option<&'static str>,
}

impl Bounds {
    /// Those of a listener.
    pub fn of(listener: &Listener) -> Bounds {
        Bounds { idle: listener.timeouts.tunnel_idle, max: listener.timeouts.tunnel_max }
    }
}

impl Relay {
    /// Before the first byte.
    pub fn new(shard: &Shard, bounds: Bounds) -> Relay {
        let max = shard.deadlines.slot();
        if let Some(after) = bounds.max {
            max.arm(after);
        }
        Relay {
            up: Pump::new(Buffer::empty()),
            down: Pump::new(Buffer::empty()),
            bounds,
            idle: shard.deadlines.slot(),
            max,
            cut: shard.deadlines.slot(),
            seen: 0,
        }
    }

    /// Bytes of the client that were read before.
    pub fn client_first(&mut self, bytes: Buffer) {
        self.up.first(bytes);
    }

    /// Bytes of the server that were read before.
    pub fn server_first(&mut self, bytes: Buffer) {
        self.down.first(bytes);
    }

    /// Carries bytes until it is over.
    pub async fn run(mut self, client: &mut Stream, server: &mut Stream, tunnel: Tunnel) -> End {
        let mut leaving = pin!(tunnel.cut_at());
        let cause = poll_fn(|cx| {
            if !self.cut.armed()
                && let Poll::Ready(at) = leaving.as_mut().poll(cx)
            {
                self.cut.arm_at(at);
            }
            self.poll(cx, client, server)
        })
        .await;
        End { up: self.up.moved, down: self.down.moved, cause }
    }

    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        client: &mut Stream,
        server: &mut Stream,
    ) -> Poll<Option<&'static str>> {
        let up = self.up.poll(cx, client, server);
        let down = self.down.poll(cx, server, client);
        match (up, down) {
            (Poll::Ready(Err(_)), _) | (_, Poll::Ready(Err(_))) => Poll::Ready(Some("reset")),
            (Poll::Ready(Ok(())), Poll::Ready(Ok(()))) => Poll::Ready(None),
            _ => self.poll_bounds(cx),
        }
    }

    fn poll_bounds(&mut self, cx: &mut Context<'_>) -> Poll<Option<&'static str>> {
        let moved = self.up.moved + self.down.moved;
        if moved != self.seen {
            self.seen = moved;
            self.idle.disarm();
        }
        if self.cut.armed() && self.cut.poll(cx).is_ready() {
            return Poll::Ready(Some("drain_cut"));
        }
        if self.bounds.max.is_some() && self.max.poll(cx).is_ready() {
            return Poll::Ready(Some("tunnel_max"));
        }
        self.idle.poll_wait(cx, self.bounds.idle).map(|()| Some("tunnel_idle"))
    }
}

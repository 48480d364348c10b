//! Bytes both ways between two streams, for TCP sessions and for connections that were upgraded.
//!
//! Rules kept here:
//! - Each direction ends by itself (half-close); the relay ends with both, or with an error, or when
//!   neither has moved a byte for `tunnel.idle`, or after `tunnel.max`, or when a drain says so.
//! - A side that breaks off breaks the other: what was cut must not look whole. What was written to
//!   that one before has two seconds to arrive.
//!
//! Not known here: who the two are.

use std::future::poll_fn;
use std::io;
use std::task::{Context, Poll};

use evener_plan::Listener;

use super::pump::Pump;
use super::speakers::Side;
use crate::counters::{ListenerCounter, WorkerCounter};
use crate::http::answers::DRAIN_CUT;
use crate::io::{Buffer, Deadline, Stream};
use crate::shard::{ListenerView, Shard, Tunnel};

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
    wait: Deadline,
    /// When it is too old, in milliseconds on the shard's clock.
    old_at: u64,
    /// When it has stood idle for too long.
    idle_at: u64,
    /// Bytes moved when the idle time last began.
    seen: u64,
    /// Who was heard first.
    first: Side,
    /// Either side has broken off.
    broken: bool,
}

/// How a relay ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct End {
    /// Bytes to the server.
    pub up: u64,
    /// Bytes to the client.
    pub down: u64,
    /// What ended it, where it was not both sides.
    pub cut: Option<Cut>,
    /// Who was heard first.
    pub first: Side,
}

/// What ends a relay before both sides do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cut {
    /// Its time in a drain.
    Drain,
    /// `tunnel.max`.
    Old,
    /// `tunnel.idle`.
    Idle,
    /// Either side.
    Reset,
}

impl Cut {
    /// Its name in the log.
    pub fn cause(self) -> &'static str {
        match self {
            Cut::Drain => DRAIN_CUT,
            Cut::Old => "tunnel_max",
            Cut::Idle => "tunnel_idle",
            Cut::Reset => RESET,
        }
    }

    /// Tells the counters.
    pub fn count(self, shard: &Shard, view: &ListenerView) {
        match self {
            Cut::Drain => shard.worker.add(WorkerCounter::DrainCut, 1),
            Cut::Old => view.counters.add(ListenerCounter::LimitTunnel),
            Cut::Idle => view.counters.add(ListenerCounter::TunnelIdle),
            Cut::Reset => view.counters.add(ListenerCounter::Reset),
        }
    }
}

/// How long a side that is to be reset may take for what was written to it, in milliseconds.
const LINGER_MS: u64 = 2000;

/// The cause of a session that either side has reset.
pub const RESET: &str = "reset";

impl Bounds {
    /// Those of a listener.
    pub fn of(listener: &Listener) -> Bounds {
        Bounds { idle: listener.timeouts.tunnel_idle, max: listener.timeouts.tunnel_max }
    }
}

impl Relay {
    /// Before the first byte.
    pub fn new(shard: &Shard, bounds: Bounds) -> Relay {
        let wait = shard.deadlines.slot();
        let old_at = bounds.max.map_or(u64::MAX, |max| wait.after(max));
        let idle_at = wait.after(bounds.idle);
        let (up, down) = (Pump::new(Buffer::empty()), Pump::new(Buffer::empty()));
        Relay {
            up,
            down,
            bounds,
            wait,
            old_at,
            idle_at,
            seen: 0,
            first: Side::Neither,
            broken: false,
        }
    }

    /// Bytes of the client that were read before.
    pub fn client_first(&mut self, bytes: Buffer) {
        self.hear(Side::Client, bytes.len() as u64);
        self.up.first(bytes);
    }

    /// Bytes of the server that were read before.
    pub fn server_first(&mut self, bytes: Buffer) {
        self.down.first(bytes);
    }

    /// Carries bytes until it is over.
    pub async fn run(mut self, client: &mut Stream, server: &mut Stream, tunnel: Tunnel) -> End {
        let cut = poll_fn(|cx| self.poll(cx, client, server, &tunnel)).await;
        if self.broken {
            self.break_off(client, server).await;
        }
        End { up: self.up.moved, down: self.down.moved, cut, first: self.first }
    }

    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        client: &mut Stream,
        server: &mut Stream,
        tunnel: &Tunnel,
    ) -> Poll<Option<Cut>> {
        let down = self.down.poll(cx, server, client, self.up.is_over());
        self.hear(Side::Server, self.down.moved);
        let up = self.up.poll(cx, client, server, self.down.is_over());
        self.hear(Side::Client, self.up.moved);
        match (up, down) {
            (Poll::Ready(Err(why)), _) | (_, Poll::Ready(Err(why))) => {
                // TLS has a word for its end, which many never send: where it lacks no more is said
                // than was.
                self.broken = why.kind() != io::ErrorKind::UnexpectedEof;
                Poll::Ready(Some(Cut::Reset))
            }
            (Poll::Ready(Ok(())), Poll::Ready(Ok(()))) => Poll::Ready(None),
            _ => self.poll_bounds(cx, tunnel),
        }
    }

    /// To the other side a clean end would say that what it got is whole. It is reset as soon as it
    /// has what was written to it: a reset takes along what the kernel still holds.
    #[cold]
    async fn break_off(&self, client: &Stream, server: &Stream) {
        let until = self.wait.after(LINGER_MS);
        for (side, has_all) in [(client, self.down.is_over()), (server, self.up.is_over())] {
            if has_all || side.is_tls() {
                continue;
            }
            while side.owed() > 0 && self.wait.after(0) < until {
                self.wait.arm(0);
                poll_fn(|cx| self.wait.poll(cx)).await;
            }
            side.reset_on_close();
        }
    }

    /// This side has sent so many bytes by now.
    #[inline]
    fn hear(&mut self, side: Side, moved: u64) {
        if self.first == Side::Neither && moved > 0 {
            self.first = side;
        }
    }

    fn poll_bounds(&mut self, cx: &mut Context<'_>, tunnel: &Tunnel) -> Poll<Option<Cut>> {
        let moved = self.up.moved + self.down.moved;
        if moved != self.seen {
            self.seen = moved;
            self.idle_at = self.wait.after(self.bounds.idle);
        }
        let ends =
            [(tunnel.cut_at(), Cut::Drain), (self.old_at, Cut::Old), (self.idle_at, Cut::Idle)];
        let (at, cut) = ends.into_iter().min().unwrap_or((u64::MAX, Cut::Idle));
        self.wait.arm_at(at);
        self.wait.poll(cx).map(|()| Some(cut))
    }
}

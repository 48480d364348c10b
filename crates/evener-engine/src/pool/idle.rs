//! Server connections kept for later requests, per shard and server.
//!
//! Rules kept here:
//! - The freshest is used first; the longest unused is given up first.
//! - One that is readable before it is used has ended or has said something nobody asked for:
//!   either way it is closed, never used. Looking costs no system call.
//! - `keepalive.idle`, `per_shard` and `max_age` bound time, number and age.
//!
//! Not known here: what was spoken on the connection, and whether it may be kept.

use std::collections::VecDeque;
use std::task::Context;

use evener_plan::Keepalive;

use crate::io::Stream;

/// A connection nobody uses now.
pub struct IdleConnection {
    stream: Stream,
    /// Milliseconds on the shard's clock.
    born: u64,
    until: u64,
}

/// Unused connections to one server.
#[derive(Default)]
pub struct Idle {
    connections: VecDeque<IdleConnection>,
}

impl Idle {
    /// The freshest usable connection, with the time it was made. Stale ones on the way are closed
    /// and counted in `stale`.
    pub fn take(
        &mut self,
        now: u64,
        cx: &mut Context<'_>,
        stale: &mut u32,
    ) -> Option<(Stream, u64)> {
        while let Some(mut idle) = self.connections.pop_back() {
            if idle.until > now && idle.stream.poll_readable(cx).is_pending() {
                return Some((idle.stream, idle.born));
            }
            *stale += 1;
        }
        None
    }

    /// Keeps a connection, if the rules allow.
    pub fn keep(&mut self, stream: Stream, born: u64, now: u64, rules: &Keepalive) {
        let oldest = born.saturating_add(rules.max_age);
        let until = now.saturating_add(rules.idle).min(oldest);
        if until <= now || rules.per_shard == 0 {
            return;
        }
        if self.connections.len() >= rules.per_shard as usize {
            self.connections.pop_front();
        }
        self.connections.push_back(IdleConnection { stream, born, until });
    }

    /// Closes what has ended or stood too long.
    pub fn sweep(&mut self, now: u64) {
        let mut cx = Context::from_waker(std::task::Waker::noop());
        self.connections
            .retain_mut(|idle| idle.until > now && idle.stream.poll_readable(&mut cx).is_pending());
        if self.connections.is_empty() {
            self.connections = VecDeque::new();
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.connections.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.connections.is_empty()
    }
}

//! Server connections kept for later requests, per shard and server.
//!
//! Rules kept here:
//! - The freshest is used first; the longest unused is given up first.
//! - One that is readable before it is used has ended or has said something nobody asked for:
//!   either way it is closed, never used. Looking costs no system call.
//! - `keepalive.idle`, `per_shard` and `max_age` bound time, number and age; so does what its server
//!   says of the time.
//!
//! Not known here: what was spoken on the connection, and whether it may be kept.

use std::collections::VecDeque;
use std::task::Context;

use evener_plan::Keepalive;

use crate::io::Stream;

/// A connection that has carried a request to its end.
pub struct Returned {
    /// The connection itself.
    pub stream: Stream,
    /// When it was made; milliseconds on the shard's clock.
    pub born: u64,
    /// How long its server keeps it for another request, by what it says; milliseconds.
    pub lasts: u64,
}

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
    /// How many the gauge says there are.
    shown: usize,
}

impl Returned {
    /// Until when it can be used again.
    pub fn until(&self, now: u64, rules: &Keepalive) -> u64 {
        let oldest = self.born.saturating_add(rules.max_age);
        now.saturating_add(rules.idle.min(self.lasts)).min(oldest)
    }
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
    pub fn keep(&mut self, returned: Returned, now: u64, rules: &Keepalive) {
        let until = returned.until(now, rules);
        let Returned { stream, born, .. } = returned;
        if until <= now || rules.per_shard == 0 {
            return;
        }
        stream.forget();
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

    /// How many there are, if the gauge says something else.
    pub fn take_news(&mut self) -> Option<u64> {
        let there = self.connections.len();
        (std::mem::replace(&mut self.shown, there) != there).then_some(there as u64)
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

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::rc::Rc;
    use std::task::Waker;

    use super::*;
    use crate::simulation::{Pipe, Wire, pair};

    const RULES: Keepalive = Keepalive { idle: 100, per_shard: 2, max_age: 1000 };

    fn kept(idle: &mut Idle, born: u64, now: u64, rules: &Keepalive) -> Rc<RefCell<Pipe>> {
        let (stream, pipe) = pair(Wire::Whole);
        let stream = Stream::Scripted(Box::new(stream));
        idle.keep(Returned { stream, born, lasts: u64::MAX }, now, rules);
        pipe
    }

    /// Birth of the connection taken, and how many stale ones were closed on the way.
    fn take(idle: &mut Idle, now: u64) -> (Option<u64>, u32) {
        let mut stale = 0;
        let taken = idle.take(now, &mut Context::from_waker(Waker::noop()), &mut stale);
        (taken.map(|(_, born)| born), stale)
    }

    #[test]
    fn the_freshest_is_used_first_and_the_longest_unused_is_given_up_first() {
        let mut idle = Idle::default();
        let first = kept(&mut idle, 1, 10, &RULES);
        kept(&mut idle, 2, 11, &RULES);
        kept(&mut idle, 3, 12, &RULES);
        assert!(first.borrow().gone, "there is room for two");
        assert_eq!(take(&mut idle, 13), (Some(3), 0));
        assert_eq!(take(&mut idle, 13), (Some(2), 0));
        assert_eq!(take(&mut idle, 13), (None, 0));
        assert!(idle.is_empty());
    }

    #[test]
    fn one_that_has_ended_or_speaks_unasked_is_closed_and_never_used() {
        for speaks in [true, false] {
            let mut idle = Idle::default();
            kept(&mut idle, 1, 10, &RULES);
            let pipe = kept(&mut idle, 2, 11, &RULES);
            match speaks {
                true => pipe.borrow_mut().send(b"HTTP/1.1 408 \r\n\r\n"),
                false => pipe.borrow_mut().end(),
            }
            pipe.borrow_mut().step();
            assert_eq!(take(&mut idle, 12), (Some(1), 1));
            assert!(pipe.borrow().gone);
        }
    }

    #[test]
    fn time_unused_and_age_bound_how_long_one_is_kept() {
        let mut idle = Idle::default();
        kept(&mut idle, 0, 10, &RULES);
        assert_eq!(take(&mut idle, 109), (Some(0), 0));
        kept(&mut idle, 0, 10, &RULES);
        assert_eq!(take(&mut idle, 110), (None, 1));
        kept(&mut idle, 0, 950, &RULES);
        assert_eq!(take(&mut idle, 1000), (None, 1), "its age is over before its idle time");
        let old = kept(&mut idle, 0, 1000, &RULES);
        assert!(old.borrow().gone && idle.is_empty());
    }

    #[test]
    fn rules_that_keep_none_keep_none() {
        for rules in [Keepalive { per_shard: 0, ..RULES }, Keepalive { idle: 0, ..RULES }] {
            let mut idle = Idle::default();
            assert!(kept(&mut idle, 0, 0, &rules).borrow().gone);
            assert_eq!(idle.len(), 0);
        }
    }

    #[test]
    fn a_sweep_closes_what_has_ended_or_stood_too_long() {
        let mut idle = Idle::default();
        let rules = Keepalive { per_shard: 10, ..RULES };
        let late = kept(&mut idle, 1, 0, &rules);
        let ended = kept(&mut idle, 2, 50, &rules);
        let stays = kept(&mut idle, 3, 50, &rules);
        ended.borrow_mut().end();
        ended.borrow_mut().step();
        idle.sweep(100);
        assert_eq!(idle.len(), 1);
        assert!(late.borrow().gone && ended.borrow().gone && !stays.borrow().gone);
        idle.sweep(150);
        assert!(idle.is_empty() && stays.borrow().gone);
    }
}

//! A client that takes its answer slowly: what it has really taken, and what it may hold of us.
//!
//! Rules kept here:
//! - Memory for slow clients is one budget of the shard. Beyond it nothing is taken in for them: what
//!   was read already is kept to the byte, and more is read, a little at a time, once the client has
//!   taken that. What a client that seems fast has not taken yet is as little then.
//! - What the kernel took from us is not yet the client's: its rate is judged by what it has
//!   acknowledged, looked at once a second while it is waited for.
//!
//! Not known here: who writes, what is written.

use std::cell::Cell;
use std::rc::Rc;

use crate::io::buffers::Size;

/// Time between two looks at what a client has taken, in milliseconds.
pub const LOOK_MS: u64 = 1000;

/// Most bytes of a shard that are held for slow clients: 1,000 answers of the usual `buffer`.
pub const MOST: usize = 64 << 20;

/// What a shard holds for slow clients.
#[derive(Debug, Default)]
pub struct Room {
    held: Cell<usize>,
}

/// One client's part of it; given back when dropped.
#[derive(Debug)]
pub struct Held {
    room: Rc<Room>,
    bytes: usize,
}

/// What is known of a client while its answer waits for it.
#[derive(Debug)]
pub struct Slow {
    /// What it holds.
    pub held: Held,
    /// There was no room for more: nothing is read ahead of it.
    pub cramped: bool,
    /// When it last took something, in milliseconds on the shard's clock.
    pub since: u64,
    /// How long the wait until the next look is.
    pub look: u64,
    /// Bytes that we had left to write when it was last looked at.
    pub left: usize,
    /// How far it had acknowledged at the last look.
    reached: i64,
    /// What is to be added to that for the bytes of its answer that it has taken.
    start: Option<i64>,
}

impl Room {
    /// Whether one more answer in a buffer of its own would be too much: from then on answers are
    /// read in small pieces, and only for clients that have room.
    #[inline]
    pub fn is_full(&self) -> bool {
        self.held.get() + Size::Large.bytes() > MOST
    }
}

impl Held {
    /// Nothing yet.
    pub fn new(room: &Rc<Room>) -> Held {
        Held { room: room.clone(), bytes: 0 }
    }

    /// Whether so many bytes may be held from now on; if not, it is as before. Who is alone may hold
    /// whatever the configuration says.
    pub fn asks(&mut self, bytes: usize) -> bool {
        let others = self.room.held.get() - self.bytes;
        let granted = bytes <= self.bytes || others == 0 || others.saturating_add(bytes) <= MOST;
        if granted {
            self.set(bytes);
        }
        granted
    }

    /// So many are held, whether there is room or not.
    pub fn set(&mut self, bytes: usize) {
        self.room.held.set(self.room.held.get() - self.bytes + bytes);
        self.bytes = bytes;
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.set(0);
    }
}

impl Slow {
    /// A client that did not take all at once, at this time.
    pub fn new(room: &Rc<Room>, now: u64) -> Slow {
        Slow {
            held: Held::new(room),
            cramped: false,
            since: now,
            look: LOOK_MS,
            left: 0,
            reached: 0,
            start: None,
        }
    }

    /// Looks: it has acknowledged all up to there, wherever that counts from. `before`: what it has
    /// surely taken of its answer, asked for once. Returns what it has taken of it by now.
    pub fn looks(&mut self, reached: i64, before: impl FnOnce() -> u64, now: u64) -> u64 {
        match self.start {
            None => self.start = Some((before() as i64).saturating_sub(reached)),
            Some(_) if reached > self.reached => self.since = now,
            Some(_) => {}
        }
        self.reached = reached;
        reached.saturating_add(self.start.unwrap_or(0)).max(0) as u64
    }

    /// How long to wait until the next look, where so many milliseconds may pass without progress.
    pub fn next_look(&mut self, now: u64, most: u64) -> u64 {
        let left = self.since.saturating_add(most).saturating_sub(now);
        self.look = left.clamp(1, LOOK_MS);
        self.look
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_all_hold_together_is_bounded_and_comes_back() {
        let room = Rc::<Room>::default();
        let mut all: Vec<Held> = Vec::new();
        loop {
            let mut one = Held::new(&room);
            if !one.asks(72 << 10) {
                break;
            }
            all.push(one);
        }
        assert_eq!(all.len(), MOST / (72 << 10));
        assert_eq!(room.held.get(), all.len() * (72 << 10));
        assert!(room.is_full());
        let (mut one, mut other) = (all.pop().unwrap(), all.pop().unwrap());
        assert!(!one.asks(1 << 20), "there is no room to grow");
        assert!(one.asks(72 << 10) && other.asks(1000), "less than before is always granted");
        let before = room.held.get();
        other.set(9000);
        assert_eq!(room.held.get(), before + 8000, "what is there is counted, room or not");
        drop((one, other, all));
        assert!(!room.is_full() && room.held.get() == 0);
    }

    #[test]
    fn who_is_alone_may_hold_what_the_configuration_says() {
        let room = Rc::<Room>::default();
        let mut one = Held::new(&room);
        assert!(one.asks(MOST * 4) && one.asks(MOST * 8));
        assert!(!Held::new(&room).asks(1), "and others wait until it has gone");
        drop(one);
        assert!(Held::new(&room).asks(1));
    }

    #[test]
    fn only_what_was_acknowledged_is_taken_and_earlier_answers_are_no_fault() {
        let room = Rc::<Room>::default();
        let mut slow = Slow::new(&room, 1000);
        // 60,000 bytes of an answer before stand in the kernel; 500 of this one joined them.
        assert_eq!(slow.looks(-60_000, || 0, 2000), 0);
        assert_eq!(slow.since, 1000, "the first look sees no progress");
        assert_eq!(slow.looks(-60_000, || 0, 3000), 0);
        assert_eq!((slow.since, slow.looks(-50_000, || 99, 4000)), (1000, 10_000));
        assert_eq!(slow.since, 4000);
        // What we write meanwhile is not taken yet.
        assert_eq!((slow.looks(-50_000, || 99, 5000), slow.since), (10_000, 4000));
        let mut slow = Slow::new(&room, 1000);
        assert_eq!(slow.looks(700, || 500, 2000), 500, "what it took quickly counts for it");
        assert_eq!(slow.looks(900, || 99, 3000), 700);
    }

    #[test]
    fn looks_come_every_second_and_one_when_time_is_up() {
        let mut slow = Slow::new(&Rc::default(), 1000);
        assert_eq!(slow.next_look(1000, 30_000), LOOK_MS);
        assert_eq!(slow.next_look(30_600, 30_000), 400);
        assert_eq!(slow.next_look(31_000, 30_000), 1);
    }
}

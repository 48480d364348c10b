//! What the worker says by itself: told by shards and prober, sent on by the control thread.
//!
//! Rules kept here: telling never blocks; the control thread is woken through a descriptor that it
//! polls beside its sockets.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

use evener_balance::{Facts, Group, Transition};
use evener_plan::Pool;
use rustix::event::{EventfdFlags, eventfd};

/// Something the supervisor should hear of.
pub enum Event {
    /// What is known of a server has changed.
    Health {
        /// Its pool.
        pool: String,
        /// What is known of it now.
        facts: Box<Facts>,
    },
    /// A word for people.
    Log {
        /// `info`, `warning` or `error`.
        level: &'static str,
        /// The word.
        text: String,
    },
    /// A word for people about a server: what a try at it met, or what it says of itself.
    Warning {
        /// Its pool.
        pool: String,
        /// Its id.
        server: String,
        /// The word.
        text: String,
    },
    /// The drain of all shards is over: so many connections were cut.
    Drained(u64),
    /// A thread has ended that must not.
    Ended {
        /// Its name.
        thread: String,
        /// Its last words.
        why: String,
    },
}

/// The telling end.
#[derive(Clone)]
pub struct Events {
    sender: Sender<Event>,
    bell: Arc<OwnedFd>,
}

/// The hearing end.
pub struct Heard {
    /// What was told.
    pub inbox: Receiver<Event>,
    /// Readable when there is something.
    pub bell: Arc<OwnedFd>,
}

impl Heard {
    /// The bell has rung: it is silent until something is told again. Look into the inbox after.
    pub fn silence(&self) {
        let _ = rustix::io::read(&*self.bell, &mut [0; 8]);
    }
}

impl Event {
    /// The state of a server, as it is now or as a transition found it.
    pub fn health(pool: &Pool, group: &Group, index: usize, change: Option<&Transition>) -> Event {
        let name = pool.name.clone();
        match group.facts(index) {
            Some(mut facts) => {
                if let Some(change) = change {
                    facts.state = change.after;
                    facts.reason = change.reason.clone();
                    facts.changed = change.at;
                }
                Event::Health { pool: name, facts: Box::new(facts) }
            }
            None => Event::Log { level: "error", text: format!("{name}: no server {index}") },
        }
    }
}

impl Events {
    /// A pair of ends.
    ///
    /// # Errors
    /// When the kernel has no descriptor for the bell.
    pub fn new() -> std::io::Result<(Events, Heard)> {
        let (sender, inbox) = channel();
        let bell = Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?);
        Ok((Events { sender, bell: bell.clone() }, Heard { inbox, bell }))
    }

    /// Tells.
    pub fn send(&self, event: Event) {
        if self.sender.send(event).is_ok() {
            // A full counter means that the bell is ringing anyway.
            let _ = rustix::io::write(&*self.bell, &1u64.to_ne_bytes());
        }
    }
}

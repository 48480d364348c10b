//! The right to use a server for one request or session.
//!
//! Rules kept here:
//! - Ending a lease, by dropping it, is the only thing that lowers a server's in-flight count.
//! - A lease keeps its server alive, also when a later plan no longer has it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::roster::{Picked, Roster};
use crate::schedule::{Done, How};
use crate::server::ServerState;

/// The right to use a server for one request or session; dropping it gives it back.
#[must_use = "dropping a lease ends it"]
pub struct Lease {
    roster: Arc<Roster>,
    index: u32,
    /// The scheduler's word for it.
    mark: u32,
    /// Whose scheduler picked it, where each shard has one.
    shard: u16,
    begun: u64,
    /// The scheduler heard that the head of the answer came.
    headed: AtomicBool,
    /// The scheduler heard how it went.
    reported: AtomicBool,
    /// The scheduler did not pick it, and hears nothing of it but the count.
    pinned: bool,
}

impl Lease {
    /// Of a server whose in-flight count has been raised for it at `now`.
    pub(crate) fn of_begun(roster: Arc<Roster>, picked: &Picked, now: u64) -> Lease {
        let Picked { index, mark, shard, .. } = *picked;
        let (index, shard) = (index as u32, shard as u16);
        let (headed, reported) = (AtomicBool::new(false), AtomicBool::new(false));
        Lease { roster, index, mark, shard, begun: now, headed, reported, pinned: false }
    }

    /// The same for one that no scheduler picked.
    pub(crate) fn of_pinned(roster: Arc<Roster>, index: usize, shard: usize, now: u64) -> Lease {
        let picked = Picked { index, was_trial: false, mark: 0, shard };
        let mut lease = Lease::of_begun(roster, &picked, now);
        lease.pinned = true;
        lease
    }

    /// When it began, in monotonic milliseconds.
    pub fn begun(&self) -> u64 {
        self.begun
    }

    /// Index of the server in its group, which is its index in the plan's pool.
    pub fn index(&self) -> usize {
        self.index as usize
    }

    /// The server.
    pub fn server(&self) -> &ServerState {
        self.roster.state(self.index())
    }

    pub(crate) fn roster(&self) -> &Arc<Roster> {
        &self.roster
    }

    /// Notes that the head came; true the first time.
    pub(crate) fn note_head(&self) -> bool {
        !self.headed.swap(true, Ordering::Relaxed)
    }

    /// Notes that it is told how it went; true the first time.
    pub(crate) fn note_report(&self) -> bool {
        !self.reported.swap(true, Ordering::Relaxed)
    }

    pub(crate) fn shard(&self) -> usize {
        self.shard.into()
    }

    pub(crate) fn mark(&self) -> u32 {
        self.mark
    }

    /// Whether its scheduler wants to hear how it goes.
    pub(crate) fn is_timed(&self) -> bool {
        self.roster.times() && !self.pinned
    }

    pub(crate) fn is_headed(&self) -> bool {
        self.headed.load(Ordering::Relaxed)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        // Nobody said how it went, as when its task broke: it is over all the same.
        if self.is_timed() && self.note_report() {
            let (headed, mark) = (self.is_headed(), self.mark);
            let done = Done { how: How::Nothing, head: None, whole: 0, headed, again: false, mark };
            self.roster.on_done(self.index(), self.shard(), &done, self.begun);
        }
        self.roster.end(self.index(), self.shard(), self.mark, self.begun);
    }
}

impl std::fmt::Debug for Lease {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lease").field("server", &self.server().id()).finish()
    }
}

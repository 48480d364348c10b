//! The right to use a server for one request or session.
//!
//! Rules kept here:
//! - Ending a lease, by dropping it, is the only thing that lowers a server's in-flight count.
//! - A lease keeps its server alive, also when a later plan no longer has it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::roster::Roster;
use crate::server::ServerState;

/// The right to use a server for one request or session; dropping it gives it back.
#[must_use = "dropping a lease ends it"]
pub struct Lease {
    roster: Arc<Roster>,
    index: u32,
    /// The scheduler's word for it.
    mark: u32,
    begun: u64,
    /// The scheduler heard that the head of the answer came.
    headed: AtomicBool,
    /// The scheduler did not pick it, and hears nothing of it but the count.
    pinned: bool,
}

impl Lease {
    /// Of a server whose in-flight count has been raised for it at `now`.
    pub(crate) fn of_begun(roster: Arc<Roster>, index: usize, mark: u32, now: u64) -> Lease {
        let (index, headed) = (index as u32, AtomicBool::new(false));
        Lease { roster, index, mark, begun: now, headed, pinned: false }
    }

    /// The same for one that no scheduler picked.
    pub(crate) fn of_pinned(roster: Arc<Roster>, index: usize, now: u64) -> Lease {
        let mut lease = Lease::of_begun(roster, index, 0, now);
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
        self.roster.end(self.index(), self.mark);
    }
}

impl std::fmt::Debug for Lease {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lease").field("server", &self.server().id()).finish()
    }
}

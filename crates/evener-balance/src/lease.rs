//! The right to use a server for one request or session.
//!
//! Rules kept here:
//! - Ending a lease, by dropping it, is the only thing that lowers a server's in-flight count.
//! - A lease keeps its server alive, also when a later plan no longer has it.

use std::sync::Arc;

use crate::roster::Roster;
use crate::server::ServerState;

/// The right to use a server for one request or session; dropping it gives it back.
#[must_use = "dropping a lease ends it"]
pub struct Lease {
    roster: Arc<Roster>,
    index: u32,
}

impl Lease {
    /// Of a server whose in-flight count has been raised for it.
    pub(crate) fn of_begun(roster: Arc<Roster>, index: usize) -> Lease {
        Lease { roster, index: index as u32 }
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
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.roster.end(self.index());
    }
}

impl std::fmt::Debug for Lease {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lease").field("server", &self.server().id()).finish()
    }
}

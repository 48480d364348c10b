//! Server connections that carry a client's identity: they belong to that client's connection.
//!
//! Rules kept here (RFC 4559 §6, SECURITY.md):
//! - Such a connection serves its client alone, and ends with it.
//! - It is used for the client's requests to the pool it was made for, as long as pool and server
//!   are what they were. `keepalive.idle` and `max_age` and its server's word bound it as any other.
//! - One that is readable before it is used has ended or has said something nobody asked for: it is
//!   closed, never used.
//!
//! Not known here: how a connection came to carry an identity, and whether its server takes traffic.

use std::task::Context;

use super::idle::Returned;
use super::target::Target;
use crate::io::Stream;
use crate::shard::PoolView;

/// The server connections that belong to one client connection. Small, since most have none.
#[derive(Default)]
pub struct Owned(Option<Box<List>>);

#[derive(Default)]
struct List {
    connections: Vec<Connection>,
}

struct Connection {
    pool: Box<str>,
    fingerprint: u64,
    server: Box<str>,
    target: Target,
    stream: Stream,
    born: u64,
    until: u64,
}

impl Owned {
    /// Whether there is none.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Index of the server that a request to this pool belongs to.
    pub fn server(&self, pool: &PoolView) -> Option<usize> {
        self.find(pool)?.index_in(pool)
    }

    /// Keeps a connection of the server with this index; another one to the same pool ends.
    pub fn keep(&mut self, pool: &PoolView, index: usize, returned: Returned, now: u64) {
        self.forget(pool);
        let until = returned.until(now, &pool.spec().keepalive);
        let Returned { stream, born, .. } = returned;
        let server = pool.group().server(index).zip(pool.target(index));
        let Some((server, target)) = server.filter(|_| until > now) else { return };
        stream.forget();
        let connection = Connection {
            pool: pool.spec().name.as_str().into(),
            fingerprint: pool.fingerprint(),
            server: server.id().into(),
            target: target.clone(),
            stream,
            born,
            until,
        };
        self.0.get_or_insert_default().connections.push(connection);
    }

    /// Takes the connection to the server with this index, with the time it was made, if it can be
    /// used.
    pub fn take(
        &mut self,
        pool: &PoolView,
        index: usize,
        now: u64,
        cx: &mut Context<'_>,
    ) -> Option<(Stream, u64)> {
        let mut found = self.remove(pool)?;
        let usable = found.index_in(pool) == Some(index)
            && found.until > now
            && found.stream.poll_readable(cx).is_pending();
        usable.then_some((found.stream, found.born))
    }

    /// Closes the connection to this pool.
    pub fn forget(&mut self, pool: &PoolView) {
        self.remove(pool);
    }

    fn find(&self, pool: &PoolView) -> Option<&Connection> {
        self.0.as_ref()?.connections.iter().find(|one| *one.pool == *pool.spec().name)
    }

    fn remove(&mut self, pool: &PoolView) -> Option<Connection> {
        let list = &mut self.0.as_mut()?.connections;
        let at = list.iter().position(|one| *one.pool == *pool.spec().name)?;
        let found = list.swap_remove(at);
        if list.is_empty() {
            self.0 = None;
        }
        Some(found)
    }
}

impl Connection {
    /// Index of its server, where pool and server are what they were.
    fn index_in(&self, pool: &PoolView) -> Option<usize> {
        let index = pool.group().index_of(&self.server)?;
        let same = pool.target(index)?.shares_with(&self.target);
        (same && pool.fingerprint() == self.fingerprint).then_some(index)
    }
}

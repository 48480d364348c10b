//! A client connection out of the runtime: its descriptor and the little that is needed to go on.

use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use super::slot::Open;
use crate::http::client::Client;
use crate::io::{Buffer, Deadline, Stream};

/// A client connection that stands idle.
pub struct Parked {
    descriptor: OwnedFd,
    stream: Stream,
    peer: Option<SocketAddr>,
    open: Open,
    used: bool,
}

impl Parked {
    /// Takes a connection out of the runtime. `None`: it could not be taken out and is closed.
    pub fn of(client: Client) -> Option<Parked> {
        let Client { mut stream, peer, open, used, .. } = client;
        let descriptor = stream.leave()?;
        Some(Parked { descriptor, stream, peer, open, used })
    }

    /// Takes it back in.
    pub fn into_client(self, wait: Deadline) -> Option<Client> {
        let Parked { descriptor, mut stream, peer, open, used } = self;
        stream.rejoin(descriptor).ok()?;
        Some(Client { stream, inbox: Buffer::empty(), peer, open, wait, used })
    }

    /// Whether its listener still exists.
    pub fn is_listening(&self) -> bool {
        self.open.is_listening()
    }
}

impl AsFd for Parked {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

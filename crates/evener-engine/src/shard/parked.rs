//! A client connection that is no task: its descriptor and the little that is needed to go on.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;

use super::slot::Open;
use crate::http::client::Client;
use crate::io::socket::Socket;
use crate::io::{Buffer, Deadline, Poller, Stream};
use crate::pool::owned::Owned;

/// A client connection that stands idle. Small, since there may be very many: what can be made
/// anew from the descriptor is not kept.
pub struct Parked {
    descriptor: OwnedFd,
    kind: Kind,
    open: Open,
    owned: Owned,
}

enum Kind {
    Plain,
    /// A TLS session, its socket taken out.
    Session(Box<Stream>),
}

impl Parked {
    /// Makes a connection smaller. `None`: bytes of it are unread, or it has gone; it is closed.
    pub fn of(client: Client) -> Option<Parked> {
        let Client { mut stream, open, owned, .. } = client;
        let descriptor = stream.leave()?;
        let kind = match stream.is_tls() {
            true => Kind::Session(Box::new(stream)),
            false => Kind::Plain,
        };
        Some(Parked { descriptor, kind, open, owned })
    }

    /// Takes it back in.
    pub fn into_client(self, poller: &Rc<Poller>, wait: Deadline) -> Client {
        let Parked { descriptor, kind, open, owned } = self;
        let stream = match kind {
            Kind::Plain => Stream::plain(Socket::new(poller, descriptor)),
            Kind::Session(mut stream) => {
                stream.rejoin(poller, descriptor);
                *stream
            }
        };
        let peer = stream.peer_address();
        Client { stream, inbox: Buffer::empty(), peer, open, wait, owned }
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

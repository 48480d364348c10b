//! New connections: accepted, counted, given to what the listener speaks.
//!
//! Rules kept here:
//! - At a limit accepting pauses and newcomers wait in the kernel's queue; nobody is refused. A
//!   connection has its place before it is accepted, so that shards together keep to the limit.
//! - Running out of descriptors pauses too, and is counted.
//! - Who holds too many connections is turned away with a word, as long as few are: a word costs
//!   a task and perhaps a handshake, which is what is limited.
//! - The last act of a listening socket is to accept all that waits in it.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::{Rc, Weak};
use std::task::Poll;

use evener_plan::ListenerProtocol;
use rustix::net::{SocketFlags, acceptfrom_with, sockopt};
use tokio::task::JoinHandle;

use super::clients::{self, Refusal};
use super::slot::{Full, Open, Place, Slot};
use super::view::ListenerView;
use super::{Shard, handshake};
use crate::counters::{ListenerCounter, WorkerCounter};
use crate::http::answers;
use crate::http::client::{self, Client};
use crate::io::poller::{Watched, Way};
use crate::io::socket::Socket;
use crate::io::stream::Plain;
use crate::io::{Buffer, Stream};
use crate::pool::owned::Owned;
use crate::tcp::session;

/// A listening socket of one shard.
pub struct Acceptor {
    /// As in the plan's `bind`.
    pub address: String,
    listener: Rc<Watched>,
    slot: Rc<RefCell<Rc<Slot>>>,
    task: JoinHandle<()>,
}

/// Bytes that the kernel takes ahead of what it may send a client (TCP_NOTSENT_LOWAT, tcp(7)). Without
/// it one that reads nothing makes it take 4 MiB over a path with large packets, in pieces as small as
/// that client's window: thousands keep a core busy with that alone and use up the memory that all of
/// TCP has. One that reads has more under way anyway, and a 64 KiB answer still goes in one call.
const UNSENT: u32 = 64 << 10;
/// How long accepting pauses at a limit, in milliseconds.
const PAUSE_MS: u64 = 50;

impl Acceptor {
    /// Begins to accept. Must be called within the shard's event loop.
    ///
    /// # Errors
    /// When the descriptor is no listening socket, or cannot be watched.
    pub fn start(
        shard: &Rc<Shard>,
        address: String,
        descriptor: OwnedFd,
        slot: Rc<Slot>,
    ) -> io::Result<Acceptor> {
        let listener = Rc::new(listening(shard, &address, descriptor)?);
        let slot = Rc::new(RefCell::new(slot));
        let task = begin_to_accept(shard, &listener, &slot);
        let acceptor = Acceptor { address, listener, slot, task };
        acceptor.bound_unsent();
        Ok(acceptor)
    }

    /// Goes on accepting if the task that did has ended by a panic.
    pub fn revive(&mut self, shard: &Rc<Shard>) {
        if self.task.is_finished() {
            self.task = begin_to_accept(shard, &self.listener, &self.slot);
        }
    }

    /// From now on connections belong to this listener.
    pub fn serve(&self, slot: Rc<Slot>) {
        *self.slot.borrow_mut() = slot;
        self.bound_unsent();
    }

    /// What the kernel takes of answers that their clients do not read. Accepted sockets inherit it.
    fn bound_unsent(&self) {
        let most = match self.slot.borrow().view().spec().protocol {
            ListenerProtocol::Http => UNSENT,
            // Splicing moves a pipe at a time.
            ListenerProtocol::Tcp => u32::MAX,
        };
        if !self.address.starts_with("unix:") {
            // A kernel that does not know this takes as much as its own bounds allow.
            let _ = socket2::SockRef::from(&*self.listener).set_tcp_notsent_lowat(most);
        }
    }

    /// Accepts all that waits and closes the socket.
    pub fn finish(self, shard: &Rc<Shard>) {
        self.task.abort();
        while let Ok(newcomer) = accept_now(self.listener.as_fd()) {
            let slot = self.slot.borrow().clone();
            begin(shard, &slot, Place::beyond(slot.clone()), newcomer);
        }
        // The supervisor holds the same socket, and for a while so do other shards.
        self.listener.silence();
    }
}

/// The task knows the socket weakly: when its owner lets go, it is closed at once.
fn begin_to_accept(
    shard: &Rc<Shard>,
    listener: &Rc<Watched>,
    slot: &Rc<RefCell<Rc<Slot>>>,
) -> JoinHandle<()> {
    let listener = Rc::downgrade(listener);
    tokio::task::spawn_local(run(shard.clone(), listener, slot.clone()))
}

/// What looking for a newcomer came to.
enum Found {
    Newcomer(Place, Newcomer),
    Full(Why),
}

/// Why nobody is let in now.
#[derive(Clone, Copy)]
enum Why {
    Limit(Full),
    Descriptors,
}

/// A connection that has just been made.
struct Newcomer {
    socket: OwnedFd,
    /// `None` on a unix socket.
    peer: Option<SocketAddr>,
}

fn listening(shard: &Shard, address: &str, descriptor: OwnedFd) -> io::Result<Watched> {
    rustix::io::ioctl_fionbio(&descriptor, true)?;
    if !address.starts_with("unix:") {
        // Accepted sockets inherit it.
        sockopt::set_tcp_nodelay(&descriptor, true)?;
    }
    Ok(Watched::new(&shard.clients, descriptor))
}

fn accept_now(listener: BorrowedFd<'_>) -> rustix::io::Result<Newcomer> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let (socket, peer) = acceptfrom_with(listener, flags)?;
    Ok(Newcomer { socket, peer: peer.and_then(|peer| peer.try_into().ok()) })
}

async fn run(shard: Rc<Shard>, listener: Weak<Watched>, slot: Rc<RefCell<Rc<Slot>>>) {
    let mut paused = false;
    loop {
        let accepted = poll_fn(|cx| match listener.upgrade() {
            Some(listener) => {
                let here = slot.borrow().clone();
                listener.poll_call(cx, Way::Read, |socket| find(&shard, &here, socket))
            }
            // Whoever let go of it has ended this task, too.
            None => Poll::Pending,
        });
        match accepted.await {
            Ok(Found::Newcomer(place, newcomer)) => {
                paused = false;
                begin(&shard, &slot.borrow().clone(), place, newcomer);
            }
            Ok(Found::Full(why)) => {
                if !paused {
                    count_pause(&shard, &slot.borrow(), why);
                }
                paused = true;
                pause(&shard).await;
            }
            Err(why) if is_peers(&why) => {}
            Err(_) => {
                shard.worker.add(WorkerCounter::PausesDescriptors, 1);
                shard.free_descriptors();
                pause(&shard).await;
            }
        }
    }
}

/// Accepts if there is a place.
fn find(shard: &Shard, slot: &Rc<Slot>, socket: BorrowedFd<'_>) -> rustix::io::Result<Found> {
    if shard.lacks_descriptors() {
        return Ok(Found::Full(Why::Descriptors));
    }
    match Place::take(slot, slot.view().spec().connections, shard.limit()) {
        Ok(place) => Ok(Found::Newcomer(place, accept_now(socket)?)),
        Err(full) => Ok(Found::Full(Why::Limit(full))),
    }
}

fn count_pause(shard: &Shard, slot: &Slot, why: Why) {
    match why {
        Why::Limit(Full::Listener) => slot.view().counters.add(ListenerCounter::LimitConnections),
        Why::Limit(Full::Worker) => shard.worker.add(WorkerCounter::PausesConnections, 1),
        Why::Descriptors => shard.worker.add(WorkerCounter::PausesDescriptors, 1),
    }
}

async fn pause(shard: &Shard) {
    let wait = shard.deadlines.slot();
    poll_fn(|cx| wait.poll_wait(cx, PAUSE_MS)).await;
}

/// Errors of a connection that ended before it was accepted (accept(2)).
fn is_peers(why: &io::Error) -> bool {
    use io::ErrorKind as Kind;
    matches!(why.kind(), Kind::ConnectionAborted | Kind::ConnectionReset | Kind::Interrupted)
}

/// Each kind of connection is a task of its own size: thousands of them may stand.
fn begin(shard: &Rc<Shard>, slot: &Rc<Slot>, place: Place, newcomer: Newcomer) {
    let view = slot.view();
    let Newcomer { socket, peer } = newcomer;
    let socket = match view.speakers.are_clients() {
        true => Socket::quiet(&shard.clients, socket),
        false => Socket::new(&shard.clients, socket),
    };
    let plain = Plain::new(socket);
    let held = match clients::connects(shard, &view, peer.map(|peer| peer.ip())) {
        Ok(held) => held,
        Err(why) => return turn_away(shard, &view, place, plain, peer, why),
    };
    let open = Open::new(place, held);
    let shard = shard.clone();
    if let Some(config) = view.running().tls.clone() {
        tokio::task::spawn_local(async move {
            if let Some(stream) = handshake::accept(&shard, &view, &config, plain).await {
                serve(shard, view, stream, peer, open);
            }
        });
    } else {
        serve(shard, view, Stream::Plain(plain), peer, open);
    }
}

fn serve(
    shard: Rc<Shard>,
    view: Rc<ListenerView>,
    stream: Stream,
    peer: Option<SocketAddr>,
    open: Open,
) {
    match view.spec().protocol {
        ListenerProtocol::Tcp => {
            tokio::task::spawn_local(session::serve(shard, view, stream, peer, open));
        }
        ListenerProtocol::Http => {
            let client = client_of(&shard, stream, peer, open);
            tokio::task::spawn_local(client::serve(shard, client));
        }
    }
}

fn client_of(shard: &Shard, stream: Stream, peer: Option<SocketAddr>, open: Open) -> Client {
    let (inbox, wait, owned) = (Buffer::empty(), shard.deadlines.slot(), Owned::default());
    Client { stream, inbox, peer, open, wait, owned }
}

/// A client holds too many connections, or makes them too fast.
#[cold]
fn turn_away(
    shard: &Rc<Shard>,
    view: &Rc<ListenerView>,
    place: Place,
    plain: Plain,
    peer: Option<SocketAddr>,
    why: Refusal,
) {
    let open = Open::new(place, None);
    if view.spec().protocol == ListenerProtocol::Tcp {
        return session::turn_away(shard, view, peer, why.cause());
    }
    let Some(word) = LastWord::begin(shard) else {
        let client = client_of(shard, Stream::Plain(plain), peer, open);
        return answers::log_unsaid(shard, &client, view, &why.local());
    };
    let view = view.clone();
    tokio::task::spawn_local(async move {
        let shard = &word.0;
        let stream = match view.running().tls.clone() {
            Some(config) => handshake::accept(shard, &view, &config, plain).await,
            None => Some(Stream::Plain(plain)),
        };
        if let Some(stream) = stream {
            let client = client_of(shard, stream, peer, open);
            client::turn_away(shard, client, &why.local()).await;
        }
    });
}

/// Somebody is told why it is turned away.
struct LastWord(Rc<Shard>);

/// So many are told at once; others find their connection closed.
const LAST_WORDS: u32 = 64;

impl LastWord {
    fn begin(shard: &Rc<Shard>) -> Option<LastWord> {
        let many = shard.turned_away.get();
        if many >= LAST_WORDS {
            return None;
        }
        shard.turned_away.set(many + 1);
        Some(LastWord(shard.clone()))
    }
}

impl Drop for LastWord {
    fn drop(&mut self) {
        self.0.turned_away.set(self.0.turned_away.get() - 1);
    }
}

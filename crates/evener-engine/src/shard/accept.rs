//! New connections: accepted, counted, given to what the listener speaks.
//!
//! Rules kept here:
//! - At a limit accepting pauses and newcomers wait in the kernel's queue; nobody is refused.
//! - Running out of descriptors pauses too, and is counted.
//! - The last act of a listening socket is to accept all that waits in it.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};

use evener_plan::ListenerProtocol;
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::task::JoinHandle;

use super::slot::{Open, Slot};
use super::view::ListenerView;
use super::{Shard, handshake};
use crate::counters::{ListenerCounter, WorkerCounter};
use crate::http::client::{self, Client};
use crate::io::stream::{Plain, Socket};
use crate::io::{Buffer, Stream};
use crate::tcp::session;

/// A listening socket of one shard.
pub struct Acceptor {
    /// As in the plan's `bind`.
    pub address: String,
    listener: Rc<Listening>,
    slot: Rc<RefCell<Rc<Slot>>>,
    task: JoinHandle<()>,
}

enum Listening {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// How long accepting pauses at a limit, in milliseconds.
const PAUSE_MS: u64 = 50;

impl Acceptor {
    /// Begins to accept. Must be called within the shard's runtime.
    ///
    /// # Errors
    /// When the descriptor is no listening socket, or cannot be watched.
    pub fn start(
        shard: &Rc<Shard>,
        address: String,
        descriptor: OwnedFd,
        slot: Rc<Slot>,
    ) -> io::Result<Acceptor> {
        let listener = Rc::new(Listening::new(&address, descriptor)?);
        let slot = Rc::new(RefCell::new(slot));
        let task = tokio::task::spawn_local(run(shard.clone(), listener.clone(), slot.clone()));
        Ok(Acceptor { address, listener, slot, task })
    }

    /// From now on connections belong to this listener.
    pub fn serve(&self, slot: Rc<Slot>) {
        *self.slot.borrow_mut() = slot;
    }

    /// Accepts all that waits and closes the socket.
    pub fn finish(self, shard: &Rc<Shard>) {
        self.task.abort();
        while let Ok((socket, peer)) = self.listener.accept_now() {
            begin(shard, &self.slot.borrow(), socket, peer);
        }
    }
}

impl Listening {
    fn new(address: &str, descriptor: OwnedFd) -> io::Result<Listening> {
        if address.starts_with("unix:") {
            let listener = std::os::unix::net::UnixListener::from(descriptor);
            listener.set_nonblocking(true)?;
            return Ok(Listening::Unix(UnixListener::from_std(listener)?));
        }
        let listener = std::net::TcpListener::from(descriptor);
        listener.set_nonblocking(true)?;
        // Accepted sockets inherit it.
        socket2::SockRef::from(&listener).set_tcp_nodelay(true)?;
        Ok(Listening::Tcp(TcpListener::from_std(listener)?))
    }

    fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<(Socket, Option<SocketAddr>)>> {
        match self {
            Listening::Tcp(listener) => {
                listener.poll_accept(cx).map_ok(|(socket, peer)| (Socket::Tcp(socket), Some(peer)))
            }
            Listening::Unix(listener) => {
                listener.poll_accept(cx).map_ok(|(socket, _)| (Socket::Unix(socket), None))
            }
        }
    }

    /// Accepts without asking the event loop, which may not have heard of a newcomer yet.
    fn accept_now(&self) -> io::Result<(Socket, Option<SocketAddr>)> {
        let flags = rustix::net::SocketFlags::NONBLOCK | rustix::net::SocketFlags::CLOEXEC;
        match self {
            Listening::Tcp(listener) => {
                let socket = rustix::net::accept_with(listener.as_fd(), flags)?;
                let socket = TcpStream::from_std(socket.into())?;
                let peer = socket.peer_addr().ok();
                Ok((Socket::Tcp(socket), peer))
            }
            Listening::Unix(listener) => {
                let socket = rustix::net::accept_with(listener.as_fd(), flags)?;
                Ok((Socket::Unix(UnixStream::from_std(socket.into())?), None))
            }
        }
    }
}

async fn run(shard: Rc<Shard>, listener: Rc<Listening>, slot: Rc<RefCell<Rc<Slot>>>) {
    let mut paused = false;
    loop {
        let here = slot.borrow().clone();
        let view = here.view();
        if is_full(&shard, &view) {
            if !paused {
                view.counters.add(ListenerCounter::LimitConnections);
                shard.worker.add(WorkerCounter::AcceptPauses, 1);
            }
            paused = true;
            drop(view);
            pause(&shard).await;
            continue;
        }
        drop(view);
        paused = false;
        match poll_fn(|cx| listener.poll_accept(cx)).await {
            Ok((socket, peer)) => begin(&shard, &slot.borrow(), socket, peer),
            Err(why) if is_peers(&why) => {}
            Err(_) => {
                shard.worker.add(WorkerCounter::AcceptPauses, 1);
                shard.free_descriptors();
                pause(&shard).await;
            }
        }
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

fn is_full(shard: &Shard, view: &ListenerView) -> bool {
    let open = view.running().open.load(Ordering::Relaxed);
    view.spec().connections.is_some_and(|limit| open >= limit) || shard.is_full()
}

fn begin(shard: &Rc<Shard>, slot: &Rc<Slot>, socket: Socket, peer: Option<SocketAddr>) {
    let view = slot.view();
    let open = Open::new(slot.clone());
    let plain = Plain::new(socket);
    tokio::task::spawn_local(connection(shard.clone(), view, plain, peer, open));
}

async fn connection(
    shard: Rc<Shard>,
    view: Rc<ListenerView>,
    plain: Plain,
    peer: Option<SocketAddr>,
    open: Open,
) {
    let stream = match &view.running().tls {
        None => Stream::Plain(plain),
        Some(config) => match handshake::accept(&shard, &view, config, plain).await {
            Some(stream) => stream,
            None => return,
        },
    };
    match view.spec().protocol {
        ListenerProtocol::Tcp => session::serve(&shard, &view, stream, open).await,
        ListenerProtocol::Http => {
            drop(view);
            let wait = shard.deadlines.slot();
            let inbox = Buffer::empty();
            let client = Client { stream, inbox, peer, open, wait };
            client::serve(shard, client).await;
        }
    }
}

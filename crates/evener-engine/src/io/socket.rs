//! A connected stream socket of the event loop: TCP or unix.
//!
//! Rules kept here:
//! - A read that does not fill its room has taken all there was: the next one waits without asking
//!   the kernel again. Where the end was known to have come before, that is the end.
//!
//! Not known here: TLS, protocols.

use std::cell::Cell;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{
    self, AddressFamily, RecvFlags, SendFlags, Shutdown, SocketFlags, SocketType, sockopt,
};

use super::poller::{Poller, Watched, Way};
use crate::sys::queue;

/// A connected socket.
pub struct Socket {
    watched: Watched,
    /// The handshake's last acknowledgement waits for the first bytes.
    held_back: Cell<bool>,
    /// All was read, an orderly end stands behind it.
    over: Cell<bool>,
}

/// Ports below are never given to who connects (ip(7): ip_local_port_range).
const FIRST_OWN_PORT: u16 = 1024;

const FLAGS: SocketFlags = SocketFlags::NONBLOCK.union(SocketFlags::CLOEXEC);

impl Socket {
    /// A connected socket that does not block.
    pub fn new(poller: &Rc<Poller>, descriptor: OwnedFd) -> Socket {
        Socket::with(Watched::new(poller, descriptor), false)
    }

    /// One whose other end has probably said nothing yet: the kernel is not asked before it tells.
    pub fn quiet(poller: &Rc<Poller>, descriptor: OwnedFd) -> Socket {
        let watched = Watched::not_ready(poller, descriptor);
        watched.set_ready(Way::Write);
        Socket::with(watched, false)
    }

    fn with(watched: Watched, held_back: bool) -> Socket {
        Socket { watched, held_back: Cell::new(held_back), over: Cell::new(false) }
    }

    /// Connects over TCP. Who speaks at once has the handshake's last acknowledgement travel with
    /// the first bytes (RFC 9293 §3.10.7.3 allows for data there), which saves a packet; who waits
    /// for the server to speak first must not.
    ///
    /// # Errors
    /// Those of socket(2) and connect(2).
    pub async fn connect_tcp(
        poller: &Rc<Poller>,
        address: SocketAddr,
        speaks: bool,
    ) -> io::Result<Socket> {
        let family = match address {
            SocketAddr::V4(_) => AddressFamily::INET,
            SocketAddr::V6(_) => AddressFamily::INET6,
        };
        let socket = net::socket_with(family, SocketType::STREAM, FLAGS, None)?;
        sockopt::set_tcp_nodelay(&socket, true)?;
        // A kernel that does not know this sends the packet.
        let held_back = speaks && sockopt::set_tcp_quickack(&socket, false).is_ok();
        // Over loopback there is a connection as soon as it is asked for.
        let near = address.ip().is_loopback();
        Socket::connect(poller, socket, address, held_back, near).await
    }

    async fn connect(
        poller: &Rc<Poller>,
        socket: OwnedFd,
        address: SocketAddr,
        held_back: bool,
        near: bool,
    ) -> io::Result<Socket> {
        let begun = net::connect(&socket, &address);
        let watched = Watched::not_ready(poller, socket);
        let socket = Socket::with(watched, held_back);
        match begun {
            Ok(()) => {}
            Err(Errno::INPROGRESS) => {
                std::future::poll_fn(|cx| socket.poll_connected(cx, near)).await?;
            }
            Err(why) => return Err(why.into()),
        }
        if address.port() >= FIRST_OWN_PORT && socket.is_its_own_peer(address) {
            // Closed in the ordinary way it would keep the port for a minute.
            let _ = socket2::SockRef::from(&socket).set_linger(Some(Duration::ZERO));
            return Err(Errno::CONNREFUSED.into());
        }
        socket.watched.set_ready(Way::Write);
        Ok(socket)
    }

    /// Whether it is connected to itself. That happens where nobody listens on one of this machine's
    /// ports and the kernel picks that very port for our end (RFC 9293 §3.5, simultaneous open): what
    /// looks like a server says what we say, and keeps the real one from its port.
    fn is_its_own_peer(&self, address: SocketAddr) -> bool {
        let own = self.local_address();
        own.is_some_and(|own| own.port() == address.port() && own.ip() == address.ip())
    }

    /// Connects to a unix socket.
    ///
    /// # Errors
    /// Those of socket(2) and connect(2); `WouldBlock` when its queue is full.
    pub fn connect_unix(poller: &Rc<Poller>, path: &Path) -> io::Result<Socket> {
        let socket = net::socket_with(AddressFamily::UNIX, SocketType::STREAM, FLAGS, None)?;
        net::connect(&socket, &net::SocketAddrUnix::new(path)?)?;
        Ok(Socket::new(poller, socket))
    }

    /// Waits for a connection. `near`: there may be one already, so it is asked for first.
    fn poll_connected(&self, cx: &mut Context<'_>, near: bool) -> Poll<io::Result<()>> {
        if near {
            self.watched.set_ready(Way::Write);
        } else {
            ready!(self.watched.poll_made(cx))?;
            if !self.watched.has_end() {
                return Poll::Ready(Ok(())); // nothing went wrong: no call has to find out
            }
        }
        self.watched.poll_call(cx, Way::Write, |descriptor| {
            match net::getpeername(descriptor) {
                Ok(_) => Ok(()),
                // Not yet, or never.
                Err(Errno::NOTCONN) => {
                    sockopt::socket_error(descriptor)??;
                    Err(Errno::AGAIN)
                }
                Err(why) => Err(why),
            }
        })
    }

    /// Our end's address; `None` on a unix socket.
    pub fn local_address(&self) -> Option<SocketAddr> {
        net::getsockname(&self.watched).ok()?.try_into().ok()
    }

    /// The other end's address; `None` on a unix socket, or when it has gone.
    pub fn peer_address(&self) -> Option<SocketAddr> {
        net::getpeername(&self.watched).ok()??.try_into().ok()
    }

    /// Ready when a read would not wait.
    ///
    /// # Errors
    /// When the kernel refuses to watch the socket.
    #[inline]
    pub fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.watched.poll_ready(cx, Way::Read)
    }

    /// Reads; 0 is the end.
    ///
    /// # Errors
    /// Those of recv(2).
    #[inline]
    pub fn poll_read(&self, cx: &mut Context<'_>, room: &mut [u8]) -> Poll<io::Result<usize>> {
        if self.over.get() {
            return Poll::Ready(Ok(0));
        }
        let (size, complete) = (room.len(), self.watched.is_complete());
        let read = self.watched.poll_call(cx, Way::Read, |descriptor| {
            net::recv(descriptor, &mut *room, RecvFlags::empty()).map(|(count, _)| count)
        });
        if let Poll::Ready(Ok(count)) = read
            && count < size
            && count > 0
        {
            self.watched.drained(Way::Read);
            self.over.set(complete);
            if self.held_back.get() && !self.has_end() {
                self.acknowledge_at_once();
            }
        }
        read
    }

    /// Ready when a write would not wait.
    ///
    /// # Errors
    /// When the kernel refuses to watch the socket.
    pub fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.watched.poll_ready(cx, Way::Write)
    }

    /// Bytes written that the other end has not acknowledged; 0 where the kernel cannot tell.
    pub fn unacknowledged(&self) -> u64 {
        queue::unacknowledged(self.watched.as_fd()).unwrap_or(0)
    }

    /// Writes; returns how many bytes were taken.
    ///
    /// # Errors
    /// Those of send(2).
    #[inline]
    pub fn poll_write(&self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = self.watched.poll_call(cx, Way::Write, |descriptor| {
            net::send(descriptor, bytes, SendFlags::NOSIGNAL)
        });
        self.short(written, bytes.len())
    }

    /// The same for the last bytes before [`Socket::shut`]: they leave together with the end.
    ///
    /// # Errors
    /// Those of send(2).
    pub fn poll_write_last(&self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = self.watched.poll_call(cx, Way::Write, |descriptor| {
            net::send(descriptor, bytes, SendFlags::NOSIGNAL | SendFlags::MORE)
        });
        self.short(written, bytes.len())
    }

    /// Whether the end, or an error, is known to stand behind what is unread.
    #[inline]
    pub fn has_end(&self) -> bool {
        self.watched.has_end()
    }

    /// Writes pieces in one call; returns how many bytes were taken.
    ///
    /// # Errors
    /// Those of writev(2).
    #[inline]
    pub fn poll_write_pieces(
        &self,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if let [only] = pieces {
            return self.poll_write(cx, only); // TLS writes its records so: send(2) costs less
        }
        let written = self
            .watched
            .poll_call(cx, Way::Write, |descriptor| rustix::io::writev(descriptor, pieces));
        match written {
            Poll::Ready(Ok(count)) => {
                let size = pieces.iter().map(|piece| piece.len()).sum();
                self.short(Poll::Ready(Ok(count)), size)
            }
            other => other,
        }
    }

    #[inline]
    fn short(&self, written: Poll<io::Result<usize>>, size: usize) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(count)) = written
            && count < size
        {
            self.watched.drained(Way::Write);
        }
        written
    }

    /// Nobody waits for it any more.
    pub fn forget(&self) {
        self.watched.forget();
    }

    /// From now on acknowledgements travel as they always do, and one that is due at once. Held back
    /// for longer, they would keep a server that writes an answer in two pieces waiting (RFC 9293
    /// §3.7.4: Nagle's algorithm).
    #[cold]
    fn acknowledge_at_once(&self) {
        self.held_back.set(false);
        let _ = sockopt::set_tcp_quickack(&self.watched, true);
    }

    /// Makes a call of the caller's own on the descriptor, which may say that it would wait.
    ///
    /// # Errors
    /// Those of the call.
    pub fn poll_call<T>(
        &self,
        cx: &mut Context<'_>,
        way: Way,
        call: impl FnMut(BorrowedFd<'_>) -> rustix::io::Result<T>,
    ) -> Poll<io::Result<T>> {
        self.watched.poll_call(cx, way, call)
    }

    /// Ends our direction.
    ///
    /// # Errors
    /// Those of shutdown(2).
    pub fn shut(&self) -> io::Result<()> {
        match net::shutdown(&self.watched, Shutdown::Write) {
            // A connection that was reset has no direction left to end.
            Ok(()) | Err(Errno::NOTCONN) => Ok(()),
            Err(why) => Err(why.into()),
        }
    }

    /// Takes the descriptor out of the event loop.
    pub fn leave(self) -> OwnedFd {
        self.watched.leave()
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.watched.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};
    use std::task::Waker;

    use super::super::event_loop::give_way;
    use super::super::poller::within;
    use super::*;

    async fn read(socket: &Socket, room: &mut [u8]) -> io::Result<usize> {
        poll_fn(|cx| socket.poll_read(cx, room)).await
    }

    /// A socket that is watched, and its other end, which has said nothing yet.
    async fn connected(poller: &Rc<Poller>) -> (Socket, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let socket = Socket::connect_tcp(poller, address, false).await.unwrap();
        let mut cx = Context::from_waker(Waker::noop());
        assert!(socket.poll_read(&mut cx, &mut [0; 4]).is_pending());
        (socket, listener.accept().unwrap().0)
    }

    fn reset(far: TcpStream) {
        socket2::SockRef::from(&far).set_linger(Some(Duration::ZERO)).unwrap();
    }

    #[test]
    fn a_connection_carries_bytes_both_ways_whoever_speaks_first() {
        for speaks in [true, false] {
            within(4, async |poller| {
                let listener = TcpListener::bind("127.0.0.1:0").unwrap();
                let address = listener.local_addr().unwrap();
                let socket = Socket::connect_tcp(&poller, address, speaks).await.unwrap();
                let mut room = [0; 100];
                let mut cx = Context::from_waker(Waker::noop());
                assert!(socket.poll_read(&mut cx, &mut room).is_pending());
                let echo = std::thread::spawn(move || {
                    let (mut far, _) = listener.accept().unwrap();
                    let mut got = [0; 12];
                    if !speaks {
                        far.write_all(b"welcome").unwrap();
                    }
                    far.read_exact(&mut got).unwrap();
                    far.write_all(&got).unwrap();
                });
                if !speaks {
                    assert_eq!(read(&socket, &mut room).await.unwrap(), 7);
                }
                let pieces = [IoSlice::new(b"hello, "), IoSlice::new(b"world")];
                let sent = poll_fn(|cx| socket.poll_write_pieces(cx, &pieces)).await.unwrap();
                assert_eq!(sent, 12);
                assert_eq!(read(&socket, &mut room).await.unwrap(), 12);
                assert_eq!(&room[..12], b"hello, world");
                assert_eq!(socket.peer_address(), Some(address));
                echo.join().unwrap();
                assert_eq!(read(&socket, &mut room).await.unwrap(), 0);
            });
        }
    }

    #[test]
    fn a_server_that_answers_in_two_pieces_is_not_kept_waiting() {
        within(4, async |poller| {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let address = listener.local_addr().unwrap();
            let server = std::thread::spawn(move || {
                let (mut far, _) = listener.accept().unwrap();
                far.read_exact(&mut [0; 3]).unwrap();
                // Without TCP_NODELAY the second waits until the first is acknowledged.
                far.write_all(b"head").unwrap();
                far.write_all(b"body").unwrap();
                far
            });
            let socket = Socket::connect_tcp(&poller, address, true).await.unwrap();
            poll_fn(|cx| socket.poll_write(cx, b"GET")).await.unwrap();
            let mut got = 0;
            let began = std::time::Instant::now();
            while got < 8 {
                got += read(&socket, &mut [0; 8]).await.unwrap();
            }
            // The kernel's delayed acknowledgement takes 40 ms.
            assert!(
                began.elapsed() < std::time::Duration::from_millis(35),
                "{:?}",
                began.elapsed()
            );
            drop(server.join().unwrap());
        });
    }

    #[test]
    fn last_bytes_leave_with_the_end_and_none_is_kept_back() {
        within(4, async |poller| {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let address = listener.local_addr().unwrap();
            let socket = Socket::connect_tcp(&poller, address, true).await.unwrap();
            let sent = poll_fn(|cx| socket.poll_write_last(cx, b"goodbye")).await.unwrap();
            assert_eq!(sent, 7);
            socket.shut().unwrap();
            let (mut far, _) = listener.accept().unwrap();
            let mut got = String::new();
            far.read_to_string(&mut got).unwrap();
            assert_eq!(got, "goodbye");
        });
    }

    #[test]
    fn bytes_behind_urgent_ones_do_not_lie_until_more_come() {
        within(4, async |poller| {
            let (socket, mut far) = connected(&poller).await;
            let (mut room, mut cx) = ([0; 100], Context::from_waker(Waker::noop()));
            far.write_all(b"abc").unwrap();
            socket2::SockRef::from(&far).send_out_of_band(b"!").unwrap();
            far.write_all(b"def").unwrap();
            // The kernel stops reading at the urgent byte.
            assert_eq!(read(&socket, &mut room).await.unwrap(), 3);
            for _ in 0..5 {
                give_way().await;
            }
            let rest = socket.poll_read(&mut cx, &mut room);
            assert!(matches!(rest, Poll::Ready(Ok(3))), "{rest:?}");
            assert_eq!(&room[..3], b"def");
        });
    }

    #[test]
    fn a_port_where_nobody_listens_refuses_and_a_socket_file_that_is_not_there_is_not_found() {
        within(4, async |poller| {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let address = listener.local_addr().unwrap();
            drop(listener);
            let refused = Socket::connect_tcp(&poller, address, false).await.err().unwrap();
            assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
            let missing =
                Socket::connect_unix(&poller, Path::new("/nowhere/at/all")).err().unwrap();
            assert_eq!(missing.kind(), io::ErrorKind::NotFound);
        });
    }

    #[test]
    fn a_port_that_the_kernel_gives_our_own_end_is_one_where_nobody_listens() {
        within(4, async |poller| {
            let socket =
                net::socket_with(AddressFamily::INET, SocketType::STREAM, FLAGS, None).unwrap();
            net::bind(&socket, &"127.0.0.1:0".parse::<SocketAddr>().unwrap()).unwrap();
            let address: SocketAddr = net::getsockname(&socket).unwrap().try_into().unwrap();
            let refused = Socket::connect(&poller, socket, address, false, true).await.err();
            assert_eq!(refused.map(|why| why.kind()), Some(io::ErrorKind::ConnectionRefused));
            // Nor is it in anybody's way.
            TcpListener::bind(address).unwrap();
        });
    }

    #[test]
    fn a_connection_far_away_is_waited_for_and_its_bytes_and_its_refusal_are_told_of() {
        within(4, async |poller| {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let address = listener.local_addr().unwrap();
            let far = async || {
                let socket = net::socket_with(AddressFamily::INET, SocketType::STREAM, FLAGS, None);
                Socket::connect(&poller, socket.unwrap(), address, false, false).await
            };
            let socket = far().await.unwrap();
            let (mut server, _) = listener.accept().unwrap();
            let mut cx = Context::from_waker(Waker::noop());
            assert!(socket.poll_read(&mut cx, &mut [0; 10]).is_pending());
            server.write_all(b"welcome").unwrap();
            assert_eq!(read(&socket, &mut [0; 10]).await.unwrap(), 7);
            drop(listener);
            let refused = far().await.err().unwrap();
            assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
        });
    }

    #[test]
    fn an_orderly_end_that_was_reached_stays_one_whatever_comes_behind_it() {
        within(4, async |poller| {
            let (socket, mut far) = connected(&poller).await;
            far.write_all(b"last words").unwrap();
            far.shutdown(std::net::Shutdown::Write).unwrap();
            poll_fn(|cx| socket.poll_readable(cx)).await.unwrap();
            // Not the end while something is unread, and not one that a reset took the place of.
            assert_eq!(read(&socket, &mut [0; 5]).await.unwrap(), 5);
            assert_eq!(read(&socket, &mut [0; 10]).await.unwrap(), 5);
            reset(far);
            // Nor is the kernel asked: so many calls in a row would let others go on first.
            for _ in 0..100 {
                let mut cx = Context::from_waker(Waker::noop());
                assert!(matches!(socket.poll_read(&mut cx, &mut [0; 10]), Poll::Ready(Ok(0))));
            }
        });
    }

    #[test]
    fn a_reset_behind_bytes_is_no_orderly_end() {
        within(4, async |poller| {
            let (socket, mut far) = connected(&poller).await;
            far.write_all(b"cut").unwrap();
            reset(far);
            poll_fn(|cx| socket.poll_readable(cx)).await.unwrap();
            assert_eq!(read(&socket, &mut [0; 10]).await.unwrap(), 3);
            let reset = read(&socket, &mut [0; 10]).await.err().unwrap();
            assert_eq!(reset.kind(), io::ErrorKind::ConnectionReset);
        });
    }

    #[test]
    fn a_reset_is_told_once_and_has_no_direction_left_to_end() {
        within(4, async |poller| {
            let (socket, far) = connected(&poller).await;
            reset(far);
            let reset = read(&socket, &mut [0; 10]).await.err().unwrap();
            assert_eq!(reset.kind(), io::ErrorKind::ConnectionReset);
            socket.shut().unwrap();
        });
    }
}

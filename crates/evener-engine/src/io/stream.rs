//! One stream type over TCP, TLS and unix sockets.
//!
//! Rules kept here:
//! - Plain TCP costs nothing: one predictable branch before the socket's own call.
//! - A stream may have an *unread prefix*: bytes taken from the socket to look at them, which the
//!   next reader gets first (a TLS port that is spoken to in plain HTTP, later PROXY and SNI).
//! - Waiting for bytes needs no buffer: [`Stream::poll_readable`] first, then a buffer, then
//!   [`Stream::poll_read`].
//!
//! Not known here: protocols, deadlines, counters.

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::Buffer;
use super::poller::Poller;
use super::socket::Socket;

/// A connection, whatever it runs over.
pub enum Stream {
    /// Bytes as they are on the socket.
    Plain(Plain),
    /// TLS, with us as the server.
    ServerTls(Box<Tls<tokio_rustls::server::TlsStream<Plain>>>),
    /// TLS, with us as the client.
    ClientTls(Box<Tls<tokio_rustls::client::TlsStream<Plain>>>),
    /// A scripted peer of a simulation.
    #[cfg(any(test, feature = "simulation"))]
    Scripted(Box<crate::simulation::ScriptedStream>),
}

/// A TLS session over a socket.
pub struct Tls<S> {
    session: S,
    /// The session may hold bytes that the socket no longer does: they came with the handshake, or
    /// a read was too small for all there were.
    more: bool,
}

/// A socket and the bytes already taken from it.
pub struct Plain {
    /// `None` while it is out of the event loop: whoever took it out holds the descriptor.
    socket: Option<Socket>,
    prefix: Buffer,
    /// Bytes that a TLS session has written.
    written: u64,
}

/// Calls the same method on whichever kind of transport this is.
macro_rules! on_transport {
    ($stream:expr, $inner:ident => $call:expr) => {
        match $stream {
            Stream::Plain($inner) => $call,
            Stream::ServerTls(tls) => {
                let $inner = &mut tls.session;
                $call
            }
            Stream::ClientTls(tls) => {
                let $inner = &mut tls.session;
                $call
            }
            #[cfg(any(test, feature = "simulation"))]
            Stream::Scripted($inner) => $call,
        }
    };
}

impl Stream {
    /// A stream over a socket.
    pub fn plain(socket: Socket) -> Stream {
        Stream::Plain(Plain::new(socket))
    }

    /// Ready when a read would not wait: bytes, the end, or an error are there.
    #[inline]
    pub fn poll_readable(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Stream::Plain(plain) => plain.poll_readable(cx),
            Stream::ServerTls(tls) if tls.more => Poll::Ready(Ok(())),
            Stream::ServerTls(tls) => tls.session.get_ref().0.poll_readable(cx),
            Stream::ClientTls(tls) if tls.more => Poll::Ready(Ok(())),
            Stream::ClientTls(tls) => tls.session.get_ref().0.poll_readable(cx),
            #[cfg(any(test, feature = "simulation"))]
            Stream::Scripted(script) => script.poll_readable(cx),
        }
    }

    /// Ready when the kernel has room for what would be written, or an error.
    pub fn poll_writable(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            #[cfg(any(test, feature = "simulation"))]
            Stream::Scripted(script) => script.poll_writable(cx),
            _ => match self.socket() {
                Some(socket) => socket.poll_writable(cx),
                None => Poll::Ready(Err(away())),
            },
        }
    }

    /// How far the other end has acknowledged what was written, of which `handed` bytes count here: it
    /// grows with what is acknowledged and with nothing else, from wherever it begins.
    pub fn acknowledged(&self, handed: u64) -> i64 {
        let written = match self {
            Stream::ServerTls(tls) => tls.session.get_ref().0.written,
            Stream::ClientTls(tls) => tls.session.get_ref().0.written,
            _ => handed,
        };
        (written as i64).saturating_sub(self.unacknowledged() as i64)
    }

    /// Bytes written that the other end has not acknowledged.
    pub fn unacknowledged(&self) -> u64 {
        match self {
            #[cfg(any(test, feature = "simulation"))]
            Stream::Scripted(script) => script.unacknowledged(),
            _ => self.socket().map_or(0, Socket::unacknowledged),
        }
    }

    /// Bytes written that the other end may still take: none once it has broken off.
    pub fn owed(&self) -> u64 {
        match self {
            #[cfg(any(test, feature = "simulation"))]
            Stream::Scripted(script) => script.owed(),
            // Who is connected no more has no address.
            _ => self.peer_address().map_or(0, |_| self.unacknowledged()),
        }
    }

    /// Most bytes that TLS took and has not written yet.
    pub fn held_back(&self) -> u64 {
        /// What rustls seals ahead of its socket at most, unless it is told otherwise.
        const SEALED: u64 = 64 << 10;
        let holds = match self {
            Stream::ServerTls(tls) => tls.session.get_ref().1.wants_write(),
            Stream::ClientTls(tls) => tls.session.get_ref().1.wants_write(),
            _ => false,
        };
        if holds { SEALED } else { 0 }
    }

    /// Reads into the room of the buffer; `Ok(0)` is the end of the stream (the buffer must have
    /// room).
    #[inline]
    pub fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        into: &mut Buffer,
    ) -> Poll<io::Result<usize>> {
        match self {
            Stream::Plain(plain) => plain.poll_fill(cx, into),
            Stream::ServerTls(tls) => poll_into(into, |space| tls.poll_read(cx, space)),
            Stream::ClientTls(tls) => poll_into(into, |space| tls.poll_read(cx, space)),
            #[cfg(any(test, feature = "simulation"))]
            Stream::Scripted(script) => {
                poll_into(into, |space| Pin::new(script).poll_read(cx, space))
            }
        }
    }

    /// Writes bytes; returns how many were taken.
    #[inline]
    pub fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self {
            Stream::Plain(plain) => plain.present()?.poll_write(cx, bytes),
            other => on_transport!(other, inner => Pin::new(inner).poll_write(cx, bytes)),
        }
    }

    /// The same for the last bytes before [`Stream::poll_shutdown`]: over plain sockets they leave
    /// together with the end.
    pub fn poll_write_last(
        &mut self,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.bare() {
            Some(socket) => socket.poll_write_last(cx, bytes),
            None => self.poll_write(cx, bytes),
        }
    }

    /// Writes pieces in one call; returns how many bytes were taken.
    #[inline]
    pub fn poll_write_pieces(
        &mut self,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self {
            Stream::Plain(plain) => plain.present()?.poll_write_pieces(cx, pieces),
            other => on_transport!(other, inner => Pin::new(inner).poll_write_vectored(cx, pieces)),
        }
    }

    /// Pushes out what TLS holds back; free for plain sockets.
    #[inline]
    pub fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Stream::Plain(_) => Poll::Ready(Ok(())),
            Stream::ServerTls(tls) => Pin::new(&mut tls.session).poll_flush(cx),
            Stream::ClientTls(tls) => Pin::new(&mut tls.session).poll_flush(cx),
            #[cfg(any(test, feature = "simulation"))]
            Stream::Scripted(_) => Poll::Ready(Ok(())),
        }
    }

    /// Ends our direction: close_notify for TLS, then FIN.
    pub fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        on_transport!(self, inner => Pin::new(inner).poll_shutdown(cx))
    }

    /// Takes the socket out of the event loop; the rest of the stream (TLS state) stays here until
    /// [`Stream::rejoin`]. `None` if bytes are unread or it cannot be taken out.
    pub fn leave(&mut self) -> Option<OwnedFd> {
        self.plain_mut()?.leave()
    }

    /// Puts a socket back that [`Stream::leave`] took out.
    pub fn rejoin(&mut self, poller: &Rc<Poller>, descriptor: OwnedFd) {
        if let Some(plain) = self.plain_mut() {
            plain.socket = Some(Socket::new(poller, descriptor));
        }
    }

    fn plain_mut(&mut self) -> Option<&mut Plain> {
        match self {
            Stream::Plain(plain) => Some(plain),
            Stream::ServerTls(tls) => Some(tls.session.get_mut().0),
            Stream::ClientTls(tls) => Some(tls.session.get_mut().0),
            #[cfg(any(test, feature = "simulation"))]
            Stream::Scripted(_) => None,
        }
    }

    /// Whether bytes are copied once more on their way (TLS), so that gathering pieces first pays.
    #[inline]
    pub fn is_tls(&self) -> bool {
        matches!(self, Stream::ServerTls(_) | Stream::ClientTls(_))
    }

    /// Our end's address; `None` on a unix socket.
    pub fn local_address(&self) -> Option<SocketAddr> {
        self.socket()?.local_address()
    }

    /// The other end's address; `None` on a unix socket.
    pub fn peer_address(&self) -> Option<SocketAddr> {
        self.socket()?.peer_address()
    }

    /// Closing the connection resets it from now on: nothing unsent is sent, no port waits.
    pub fn reset_on_close(&self) {
        #[cfg(any(test, feature = "simulation"))]
        if let Stream::Scripted(script) = self {
            script.reset_on_close();
        }
        if let Some(socket) = self.socket() {
            // A socket that refuses closes the ordinary way.
            let _ = socket2::SockRef::from(socket).set_linger(Some(std::time::Duration::ZERO));
        }
    }

    /// Nobody waits for it any more; whoever polls it next does.
    pub fn forget(&self) {
        if let Some(socket) = self.socket() {
            socket.forget();
        }
    }

    fn socket(&self) -> Option<&Socket> {
        let plain = match self {
            Stream::Plain(plain) => plain,
            Stream::ServerTls(tls) => tls.session.get_ref().0,
            Stream::ClientTls(tls) => tls.session.get_ref().0,
            #[cfg(any(test, feature = "simulation"))]
            Stream::Scripted(_) => return None,
        };
        plain.socket.as_ref()
    }

    /// The server name that a client asked for by TLS; empty without one.
    pub fn server_name(&self) -> &str {
        match self {
            Stream::ServerTls(tls) => tls.session.get_ref().1.server_name().unwrap_or(""),
            _ => "",
        }
    }

    /// The bare socket, when this is one and nothing of it is unread: bytes may then bypass this
    /// process.
    pub fn bare(&self) -> Option<&Socket> {
        match self {
            Stream::Plain(Plain { socket: Some(socket), prefix, .. }) if prefix.is_empty() => {
                Some(socket)
            }
            _ => None,
        }
    }
}

/// Has a reader fill the room of the buffer.
#[inline]
fn poll_into(
    into: &mut Buffer,
    read: impl FnOnce(&mut ReadBuf<'_>) -> Poll<io::Result<()>>,
) -> Poll<io::Result<usize>> {
    let mut space = ReadBuf::new(into.space());
    ready!(read(&mut space))?;
    let count = space.filled().len();
    into.filled(count);
    Poll::Ready(Ok(count))
}

impl<S> Tls<S> {
    /// A session whose handshake is done.
    pub fn new(session: S) -> Tls<S> {
        Tls { session, more: true }
    }
}

impl<S: Session> Tls<S> {
    fn poll_read(&mut self, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.session).poll_read(cx, into);
        // What is known already makes no socket readable: payload that found no room, and the end
        // when it came in one piece with the payload before it.
        self.more = result.is_ready() && (into.remaining() == 0 || self.session.has_more());
        result
    }
}

/// A TLS session, whichever side of it we are.
pub trait Session: AsyncRead + Unpin {
    /// Whether payload is decrypted and not read, or nothing more can come.
    fn has_more(&self) -> bool;
}

impl Session for tokio_rustls::server::TlsStream<Plain> {
    fn has_more(&self) -> bool {
        !self.get_ref().1.wants_read()
    }
}

impl Session for tokio_rustls::client::TlsStream<Plain> {
    fn has_more(&self) -> bool {
        !self.get_ref().1.wants_read()
    }
}

impl Plain {
    /// A socket of which nothing was read.
    pub fn new(socket: Socket) -> Plain {
        Plain { socket: Some(socket), prefix: Buffer::empty(), written: 0 }
    }

    /// Puts bytes in front of those still on the socket.
    pub fn unread(&mut self, bytes: Buffer) {
        debug_assert!(self.prefix.is_empty(), "a prefix is put back once");
        self.prefix = bytes;
    }

    fn leave(&mut self) -> Option<OwnedFd> {
        if !self.prefix.is_empty() {
            return None;
        }
        self.socket.take().map(Socket::leave)
    }

    /// Ready when a read would not wait.
    #[inline]
    pub fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.prefix.is_empty() {
            return Poll::Ready(Ok(()));
        }
        self.present()?.poll_readable(cx)
    }

    /// Reads into the room of the buffer; `Ok(0)` is the end of the stream.
    #[inline]
    pub fn poll_fill(
        &mut self,
        cx: &mut Context<'_>,
        into: &mut Buffer,
    ) -> Poll<io::Result<usize>> {
        let count = if self.prefix.is_empty() {
            ready!(self.present()?.poll_read(cx, into.space()))?
        } else {
            self.read_prefix(into.space())
        };
        into.filled(count);
        Poll::Ready(Ok(count))
    }

    #[inline]
    fn present(&self) -> io::Result<&Socket> {
        self.socket.as_ref().ok_or_else(away)
    }

    #[cold]
    fn read_prefix(&mut self, into: &mut [u8]) -> usize {
        let count = self.prefix.len().min(into.len());
        if let Some(room) = into.get_mut(..count) {
            room.copy_from_slice(self.prefix.part(0..count));
        }
        self.prefix.consume(count);
        self.prefix.release();
        count
    }
}

#[cold]
fn away() -> io::Error {
    io::Error::from(io::ErrorKind::NotConnected)
}

impl AsyncRead for Plain {
    #[inline]
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let room = into.initialize_unfilled();
        let count = if self.prefix.is_empty() {
            ready!(self.present()?.poll_read(cx, room))?
        } else {
            self.read_prefix(room)
        };
        into.advance(count);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Plain {
    #[inline]
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let count = ready!(self.present()?.poll_write(cx, bytes))?;
        self.written += count as u64;
        Poll::Ready(Ok(count))
    }

    #[inline]
    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let count = ready!(self.present()?.poll_write_pieces(cx, pieces))?;
        self.written += count as u64;
        Poll::Ready(Ok(count))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.present()?.shut())
    }
}

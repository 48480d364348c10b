//! A connection in memory: the engine's end is a [`ScriptedStream`], the peer's end the [`Pipe`].

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::wire::{self, Wire};

/// The engine's end of a connection to a scripted peer.
pub struct ScriptedStream {
    pipe: Rc<RefCell<Pipe>>,
}

/// What is between the two ends.
pub struct Pipe {
    wire: Wire,
    /// Sent by the peer and not yet delivered.
    under_way: VecDeque<u8>,
    /// Delivered and not yet read by the engine.
    ready: VecDeque<u8>,
    delivered: usize,
    end: End,
    reader: Option<Waker>,
    /// Written by the engine and not yet taken by the peer.
    outbound: VecDeque<u8>,
    written: usize,
    writer: Option<Waker>,
    /// Taken by the peer.
    pub received: Vec<u8>,
    /// The peer takes nothing.
    pub stuck: bool,
    /// The peer has closed: writes fail.
    pub deaf: bool,
    /// The connection was reset by the peer.
    pub broken: bool,
    /// The engine has ended its direction.
    pub ended: bool,
    /// The engine has dropped its end.
    pub gone: bool,
    /// It did so with bytes unread, or meant to: a real connection is reset then.
    pub reset: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Open,
    UnderWay,
    Delivered,
}

/// A new connection on this wire: the engine's end and the peer's.
pub fn pair(wire: Wire) -> (ScriptedStream, Rc<RefCell<Pipe>>) {
    let pipe = Rc::new(RefCell::new(Pipe {
        wire,
        under_way: VecDeque::new(),
        ready: VecDeque::new(),
        delivered: 0,
        end: End::Open,
        reader: None,
        outbound: VecDeque::new(),
        written: 0,
        writer: None,
        received: Vec::new(),
        stuck: false,
        deaf: false,
        broken: false,
        ended: false,
        gone: false,
        reset: false,
    }));
    (ScriptedStream { pipe: pipe.clone() }, pipe)
}

impl Pipe {
    /// Whether the peer has neither ended nor broken its direction.
    pub fn may_send(&self) -> bool {
        self.end == End::Open && !self.broken
    }

    /// The peer sends.
    pub fn send(&mut self, bytes: &[u8]) {
        assert!(self.end == End::Open, "a peer that has ended sends nothing");
        self.under_way.extend(bytes);
    }

    /// The peer ends its direction.
    pub fn end(&mut self) {
        if self.end == End::Open {
            self.end = End::UnderWay;
        }
    }

    /// The peer breaks the connection: what is under way is lost.
    pub fn break_off(&mut self) {
        self.broken = true;
        self.deaf = true;
        self.under_way.clear();
        self.ready.clear();
        self.wake();
    }

    /// Delivers one piece and takes what was written; false when there was nothing to do.
    pub fn step(&mut self) -> bool {
        let delivered = self.deliver();
        let taken = self.take();
        delivered || taken
    }

    /// Wakes whoever waits at the engine's end.
    pub fn wake(&mut self) {
        for waker in [self.reader.take(), self.writer.take()].into_iter().flatten() {
            waker.wake();
        }
    }

    fn deliver(&mut self) -> bool {
        if self.gone || self.broken || !self.ready.is_empty() || self.end == End::Delivered {
            return false;
        }
        let count = self.wire.piece(self.delivered, self.under_way.len());
        self.ready.extend(self.under_way.drain(..count));
        self.delivered += count;
        let all = self.under_way.is_empty() && (count == 0 || self.wire.joins_the_end());
        let ends = all && self.end == End::UnderWay;
        if ends {
            self.end = End::Delivered;
        }
        if count > 0 || ends {
            self.reader.take().into_iter().for_each(Waker::wake);
        }
        count > 0 || ends
    }

    /// Bytes sent by the peer that the engine has not read.
    pub fn unread(&self) -> usize {
        self.under_way.len() + self.ready.len()
    }

    /// A peer that takes nothing by itself takes so many bytes.
    pub fn take_some(&mut self, count: usize) {
        let count = count.min(self.outbound.len());
        self.received.extend(self.outbound.drain(..count));
        self.writer.take().into_iter().for_each(Waker::wake);
    }

    fn take(&mut self) -> bool {
        if self.stuck || self.outbound.is_empty() {
            return false;
        }
        self.received.extend(self.outbound.drain(..));
        self.writer.take().into_iter().for_each(Waker::wake);
        true
    }

    fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if self.deaf {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        assert!(!self.ended, "nothing is written behind the end");
        let mut room = self.wire.room(self.written, self.outbound.len());
        if self.stuck {
            // A socket's buffer: it takes some before it is full.
            room = room.min(STUCK_ROOM.saturating_sub(self.outbound.len()));
        }
        if room == 0 {
            self.writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        Poll::Ready(Ok(room))
    }

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.broken {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        if self.ready.is_empty() && self.end != End::Delivered {
            self.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        Poll::Ready(Ok(()))
    }
}

/// Bytes that a peer's kernel takes although the peer does not.
const STUCK_ROOM: usize = 100;

impl ScriptedStream {
    /// Ready when a read would not wait.
    pub fn poll_readable(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // As with a socket, an error is for the read to tell.
        self.pipe.borrow_mut().poll_ready(cx).map(|_| Ok(()))
    }

    /// Dropping it resets the connection from now on.
    pub fn reset_on_close(&self) {
        self.pipe.borrow_mut().reset = true;
    }

    /// Ready when a write would not wait.
    pub fn poll_writable(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.pipe.borrow_mut().poll_room(cx).map(|room| room.map(drop))
    }

    /// Bytes written that the peer has not taken.
    pub fn unacknowledged(&self) -> u64 {
        self.pipe.borrow().outbound.len() as u64
    }

    /// Bytes that the peer may still take.
    pub fn owed(&self) -> u64 {
        if self.pipe.borrow().broken { 0 } else { self.unacknowledged() }
    }
}

impl AsyncRead for ScriptedStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut pipe = self.pipe.borrow_mut();
        std::task::ready!(pipe.poll_ready(cx))?;
        let count = pipe.ready.len().min(into.remaining());
        for byte in pipe.ready.drain(..count) {
            into.put_slice(&[byte]);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for ScriptedStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut pipe = self.pipe.borrow_mut();
        let room = std::task::ready!(pipe.poll_room(cx))?;
        let before = pipe.written;
        for piece in pieces {
            let count = piece.len().min(room - (pipe.written - before));
            pipe.outbound.extend(&piece[..count]);
            pipe.written += count;
        }
        Poll::Ready(Ok(pipe.written - before))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.pipe.borrow_mut().ended = true;
        Poll::Ready(Ok(()))
    }
}

impl Drop for ScriptedStream {
    fn drop(&mut self) {
        let mut pipe = self.pipe.borrow_mut();
        pipe.gone = true;
        pipe.reset |= !pipe.ready.is_empty() || !pipe.under_way.is_empty();
        wire::note(pipe.delivered, pipe.written);
    }
}

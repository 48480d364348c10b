//! One direction of a relay: bytes from one stream to another until the first ends.
//!
//! Rules kept here:
//! - No more is read than was written (back-pressure); a waiting pump holds no buffer.
//! - The end of one stream ends our direction towards the other, and no more (half-close).
//! - Between two plain TCP sockets bytes bypass this process (splice) once so many have passed that
//!   it pays: a pipe costs two descriptors and about ten calls, a copied 256 KiB as much.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::task::{Context, Poll, ready};

use rustix::pipe::{
    PipeFlags, SpliceFlags, fcntl_getpipe_size, fcntl_setpipe_size, pipe_with, splice,
};

use crate::io::poller::Way;
use crate::io::socket::Socket;
use crate::io::{Buffer, Stream};

/// Bytes after which splice pays.
const SPLICE_AFTER: u64 = 256 * 1024;
/// Bytes a pipe may hold; what an unprivileged process may ask for.
const PIPE_BYTES: usize = 1 << 20;
/// Bytes of the smallest pipe that pays: an ordinary one's. Once the pipes of a user hold 64 MiB, new
/// ones get two pages (pipe(7), pipe-user-pages-soft), with which 1 GiB took a fifth longer than copied.
const LEAST_PIPE_BYTES: usize = 64 << 10;
/// Bytes after which a pipe is asked for again where there was none.
const AGAIN_AFTER: u64 = 16 << 20;

/// One direction.
pub struct Pump {
    buffer: Buffer,
    pipe: Option<Pipe>,
    /// Bytes moved from which on a pipe is asked for.
    splices_at: u64,
    state: State,
    /// What reading came to, told once all that was read before is written.
    failed: Option<io::Error>,
    /// Bytes moved.
    pub moved: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    /// The source has ended; what is left is written, then our side ends.
    Ending,
    Done,
}

struct Pipe {
    out: OwnedFd,
    into: OwnedFd,
    held: usize,
}

impl Pump {
    /// A pump with bytes that were read before.
    pub fn new(first: Buffer) -> Pump {
        let splices_at = SPLICE_AFTER;
        Pump { buffer: first, pipe: None, splices_at, state: State::Open, failed: None, moved: 0 }
    }

    /// Gives bytes that come before all others.
    pub fn first(&mut self, bytes: Buffer) {
        self.buffer = bytes;
    }

    /// Whether all has gone, the end included.
    pub fn is_over(&self) -> bool {
        self.state == State::Done
    }

    /// Moves what can be moved. Ready when the direction is over. `last`: the other direction is
    /// over too, so that the connection is closed behind this one.
    ///
    /// # Errors
    /// Those of either stream.
    pub fn poll(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut Stream,
        to: &mut Stream,
        last: bool,
    ) -> Poll<io::Result<()>> {
        loop {
            if self.state == State::Done {
                return Poll::Ready(Ok(()));
            }
            ready!(self.poll_drain(cx, to))?;
            if let Some(why) = self.failed.take() {
                return Poll::Ready(Err(why));
            }
            if self.state == State::Ending {
                // Closing a bare socket says the same with a call less.
                if !last || to.bare().is_none() {
                    ready!(to.poll_shutdown(cx))?;
                }
                self.state = State::Done;
                continue;
            }
            ready!(self.poll_fill(cx, from, to))?;
        }
    }

    /// Writes what was read.
    fn poll_drain(&mut self, cx: &mut Context<'_>, to: &mut Stream) -> Poll<io::Result<()>> {
        while !self.buffer.is_empty() {
            let written = match self.state {
                State::Ending => to.poll_write_last(cx, self.buffer.bytes()),
                _ => to.poll_write(cx, self.buffer.bytes()),
            };
            let count = ready!(written)?;
            if count == 0 {
                return Poll::Ready(Err(io::Error::from(io::ErrorKind::WriteZero)));
            }
            self.buffer.consume(count);
            self.moved += count as u64;
        }
        if let (Some(pipe), Some(socket)) = (&mut self.pipe, to.bare()) {
            while pipe.held > 0 {
                let empty = |socket: BorrowedFd<'_>| pipe.empty_into(socket);
                self.moved += ready!(socket.poll_call(cx, Way::Write, empty))? as u64;
            }
        }
        to.poll_flush(cx)
    }

    /// Reads what has come.
    fn poll_fill(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut Stream,
        to: &Stream,
    ) -> Poll<io::Result<()>> {
        let count = if self.splices(from, to) {
            ready!(self.poll_splice(cx, from))?
        } else {
            self.buffer.release();
            ready!(from.poll_readable(cx))?;
            match from.poll_read(cx, &mut self.buffer) {
                Poll::Ready(result) => result?,
                Poll::Pending => {
                    self.buffer.release();
                    return Poll::Pending;
                }
            }
        };
        if count == 0 || self.reaches_end(cx, from) {
            self.state = State::Ending;
        }
        Poll::Ready(Ok(()))
    }

    /// Whether what was read is the last, where that is known before it is written: then it leaves
    /// together with the end.
    fn reaches_end(&mut self, cx: &mut Context<'_>, from: &mut Stream) -> bool {
        while from.bare().is_some_and(Socket::has_end) && self.failed.is_none() {
            if self.pipe.is_some() || self.buffer.is_full() {
                break;
            }
            match from.poll_read(cx, &mut self.buffer) {
                Poll::Ready(Ok(0)) => return true,
                Poll::Ready(Ok(_)) => {}
                // Sockets tell an error once.
                Poll::Ready(Err(why)) => self.failed = Some(why),
                Poll::Pending => break,
            }
        }
        false
    }

    fn splices(&mut self, from: &Stream, to: &Stream) -> bool {
        if self.pipe.is_some() {
            return true;
        }
        let pays = self.moved >= self.splices_at;
        if pays && from.bare().is_some() && to.bare().is_some() {
            // Without a pipe (descriptors or room in pipes are scarce) bytes are copied as before.
            self.pipe = Pipe::new(PIPE_BYTES).ok();
            self.splices_at = self.moved.saturating_add(AGAIN_AFTER);
            self.buffer.release();
        }
        self.pipe.is_some()
    }

    fn poll_splice(&mut self, cx: &mut Context<'_>, from: &Stream) -> Poll<io::Result<usize>> {
        let (Some(pipe), Some(socket)) = (&mut self.pipe, from.bare()) else {
            return Poll::Ready(Ok(0));
        };
        socket.poll_call(cx, Way::Read, |socket| pipe.fill_from(socket))
    }
}

impl Pipe {
    fn new(bytes: usize) -> io::Result<Pipe> {
        let (out, into) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
        // A smaller pipe works as well, just with more calls.
        let _ = fcntl_setpipe_size(&into, bytes);
        if fcntl_getpipe_size(&into)? < LEAST_PIPE_BYTES {
            return Err(io::ErrorKind::OutOfMemory.into());
        }
        Ok(Pipe { out, into, held: 0 })
    }

    fn fill_from(&mut self, socket: BorrowedFd<'_>) -> rustix::io::Result<usize> {
        let flags = SpliceFlags::MOVE | SpliceFlags::NONBLOCK;
        let count = splice(socket, None, &self.into, None, PIPE_BYTES, flags)?;
        self.held += count;
        Ok(count)
    }

    fn empty_into(&mut self, socket: BorrowedFd<'_>) -> rustix::io::Result<usize> {
        let flags = SpliceFlags::MOVE | SpliceFlags::NONBLOCK;
        let count = splice(&self.out, None, socket, None, self.held, flags)?;
        self.held -= count;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::future::poll_fn;
    use std::io::{Read, Write};
    use std::rc::Rc;
    use std::task::Waker;

    use super::*;
    use crate::io::poller::within;
    use crate::io::{Poller, buffers};
    use crate::simulation::{Pipe as Peer, Wire, pair};

    /// A pump between two scripted peers.
    struct Between {
        pump: Pump,
        from: Stream,
        to: Stream,
        source: Rc<RefCell<Peer>>,
        sink: Rc<RefCell<Peer>>,
    }

    impl Between {
        fn new(wire: Wire, first: &[u8]) -> Between {
            let ((from, source), (to, sink)) = (pair(wire), pair(wire));
            let pump = Pump::new(Buffer::of(first));
            let (from, to) = (Stream::Scripted(Box::new(from)), Stream::Scripted(Box::new(to)));
            Between { pump, from, to, source, sink }
        }

        /// Polls until nothing moves any more.
        fn settle(&mut self) -> Poll<io::Result<()>> {
            let mut cx = Context::from_waker(Waker::noop());
            loop {
                let result = self.pump.poll(&mut cx, &mut self.from, &mut self.to, false);
                let moved = [&self.source, &self.sink].map(|peer| peer.borrow_mut().step());
                if result.is_ready() || moved == [false, false] {
                    return result;
                }
            }
        }
    }

    #[test]
    fn bytes_pass_in_order_behind_those_read_before_and_the_end_passes_last() {
        for wire in [Wire::Whole, Wire::Bytewise, Wire::Pieces(3), Wire::Window(2), Wire::CutOut(5)]
        {
            let mut between = Between::new(wire, b"first ");
            between.source.borrow_mut().send(b"then the rest");
            assert!(between.settle().is_pending());
            assert_eq!(between.sink.borrow().received, b"first then the rest");
            assert!(!between.sink.borrow().ended);
            assert_eq!(buffers::lent(), 0, "a pump that waits holds nothing");
            between.source.borrow_mut().end();
            assert!(matches!(between.settle(), Poll::Ready(Ok(()))));
            assert!(between.sink.borrow().ended && between.pump.state == State::Done);
            assert_eq!(between.pump.moved, 19);
            assert!(!between.source.borrow().ended, "the other direction is not this one's");
        }
    }

    #[test]
    fn no_more_is_read_than_was_written() {
        let mut between = Between::new(Wire::Whole, b"");
        between.sink.borrow_mut().stuck = true;
        between.source.borrow_mut().send(&vec![b'x'; 1 << 20]);
        assert!(between.settle().is_pending());
        assert!(buffers::lent() <= buffers::Size::Large.bytes());
        between.sink.borrow_mut().stuck = false;
        assert!(between.settle().is_pending());
        assert_eq!(between.sink.borrow().received.len(), 1 << 20);
        assert_eq!(between.pump.moved, 1 << 20);
    }

    #[test]
    fn an_error_of_either_side_is_told() {
        let mut between = Between::new(Wire::Whole, b"x");
        between.sink.borrow_mut().deaf = true;
        assert!(matches!(between.settle(), Poll::Ready(Err(_))));
        let mut between = Between::new(Wire::Whole, b"");
        between.source.borrow_mut().break_off();
        assert!(matches!(between.settle(), Poll::Ready(Err(_))));
    }

    /// A connection over loopback, with a blocking far end for a thread of its own.
    fn connected(poller: &Rc<Poller>) -> (Stream, std::net::TcpStream) {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let far = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (near, _) = listener.accept().unwrap();
        near.set_nonblocking(true).unwrap();
        (Stream::plain(Socket::new(poller, near.into())), far)
    }

    /// What arrives of these bytes through a pump between two sockets, and the pump.
    fn pumped(bytes: &[u8], last: bool) -> (Vec<u8>, Pump) {
        let sent = bytes.to_vec();
        within(16, async |poller| {
            let ((mut from, mut source), (mut to, mut sink)) =
                (connected(&poller), connected(&poller));
            let sending = std::thread::spawn(move || {
                source.write_all(&sent).unwrap();
                source.shutdown(std::net::Shutdown::Write).unwrap();
                source
            });
            let receiving = std::thread::spawn(move || {
                let mut received = Vec::new();
                sink.read_to_end(&mut received).unwrap();
                received
            });
            let mut pump = Pump::new(Buffer::empty());
            poll_fn(|cx| pump.poll(cx, &mut from, &mut to, last)).await.unwrap();
            drop(to);
            drop(sending.join().unwrap());
            (receiving.join().unwrap(), pump)
        })
    }

    #[test]
    fn between_sockets_bytes_bypass_the_process_once_it_pays_and_none_is_lost() {
        let bytes: Vec<u8> = (0..5_000_000u32).map(|at| (at % 253) as u8).collect();
        let (received, pump) = pumped(&bytes, false);
        assert!(pump.pipe.is_some(), "it came to splicing");
        assert_eq!((pump.moved, buffers::lent()), (5_000_000, 0));
        assert!(received == bytes);
    }

    #[test]
    fn a_pipe_that_holds_less_than_a_buffer_is_none() {
        assert!(Pipe::new(PIPE_BYTES).is_ok() && Pipe::new(64 << 10).is_ok());
        assert!(Pipe::new(2 * 4096).is_err());
    }

    #[test]
    fn an_error_behind_the_last_bytes_is_told_after_them() {
        within(16, async |poller| {
            let ((mut from, mut source), (mut to, mut sink)) =
                (connected(&poller), connected(&poller));
            let mut pump = Pump::new(Buffer::empty());
            let mut cx = Context::from_waker(Waker::noop());
            assert!(pump.poll(&mut cx, &mut from, &mut to, false).is_pending());
            // The kernel has the bytes and the reset before we look again.
            source.write_all(b"last words").unwrap();
            socket2::SockRef::from(&source).set_linger(Some(std::time::Duration::ZERO)).unwrap();
            drop(source);
            let ended = poll_fn(|cx| pump.poll(cx, &mut from, &mut to, false)).await;
            assert!(ended.is_err() && !pump.is_over());
            drop(to);
            let mut received = Vec::new();
            sink.read_to_end(&mut received).unwrap();
            assert!(received.is_empty() || received == b"last words");
        });
    }

    #[test]
    fn last_bytes_arrive_whether_our_side_is_ended_or_closed_behind_them() {
        for count in [0, 1, 100, 20_000] {
            for last in [false, true] {
                let bytes = vec![b'x'; count];
                let (received, pump) = pumped(&bytes, last);
                assert!(received == bytes && pump.is_over());
            }
        }
    }
}

//! One direction of a relay: bytes from one stream to another until the first ends.
//!
//! Rules kept here:
//! - No more is read than was written (back-pressure); a waiting pump holds no buffer.
//! - The end of one stream ends our direction towards the other, and no more (half-close).
//! - Between two plain TCP sockets bytes bypass this process (splice) once so many have passed that
//!   it pays: a pipe costs two descriptors and about ten calls, a copied 256 KiB as much.

use std::io;
use std::os::fd::OwnedFd;
use std::task::{Context, Poll, ready};

use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_setpipe_size, pipe_with, splice};
use tokio::io::Interest;
use tokio::net::TcpStream;

use crate::io::{Buffer, Stream};

/// Bytes after which splice pays.
const SPLICE_AFTER: u64 = 256 * 1024;
/// Bytes a pipe may hold; what an unprivileged process may ask for.
const PIPE_BYTES: usize = 1 << 20;

/// One direction.
pub struct Pump {
    buffer: Buffer,
    pipe: Option<Pipe>,
    state: State,
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
        Pump { buffer: first, pipe: None, state: State::Open, moved: 0 }
    }

    /// Gives bytes that come before all others.
    pub fn first(&mut self, bytes: Buffer) {
        self.buffer = bytes;
    }

    /// Moves what can be moved. Ready when the direction is over.
    ///
    /// # Errors
    /// Those of either stream.
    pub fn poll(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut Stream,
        to: &mut Stream,
    ) -> Poll<io::Result<()>> {
        loop {
            if self.state == State::Done {
                return Poll::Ready(Ok(()));
            }
            ready!(self.poll_drain(cx, to))?;
            if self.state == State::Ending {
                ready!(to.poll_shutdown(cx))?;
                self.state = State::Done;
                continue;
            }
            ready!(self.poll_fill(cx, from, to))?;
        }
    }

    /// Writes what was read.
    fn poll_drain(&mut self, cx: &mut Context<'_>, to: &mut Stream) -> Poll<io::Result<()>> {
        while !self.buffer.is_empty() {
            let count = ready!(to.poll_write(cx, self.buffer.bytes()))?;
            if count == 0 {
                return Poll::Ready(Err(io::Error::from(io::ErrorKind::WriteZero)));
            }
            self.buffer.consume(count);
            self.moved += count as u64;
        }
        if let (Some(pipe), Some(socket)) = (&mut self.pipe, to.plain_tcp()) {
            while pipe.held > 0 {
                ready!(socket.poll_write_ready(cx))?;
                match socket.try_io(Interest::WRITABLE, || pipe.empty_into(socket)) {
                    Ok(count) => self.moved += count as u64,
                    Err(why) if why.kind() == io::ErrorKind::WouldBlock => {}
                    Err(why) => return Poll::Ready(Err(why)),
                }
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
        if count == 0 {
            self.state = State::Ending;
        }
        Poll::Ready(Ok(()))
    }

    fn splices(&mut self, from: &Stream, to: &Stream) -> bool {
        if self.pipe.is_some() {
            return true;
        }
        let pays = self.moved >= SPLICE_AFTER;
        if pays && from.plain_tcp().is_some() && to.plain_tcp().is_some() {
            // Without a pipe (descriptors are scarce) bytes are copied as before.
            self.pipe = Pipe::new().ok();
            self.buffer.release();
        }
        self.pipe.is_some()
    }

    fn poll_splice(&mut self, cx: &mut Context<'_>, from: &Stream) -> Poll<io::Result<usize>> {
        let (Some(pipe), Some(socket)) = (&mut self.pipe, from.plain_tcp()) else {
            return Poll::Ready(Ok(0));
        };
        loop {
            ready!(socket.poll_read_ready(cx))?;
            match socket.try_io(Interest::READABLE, || pipe.fill_from(socket)) {
                Err(why) if why.kind() == io::ErrorKind::WouldBlock => {}
                result => return Poll::Ready(result),
            }
        }
    }
}

impl Pipe {
    fn new() -> io::Result<Pipe> {
        let (out, into) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
        // A smaller pipe works as well, just with more calls.
        let _ = fcntl_setpipe_size(&into, PIPE_BYTES);
        Ok(Pipe { out, into, held: 0 })
    }

    fn fill_from(&mut self, socket: &TcpStream) -> io::Result<usize> {
        let flags = SpliceFlags::MOVE | SpliceFlags::NONBLOCK;
        let count = splice(socket, None, &self.into, None, PIPE_BYTES, flags)?;
        self.held += count;
        Ok(count)
    }

    fn empty_into(&mut self, socket: &TcpStream) -> io::Result<usize> {
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
    use crate::io::buffers;
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
                let result = self.pump.poll(&mut cx, &mut self.from, &mut self.to);
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
    fn connected() -> (Stream, std::net::TcpStream) {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let far = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (near, _) = listener.accept().unwrap();
        near.set_nonblocking(true).unwrap();
        (Stream::tcp(TcpStream::from_std(near).unwrap()), far)
    }

    #[test]
    fn between_sockets_bytes_bypass_the_process_once_it_pays_and_none_is_lost() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
        let bytes: Vec<u8> = (0..5_000_000u32).map(|at| (at % 253) as u8).collect();
        let sent = bytes.clone();
        runtime.block_on(async {
            let ((mut from, mut source), (mut to, mut sink)) = (connected(), connected());
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
            poll_fn(|cx| pump.poll(cx, &mut from, &mut to)).await.unwrap();
            assert!(pump.pipe.is_some(), "it came to splicing");
            assert_eq!((pump.moved, buffers::lent()), (5_000_000, 0));
            assert!(receiving.join().unwrap() == bytes);
            drop(sending.join().unwrap());
        });
    }
}

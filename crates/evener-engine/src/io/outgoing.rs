//! What is about to be written: pieces of a read buffer with a few bytes of our own between them.
//!
//! Rules kept here:
//! - Pieces of the read buffer are named by ranges and not copied: one call sends them all. Only a few
//!   bytes are gathered first, where that is cheaper.
//! - A short write is continued where it stopped.
//!
//! Not known here: what the bytes mean.

use std::io::{self, IoSlice};
use std::ops::Range;
use std::task::{Context, Poll, ready};

use super::Stream;

/// Bytes up to which pieces are gathered: copying so few is cheaper than what the kernel spends on a
/// list of pieces, and TLS on keeping them apart.
const FEW: usize = 1024;
const FEW_TLS: usize = 4096;
/// Most pieces of one call.
const PIECES: usize = 16;
/// What a message that is over leaves behind for the next ones, in bytes and in pieces.
const KEPT: usize = 16 << 10;
const KEPT_PIECES: usize = 64;

#[derive(Clone, Copy)]
enum Piece {
    /// Of the read buffer.
    Read(u32, u32),
    /// Of our own bytes.
    Own(u32, u32),
}

impl Piece {
    fn len(&self) -> usize {
        match self {
            Piece::Read(from, to) | Piece::Own(from, to) => (to - from) as usize,
        }
    }
}

/// A message on its way out.
#[derive(Default)]
pub struct Outgoing {
    pieces: Vec<Piece>,
    /// The piece being written, and how much of it is done.
    at: usize,
    done: usize,
    /// Bytes of all pieces together.
    total: usize,
    /// Some of it was written before the rest was put aside.
    begun: bool,
    own: Vec<u8>,
    /// What `own` is gathered into, so that gathering allocates nothing once warm.
    spare: Vec<u8>,
}

impl Outgoing {
    /// Nothing to write.
    #[inline]
    pub fn clear(&mut self) {
        self.pieces.clear();
        self.at = 0;
        self.done = 0;
        self.total = 0;
        self.begun = false;
        self.own.clear();
        self.pieces.shrink_to(KEPT_PIECES);
        self.own.shrink_to(KEPT);
        self.spare.clear();
        self.spare.shrink_to(KEPT);
    }

    /// Bytes of all pieces together.
    #[inline]
    pub fn total(&self) -> usize {
        self.total
    }

    /// Bytes that have not been written yet.
    pub fn left(&self) -> usize {
        let all = self.pieces.iter().skip(self.at).fold(0, |sum, piece| sum + piece.len());
        all - self.done.min(all)
    }

    /// Bytes of memory that it takes, the read buffer apart.
    pub fn held(&self) -> usize {
        let pieces = self.pieces.capacity() * size_of::<Piece>();
        pieces + self.own.capacity() + self.spare.capacity()
    }

    /// Whether some of it is written and some is not.
    pub fn is_cut(&self) -> bool {
        self.at < self.pieces.len() && (self.begun || self.at > 0 || self.done > 0)
    }

    /// Bytes of the read buffer come next. `read` is the buffer's unread bytes, the range counts
    /// from their first.
    #[inline]
    pub fn read(&mut self, range: Range<usize>) {
        if range.is_empty() {
            return;
        }
        self.total += range.len();
        let (start, end) = (range.start as u32, range.end as u32);
        match self.open() {
            Some(Piece::Read(_, last)) if *last == start => *last = end,
            _ => self.pieces.push(Piece::Read(start, end)),
        }
    }

    /// Bytes of our own come next: whatever `fill` appends.
    #[inline]
    pub fn own(&mut self, fill: impl FnOnce(&mut Vec<u8>)) {
        let start = self.own.len() as u32;
        fill(&mut self.own);
        let end = self.own.len() as u32;
        if start == end {
            return;
        }
        self.total += (end - start) as usize;
        match self.open() {
            Some(Piece::Own(_, last)) if *last == start => *last = end,
            _ => self.pieces.push(Piece::Own(start, end)),
        }
    }

    /// The last piece, if it has not been written whole: then it can still grow.
    #[inline]
    fn open(&mut self) -> Option<&mut Piece> {
        if self.at < self.pieces.len() { self.pieces.last_mut() } else { None }
    }

    /// Writes until all pieces have left. `read` must be the same bytes as when they were named.
    ///
    /// # Errors
    /// The stream's; `WriteZero` when it takes nothing.
    #[inline]
    pub fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        stream: &mut Stream,
        read: &[u8],
    ) -> Poll<io::Result<()>> {
        let few = if stream.is_tls() { FEW_TLS } else { FEW };
        if self.pieces.len() - self.at > 1 && self.total <= few {
            self.gather(read);
        }
        while self.at < self.pieces.len() {
            let taken = if self.pieces.len() - self.at == 1 {
                let slice = self.slice(self.at, read);
                ready!(stream.poll_write(cx, slice.get(self.done..).unwrap_or(&[])))?
            } else {
                let mut slices = [IoSlice::new(&[]); PIECES];
                let count = self.slices(read, &mut slices);
                ready!(stream.poll_write_pieces(cx, slices.get(..count).unwrap_or(&[])))?
            };
            if taken == 0 {
                return Poll::Ready(Err(io::Error::from(io::ErrorKind::WriteZero)));
            }
            self.advance(taken, read);
        }
        Poll::Ready(Ok(()))
    }

    /// Copies what is left of the read buffer's pieces, in no more room than it takes: that buffer is
    /// needed no longer.
    pub fn keep(&mut self, read: &[u8]) {
        self.begun = self.is_cut();
        self.spare = Vec::with_capacity(self.left());
        self.gather(read);
        self.spare = Vec::new();
    }

    fn slice<'a>(&'a self, index: usize, read: &'a [u8]) -> &'a [u8] {
        match self.pieces.get(index) {
            Some(Piece::Read(from, to)) => read.get(*from as usize..*to as usize),
            Some(Piece::Own(from, to)) => self.own.get(*from as usize..*to as usize),
            None => None,
        }
        .unwrap_or(&[])
    }

    fn slices<'a>(&'a self, read: &'a [u8], into: &mut [IoSlice<'a>; PIECES]) -> usize {
        let first = self.slice(self.at, read).get(self.done..).unwrap_or(&[]);
        let rest = (self.at + 1..self.pieces.len()).map(|index| self.slice(index, read));
        let mut count = 0;
        for (slot, piece) in into.iter_mut().zip(std::iter::once(first).chain(rest)) {
            *slot = IoSlice::new(piece);
            count += 1;
        }
        count
    }

    fn advance(&mut self, taken: usize, read: &[u8]) {
        let mut left = taken;
        while self.at < self.pieces.len() {
            let rest = self.slice(self.at, read).len() - self.done;
            if left < rest {
                self.done += left;
                return;
            }
            left -= rest;
            self.done = 0;
            self.at += 1;
        }
    }

    /// Makes one piece of our own out of all that is left.
    fn gather(&mut self, read: &[u8]) {
        let mut all = std::mem::take(&mut self.spare);
        all.clear();
        for index in self.at..self.pieces.len() {
            let from = if index == self.at { self.done } else { 0 };
            all.extend_from_slice(self.slice(index, read).get(from..).unwrap_or(&[]));
        }
        self.spare = std::mem::replace(&mut self.own, all);
        self.pieces.clear();
        self.at = 0;
        self.done = 0;
        self.pieces.push(Piece::Own(0, self.own.len() as u32));
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;
    use crate::simulation::{Pipe, Wire, pair};

    /// Names `count` pieces, every third of our own, and what they say.
    fn named(count: usize, read: &[u8], out: &mut Outgoing) -> Vec<u8> {
        let mut expected = Vec::new();
        for index in 0..count {
            if index % 3 == 2 {
                let text = format!("<{index}>");
                out.own(|own| own.extend_from_slice(text.as_bytes()));
                expected.extend_from_slice(text.as_bytes());
            } else {
                // Pieces may lie in any order and overlap.
                let range = (index * 7) % 20..(index * 7) % 20 + 1 + index % 4;
                out.read(range.clone());
                expected.extend_from_slice(&read[range]);
            }
        }
        expected
    }

    /// Writes until all has left; what the peer got, and the number of times it had to be waited.
    fn sent(out: &mut Outgoing, read: &[u8], wire: Wire) -> (Vec<u8>, usize) {
        let (stream, pipe) = pair(wire);
        let mut stream = Stream::Scripted(Box::new(stream));
        let mut cx = Context::from_waker(Waker::noop());
        let mut waits = 0;
        while out.poll_write(&mut cx, &mut stream, read).map(Result::unwrap).is_pending() {
            waits += 1;
            assert!(Pipe::step(&mut pipe.borrow_mut()), "it waits for room alone");
        }
        pipe.borrow_mut().step();
        let received = pipe.borrow().received.clone();
        (received, waits)
    }

    const READ: &[u8] = b"abcdefghijklmnopqrstuvwxyz";

    #[test]
    fn any_number_of_pieces_leaves_in_order() {
        for count in 0..60 {
            let mut out = Outgoing::default();
            let expected = named(count, READ, &mut out);
            assert_eq!(out.total(), expected.len());
            let (received, waits) = sent(&mut out, READ, Wire::Whole);
            assert_eq!((received, waits), (expected, 0), "{count} pieces");
        }
    }

    #[test]
    fn a_short_write_is_continued_where_it_stopped_at_every_byte() {
        for count in [1, 2, 3, PIECES - 1, PIECES, PIECES + 1, 40] {
            let mut out = Outgoing::default();
            let total = named(count, READ, &mut out).len();
            for at in 1..total {
                let mut out = Outgoing::default();
                let expected = named(count, READ, &mut out);
                let (received, waits) = sent(&mut out, READ, Wire::CutOut(at));
                assert_eq!((received, waits), (expected, 1), "{count} pieces cut at {at}");
            }
            let mut out = Outgoing::default();
            let expected = named(count, READ, &mut out);
            assert_eq!(sent(&mut out, READ, Wire::Window(1)), (expected, total - 1));
        }
    }

    #[test]
    fn what_is_put_aside_needs_its_buffer_no_longer_and_is_still_cut() {
        let mut whole = Outgoing::default();
        let expected = named(20, READ, &mut whole);
        for at in 0..expected.len() {
            let mut out = Outgoing::default();
            named(20, READ, &mut out);
            out.advance(at, READ);
            out.keep(READ);
            assert_eq!((out.left(), out.is_cut()), (expected.len() - at, at > 0), "at {at}");
            assert_eq!(out.own.capacity(), expected.len() - at);
            assert_eq!(sent(&mut out, b"", Wire::Window(3)).0, expected[at..]);
            assert!(!out.is_cut());
        }
    }

    #[test]
    fn bytes_of_our_own_one_after_another_are_one_piece() {
        let mut out = Outgoing::default();
        for _ in 0..100 {
            out.own(|own| own.extend_from_slice(b"x"));
        }
        assert_eq!(out.pieces.len(), 1);
        assert_eq!(sent(&mut out, READ, Wire::Whole).0, [b'x'; 100]);
    }

    #[test]
    fn bytes_of_our_own_are_kept_when_they_are_one_piece_too_many() {
        for tail in [&b"end"[..], b""] {
            let mut out = Outgoing::default();
            for index in 0..PIECES {
                out.read(index..index + 1);
            }
            out.own(|own| own.extend_from_slice(tail));
            out.read(25..26);
            let expected = [&READ[..PIECES], tail, b"z"].concat();
            assert_eq!(out.total(), expected.len());
            assert_eq!(sent(&mut out, READ, Wire::Whole).0, expected);
        }
    }

    #[test]
    fn it_is_cut_from_the_first_byte_to_the_last_but_one() {
        let mut out = Outgoing::default();
        let total = named(5, READ, &mut out).len();
        for at in 0..=total {
            let mut out = Outgoing::default();
            named(5, READ, &mut out);
            out.advance(at, READ);
            assert_eq!(out.is_cut(), at > 0 && at < total, "after {at} of {total}");
        }
    }

    #[test]
    fn neighbours_are_one_piece_and_many_pieces_are_not_copied() {
        let mut out = Outgoing::default();
        for at in 0..26 {
            out.read(at..at + 1);
        }
        assert_eq!((out.pieces.len(), sent(&mut out, READ, Wire::Whole).0), (1, READ.to_vec()));
        let mut out = Outgoing::default();
        for _ in 0..1000 {
            out.own(|own| own.extend_from_slice(b"1\r\n"));
            out.read(0..1);
        }
        assert!(out.own.len() == 3000 && out.spare.is_empty());
        assert!(out.held() >= 3000 + 2000 * size_of::<Piece>());
        assert_eq!(sent(&mut out, READ, Wire::Pieces(7)).0, b"1\r\na".repeat(1000));
        out.clear();
        assert!(out.held() <= 2 * KEPT + KEPT_PIECES * size_of::<Piece>());
    }

    #[test]
    fn what_is_cleared_is_gone_and_an_empty_message_has_left_already() {
        let mut out = Outgoing::default();
        named(20, READ, &mut out);
        out.clear();
        assert_eq!((out.total(), sent(&mut out, READ, Wire::Whole)), (0, (Vec::new(), 0)));
        out.read(3..3);
        out.own(|_| {});
        assert_eq!((out.total(), out.pieces.len()), (0, 0));
    }
}

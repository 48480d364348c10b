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
/// Most pieces of one message; a head that is cut into more is gathered instead.
const PIECES: usize = 16;

#[derive(Clone, Copy)]
enum Piece {
    /// Of the read buffer.
    Read(u32, u32),
    /// Of our own bytes.
    Own(u32, u32),
}

/// A message on its way out.
#[derive(Default)]
pub struct Outgoing {
    pieces: [Option<Piece>; PIECES],
    count: usize,
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
        self.count = 0;
        self.at = 0;
        self.done = 0;
        self.total = 0;
        self.begun = false;
        self.own.clear();
    }

    /// Bytes of all pieces together.
    #[inline]
    pub fn total(&self) -> usize {
        self.total
    }

    /// Bytes that have not been written yet.
    pub fn left(&self) -> usize {
        let pieces = self.pieces.iter().take(self.count).skip(self.at).flatten();
        let all = pieces.fold(0, |sum, piece| match piece {
            Piece::Read(from, to) | Piece::Own(from, to) => sum + (*to - *from) as usize,
        });
        all - self.done.min(all)
    }

    /// Whether some of it is written and some is not.
    pub fn is_cut(&self) -> bool {
        self.at < self.count && (self.begun || self.at > 0 || self.done > 0)
    }

    /// Bytes of the read buffer come next. `read` is the buffer's unread bytes, the range counts
    /// from their first.
    #[inline]
    pub fn read(&mut self, range: Range<usize>, read: &[u8]) {
        if range.is_empty() {
            return;
        }
        self.total += range.len();
        if self.count == PIECES {
            self.gather(read);
        }
        self.push(Piece::Read(range.start as u32, range.end as u32));
    }

    /// Bytes of our own come next: whatever `fill` appends.
    #[inline]
    pub fn own(&mut self, read: &[u8], fill: impl FnOnce(&mut Vec<u8>)) {
        let start = self.own.len() as u32;
        fill(&mut self.own);
        let end = self.own.len() as u32;
        if start == end {
            return;
        }
        self.total += (end - start) as usize;
        if let Some(Some(Piece::Own(_, last))) =
            self.count.checked_sub(1).and_then(|last| self.pieces.get_mut(last))
            && *last == start
            // What has been written is not looked at again.
            && self.at < self.count
        {
            *last = end;
            return;
        }
        if self.count == PIECES {
            self.gather(read);
            // Gathering put everything, these bytes included, into one piece of our own.
            return;
        }
        self.push(Piece::Own(start, end));
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
        if self.count - self.at > 1 && self.total <= few {
            self.gather(read);
        }
        while self.at < self.count {
            let taken = if self.count - self.at == 1 {
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

    fn push(&mut self, piece: Piece) {
        if let Some(slot) = self.pieces.get_mut(self.count) {
            *slot = Some(piece);
            self.count += 1;
        }
    }

    fn slice<'a>(&'a self, index: usize, read: &'a [u8]) -> &'a [u8] {
        match self.pieces.get(index) {
            Some(Some(Piece::Read(from, to))) => read.get(*from as usize..*to as usize),
            Some(Some(Piece::Own(from, to))) => self.own.get(*from as usize..*to as usize),
            _ => None,
        }
        .unwrap_or(&[])
    }

    fn slices<'a>(&'a self, read: &'a [u8], into: &mut [IoSlice<'a>; PIECES]) -> usize {
        let first = self.slice(self.at, read).get(self.done..).unwrap_or(&[]);
        let rest = (self.at + 1..self.count).map(|index| self.slice(index, read));
        let mut count = 0;
        for (slot, piece) in into.iter_mut().zip(std::iter::once(first).chain(rest)) {
            *slot = IoSlice::new(piece);
            count += 1;
        }
        count
    }

    fn advance(&mut self, taken: usize, read: &[u8]) {
        let mut left = taken;
        while self.at < self.count {
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
        for index in self.at..self.count {
            let from = if index == self.at { self.done } else { 0 };
            all.extend_from_slice(self.slice(index, read).get(from..).unwrap_or(&[]));
        }
        let covered =
            self.pieces.iter().take(self.count).flatten().fold(0, |end, piece| match piece {
                Piece::Own(_, to) => end.max(*to as usize),
                Piece::Read(..) => end,
            });
        all.extend_from_slice(self.own.get(covered..).unwrap_or(&[]));
        self.spare = std::mem::replace(&mut self.own, all);
        self.count = 0;
        self.at = 0;
        self.done = 0;
        self.push(Piece::Own(0, self.own.len() as u32));
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
                out.own(read, |own| own.extend_from_slice(text.as_bytes()));
                expected.extend_from_slice(text.as_bytes());
            } else {
                // Pieces may lie in any order and overlap.
                let range = (index * 7) % 20..(index * 7) % 20 + 1 + index % 4;
                out.read(range.clone(), read);
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
            out.own(READ, |own| own.extend_from_slice(b"x"));
        }
        assert_eq!(out.count, 1);
        assert_eq!(sent(&mut out, READ, Wire::Whole).0, [b'x'; 100]);
    }

    #[test]
    fn bytes_of_our_own_are_kept_when_they_are_one_piece_too_many() {
        for tail in [&b"end"[..], b""] {
            let mut out = Outgoing::default();
            for index in 0..PIECES {
                out.read(index..index + 1, READ);
            }
            out.own(READ, |own| own.extend_from_slice(tail));
            out.read(25..26, READ);
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
    fn what_is_cleared_is_gone_and_an_empty_message_has_left_already() {
        let mut out = Outgoing::default();
        named(20, READ, &mut out);
        out.clear();
        assert_eq!((out.total(), sent(&mut out, READ, Wire::Whole)), (0, (Vec::new(), 0)));
        out.read(3..3, READ);
        out.own(READ, |_| {});
        assert_eq!((out.total(), out.count), (0, 0));
    }
}

//! Places in a buffer that someone else owns: what parsers remember instead of copies.
//!
//! Rules kept here: a place outside the buffer reads as empty, it never panics.

use std::ops::Range;

/// A piece of a buffer, in bytes from its start; `end` is exclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Span {
    /// First byte.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
}

impl Span {
    /// The piece from `start` up to, not including, `end`. Buffers are far below 4 GiB: limits on
    /// heads see to it, and a larger offset saturates and so reads as empty.
    pub(crate) fn new(start: usize, end: usize) -> Self {
        let narrow = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        Span { start: narrow(start), end: narrow(end) }
    }

    /// The bytes of `buf` it names; empty if `buf` does not reach that far.
    #[inline]
    pub fn of(self, buf: &[u8]) -> &[u8] {
        buf.get(self.start as usize..self.end as usize).unwrap_or_default()
    }

    /// How many bytes it names.
    pub fn len(self) -> usize {
        self.end.saturating_sub(self.start) as usize
    }

    /// Whether it names no byte.
    pub fn is_empty(self) -> bool {
        self.end <= self.start
    }
}

/// What one call of a body decoder did to the buffer it was given.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Progress {
    /// Bytes of the buffer that are done with, from its start. What lies beyond belongs to the
    /// next message.
    pub consumed: usize,
    /// Where the payload lies now, as one run inside `..consumed`. Often not at 0: the first
    /// piece is left where it was, so that a single chunk is never moved.
    pub data: Range<usize>,
    /// Whether the message ends here.
    pub done: bool,
}

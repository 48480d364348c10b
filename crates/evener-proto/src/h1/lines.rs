//! Cuts a head into complete lines as its bytes arrive.
//!
//! Rules kept here:
//! - Every byte is searched once, however the bytes were split: the place reached is remembered.
//! - A line ends with CRLF and lies within the limit, or it is an offence; both are decided by
//!   offsets alone, so that a head seen whole and one seen byte by byte end alike.
//!
//! Not known here: what a line means.

use crate::Malformed;
use crate::h1::Violations;

/// What a head may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a head, from the first byte of the message to the end of the empty line.
    pub max_head: usize,
    /// Field lines of a head.
    pub max_fields: usize,
}

impl Default for Limits {
    /// CONFIG.md's `http.max_head` and `http.max_fields`.
    fn default() -> Self {
        Limits { max_head: 64 << 10, max_fields: 100 }
    }
}

/// One complete line.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Line {
    /// Its first byte.
    pub start: usize,
    /// One past its last byte, without the line's end.
    pub end: usize,
    /// First byte of the next line.
    pub next: usize,
}

/// Where a scan over a growing buffer stands.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Lines {
    start: usize,
    scanned: usize,
    bare: bool,
}

/// Which line ends are lines' ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// CRLF, as HTTP has it.
    Crlf,
    /// LF with or without a CR, as CGI has it (RFC 3875 §6.3.4) and `accept: [lf]` lets it.
    Any,
}

impl Ending {
    /// What ends a line where these violations are let in.
    pub fn accepting(accept: Violations) -> Ending {
        if accept.has(Violations::LF) { Ending::Any } else { Ending::Crlf }
    }
}

impl Lines {
    /// Starts over, at offset 0.
    pub fn clear(&mut self) {
        *self = Lines::default();
    }

    /// Whether a line has ended with LF alone.
    pub fn bare(&self) -> bool {
        self.bare
    }

    /// Where the next line begins, if none of it was searched yet.
    #[inline]
    pub fn untouched(&self) -> Option<usize> {
        (self.scanned == self.start).then_some(self.start)
    }

    /// Goes on at `next`: somebody else has read what lies before.
    #[inline]
    pub fn skip_to(&mut self, next: usize) {
        (self.start, self.scanned) = (next, next);
    }

    /// The next complete line of `buf`, whose bytes before the place reached must not have changed
    /// their offsets. `None`: more bytes are needed.
    ///
    /// # Errors
    /// `HeadTooLarge` when the line does not end within `max` bytes; `BareLf`.
    #[inline]
    pub fn next(
        &mut self,
        buf: &[u8],
        max: usize,
        ending: Ending,
    ) -> Result<Option<Line>, Malformed> {
        let within = buf.get(self.scanned..buf.len().min(max)).unwrap_or_default();
        if within.starts_with(b"\r\n") && self.scanned == self.start {
            // A head ends so: no search.
            let line = Line { start: self.start, end: self.start, next: self.start + 2 };
            (self.start, self.scanned) = (line.next, line.next);
            return Ok(Some(line));
        }
        let Some(found) = memchr::memchr(b'\n', within) else {
            self.scanned = self.scanned.max(buf.len().min(max));
            return if buf.len() >= max { Err(Malformed::HeadTooLarge) } else { Ok(None) };
        };
        let newline = self.scanned + found;
        let crlf = newline > self.start && buf.get(newline - 1) == Some(&b'\r');
        let end = match (crlf, ending) {
            (true, _) => newline - 1,
            (false, Ending::Any) => {
                self.bare = true;
                newline
            }
            (false, Ending::Crlf) => return Err(Malformed::BareLf),
        };
        let line = Line { start: self.start, end, next: newline + 1 };
        self.start = line.next;
        self.scanned = line.next;
        Ok(Some(line))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_may_end_at_the_limit_and_not_beyond_it() {
        let text = b"abcd\r\n";
        for (max, wanted) in [(6, true), (5, false)] {
            let whole = Lines::default().next(text, max, Ending::Crlf).map(|l| l.is_some());
            assert_eq!(whole, if wanted { Ok(true) } else { Err(Malformed::HeadTooLarge) });
            let mut lines = Lines::default();
            let grown = (0..=text.len())
                .map(|end| lines.next(&text[..end], max, Ending::Crlf).map(|l| l.is_some()))
                .find(|result| *result != Ok(false));
            assert_eq!(grown, Some(whole));
        }
    }

    #[test]
    fn a_lone_lf_ends_a_line_only_where_that_is_allowed() {
        let line = Lines::default().next(b"a\n", 9, Ending::Any).unwrap().unwrap();
        assert_eq!((line.start, line.end, line.next), (0, 1, 2));
        let line = Lines::default().next(b"a\r\n", 9, Ending::Any).unwrap().unwrap();
        assert_eq!((line.start, line.end, line.next), (0, 1, 3));
        assert!(Lines::default().next(b"a\n", 9, Ending::Crlf).is_err());
        assert!(Lines::default().next(b"\n", 9, Ending::Crlf).is_err());
    }
}

//! Reads the head of a server's answer where it lies, as its bytes arrive.
//!
//! Rules kept here:
//! - RFC 9112 §4, as strict as for requests wherever framing is at stake.
//! - Habits of living servers are let through by name: no space after the code, no reason, an
//!   8-bit reason, codes up to 999, a folded field (unfolded in place, never a framing field).
//!
//! Not known here: which request it answers, the body's length (`framing`).

use crate::bytes::{check_value, is_blank};
use crate::h1::field::Fields;
use crate::h1::lines::{Ending, Limits, Line, Lines};
use crate::h1::{Version, framing};
use crate::{Malformed, Span};

/// A complete answer head: places in the buffer it was read from.
#[derive(Debug, Clone, Default)]
pub struct ResponseHead {
    /// Version spoken by the server.
    pub version: Version,
    /// Status code, 100–999.
    pub status: u16,
    /// The reason as sent, often empty, any byte from 0x80 included.
    pub reason: Span,
    /// The field lines.
    pub fields: Fields,
    /// The status line with its CRLF.
    pub line: Span,
    /// Where the field lines end: the place of the head's last CRLF.
    pub fields_end: u32,
    /// Length of the head in the buffer, the last CRLF included.
    pub len: usize,
}

impl ResponseHead {
    /// Whether the server says it takes another request on this connection (RFC 9112 §9.3), not
    /// whether the connection can be trusted with one: see [`framing::reusable`].
    pub fn keep_alive(&self) -> bool {
        framing::keep_alive(self.version, self.fields.connection())
    }

    /// Whether another head follows before the answer proper (1xx but 101, RFC 9110 §15.2).
    pub fn is_interim(&self) -> bool {
        (100..200).contains(&self.status) && self.status != 101
    }

    fn clear(&mut self) {
        let mut fields = std::mem::take(&mut self.fields);
        fields.clear();
        *self = ResponseHead { fields, ..ResponseHead::default() };
    }
}

/// Reads answer heads; keeps its storage from one to the next.
#[derive(Debug, Default)]
pub struct ResponseParser {
    head: ResponseHead,
    lines: Lines,
}

impl ResponseParser {
    /// A parser for one connection, or for a pool of them.
    pub fn new() -> Self {
        ResponseParser::default()
    }

    /// The head read last; meaningful after `parse` gave its length.
    pub fn head(&self) -> &ResponseHead {
        &self.head
    }

    /// Forgets the head and starts at offset 0 of the next buffer. Allocates and frees nothing.
    pub fn clear(&mut self) {
        self.head.clear();
        self.lines.clear();
    }

    /// Reads on, as [`super::RequestParser::parse`] does. Folded fields are unfolded in `buf`.
    ///
    /// # Errors
    /// The first offence, by line. The parser must be cleared.
    #[inline]
    pub fn parse(&mut self, buf: &mut [u8], limits: &Limits) -> Result<Option<usize>, Malformed> {
        while let Some(line) = self.lines.next(buf, limits.max_head, Ending::Crlf)? {
            if self.head.line.is_empty() {
                self.status_line(buf, line)?;
            } else if line.start == line.end {
                return self.finish(buf, line).map(Some);
            } else if buf.get(line.start).is_some_and(|&b| is_blank(b)) {
                self.head.fields.unfold(buf, line)?;
            } else {
                self.head.fields.push(buf, line, limits.max_fields)?;
            }
        }
        Ok(None)
    }

    #[inline]
    fn status_line(&mut self, buf: &[u8], line: Line) -> Result<(), Malformed> {
        let text = buf.get(line.start..line.end).unwrap_or_default();
        check_value(text)?;
        let (version, rest) = text.split_at_checked(8).ok_or(Malformed::StatusLine)?;
        self.head.version = Version::read(version)?;
        let [b' ', a, b, c, rest @ ..] = rest else { return Err(Malformed::StatusLine) };
        self.head.status = code(*a, *b, *c).ok_or(Malformed::StatusCode)?;
        let reason = match rest {
            [] => rest,
            [b' ', reason @ ..] => reason,
            _ => return Err(Malformed::StatusLine),
        };
        self.head.reason = Span::new(line.end - reason.len(), line.end);
        self.head.line = Span::new(line.start, line.next);
        Ok(())
    }

    #[inline]
    fn finish(&mut self, buf: &[u8], empty: Line) -> Result<usize, Malformed> {
        self.head.fields.finish(buf)?;
        self.head.fields_end = Span::new(empty.start, empty.next).start;
        self.head.len = empty.next;
        Ok(empty.next)
    }
}

#[inline]
fn code(a: u8, b: u8, c: u8) -> Option<u16> {
    let digits = [a, b, c];
    if a == b'0' || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some(digits.iter().fold(0, |n, &d| n * 10 + u16::from(d - b'0')))
}

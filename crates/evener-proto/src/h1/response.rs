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
use crate::h1::{Version, Violations, framing};
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
        self.parse_accepting(buf, limits, Violations::NONE)
    }

    /// As `parse`, where more violations are let in by name; a folded field always is. What was
    /// let in, `head().fields.borne()` tells.
    ///
    /// # Errors
    /// As `parse`.
    #[inline]
    pub fn parse_accepting(
        &mut self,
        buf: &mut [u8],
        limits: &Limits,
        accept: Violations,
    ) -> Result<Option<usize>, Malformed> {
        let ending = Ending::accepting(accept);
        while let Some(line) = self.lines.next(buf, limits.max_head, ending)? {
            if self.head.line.is_empty() {
                self.status_line(buf, line)?;
            } else if line.start == line.end {
                return self.finish(buf, line).map(Some);
            } else if buf.get(line.start).is_some_and(|&b| is_blank(b)) {
                self.head.fields.unfold(buf, line)?;
            } else if accept.is_empty() {
                self.head.fields.push(buf, line, limits.max_fields)?;
            } else {
                self.head.fields.push_accepting(buf, line, limits.max_fields, accept)?;
            }
            self.head.fields.read_usual(buf, &mut self.lines, limits);
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
        if self.lines.bare() {
            self.head.fields.bear(Violations::LF);
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::h1::Name;

    const LIMITS: Limits = Limits { max_head: 200, max_fields: 3 };

    /// The head and the buffer it lies in; the same whole and byte by byte.
    fn read(text: &[u8]) -> Result<(ResponseHead, Vec<u8>), Malformed> {
        let (mut whole, mut grown) = (text.to_vec(), text.to_vec());
        let mut parser = ResponseParser::new();
        let result = parser.parse(&mut whole, &LIMITS);
        let mut other = ResponseParser::new();
        let split = (0..=text.len())
            .map(|end| other.parse(&mut grown[..end], &LIMITS))
            .find(|result| *result != Ok(None));
        assert_eq!(split, Some(result), "{}", text.escape_ascii());
        result?;
        assert_eq!(whole, grown);
        assert_eq!(format!("{:?}", parser.head()), format!("{:?}", other.head()));
        Ok((parser.head().clone(), whole))
    }

    fn refused(text: &[u8], offence: Malformed) {
        assert_eq!(read(text).map(|_| ()), Err(offence), "{}", text.escape_ascii());
    }

    #[test]
    fn status_lines_of_living_servers_are_read() {
        for (line, status, reason) in [
            (&b"HTTP/1.1 200 OK"[..], 200, &b"OK"[..]),
            (b"HTTP/1.0 404 Not Found", 404, b"Not Found"),
            (b"HTTP/1.1 200 ", 200, b""),
            (b"HTTP/1.1 200", 200, b""),
            (b"HTTP/1.1 999 \xe9\xff", 999, b"\xe9\xff"),
            (b"HTTP/1.7 299 a\tb", 299, b"a\tb"),
        ] {
            let (head, buf) = read(&[line, b"\r\n\r\n"].concat()).unwrap();
            assert_eq!((head.status, head.reason.of(&buf)), (status, reason));
        }
    }

    #[test]
    fn other_status_lines_are_offences() {
        for (line, offence) in [
            (&b""[..], Malformed::StatusLine),
            (b"HTTP/1.1", Malformed::StatusLine),
            (b"HTTP/1.1 20", Malformed::StatusLine),
            (b"HTTP/1.1  200 OK", Malformed::StatusCode),
            (b"HTTP/1.1 2000", Malformed::StatusLine),
            (b"HTTP/1.1 099 x", Malformed::StatusCode),
            (b"HTTP/1.1 2x0 x", Malformed::StatusCode),
            (b"HTTP/2.0 200 OK", Malformed::VersionUnsupported),
            (b"ICY 200 OK OK", Malformed::BadVersion),
            (b"HTTP/1.1 200 a\0b", Malformed::Nul),
            (b"HTTP/1.1 200 a\rb", Malformed::BareCr),
        ] {
            refused(&[line, b"\r\n\r\n"].concat(), offence);
        }
        refused(b"HTTP/1.1 200 OK\n\n", Malformed::BareLf);
    }

    #[test]
    fn a_folded_field_is_unfolded_in_place() {
        let text = b"HTTP/1.1 200 OK\r\nX: a\r\n \tb \r\n\r\n";
        let (head, buf) = read(text).unwrap();
        let field = head.fields.named(b"X", &buf).unwrap();
        assert_eq!(field.value.of(&buf), b"a    b");
        assert_eq!(field.line.of(&buf), b"X: a    b \r\n");
        let (head, buf) = read(b"HTTP/1.1 200 OK\r\nX:\r\n a\r\n  \r\n b\r\n\r\n").unwrap();
        assert_eq!(head.fields.named(b"X", &buf).unwrap().value.of(&buf), b"a       b");
        assert_eq!(head.fields.len(), 1);
    }

    #[test]
    fn nothing_that_frames_may_be_folded_nor_the_first_line() {
        for name in ["Content-Length: 5", "Transfer-Encoding:", "Connection: x"] {
            let text = format!("HTTP/1.1 200 OK\r\n{name}\r\n chunked\r\n\r\n");
            refused(text.as_bytes(), Malformed::ObsFold);
        }
        refused(b"HTTP/1.1 200 OK\r\n X: y\r\n\r\n", Malformed::LeadingWhitespace);
        refused(b"HTTP/1.1 200 OK\r\nX: a\r\n b\x01\r\n\r\n", Malformed::ControlByte);
    }

    #[test]
    fn limits_and_field_rules_are_those_of_requests() {
        let four = [b"HTTP/1.1 200 OK\r\n", &b"A: b\r\n".repeat(4)[..], b"\r\n"].concat();
        refused(&four, Malformed::TooManyFields);
        let long = [b"HTTP/1.1 200 ", &[b'a'; 200][..], b"\r\n\r\n"].concat();
        refused(&long, Malformed::HeadTooLarge);
        refused(b"HTTP/1.1 200 OK\r\nA : b\r\n\r\n", Malformed::SpaceBeforeColon);
        let (head, _) = read(b"HTTP/1.1 103 Early\r\nDate: x\r\n\r\n").unwrap();
        assert!(head.is_interim() && head.fields.has(Name::Date));
    }
}

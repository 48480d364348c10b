//! Reads the head a CGI program writes, and says it as HTTP/1.1 (RFC 3875 §6).
//!
//! Rules kept here:
//! - The fields go through HTTP's own tokeniser; only the line's end is freer (LF or CRLF).
//! - `Status` decides the status; without it 302 where there is a Location, else 200.
//! - What is written is made of checked pieces: no field of one connection, no framing but one
//!   checked Content-Length, no bytes that could end a line.
//!
//! Not known here: FastCGI's records. A local redirect (RFC 3875 §6.2.2) is passed on as a
//! Location, as a client would have it; the request is not run again.

use crate::h1::edit::CutNames;
use crate::h1::forward::ANSWER_CUTS;
use crate::h1::framing::{self, Repeats};
use crate::h1::lines::{Ending, Lines};
use crate::h1::name::{FRAMING, Names};
use crate::h1::{BodyLength, Fields, Limits, Method, Name, answer};
use crate::{Malformed, Span};

/// A complete CGI head: places in the buffer it was read from.
#[derive(Debug, Clone, Default)]
pub struct CgiHead {
    /// Status code, 200–999: a program can't send an interim answer or switch protocols.
    pub status: u16,
    /// The reason the program gave, often empty.
    pub reason: Span,
    /// The field lines.
    pub fields: Fields,
    /// Length of the head in the buffer, its empty line included.
    pub len: usize,
    content_length: Option<u64>,
}

impl CgiHead {
    /// Length of the body of this answer to `method`. Without a Content-Length the body ends when
    /// the program's output does ([`BodyLength::UntilClose`]).
    pub fn body(&self, method: Method) -> BodyLength {
        if method == Method::Head || framing::is_bodiless(self.status) {
            return BodyLength::None;
        }
        self.content_length.map_or(BodyLength::UntilClose, BodyLength::Exact)
    }

    /// The Content-Length the program gave.
    pub fn content_length(&self) -> Option<u64> {
        self.content_length
    }

    /// Writes the head as HTTP/1.1, up to and with its last field; the caller adds its own fields
    /// and the final CRLF. Content-Length is written where the status allows one; where the body
    /// goes until the program ends, the caller adds the framing. `edited`: names that the route sets
    /// or removes.
    pub fn write(&self, buf: &[u8], edited: Option<&CutNames>, out: &mut Vec<u8>) {
        answer::status_line_with(self.status, self.reason.of(buf), out);
        let dropped = ANSWER_CUTS.with(FRAMING).with(Names::of(&[Name::Status]));
        let is_edited = |name| edited.is_some_and(|names| names.has(name));
        for field in &self.fields {
            if !dropped.has(field.id) && !is_edited(field.name.of(buf)) {
                for part in [field.name.of(buf), b": ", field.value.of(buf), b"\r\n"] {
                    out.extend_from_slice(part);
                }
            }
        }
        if let (Some(len), false) = (self.content_length, framing::is_bodiless(self.status)) {
            answer::content_length(len, out);
        }
    }

    fn clear(&mut self) {
        let mut fields = std::mem::take(&mut self.fields);
        fields.clear();
        *self = CgiHead { fields, ..CgiHead::default() };
    }
}

/// Reads CGI heads; keeps its storage from one to the next.
#[derive(Debug, Default)]
pub struct CgiParser {
    head: CgiHead,
    lines: Lines,
}

impl CgiParser {
    /// A parser for one connection, or for a pool of them.
    pub fn new() -> Self {
        CgiParser::default()
    }

    /// The head read last; meaningful after `parse` gave its length.
    pub fn head(&self) -> &CgiHead {
        &self.head
    }

    /// Forgets the head and starts at offset 0 of the next buffer.
    pub fn clear(&mut self) {
        self.head.clear();
        self.lines.clear();
    }

    /// Reads on: `buf` is the program's output from its first byte. The head's length once it is
    /// complete, `None` while more bytes are needed.
    ///
    /// # Errors
    /// The first offence, by line; the answer is a 502.
    pub fn parse(&mut self, buf: &[u8], limits: &Limits) -> Result<Option<usize>, Malformed> {
        self.head.fields.read_usual(buf, &mut self.lines, limits);
        while let Some(line) = self.lines.next(buf, limits.max_head, Ending::Any)? {
            if line.start == line.end {
                self.head.len = line.next;
                self.finish(buf)?;
                return Ok(Some(line.next));
            }
            self.head.fields.push(buf, line, limits.max_fields)?;
            self.head.fields.read_usual(buf, &mut self.lines, limits);
        }
        Ok(None)
    }

    fn finish(&mut self, buf: &[u8]) -> Result<(), Malformed> {
        let head = &mut self.head;
        let fields = &head.fields;
        let known = [Name::Status, Name::Location, Name::ContentType];
        if !known.into_iter().any(|name| fields.has(name)) {
            return Err(Malformed::CgiEmpty);
        }
        if fields.repeats(Name::Status) {
            return Err(Malformed::CgiStatus);
        }
        head.content_length = framing::content_length(fields, Repeats::IfEqual, buf)?;
        (head.status, head.reason) = match fields.find(Name::Status) {
            Some(field) => status(field.value, buf).ok_or(Malformed::CgiStatus)?,
            None if fields.has(Name::Location) => (302, Span::default()),
            None => (200, Span::default()),
        };
        Ok(())
    }
}

/// Three digits, then nothing or a blank and a reason.
fn status(value: Span, buf: &[u8]) -> Option<(u16, Span)> {
    let [a, b, c, rest @ ..] = value.of(buf) else { return None };
    let digits = [a, b, c];
    if !digits.iter().all(|d| d.is_ascii_digit()) || !(rest.is_empty() || rest.starts_with(b" ")) {
        return None;
    }
    let code = digits.iter().fold(0, |n, &d| n * 10 + u16::from(d - b'0'));
    let start = value.end - Span::new(0, rest.len().saturating_sub(1)).end;
    (code >= 200).then_some((code, Span { start, end: value.end }))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The head's length and the HTTP/1.1 head made of it; equal for every split.
    fn read(text: &[u8]) -> Result<(String, Option<usize>), Malformed> {
        let limits = Limits { max_head: 200, max_fields: 5 };
        let result = |step: usize| {
            let mut parser = CgiParser::new();
            for end in (step..text.len()).step_by(step).chain([text.len()]) {
                if let Some(len) = parser.parse(&text[..end], &limits)? {
                    let mut out = Vec::new();
                    parser.head().write(text, None, &mut out);
                    return Ok((String::from_utf8(out).unwrap(), Some(len)));
                }
            }
            Ok((String::new(), None))
        };
        let whole = result(text.len());
        assert_eq!(result(1), whole);
        whole
    }

    #[test]
    fn a_head_with_either_line_end_becomes_http() {
        let wanted = "HTTP/1.1 404 Nope\r\nContent-Type: text/plain\r\nX: y z\r\n";
        for text in [
            &b"Status: 404 Nope\r\nContent-Type:text/plain\r\nX:  y z \r\n\r\nbody"[..],
            b"Status: 404 Nope\nContent-Type: text/plain\nX: y z\n\nbody",
        ] {
            let (http, len) = read(text).unwrap();
            assert_eq!(http, wanted);
            assert_eq!(&text[len.unwrap()..], b"body");
        }
    }

    #[test]
    fn without_a_status_it_is_200_or_302() {
        assert_eq!(
            read(b"Content-Type: a/b\n\n").unwrap().0,
            "HTTP/1.1 200 OK\r\nContent-Type: a/b\r\n"
        );
        assert_eq!(read(b"Location: /x\n\n").unwrap().0, "HTTP/1.1 302 Found\r\nLocation: /x\r\n");
        assert!(
            read(b"Status: 201\nLocation: /x\n\n")
                .unwrap()
                .0
                .starts_with("HTTP/1.1 201 Created\r\n")
        );
    }

    #[test]
    fn framing_and_fields_of_the_connection_are_the_programs_no_more() {
        let text =
            b"Status: 200\nConnection: close\nTransfer-Encoding: chunked\nContent_Length: 6\nContent-Length: 5\n\n";
        assert_eq!(read(text).unwrap().0, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n");
        let text = b"Status: 304\nContent-Length: 5\n\n";
        assert_eq!(read(text).unwrap().0, "HTTP/1.1 304 Not Modified\r\n");
    }

    #[test]
    fn the_body_is_as_long_as_the_head_says_or_as_the_output() {
        let mut parser = CgiParser::new();
        let text = b"Status: 200\nContent-Length: 5\n\n";
        parser.parse(text, &Limits::default()).unwrap();
        assert_eq!(parser.head().body(Method::Get), BodyLength::Exact(5));
        assert_eq!(parser.head().body(Method::Head), BodyLength::None);
        parser.clear();
        parser.parse(b"Content-Type: a/b\n\n", &Limits::default()).unwrap();
        assert_eq!(parser.head().body(Method::Get), BodyLength::UntilClose);
    }

    #[test]
    fn malformed_heads_are_offences_however_they_are_split() {
        for (text, offence) in [
            (&b"\n"[..], Malformed::CgiEmpty),
            (b"X: y\n\n", Malformed::CgiEmpty),
            (b"<html>\n", Malformed::BadName),
            (b"PHP Warning: x\n", Malformed::BadName),
            (b"Status: 20\n\n", Malformed::CgiStatus),
            (b"Status: 2000\n\n", Malformed::CgiStatus),
            (b"Status: 101\n\n", Malformed::CgiStatus),
            (b"Status: +20\n\n", Malformed::CgiStatus),
            (b"Status: 200\nStatus: 201\n\n", Malformed::CgiStatus),
            (
                b"Status: 200\nContent-Length: 5\nContent-Length: 6\n\n",
                Malformed::ContentLengthTwice,
            ),
            (b"Status: 200\nContent-Length: x\n\n", Malformed::ContentLengthInvalid),
            (b"Status: 200\nX: a\rb\n\n", Malformed::BareCr),
            (b"Status: 200\n folded\n\n", Malformed::ObsFold),
            (b"A: 1\nB: 1\nC: 1\nD: 1\nE: 1\nF: 1\n\n", Malformed::TooManyFields),
        ] {
            assert_eq!(read(text), Err(offence), "{}", text.escape_ascii());
        }
        let long = format!("Status: 200\nX: {}\n\n", "y".repeat(200));
        assert_eq!(read(long.as_bytes()), Err(Malformed::HeadTooLarge));
    }
}

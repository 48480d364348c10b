//! Takes chunks apart, in place, and writes the head of one (RFC 9112 §7.1).
//!
//! Rules kept here:
//! - Any split works; no byte is looked at twice; the payload ends up as one run, and the first
//!   piece of a run is never moved.
//! - CRLF only, 1 to 16 hex digits, extensions are checked and dropped. Blanks after the size are
//!   borne from servers, not from clients.
//! - Trailers are checked and dropped: forwarding them needs a recipient that asked (RFC 9110
//!   §6.5.1), and `TE` ends at us. A trailer that names a field of framing, routing or identity is
//!   an offence even so, since its sender hoped that somebody merges it.
//! - What is not payload is bounded: extensions by an account (precedent: Go's
//!   net/http/internal/chunked.go), trailers by size.
//!
//! Not known here: limits on a body's size.

use std::ops::Range;

use crate::bytes::{is_blank, is_token, token};
use crate::h1::name::{FRAMING, HOP_BY_HOP, IDENTITY, Name, Names, classify};
use crate::{Malformed, Progress};

/// The end of a chunked body without trailers.
pub const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// Who sends the chunks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sender {
    /// A client: no leniency.
    Client,
    /// A server: blanks between size and line end are let through (living servers pad).
    Server,
}

/// Bytes of chunk lines that may be overdrawn. Each chunk pays in `PER_CHUNK` and twice its size.
const OVERDRAFT: i64 = 16 << 10;
/// A size line of 16 digits without extensions costs nothing.
const PER_CHUNK: i64 = 20;
/// Bytes of all trailers together.
const MAX_TRAILERS: u32 = 8 << 10;
/// As much of a trailer's name as is kept to know it; the longest known name has 17 bytes.
const NAME_KEPT: usize = 20;

/// Names that may not stand in trailers (RFC 9110 §6.5.1).
const FORBIDDEN: Names = IDENTITY.with(FRAMING).with(HOP_BY_HOP).with(Names::of(&[
    Name::Host,
    Name::Lookalike,
    Name::Expect,
    Name::Authorization,
    Name::MaxForwards,
    Name::Proxy,
    Name::Http2Settings,
]));

/// A decoder for one body.
#[derive(Debug, Clone)]
pub struct Chunked {
    state: State,
    sender: Sender,
    /// Size being read, or payload bytes still to come of this chunk.
    left: u64,
    /// Overhead not yet paid for; see `OVERDRAFT`.
    owed: i64,
    trailers: u32,
    name: [u8; NAME_KEPT],
    name_len: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Digits read so far.
    Size(u8),
    /// Blanks after the size.
    Pad,
    Extension(Extension),
    SizeLf,
    Data,
    DataCr,
    DataLf,
    TrailerStart,
    TrailerName,
    TrailerValue,
    TrailerLf,
    LastLf,
    Done,
}

/// `;` name [ `=` token or quoted string ], blanks allowed before and after `;` and `=`, not at
/// the line's end (RFC 9112 §7.1.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Extension {
    BeforeName,
    Name,
    AfterName,
    BeforeValue,
    Token,
    Quoted,
    QuotedPair,
    AfterQuoted,
    AfterValue,
}

impl Chunked {
    /// A decoder at the start of a body.
    pub fn new(sender: Sender) -> Self {
        Chunked {
            state: State::Size(0),
            sender,
            left: 0,
            owed: 0,
            trailers: 0,
            name: [0; NAME_KEPT],
            name_len: 0,
        }
    }

    /// Whether the body has ended.
    pub fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// Takes in `buf`, whose payload becomes one run at `Progress::data`. All of `buf` is consumed
    /// unless the body ends in it.
    ///
    /// # Errors
    /// The first offence. Payload of the same call is lost, and the decoder must not be used on.
    pub fn decode(&mut self, buf: &mut [u8]) -> Result<Progress, Malformed> {
        let mut at = 0;
        let mut data: Range<usize> = 0..0;
        while self.state != State::Done && at < buf.len() {
            if self.state == State::Data {
                let here = usize::try_from(self.left).unwrap_or(usize::MAX).min(buf.len() - at);
                self.take(here);
                append(buf, &mut data, at, here);
                at += here;
            } else if let Some(len) = self.leap(buf.get(at..).unwrap_or_default()) {
                at += len;
            } else if let Some(&b) = buf.get(at) {
                self.state = self.step(b)?;
                at += 1;
            }
        }
        Ok(Progress { consumed: at, data, done: self.is_done() })
    }

    /// The common case at once, as `step` would have it byte by byte: a plain size line, or the
    /// end of a chunk's data, that lies in `rest` as a whole. How many bytes that was.
    #[inline]
    fn leap(&mut self, rest: &[u8]) -> Option<usize> {
        match self.state {
            State::DataCr if rest.starts_with(b"\r\n") => {
                self.state = State::Size(0);
                Some(2)
            }
            State::Size(0) => {
                let (digits, size) = plain_size(rest)?;
                let owed = self.owed + digits as i64 + 1;
                if owed > OVERDRAFT {
                    return None;
                }
                (self.owed, self.left) = (owed, size);
                self.state = self.size_end(b'\n').ok()?;
                Some(digits + 2)
            }
            _ => None,
        }
    }

    fn take(&mut self, here: usize) {
        self.left -= here as u64;
        if self.left == 0 {
            self.state = State::DataCr;
        }
    }

    /// One byte outside payload.
    fn step(&mut self, b: u8) -> Result<State, Malformed> {
        match self.state {
            State::Size(digits) => self.size(b, digits),
            State::Pad => self.pad(b),
            State::Extension(at) => self.extension(b, at),
            State::SizeLf => self.size_end(b),
            State::DataCr => expect(b, b'\r', State::DataLf, Malformed::ChunkEnd),
            State::DataLf => expect(b, b'\n', State::Size(0), Malformed::ChunkEnd),
            State::TrailerStart | State::TrailerName => self.trailer_name(b),
            State::TrailerValue => self.trailer_value(b),
            State::TrailerLf => expect(b, b'\n', State::TrailerStart, Malformed::TrailerInvalid),
            State::LastLf => expect(b, b'\n', State::Done, Malformed::TrailerInvalid),
            State::Data | State::Done => Ok(self.state),
        }
    }

    fn size(&mut self, b: u8, digits: u8) -> Result<State, Malformed> {
        self.owe()?;
        let digit = match b {
            b'0'..=b'9' => b - b'0',
            b'a'..=b'f' => b - b'a' + 10,
            b'A'..=b'F' => b - b'A' + 10,
            _ if digits == 0 => return Err(Malformed::ChunkSize),
            _ => return self.size_over(b),
        };
        if digits == 16 {
            return Err(Malformed::ChunkSize);
        }
        let before = if digits == 0 { 0 } else { self.left };
        self.left = (before << 4) | u64::from(digit);
        Ok(State::Size(digits + 1))
    }

    fn size_over(&self, b: u8) -> Result<State, Malformed> {
        match b {
            b'\r' => Ok(State::SizeLf),
            b';' => Ok(State::Extension(Extension::BeforeName)),
            b if is_blank(b) => Ok(State::Pad),
            b'\n' => Err(Malformed::ChunkLine),
            _ => Err(Malformed::ChunkSize),
        }
    }

    fn pad(&mut self, b: u8) -> Result<State, Malformed> {
        self.owe()?;
        match b {
            b if is_blank(b) => Ok(State::Pad),
            b';' => Ok(State::Extension(Extension::BeforeName)),
            b'\r' if self.sender == Sender::Server => Ok(State::SizeLf),
            b'\n' => Err(Malformed::ChunkLine),
            _ => Err(Malformed::ChunkSize),
        }
    }

    fn extension(&mut self, b: u8, at: Extension) -> Result<State, Malformed> {
        use Extension::*;
        self.owe()?;
        let next = match (at, b) {
            (BeforeName, _) if is_blank(b) => BeforeName,
            (BeforeName | Name, _) if is_token(b) => Name,
            (Name | AfterName, b'=') => BeforeValue,
            (Name | AfterName, _) if is_blank(b) => AfterName,
            (BeforeValue, _) if is_blank(b) => BeforeValue,
            (BeforeValue, b'"') => Quoted,
            (BeforeValue | Token, _) if is_token(b) => Token,
            (Quoted, b'"') => AfterQuoted,
            (Quoted, b'\\') => QuotedPair,
            (Quoted | QuotedPair, _) if b == b'\t' || (b >= b' ' && b != 0x7f) => Quoted,
            (Token | AfterQuoted | AfterValue, _) if is_blank(b) => AfterValue,
            (Name | AfterName | Token | AfterQuoted | AfterValue, b';') => BeforeName,
            (Name | Token | AfterQuoted, b'\r') => return Ok(State::SizeLf),
            (_, b'\n') => return Err(Malformed::ChunkLine),
            _ => return Err(Malformed::ChunkExtension),
        };
        Ok(State::Extension(next))
    }

    /// One more byte of a size line. The chunk it belongs to has not paid yet.
    fn owe(&mut self) -> Result<(), Malformed> {
        self.owed += 1;
        if self.owed > OVERDRAFT + PER_CHUNK { Err(Malformed::ChunkOverhead) } else { Ok(()) }
    }

    fn size_end(&mut self, b: u8) -> Result<State, Malformed> {
        if b != b'\n' {
            return Err(Malformed::ChunkLine);
        }
        let paid = i64::try_from(self.left).unwrap_or(i64::MAX).saturating_mul(2);
        self.owed = self.owed.saturating_sub(PER_CHUNK).saturating_sub(paid).max(0);
        Ok(if self.left == 0 { State::TrailerStart } else { State::Data })
    }

    fn trailer_name(&mut self, b: u8) -> Result<State, Malformed> {
        self.trailer_byte()?;
        match b {
            b'\r' if self.state == State::TrailerStart => return Ok(State::LastLf),
            b':' if self.state == State::TrailerName => return self.trailer_named(),
            b if is_token(b) => {}
            _ => return Err(Malformed::TrailerInvalid),
        }
        if self.state == State::TrailerStart {
            self.name_len = 0;
        }
        if let Some(slot) = self.name.get_mut(self.name_len as usize) {
            *slot = b;
            self.name_len += 1;
        }
        Ok(State::TrailerName)
    }

    fn trailer_named(&self) -> Result<State, Malformed> {
        let kept = self.name.get(..self.name_len as usize).unwrap_or_default();
        match FORBIDDEN.has(classify(kept, token(kept).1)) {
            true => Err(Malformed::TrailerForbidden),
            false => Ok(State::TrailerValue),
        }
    }

    fn trailer_value(&mut self, b: u8) -> Result<State, Malformed> {
        self.trailer_byte()?;
        match b {
            b'\r' => Ok(State::TrailerLf),
            b if b == b'\t' || (b >= b' ' && b != 0x7f) => Ok(State::TrailerValue),
            _ => Err(Malformed::TrailerInvalid),
        }
    }

    fn trailer_byte(&mut self) -> Result<(), Malformed> {
        self.trailers += 1;
        if self.trailers > MAX_TRAILERS { Err(Malformed::TrailerTooLarge) } else { Ok(()) }
    }
}

/// Digits and value of a size line of at most 15 hex digits and CRLF.
#[inline]
fn plain_size(text: &[u8]) -> Option<(usize, u64)> {
    let mut size = 0u64;
    for (digits, &b) in text.iter().enumerate().take(16) {
        let digit = match b {
            b'0'..=b'9' => b - b'0',
            b'a'..=b'f' => b - b'a' + 10,
            b'A'..=b'F' => b - b'A' + 10,
            b'\r' if digits > 0 && text.get(digits + 1) == Some(&b'\n') => {
                return Some((digits, size));
            }
            _ => return None,
        };
        size = (size << 4) | u64::from(digit);
    }
    None
}

fn expect(b: u8, wanted: u8, next: State, offence: Malformed) -> Result<State, Malformed> {
    if b == wanted { Ok(next) } else { Err(offence) }
}

/// Adds `len` bytes at `at` to the run of payload, moving them down to it if something lies
/// between.
fn append(buf: &mut [u8], run: &mut Range<usize>, at: usize, len: usize) {
    if run.start == run.end {
        *run = at..at + len;
        return;
    }
    if run.end != at {
        buf.copy_within(at..at + len, run.end);
    }
    run.end += len;
}

/// The head of a chunk, in storage of its own.
#[derive(Debug, Clone, Copy)]
pub struct ChunkHeader {
    text: [u8; 18],
    start: u8,
}

impl ChunkHeader {
    /// The head of a chunk of `len` bytes, which must not be 0 (that would be the last chunk). The
    /// chunk's data must be followed by CRLF.
    pub fn new(len: usize) -> Self {
        debug_assert!(len > 0, "an empty chunk would end the body");
        let mut text = [0; 18];
        let mut start = text.len();
        let mut left = len;
        for (i, slot) in text.iter_mut().enumerate().rev() {
            *slot = match i {
                17 => b'\n',
                16 => b'\r',
                _ => hex_digit(&mut left),
            };
            start = i;
            if i < 16 && left == 0 {
                break;
            }
        }
        ChunkHeader { text, start: start as u8 }
    }

    /// Its bytes.
    pub fn as_bytes(&self) -> &[u8] {
        self.text.get(self.start as usize..).unwrap_or_default()
    }
}

fn hex_digit(left: &mut usize) -> u8 {
    let digit = (*left & 15) as u8;
    *left >>= 4;
    if digit < 10 { b'0' + digit } else { b'a' + digit - 10 }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Payload and consumed bytes when `bytes` come in pieces of `step`; `None`: not at its end.
    fn decode(
        bytes: &[u8],
        sender: Sender,
        step: usize,
    ) -> Result<Option<(Vec<u8>, usize)>, Malformed> {
        let (mut decoder, mut payload, mut consumed) = (Chunked::new(sender), Vec::new(), 0);
        for piece in bytes.chunks(step) {
            let mut piece = piece.to_vec();
            let progress = decoder.decode(&mut piece)?;
            assert!(progress.data.end <= progress.consumed);
            payload.extend_from_slice(&piece[progress.data]);
            consumed += progress.consumed;
            if progress.done {
                return Ok(Some((payload, consumed)));
            }
        }
        Ok(None)
    }

    /// The same for every step.
    fn read(bytes: &[u8], sender: Sender) -> Result<Option<(Vec<u8>, usize)>, Malformed> {
        let whole = decode(bytes, sender, bytes.len());
        for step in 1..bytes.len().min(40) {
            assert_eq!(decode(bytes, sender, step), whole, "{} by {step}", bytes.escape_ascii());
        }
        whole
    }

    fn body(bytes: &[u8]) -> Vec<u8> {
        let (payload, consumed) = read(bytes, Sender::Client).unwrap().unwrap();
        assert_eq!(consumed, bytes.len());
        payload
    }

    fn refused(bytes: &[u8], offence: Malformed) {
        for sender in [Sender::Client, Sender::Server] {
            assert_eq!(read(bytes, sender), Err(offence), "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn chunks_become_one_run_and_what_follows_is_left_alone() {
        let bytes = b"3\r\nabc\r\n00A\r\n0123456789\r\n1\r\n\n\r\n0\r\n\r\nGET /";
        let (payload, consumed) = read(bytes, Sender::Client).unwrap().unwrap();
        assert_eq!(payload, b"abc0123456789\n");
        assert_eq!(&bytes[consumed..], b"GET /");
    }

    #[test]
    fn a_single_chunk_stays_where_it_was() {
        let mut buf = *b"5\r\nhello\r\n0\r\n\r\n";
        let progress = Chunked::new(Sender::Client).decode(&mut buf).unwrap();
        assert_eq!(progress, Progress { consumed: 15, data: 3..8, done: true });
    }

    #[test]
    fn sizes_are_1_to_16_hex_digits() {
        assert_eq!(body(b"0000000000000001\r\nx\r\n0000000000000000\r\n\r\n"), b"x");
        for size in ["", "g", "-1", "+1", "0x1", "1g", "1 1", "00000000000000001", " 1", "1,", "1."]
        {
            refused(format!("{size}\r\nx\r\n0\r\n\r\n").as_bytes(), Malformed::ChunkSize);
        }
        let most = b"ffffffffffffffff\r\nx";
        assert_eq!(read(most, Sender::Client), Ok(None));
    }

    #[test]
    fn lines_end_with_crlf_and_nothing_else() {
        refused(b"1\nx\r\n0\r\n\r\n", Malformed::ChunkLine);
        refused(b"1\rx", Malformed::ChunkLine);
        refused(b"1;a\nx\r\n0\r\n\r\n", Malformed::ChunkLine);
        refused(b"1;a=\"\nx\r\n0\r\n\r\n", Malformed::ChunkLine);
        refused(b"1\r\nx\n0\r\n\r\n", Malformed::ChunkEnd);
        refused(b"1\r\nxy\r\n0\r\n\r\n", Malformed::ChunkEnd);
        refused(b"1\r\nx\r0\r\n\r\n", Malformed::ChunkEnd);
        refused(b"0\r\n\n", Malformed::TrailerInvalid);
        refused(b"0\r\n\rx", Malformed::TrailerInvalid);
    }

    #[test]
    fn extensions_are_checked_and_dropped() {
        for line in ["1;a", "1;a=b", "1;a=\"b;\\\"\t\"", "1;a;b=c;d", "1 ; a = b ;c", "1;a=\"é\""]
        {
            assert_eq!(body(format!("{line}\r\nx\r\n0;z=y\r\n\r\n").as_bytes()), b"x", "{line}");
        }
        for line in [
            "1;",
            "1;;",
            "1;=b",
            "1;a=",
            "1;a b",
            "1;a=b c",
            "1;a=\"b\"c",
            "1;a=b\"",
            "1;\0",
            "1;a ",
            "1;a=b\t",
            "1;a=\"b\" ",
        ] {
            let bytes = format!("{line}\r\nx\r\n0\r\n\r\n");
            refused(bytes.as_bytes(), Malformed::ChunkExtension);
        }
        refused(b"1;a=\"b\r\nx", Malformed::ChunkExtension);
    }

    #[test]
    fn blanks_after_the_size_are_borne_from_servers_only() {
        let bytes = b"1 \t\r\nx\r\n0  \r\n\r\n";
        assert_eq!(read(bytes, Sender::Client), Err(Malformed::ChunkSize));
        assert_eq!(read(bytes, Sender::Server).unwrap().unwrap().0, b"x");
    }

    #[test]
    fn trailers_are_checked_and_dropped() {
        let bytes = b"1\r\nx\r\n0\r\nDigest: a\r\nX-Sum:\tb c\xff\r\nEmpty:\r\n\r\n";
        assert_eq!(body(bytes), b"x");
        for line in [
            "Content-Length: 5",
            "transfer-encoding: chunked",
            "Host: a",
            "Connection: close",
            "X-Forwarded-For: 1.2.3.4",
            "X_Forwarded_Proto: https",
            "X-Forwarded-By-Some-Long-Name-Beyond-What-Is-Kept: x",
            "Forwarded: for=x",
            "Trailer: x",
            "TE: x",
            "Authorization: x",
        ] {
            refused(format!("0\r\n{line}\r\n\r\n").as_bytes(), Malformed::TrailerForbidden);
        }
        for line in
            ["a", "a : b", ": b", " a: b", "a: b\x01", "a: b\0", "a: b\n", "a: b\rc", "\u{e4}: b"]
        {
            refused(format!("0\r\n{line}\r\n\r\n").as_bytes(), Malformed::TrailerInvalid);
        }
    }

    #[test]
    fn trailers_and_extensions_are_bounded() {
        let trailers = [b"0\r\n", &b"a: b\r\n".repeat(2000)[..]].concat();
        refused(&trailers, Malformed::TrailerTooLarge);
        let one = [b"1;a=", &[b'b'; 20_000][..]].concat();
        refused(&one, Malformed::ChunkOverhead);
        let many = b"1;abcdefghijklmnopqrstuvwxyz\r\nx\r\n".repeat(10_000);
        refused(&many, Malformed::ChunkOverhead);
    }

    #[test]
    fn tiny_chunks_without_extensions_may_go_on_for_ever() {
        let mut decoder = Chunked::new(Sender::Client);
        let chunks = b"0000000000000001\r\nx\r\n".repeat(100);
        for _ in 0..100 {
            let progress = decoder.decode(&mut chunks.clone()).unwrap();
            assert_eq!((progress.consumed, progress.data.len()), (chunks.len(), 100));
        }
    }

    #[test]
    fn the_head_of_a_chunk_is_its_length_in_hex() {
        for (len, head) in [(1, "1\r\n"), (15, "f\r\n"), (16, "10\r\n"), (0xBEEF, "beef\r\n")] {
            assert_eq!(ChunkHeader::new(len).as_bytes(), head.as_bytes());
        }
        assert_eq!(ChunkHeader::new(usize::MAX).as_bytes(), b"ffffffffffffffff\r\n");
    }
}

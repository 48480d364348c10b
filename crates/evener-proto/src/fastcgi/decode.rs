//! Takes a responder's records apart, in place (FastCGI §3.3, §5).
//!
//! Rules kept here:
//! - Any split works. The payload of stdout becomes one run at the start of the buffer; stderr goes
//!   to a log of bounded size, what is over is counted.
//! - Records of another request, of another type, after their stream's end or after the request's
//!   end: an offence. A connection that closes before the end record cut the answer.
//!
//! Not known here: the CGI head in the payload.

use super::{HEADER_LEN, REQUEST_ID, VERSION, kind};
use crate::{Malformed, Progress};

/// What became of the request (§5.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProtocolStatus {
    /// It was served.
    Complete,
    /// The server takes one request per connection.
    CantMultiplex,
    /// It lacks something: overloaded.
    Overloaded,
    /// It is no responder.
    UnknownRole,
}

/// Bytes of stderr kept per request.
const MAX_STDERR: usize = 8 << 10;

/// A decoder for one answer.
#[derive(Debug, Clone, Default)]
pub struct Decoder {
    state: State,
    header: [u8; HEADER_LEN],
    kind: u8,
    /// Content bytes of the record in hand still to come.
    content: u16,
    /// Padding bytes of the record in hand still to come.
    padding: u8,
    stdout_ended: bool,
    stderr_ended: bool,
    stderr: Vec<u8>,
    stderr_lost: u64,
    end_body: [u8; 8],
    end: Option<ProtocolStatus>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Header bytes read so far.
    Header(u8),
    Content,
    Padding,
    Done,
}

impl Default for State {
    fn default() -> Self {
        State::Header(0)
    }
}

impl Decoder {
    /// A decoder at the start of an answer.
    pub fn new() -> Self {
        Decoder::default()
    }

    /// How the request ended, once it has.
    pub fn end(&self) -> Option<ProtocolStatus> {
        self.end
    }

    /// What the program complained of, its first 8 KiB.
    pub fn stderr(&self) -> &[u8] {
        &self.stderr
    }

    /// Bytes of complaint beyond those kept.
    pub fn stderr_lost(&self) -> u64 {
        self.stderr_lost
    }

    /// Takes in `buf`, whose payload (stdout) becomes one run at its start. All of `buf` is
    /// consumed unless the request ends in it.
    ///
    /// # Errors
    /// `FcgiVersion`, `FcgiRecord`, `FcgiEnd`. Payload of the same call is lost.
    pub fn decode(&mut self, buf: &mut [u8]) -> Result<Progress, Malformed> {
        let (mut at, mut filled) = (0, 0);
        while self.state != State::Done && at < buf.len() {
            let left = buf.len() - at;
            at += match self.state {
                State::Header(have) => self.header(have, buf.get(at..).unwrap_or_default())?,
                State::Content => {
                    let here = usize::from(self.content).min(left);
                    self.content(buf, at, here, &mut filled)?;
                    here
                }
                State::Padding => {
                    let here = usize::from(self.padding).min(left);
                    self.padding -= here as u8;
                    self.settle();
                    here
                }
                State::Done => 0,
            };
        }
        Ok(Progress { consumed: at, data: 0..filled, done: self.state == State::Done })
    }

    /// Adds to the header; how many bytes it took.
    fn header(&mut self, have: u8, bytes: &[u8]) -> Result<usize, Malformed> {
        let mut taken = 0;
        for (slot, &b) in self.header.iter_mut().skip(have.into()).zip(bytes) {
            *slot = b;
            taken += 1;
        }
        let have = usize::from(have) + taken;
        self.state = State::Header(have as u8);
        if have == HEADER_LEN {
            self.open()?;
        }
        Ok(taken)
    }

    /// Judges a complete header.
    fn open(&mut self) -> Result<(), Malformed> {
        let [version, kind, id_high, id_low, len_high, len_low, padding, _] = self.header;
        self.kind = kind;
        self.content = u16::from_be_bytes([len_high, len_low]);
        self.padding = padding;
        if version != VERSION {
            return Err(Malformed::FcgiVersion);
        }
        let ended = match kind {
            kind::STDOUT => &mut self.stdout_ended,
            kind::STDERR => &mut self.stderr_ended,
            kind::END_REQUEST if self.content == 8 => &mut false,
            kind::END_REQUEST => return Err(Malformed::FcgiEnd),
            _ => return Err(Malformed::FcgiRecord),
        };
        if *ended || u16::from_be_bytes([id_high, id_low]) != REQUEST_ID {
            return Err(Malformed::FcgiRecord);
        }
        *ended = self.content == 0;
        self.settle();
        Ok(())
    }

    /// Content of the record in hand: `here` bytes at `at`.
    fn content(
        &mut self,
        buf: &mut [u8],
        at: usize,
        here: usize,
        filled: &mut usize,
    ) -> Result<(), Malformed> {
        match self.kind {
            kind::STDOUT => {
                buf.copy_within(at..at + here, *filled);
                *filled += here;
            }
            kind::STDERR => self.complain(buf.get(at..at + here).unwrap_or_default()),
            _ => self.ending(buf.get(at..at + here).unwrap_or_default())?,
        }
        self.content -= here as u16;
        self.settle();
        Ok(())
    }

    fn complain(&mut self, text: &[u8]) {
        let room = MAX_STDERR.saturating_sub(self.stderr.len());
        let kept = text.get(..room.min(text.len())).unwrap_or_default();
        self.stderr.extend_from_slice(kept);
        self.stderr_lost += (text.len() - kept.len()) as u64;
    }

    /// Bytes of the end record's body.
    fn ending(&mut self, bytes: &[u8]) -> Result<(), Malformed> {
        let have = self.end_body.len() - usize::from(self.content);
        for (slot, &b) in self.end_body.iter_mut().skip(have).zip(bytes) {
            *slot = b;
        }
        if bytes.len() < usize::from(self.content) {
            return Ok(());
        }
        // Before it stands the program's exit status, which decides nothing.
        let [_, _, _, _, protocol, _, _, _] = self.end_body;
        self.end = Some(match protocol {
            0 => ProtocolStatus::Complete,
            1 => ProtocolStatus::CantMultiplex,
            2 => ProtocolStatus::Overloaded,
            3 => ProtocolStatus::UnknownRole,
            _ => return Err(Malformed::FcgiEnd),
        });
        Ok(())
    }

    /// Goes on to what the record in hand still has.
    fn settle(&mut self) {
        self.state = match (self.content, self.padding) {
            (0, 0) if self.end.is_some() => State::Done,
            (0, 0) => State::Header(0),
            (0, _) => State::Padding,
            _ => State::Content,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(kind: u8, content: &[u8], padding: u8) -> Vec<u8> {
        let len = (content.len() as u16).to_be_bytes();
        let mut out = vec![1, kind, 0, 1, len[0], len[1], padding, 0];
        out.extend_from_slice(content);
        out.extend(std::iter::repeat_n(0xAA, padding.into()));
        out
    }

    fn end(status: u8) -> Vec<u8> {
        record(kind::END_REQUEST, &[0, 0, 1, 2, status, 0, 0, 0], 3)
    }

    /// Everything an answer gives when it comes in pieces of `step` bytes.
    fn decode(bytes: &[u8], step: usize) -> Result<(Vec<u8>, Decoder, usize), Malformed> {
        let (mut decoder, mut payload, mut consumed) = (Decoder::new(), Vec::new(), 0);
        for piece in bytes.chunks(step) {
            let mut piece = piece.to_vec();
            let progress = decoder.decode(&mut piece)?;
            payload.extend_from_slice(&piece[progress.data]);
            consumed += progress.consumed;
            if progress.done {
                break;
            }
        }
        Ok((payload, decoder, consumed))
    }

    #[test]
    fn an_answer_in_any_split_gives_its_payload_its_complaints_and_its_end() {
        let mut bytes = record(kind::STDOUT, b"Status: 200\r\n\r\nhel", 5);
        bytes.extend(record(kind::STDERR, b"careful", 1));
        bytes.extend(record(kind::STDOUT, b"lo", 0));
        bytes.extend(record(kind::STDERR, b"", 0));
        bytes.extend(record(kind::STDOUT, b"", 8));
        bytes.extend(end(0));
        let whole = bytes.len();
        bytes.extend_from_slice(b"surplus");
        for step in 1..=bytes.len() {
            let (payload, decoder, consumed) = decode(&bytes, step).unwrap();
            assert_eq!(payload, b"Status: 200\r\n\r\nhello");
            assert_eq!(decoder.stderr(), b"careful");
            assert_eq!(decoder.end(), Some(ProtocolStatus::Complete));
            assert_eq!(consumed, whole, "nothing beyond the end is taken");
        }
    }

    #[test]
    fn an_end_may_come_without_the_streams_ends() {
        let mut bytes = record(kind::STDOUT, b"x", 0);
        bytes.extend(end(2));
        let (_, decoder, _) = decode(&bytes, 3).unwrap();
        assert_eq!(decoder.end(), Some(ProtocolStatus::Overloaded));
    }

    #[test]
    fn records_no_responder_may_send_are_offences() {
        let mut other_request = record(kind::STDOUT, b"x", 0);
        other_request[3] = 2;
        let mut other_version = record(kind::STDOUT, b"x", 0);
        other_version[0] = 2;
        let mut after_end = record(kind::STDOUT, b"", 0);
        after_end.extend(record(kind::STDOUT, b"x", 0));
        for (bytes, offence) in [
            (other_request, Malformed::FcgiRecord),
            (other_version, Malformed::FcgiVersion),
            (after_end, Malformed::FcgiRecord),
            (record(kind::STDIN, b"x", 0), Malformed::FcgiRecord),
            (record(10, b"x", 0), Malformed::FcgiRecord),
            (record(11, &[0; 8], 0), Malformed::FcgiRecord),
            (record(kind::END_REQUEST, &[0; 7], 0), Malformed::FcgiEnd),
            (end(4), Malformed::FcgiEnd),
            (b"HTTP/1.1 200 OK\r\n\r\n".to_vec(), Malformed::FcgiVersion),
        ] {
            for step in 1..=bytes.len() {
                assert_eq!(decode(&bytes, step).map(|_| ()), Err(offence));
            }
        }
    }

    #[test]
    fn complaints_are_kept_to_their_bound_and_the_rest_is_counted() {
        let bytes = record(kind::STDERR, &[b'x'; 10_000], 0);
        let (_, decoder, _) = decode(&bytes, 777).unwrap();
        assert_eq!(decoder.stderr().len(), MAX_STDERR);
        assert_eq!(decoder.stderr_lost(), 10_000 - MAX_STDERR as u64);
    }
}

//! Walks a body of any length kind to its end: one machine for both directions.
//!
//! Rules kept here: never a byte beyond the message; a body that ends early is told apart from one
//! that ends (`on_eof`).

use crate::h1::chunked::{Chunked, Sender};
use crate::h1::framing::BodyLength;
use crate::{Malformed, Progress};

/// A decoder for one body.
#[derive(Debug, Clone)]
pub struct BodyDecoder(State);

#[derive(Debug, Clone)]
enum State {
    Exact(u64),
    Chunked(Chunked),
    UntilClose { ended: bool },
}

impl BodyDecoder {
    /// A decoder at the start of a body of that length, sent by `sender`.
    pub fn new(length: BodyLength, sender: Sender) -> Self {
        BodyDecoder(match length {
            BodyLength::None => State::Exact(0),
            BodyLength::Exact(n) => State::Exact(n),
            BodyLength::Chunked => State::Chunked(Chunked::new(sender)),
            BodyLength::UntilClose => State::UntilClose { ended: false },
        })
    }

    /// Whether the body has ended. True from the start for an empty one.
    pub fn is_done(&self) -> bool {
        match &self.0 {
            State::Exact(left) => *left == 0,
            State::Chunked(chunked) => chunked.is_done(),
            State::UntilClose { ended } => *ended,
        }
    }

    /// Takes in `buf`. The payload is at `Progress::data`; bytes from `Progress::consumed` on
    /// belong to the next message and are untouched.
    ///
    /// # Errors
    /// Only chunked bodies can be malformed; the connection must close, visibly.
    #[inline]
    pub fn decode(&mut self, buf: &mut [u8]) -> Result<Progress, Malformed> {
        let taken = match &mut self.0 {
            State::Chunked(chunked) => return chunked.decode(buf),
            State::UntilClose { ended: true } => 0,
            State::UntilClose { ended: false } => buf.len(),
            State::Exact(left) => {
                let taken = usize::try_from(*left).unwrap_or(usize::MAX).min(buf.len());
                *left -= taken as u64;
                taken
            }
        };
        Ok(Progress { consumed: taken, data: 0..taken, done: self.is_done() })
    }

    /// The sender has closed. True: the body is whole. False: it was cut, and whoever receives it
    /// must be able to tell.
    #[must_use]
    pub fn on_eof(&mut self) -> bool {
        if let State::UntilClose { ended } = &mut self.0 {
            *ended = true;
        }
        self.is_done()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoder(length: BodyLength) -> BodyDecoder {
        BodyDecoder::new(length, Sender::Server)
    }

    #[test]
    fn an_exact_body_takes_its_bytes_and_not_one_more() {
        let mut body = decoder(BodyLength::Exact(5));
        let progress = body.decode(&mut b"abc".to_vec()).unwrap();
        assert_eq!(progress, Progress { consumed: 3, data: 0..3, done: false });
        let progress = body.decode(&mut b"deGET".to_vec()).unwrap();
        assert_eq!(progress, Progress { consumed: 2, data: 0..2, done: true });
        let progress = body.decode(&mut b"GET".to_vec()).unwrap();
        assert_eq!(progress, Progress { consumed: 0, data: 0..0, done: true });
    }

    #[test]
    fn an_empty_body_is_done_before_it_begins() {
        for length in [BodyLength::None, BodyLength::Exact(0)] {
            let mut body = decoder(length);
            assert!(body.is_done() && body.on_eof());
            assert_eq!(body.decode(&mut [b'x']).unwrap().consumed, 0);
        }
    }

    #[test]
    fn the_end_of_the_connection_ends_one_kind_and_cuts_the_others() {
        let mut body = decoder(BodyLength::UntilClose);
        assert_eq!(body.decode(&mut [b'x'; 9]).unwrap().data, 0..9);
        assert!(!body.is_done());
        assert!(body.on_eof() && body.is_done());
        assert_eq!(body.decode(&mut [b'x']).unwrap().consumed, 0);
        assert!(!decoder(BodyLength::Exact(1)).on_eof());
        let mut chunked = decoder(BodyLength::Chunked);
        chunked.decode(&mut b"1\r\nx\r\n0\r\n".to_vec()).unwrap();
        assert!(!chunked.on_eof());
        chunked.decode(&mut b"\r\n".to_vec()).unwrap();
        assert!(chunked.on_eof());
    }
}

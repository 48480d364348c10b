//! Bytes that arrive in pieces, read the way the engine reads: a buffer that grows until a head is
//! complete, then pieces of a body taken from it.

use evener_proto::Malformed;
use evener_proto::h1::BodyDecoder;

/// One direction of a connection.
pub struct Wire<'a> {
    left: &'a [u8],
    pieces: Pieces,
    /// What has arrived and was not taken.
    pub buf: Vec<u8>,
}

/// How the bytes are split.
#[derive(Debug, Clone, Copy)]
pub enum Pieces {
    /// All at once.
    Whole,
    /// One by one.
    Bytes,
    /// Of lengths 1 to 16 that follow from the number.
    Mixed(u32),
}

impl<'a> Wire<'a> {
    /// A connection on which `bytes` will arrive, then its end.
    pub fn new(bytes: &'a [u8], pieces: Pieces) -> Self {
        Wire { left: bytes, pieces, buf: Vec::new() }
    }

    /// Takes in the next piece. False: the end.
    pub fn fill(&mut self) -> bool {
        let len = match &mut self.pieces {
            Pieces::Whole => self.left.len(),
            Pieces::Bytes => 1,
            Pieces::Mixed(state) => {
                *state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (*state >> 28) as usize + 1
            }
        };
        let (now, later) = self.left.split_at(len.min(self.left.len()));
        self.buf.extend_from_slice(now);
        self.left = later;
        !now.is_empty()
    }

    /// Takes a complete head out of the buffer; `None` if the end came first.
    pub fn head(
        &mut self,
        mut parse: impl FnMut(&mut [u8]) -> Result<Option<usize>, Malformed>,
    ) -> Result<Option<Vec<u8>>, Malformed> {
        loop {
            if let Some(len) = parse(&mut self.buf)? {
                assert!(len > 0 && len <= self.buf.len(), "a head lies within its buffer");
                return Ok(Some(self.buf.drain(..len).collect()));
            }
            if !self.fill() {
                return Ok(None);
            }
        }
    }

    /// Takes a body out of the buffer; `None` if it was cut.
    pub fn body(&mut self, mut decoder: BodyDecoder) -> Result<Option<Vec<u8>>, Malformed> {
        let mut payload = Vec::new();
        loop {
            let before = self.buf.clone();
            let progress = decoder.decode(&mut self.buf)?;
            assert!(progress.data.end <= progress.consumed, "payload is made of what was consumed");
            assert_eq!(before[progress.consumed..], self.buf[progress.consumed..]);
            payload.extend_from_slice(&self.buf[progress.data]);
            self.buf.drain(..progress.consumed);
            if progress.done {
                return Ok(Some(payload));
            }
            assert!(self.buf.is_empty(), "an unfinished body takes all there is");
            if !self.fill() {
                return Ok(decoder.on_eof().then_some(payload));
            }
        }
    }

    /// Bytes that nobody took.
    pub fn unread(&self) -> usize {
        self.buf.len() + self.left.len()
    }
}

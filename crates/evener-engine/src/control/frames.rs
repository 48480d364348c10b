//! Frames of the control protocol (docs/design/control-protocol.md) as bytes, both ways.
//!
//! Rules kept here:
//! - Pure: bytes come in, texts go out; nothing here holds a socket or a descriptor.
//! - A length is checked before anything is kept for it.
//!
//! Not known here: what a text means, how descriptors travel.

/// Most bytes of a frame's text.
pub const MAX_TEXT: usize = 256 << 20;
/// Most descriptors of a frame (Linux: SCM_MAX_FD).
pub const MAX_DESCRIPTORS: usize = 253;
const HEAD: usize = 8;

/// A frame that has arrived.
#[derive(Debug, PartialEq, Eq)]
pub struct Frame {
    /// Its text, meant to be JSON.
    pub text: Vec<u8>,
    /// How many of the descriptors that came belong to it.
    pub descriptors: usize,
}

/// A frame that says more than it may: the stream cannot be read on.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("a frame says {length} bytes and {descriptors} descriptors, over the limits")]
pub struct FrameError {
    length: usize,
    descriptors: usize,
}

/// Turns pieces of a stream into frames.
#[derive(Debug, Default)]
pub struct Decoder {
    held: Vec<u8>,
}

impl Decoder {
    /// Takes bytes that have arrived.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.held.extend_from_slice(bytes);
    }

    /// Whether [`Decoder::next_frame`] has something to say.
    pub fn has_frame(&self) -> bool {
        let length = self.held.first_chunk().map(|length| u32::from_le_bytes(*length) as usize);
        length.is_some_and(|length| self.held.len() >= HEAD + length.min(MAX_TEXT))
    }

    /// The next whole frame.
    ///
    /// # Errors
    /// [`FrameError`].
    pub fn next_frame(&mut self) -> Result<Option<Frame>, FrameError> {
        let Some((length, rest)) = self.held.split_first_chunk::<4>() else { return Ok(None) };
        let Some((descriptors, _)) = rest.split_first_chunk::<4>() else { return Ok(None) };
        let length = u32::from_le_bytes(*length) as usize;
        let descriptors = u32::from_le_bytes(*descriptors) as usize;
        if length > MAX_TEXT || descriptors > MAX_DESCRIPTORS {
            return Err(FrameError { length, descriptors });
        }
        if self.held.len() < HEAD + length {
            return Ok(None);
        }
        let behind = self.held.split_off(HEAD + length);
        let mut text = std::mem::replace(&mut self.held, behind);
        text.drain(..HEAD);
        Ok(Some(Frame { text, descriptors }))
    }
}

/// Appends a frame without descriptors, which is all that a worker sends.
pub fn encode(text: &str, out: &mut Vec<u8>) {
    // An answer that does not fit is impossible below millions of servers; the peer refuses it.
    let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(&0u32.to_le_bytes());
    out.extend_from_slice(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(decoder: &mut Decoder) -> Vec<String> {
        let next = || decoder.next_frame().unwrap();
        std::iter::from_fn(next).map(|frame| String::from_utf8(frame.text).unwrap()).collect()
    }

    #[test]
    fn frames_come_whole_however_the_stream_is_cut() {
        let mut stream = Vec::new();
        encode("{}", &mut stream);
        encode("", &mut stream);
        encode(r#"{"a":1}"#, &mut stream);
        for cut in 0..=stream.len() {
            let mut decoder = Decoder::default();
            decoder.feed(&stream[..cut]);
            let mut found = all(&mut decoder);
            decoder.feed(&stream[cut..]);
            found.extend(all(&mut decoder));
            assert_eq!(found, ["{}", "", r#"{"a":1}"#], "cut at {cut}");
        }
    }

    #[test]
    fn a_frame_over_a_limit_is_refused_by_its_head() {
        for (length, descriptors) in [(MAX_TEXT + 1, 0), (2, MAX_DESCRIPTORS + 1)] {
            let mut decoder = Decoder::default();
            decoder.feed(&(length as u32).to_le_bytes());
            decoder.feed(&(descriptors as u32).to_le_bytes());
            assert_eq!(decoder.next_frame(), Err(FrameError { length, descriptors }));
        }
    }

    #[test]
    fn the_number_of_descriptors_is_told() {
        let mut decoder = Decoder::default();
        decoder.feed(&[2, 0, 0, 0, 253, 0, 0, 0, b'{', b'}']);
        let frame = decoder.next_frame().unwrap().unwrap();
        assert_eq!(frame, Frame { text: b"{}".to_vec(), descriptors: 253 });
    }
}

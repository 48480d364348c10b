//! Writes what a web server says to a responder (FastCGI §3.3, §3.4, §5).
//!
//! Rules kept here: streams are cut into records of at most 65,535 bytes and ended by an empty one;
//! nothing is padded, since no responder gains from it.
//!
//! Not known here: which parameters there are; the body's bytes, which the caller sends between
//! headers made here.

use super::{HEADER_LEN, REQUEST_ID, VERSION, kind};

/// Most payload bytes of a record.
pub const MAX_RECORD: usize = 65_535;

/// The end of the request's body.
pub const STDIN_END: [u8; HEADER_LEN] = header(kind::STDIN, 0);

/// `FCGI_RESPONDER` (§8).
const RESPONDER: [u8; 2] = [0, 1];

/// Begins a request: a responder is wanted, and it closes the connection afterwards (§5.1).
pub fn begin(out: &mut Vec<u8>) {
    out.extend_from_slice(&header(kind::BEGIN_REQUEST, 8));
    out.extend_from_slice(&RESPONDER);
    out.extend_from_slice(&[0; 6]);
}

/// The header of a piece of the body, which follows it. An empty piece would end the body.
pub const fn stdin_header(len: u16) -> [u8; HEADER_LEN] {
    header(kind::STDIN, len)
}

const fn header(kind: u8, len: u16) -> [u8; HEADER_LEN] {
    let [id_high, id_low] = REQUEST_ID.to_be_bytes();
    let [len_high, len_low] = len.to_be_bytes();
    [VERSION, kind, id_high, id_low, len_high, len_low, 0, 0]
}

/// Writes the stream of parameters (§3.4, §5.2). Parameters with one name: the last one counts for
/// most responders, so say each once.
#[derive(Debug)]
pub struct Params<'a> {
    out: &'a mut Vec<u8>,
    /// Where the header of the record in hand lies in `out`.
    record: usize,
}

impl<'a> Params<'a> {
    /// Begins the stream at the end of `out`.
    pub fn new(out: &'a mut Vec<u8>) -> Self {
        let record = out.len();
        out.extend_from_slice(&header(kind::PARAMS, 0));
        Params { out, record }
    }

    /// Adds a parameter. Lengths from 2³¹ on can't be said and are not sent.
    pub fn add(&mut self, name: &[u8], value: &[u8]) {
        let (Some(name_len), Some(value_len)) = (Length::of(name), Length::of(value)) else {
            return;
        };
        self.put(name_len.as_bytes());
        self.put(value_len.as_bytes());
        self.put(name);
        self.put(value);
    }

    /// Adds a field of the request as `HTTP_` and its name in capitals, `-` as `_` (RFC 3875
    /// §4.1.18). `Proxy` is not added, whoever asks: `HTTP_PROXY` would be read as configuration.
    pub fn add_field(&mut self, name: &[u8], value: &[u8]) {
        if name.eq_ignore_ascii_case(b"proxy") {
            return;
        }
        let lengths = (name.len().checked_add(5), Length::of(value));
        let (Some(name_len), Some(value_len)) = (lengths.0.and_then(Length::new), lengths.1) else {
            return;
        };
        self.put(name_len.as_bytes());
        self.put(value_len.as_bytes());
        self.put(b"HTTP_");
        for &b in name {
            self.put(&[if b == b'-' { b'_' } else { b.to_ascii_uppercase() }]);
        }
        self.put(value);
    }

    /// Ends the stream.
    pub fn end(mut self) {
        if self.room() < MAX_RECORD {
            self.close();
            self.out.extend_from_slice(&header(kind::PARAMS, 0));
        }
    }

    /// Payload bytes that the record in hand can still take.
    fn room(&self) -> usize {
        (self.record + HEADER_LEN + MAX_RECORD).saturating_sub(self.out.len())
    }

    fn put(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        while !rest.is_empty() {
            if self.room() == 0 {
                self.close();
                self.record = self.out.len();
                self.out.extend_from_slice(&header(kind::PARAMS, 0));
            }
            let (now, later) = rest.split_at(rest.len().min(self.room()));
            self.out.extend_from_slice(now);
            rest = later;
        }
    }

    /// Writes the length of the record in hand into its header.
    fn close(&mut self) {
        let len = u16::try_from(MAX_RECORD - self.room()).unwrap_or(u16::MAX);
        let start = self.record;
        if let Some(slot) = self.out.get_mut(start..start + HEADER_LEN) {
            slot.copy_from_slice(&header(kind::PARAMS, len));
        }
    }
}

/// The length of a name or value: one byte below 128, else four with the top bit set (§3.4).
struct Length {
    bytes: [u8; 4],
    short: bool,
}

impl Length {
    fn of(text: &[u8]) -> Option<Length> {
        Length::new(text.len())
    }

    fn new(len: usize) -> Option<Length> {
        let len = u32::try_from(len).ok().filter(|len| len >> 31 == 0)?;
        let short = len < 128;
        let bytes = if short { len } else { len | 1 << 31 };
        Some(Length { bytes: bytes.to_be_bytes(), short })
    }

    fn as_bytes(&self) -> &[u8] {
        let [_, _, _, low] = &self.bytes;
        if self.short { std::slice::from_ref(low) } else { &self.bytes }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The payload of a stream of `kind` records, and how many records it took, the empty one
    /// included.
    fn stream(mut bytes: &[u8], kind: u8) -> (Vec<u8>, usize) {
        let (mut payload, mut records) = (Vec::new(), 0);
        while !bytes.is_empty() {
            assert_eq!(bytes[..4], [1, kind, 0, 1]);
            let len = usize::from(u16::from_be_bytes([bytes[4], bytes[5]]));
            payload.extend_from_slice(&bytes[8..8 + len]);
            bytes = &bytes[8 + len..];
            records += 1;
            assert_eq!(len == 0, bytes.is_empty(), "only the last record is empty");
        }
        (payload, records)
    }

    #[test]
    fn a_request_begins_as_the_specification_shows() {
        let mut out = Vec::new();
        begin(&mut out);
        assert_eq!(out, [1, 1, 0, 1, 0, 8, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
        assert_eq!(stdin_header(0x1234), [1, 5, 0, 1, 0x12, 0x34, 0, 0]);
        assert_eq!(STDIN_END, [1, 5, 0, 1, 0, 0, 0, 0]);
    }

    #[test]
    fn lengths_take_one_byte_below_128_and_four_from_there() {
        let mut out = Vec::new();
        let mut params = Params::new(&mut out);
        params.add(b"A", &[b'x'; 127]);
        params.add(b"B", &[b'y'; 128]);
        params.end();
        let (payload, _) = stream(&out, kind::PARAMS);
        assert_eq!(payload[..3], [1, 127, b'A']);
        assert_eq!(payload[130..136], [1, 0x80, 0, 0, 128, b'B']);
    }

    #[test]
    fn fields_are_named_as_cgi_names_them_and_proxy_is_left_out() {
        let mut out = Vec::new();
        let mut params = Params::new(&mut out);
        params.add_field(b"Accept-Language", b"de");
        params.add_field(b"pRoXy", b"http://evil");
        params.end();
        assert_eq!(stream(&out, kind::PARAMS).0, b"\x14\x02HTTP_ACCEPT_LANGUAGEde");
    }

    #[test]
    fn a_stream_longer_than_a_record_is_split_and_a_full_last_record_still_ends() {
        for len in [65_535 - 6, 65_535 - 5, 65_536, 3 * 65_535 - 6, 200_000] {
            let mut out = vec![];
            let mut params = Params::new(&mut out);
            params.add(b"A", &vec![b'x'; len]);
            params.end();
            let (payload, records) = stream(&out, kind::PARAMS);
            assert_eq!(payload.len(), len + 6);
            assert_eq!(records, (len + 6).div_ceil(MAX_RECORD) + 1);
        }
    }

    #[test]
    fn a_stream_without_parameters_is_one_empty_record() {
        let mut out = Vec::new();
        Params::new(&mut out).end();
        assert_eq!(out, [1, 4, 0, 1, 0, 0, 0, 0]);
    }
}

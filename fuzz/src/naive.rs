//! Careless readers of HTTP/1: what the servers and clients behind us may be.
//!
//! They end lines at LF or CR, trim names, fold underscores, and settle Content-Length against
//! Transfer-Encoding each in its own way. What we forward must be one message to all of them. None
//! of their code is the proto crate's.

/// Who wins where two fields frame.
#[derive(Debug, Clone, Copy)]
enum Trusts {
    /// If it has `chunked` anywhere.
    TransferEncoding,
    /// If it is `chunked` and nothing else.
    ExactEncoding,
    FirstLength,
    LastLength,
}

/// One careless reader.
#[derive(Debug, Clone, Copy)]
pub struct Reader {
    trusts: Trusts,
    bare_cr: bool,
}

/// Every careless reader.
pub fn readers() -> impl Iterator<Item = Reader> {
    [Trusts::TransferEncoding, Trusts::ExactEncoding, Trusts::FirstLength, Trusts::LastLength]
        .into_iter()
        .flat_map(|trusts| [false, true].map(|bare_cr| Reader { trusts, bare_cr }))
}

/// A head as one of them reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// First line.
    pub line: Vec<u8>,
    /// Names in small letters with `-` for `_`, and values.
    pub fields: Vec<(Vec<u8>, Vec<u8>)>,
    len: usize,
}

impl Head {
    /// The values of a name.
    pub fn values(&self, name: &str) -> Vec<&[u8]> {
        let named = self.fields.iter().filter(|(n, _)| n == name.as_bytes());
        named.map(|(_, value)| value.as_slice()).collect()
    }
}

impl Reader {
    /// Reads the head at the start of `bytes`.
    pub fn head(self, bytes: &[u8]) -> Option<Head> {
        let (line, mut at) = self.line(bytes, 0)?;
        let mut fields = Vec::new();
        loop {
            let (text, next) = self.line(bytes, at)?;
            at = next;
            if text.is_empty() {
                return Some(Head { line: line.to_vec(), fields, len: at });
            }
            let colon = text.iter().position(|&b| b == b':').unwrap_or(text.len());
            let (name, value) = text.split_at(colon);
            let fold = |b: &u8| if *b == b'_' { b'-' } else { b.to_ascii_lowercase() };
            let name = name.trim_ascii().iter().map(fold).collect();
            fields.push((name, value.get(1..).unwrap_or_default().trim_ascii().to_vec()));
        }
    }

    /// Length of the message that `bytes` begin with; `None` while it is not complete.
    /// `bodiless`: an answer that can't have a body.
    pub fn message(self, bytes: &[u8], bodiless: bool) -> Option<usize> {
        let head = self.head(bytes)?;
        if bodiless {
            return Some(head.len);
        }
        let codings = head.values("transfer-encoding");
        let chunked = match self.trusts {
            Trusts::ExactEncoding => codings.iter().all(|v| v.eq_ignore_ascii_case(b"chunked")),
            _ => codings.iter().any(|v| v.to_ascii_lowercase().windows(7).any(|w| w == b"chunked")),
        };
        let chunked = chunked && !codings.is_empty();
        let lengths = head.values("content-length");
        let length = match self.trusts {
            Trusts::TransferEncoding | Trusts::ExactEncoding if chunked => None,
            Trusts::TransferEncoding | Trusts::ExactEncoding | Trusts::LastLength => lengths.last(),
            Trusts::FirstLength => lengths.first(),
        };
        let end = match length {
            Some(text) => head.len + decimal(text),
            None if chunked => return self.chunks(bytes, head.len),
            None => head.len,
        };
        (end <= bytes.len()).then_some(end)
    }

    /// Where the chunked body that begins at `at` ends.
    fn chunks(self, bytes: &[u8], mut at: usize) -> Option<usize> {
        loop {
            let (size, next) = self.line(bytes, at)?;
            let size = hex(size);
            at = next;
            if size == 0 {
                break;
            }
            let (rest, next) = self.line(bytes, at + size)?;
            assert!(rest.is_empty(), "data is followed by its line end");
            at = next;
        }
        loop {
            let (trailer, next) = self.line(bytes, at)?;
            at = next;
            if trailer.is_empty() {
                return Some(at);
            }
        }
    }

    /// The line at `at` without its end, and where the next one begins.
    fn line(self, bytes: &[u8], at: usize) -> Option<(&[u8], usize)> {
        let rest = bytes.get(at..)?;
        let end = rest.iter().position(|&b| b == b'\n' || (self.bare_cr && b == b'\r'))?;
        let crlf = rest[end] == b'\r' && rest.get(end + 1) == Some(&b'\n');
        let text = &rest[..end];
        let text = text.strip_suffix(b"\r").unwrap_or(text);
        Some((text, at + end + if crlf { 2 } else { 1 }))
    }
}

fn decimal(text: &[u8]) -> usize {
    let digits = text.iter().take_while(|b| b.is_ascii_digit());
    digits.fold(0usize, |n, b| n.saturating_mul(10).saturating_add(usize::from(b - b'0')))
}

fn hex(text: &[u8]) -> usize {
    let digits = text.iter().map_while(|&b| (b as char).to_digit(16));
    digits.fold(0usize, |n, d| n.saturating_mul(16).saturating_add(d as usize))
}

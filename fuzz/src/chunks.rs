//! A chunked body against a second opinion.
//!
//! Invariant, in words:
//! 1. *Two readers, one body.* Where our decoder finds the end, a plain reader of the whole buffer
//!    finds it at the same byte, with the same payload; where that reader finds an offence, so do
//!    we; where we find one, it does not find an end.
//! 2. *Any split, one outcome*: payload, bytes taken, offence.
//! 3. *In place*: payload is made of what was consumed, what lies behind the body is untouched
//!    (`wire` sees to both).
//! 4. *What we make of it* (one chunk, a last chunk) is the same payload to both.
//!
//! Input: a byte (1: a server sends, whose padding is borne), then the body and what follows it.

use evener_proto::Malformed;
use evener_proto::h1::{BodyDecoder, BodyLength, ChunkHeader, LAST_CHUNK, Sender};

use crate::wire::{Pieces, Wire};

/// Runs the target.
pub fn chunks(data: &[u8]) {
    let Some((&flags, bytes)) = data.split_first() else { return };
    let sender = if flags & 1 != 0 { Sender::Server } else { Sender::Client };
    let whole = run(bytes, sender, Pieces::Whole);
    let seed = data.iter().fold(u32::from(flags), |n, &b| n.wrapping_mul(31) ^ u32::from(b));
    for pieces in [Pieces::Bytes, Pieces::Mixed(seed)] {
        assert_eq!(run(bytes, sender, pieces), whole, "{pieces:?}");
    }
    let theirs = body(bytes, sender == Sender::Server);
    match (whole, theirs) {
        (Ok(Some(ours)), Found::End { payload, len }) => {
            assert_eq!((&ours.payload, ours.taken), (&payload, len));
            again(&payload, sender);
        }
        (Ok(None), Found::More) | (Err(_), Found::Bad | Found::More) => {}
        // Bounds that the plain reader does not have.
        (Err(Malformed::ChunkOverhead | Malformed::TrailerTooLarge), _) => {}
        (ours, theirs) => panic!("{ours:?}\n{theirs:?}\n{}", bytes.escape_ascii()),
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Ours {
    payload: Vec<u8>,
    taken: usize,
}

fn run(bytes: &[u8], sender: Sender, pieces: Pieces) -> Result<Option<Ours>, Malformed> {
    let mut wire = Wire::new(bytes, pieces);
    let payload = wire.body(BodyDecoder::new(BodyLength::Chunked, sender))?;
    Ok(payload.map(|payload| Ours { payload, taken: bytes.len() - wire.unread() }))
}

/// What we write for a payload is that payload again.
fn again(payload: &[u8], sender: Sender) {
    let mut wire = Vec::new();
    if !payload.is_empty() {
        wire.extend_from_slice(ChunkHeader::new(payload.len()).as_bytes());
        wire.extend_from_slice(payload);
        wire.extend_from_slice(b"\r\n");
    }
    wire.extend_from_slice(LAST_CHUNK);
    let ours = run(&wire, sender, Pieces::Whole).expect("our own chunks").expect("with an end");
    assert_eq!((&ours.payload[..], ours.taken), (payload, wire.len()));
    let Found::End { payload: theirs, len } = body(&wire, false) else { panic!("no end") };
    assert_eq!((&theirs[..], len), (payload, wire.len()));
}

/// What the plain reader finds.
#[derive(Debug)]
enum Found {
    End { payload: Vec<u8>, len: usize },
    Bad,
    More,
}

fn body(bytes: &[u8], padding_is_fine: bool) -> Found {
    let (mut payload, mut at) = (Vec::new(), 0);
    loop {
        let Some((line, next)) = line(bytes, at) else { return Found::More };
        let Some(size) = line.and_then(|line| size(line, padding_is_fine)) else {
            return Found::Bad;
        };
        at = next;
        if size == 0 {
            break;
        }
        let end = usize::try_from(size).ok().and_then(|size| at.checked_add(size));
        let Some(data) = end.and_then(|end| bytes.get(at..end)) else { return Found::More };
        payload.extend_from_slice(data);
        at += data.len();
        match bytes.get(at..).unwrap_or_default() {
            [b'\r', b'\n', ..] => at += 2,
            [] | [b'\r'] => return Found::More,
            _ => return Found::Bad,
        }
    }
    loop {
        let Some((line, next)) = line(bytes, at) else { return Found::More };
        at = next;
        match line {
            Some(b"") => return Found::End { payload, len: at },
            Some(line) if trailer(line) => {}
            _ => return Found::Bad,
        }
    }
}

/// The line at `at` (an offence where it does not end with CRLF) and where the next begins.
fn line(bytes: &[u8], at: usize) -> Option<(Option<&[u8]>, usize)> {
    let rest = &bytes[at..];
    let end = rest.iter().position(|b| *b == b'\n')?;
    let text = rest[..end].strip_suffix(b"\r").filter(|text| !text.contains(&b'\r'));
    Some((text, at + end + 1))
}

fn size(line: &[u8], padding_is_fine: bool) -> Option<u64> {
    let digits = line.iter().take_while(|b| b.is_ascii_hexdigit()).count();
    let (size, rest) = line.split_at(digits);
    let size = std::str::from_utf8(size).ok().filter(|text| (1..=16).contains(&text.len()))?;
    let size = u64::from_str_radix(size, 16).ok()?;
    let after = blankless(rest);
    let fits = match (rest.is_empty(), after.is_empty()) {
        (true, _) => true,
        (false, true) => padding_is_fine,
        (false, false) => extensions(after),
    };
    fits.then_some(size)
}

fn blankless(text: &[u8]) -> &[u8] {
    let start = text.iter().take_while(|b| **b == b' ' || **b == b'\t').count();
    &text[start..]
}

/// Whether that is `;` name [`=` value] again and again, with blanks but at the end.
fn extensions(text: &[u8]) -> bool {
    let mut rest = text;
    while !rest.is_empty() {
        let Some(tail) = blankless(rest).strip_prefix(b";") else { return false };
        let Some(tail) = token(blankless(tail)) else { return false };
        rest = tail;
        if let Some(value) = blankless(tail).strip_prefix(b"=") {
            let value = blankless(value);
            let tail = if value.starts_with(b"\"") { quoted(value) } else { token(value) };
            let Some(tail) = tail else { return false };
            rest = tail;
        }
    }
    true
}

/// What follows a token.
fn token(text: &[u8]) -> Option<&[u8]> {
    let byte = |b: &&u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(*b);
    let len = text.iter().take_while(byte).count();
    (len > 0).then(|| &text[len..])
}

/// What follows a quoted string.
fn quoted(text: &[u8]) -> Option<&[u8]> {
    let mut at = 1;
    loop {
        let b = *text.get(at)?;
        let fits = |b: u8| b == b'\t' || (b >= b' ' && b != 0x7f);
        match b {
            b'"' => return Some(&text[at + 1..]),
            b'\\' if fits(*text.get(at + 1)?) => at += 2,
            b'\\' => return None,
            b if fits(b) => at += 1,
            _ => return None,
        }
    }
}

fn trailer(line: &[u8]) -> bool {
    let Some(rest) = token(line) else { return false };
    let Some(value) = rest.strip_prefix(b":") else { return false };
    let name = line[..line.len() - rest.len()].to_ascii_lowercase();
    let fits = |b: &u8| *b == b'\t' || (*b >= b' ' && *b != 0x7f);
    value.iter().all(fits) && !is_forbidden(&name)
}

fn is_forbidden(name: &[u8]) -> bool {
    let alone: &[&[u8]] = &[b"host", b"expect", b"authorization", b"max-forwards", b"proxy"];
    let spelled: &[&[u8]] = &[
        b"content-length",
        b"transfer-encoding",
        b"connection",
        b"keep-alive",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"upgrade",
        b"forwarded",
        b"x-real-ip",
        b"http2-settings",
    ];
    let plain = |b: &u8| if b.is_ascii_alphanumeric() { *b } else { b'-' };
    let alike: Vec<u8> = name.iter().map(plain).collect();
    alone.contains(&name) || spelled.contains(&&alike[..]) || alike.starts_with(b"x-forwarded-")
}

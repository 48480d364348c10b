//! Which bytes may stand where: the tables every parser of this crate asks.
//!
//! Rules kept here: one table per grammar rule, built at compile time; runs are checked eight bytes
//! at a time and only a suspicious run is looked at byte by byte.

use crate::Malformed;

/// `tchar` of RFC 9110 §5.6.2.
const TOKEN: u8 = 1;
/// A byte of a request target: visible ASCII but `#`, and everything from 0x80 (browsers send raw
/// UTF-8).
const TARGET: u8 = 2;
/// A byte of a host name: unreserved and sub-delims of RFC 3986 without the comma. No `%`, since
/// two spellings of one name would be two readings.
const HOST: u8 = 4;
/// `pchar` of RFC 3986 without `%`, that is, a byte that stands for itself in a canonical path.
const PATH: u8 = 8;
/// `unreserved` of RFC 3986 §2.3.
const UNRESERVED: u8 = 16;
/// A byte of a field's name that everybody spells alike: letters, digits and the hyphen.
const PLAIN: u8 = 32;
/// A byte of a request target other than `?`.
const BEFORE_QUERY: u8 = 64;

static CLASS: [u8; 256] = classes();

#[allow(clippy::indexing_slicing, reason = "evaluated at compile time")]
const fn classes() -> [u8; 256] {
    let mut table = [0u8; 256];
    let mut i = 0;
    while i < 256 {
        table[i] = class(i as u8);
        i += 1;
    }
    table
}

const fn class(b: u8) -> u8 {
    let alnum = b.is_ascii_alphanumeric();
    let unreserved = alnum || matches!(b, b'-' | b'.' | b'_' | b'~');
    let sub_delim =
        matches!(b, b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b';' | b'=');
    let token = alnum
        || matches!(b, b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+' | b'-' | b'.')
        || matches!(b, b'^' | b'_' | b'`' | b'|' | b'~');
    let mut class = 0;
    if token {
        class |= TOKEN;
    }
    if (b > b' ' && b < 0x7f && b != b'#') || b >= 0x80 {
        class |= TARGET;
        if b != b'?' {
            class |= BEFORE_QUERY;
        }
    }
    if unreserved || (sub_delim && b != b',') {
        class |= HOST;
    }
    if unreserved || sub_delim || matches!(b, b':' | b'@') {
        class |= PATH;
    }
    if unreserved {
        class |= UNRESERVED;
    }
    if alnum || b == b'-' {
        class |= PLAIN;
    }
    class
}

#[inline]
#[allow(clippy::indexing_slicing, reason = "a u8 always lies within a table of 256")]
fn is(b: u8, wanted: u8) -> bool {
    CLASS[b as usize] & wanted != 0
}

/// Length of the token that `text` begins with, and whether all its bytes are letters, digits or
/// hyphens.
#[inline]
pub(crate) fn token(text: &[u8]) -> (usize, bool) {
    let plain = plain_len(text);
    match text.get(plain) {
        Some(&b) if is_token(b) => (token_len(text), false),
        _ => (plain, true),
    }
}

/// How many letters, digits and hyphens `text` begins with.
#[inline]
pub(crate) fn plain_len(text: &[u8]) -> usize {
    text.iter().position(|&b| !is(b, PLAIN)).unwrap_or(text.len())
}

#[cold]
fn token_len(text: &[u8]) -> usize {
    text.iter().position(|&b| !is_token(b)).unwrap_or(text.len())
}

/// Whether `b` may stand in a token: a method, a field's name, a connection option.
#[inline]
pub(crate) fn is_token(b: u8) -> bool {
    is(b, TOKEN)
}

/// Whether `b` may stand in a request target.
#[inline]
pub(crate) fn is_target(b: u8) -> bool {
    is(b, TARGET)
}

/// Whether `b` may stand in a request target before its query.
#[inline]
pub(crate) fn is_before_query(b: u8) -> bool {
    is(b, BEFORE_QUERY)
}

/// Whether `b` may stand in a host's name.
#[inline]
pub(crate) fn is_host(b: u8) -> bool {
    is(b, HOST)
}

/// Whether `b` stands for itself in a canonical path.
#[inline]
pub(crate) fn is_path(b: u8) -> bool {
    is(b, PATH)
}

/// Whether `b` never needs percent-encoding.
#[inline]
pub(crate) fn is_unreserved(b: u8) -> bool {
    is(b, UNRESERVED)
}

/// Blank as HTTP means it: space or tab (OWS of RFC 9110 §5.6.3).
#[inline]
pub(crate) fn is_blank(b: u8) -> bool {
    b == b' ' || b == b'\t'
}

/// `text` without blanks at either end, and how many were cut at its start.
#[inline]
pub(crate) fn trim(text: &[u8]) -> (usize, &[u8]) {
    let mut start = 0;
    let mut rest = text;
    while let Some((&b, tail)) = rest.split_first()
        && is_blank(b)
    {
        rest = tail;
        start += 1;
    }
    while let Some((&b, head)) = rest.split_last()
        && is_blank(b)
    {
        rest = head;
    }
    (start, rest)
}

/// Checks that `text` holds only what a field's value may: tab, visible ASCII, space, 0x80–0xFF
/// (RFC 9110 §5.5 with obs-text).
///
/// # Errors
/// The offence of the first byte that may not stand there.
#[inline]
pub(crate) fn check_value(text: &[u8]) -> Result<(), Malformed> {
    if text.len() >= 8 {
        let mut suspicious = text.last_chunk::<8>().is_some_and(|last| has_control(*last));
        let (words, _) = text.as_chunks::<8>();
        for word in words {
            suspicious |= has_control(*word);
        }
        if !suspicious {
            return Ok(());
        }
    }
    match text.iter().find(|&&b| (b < b' ' && b != b'\t') || b == 0x7f) {
        None => Ok(()),
        Some(&b) => Err(control_offence(b)),
    }
}

/// How many bytes `text` begins with that are neither control bytes nor a tab: all that the value
/// of nearly every field is made of.
#[inline]
pub(crate) fn printable_len(text: &[u8]) -> usize {
    let (words, rest) = text.as_chunks::<8>();
    for (at, word) in words.iter().enumerate() {
        let controls = controls(u64::from_le_bytes(*word));
        if controls != 0 {
            return at * 8 + (controls.trailing_zeros() / 8) as usize;
        }
    }
    let is_control = |b: &u8| *b < b' ' || *b == 0x7f;
    text.len() - rest.len() + rest.iter().position(is_control).unwrap_or(rest.len())
}

/// The name of the offence of a control byte inside a line.
#[cold]
pub(crate) fn control_offence(b: u8) -> Malformed {
    match b {
        b'\r' => Malformed::BareCr,
        b'\n' => Malformed::BareLf,
        0 => Malformed::Nul,
        _ => Malformed::ControlByte,
    }
}

/// Whether any of eight bytes is below 0x20 or is 0x7f.
#[inline]
fn has_control(word: [u8; 8]) -> bool {
    controls(u64::from_ne_bytes(word)) != 0
}

/// Marks, by their highest bit, bytes below 0x20 and 0x7f. Exact up to the lowest mark, and so for
/// "any at all": a borrow can only begin at a byte that is itself marked, and goes upwards.
#[inline]
fn controls(x: u64) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let low = x.wrapping_sub(ONES * 0x20) & !x;
    let del = x ^ (ONES * 0x7f);
    let del = del.wrapping_sub(ONES) & !del;
    (low | del) & HIGH
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_may_hold_what_the_grammar_says_at_every_place_of_a_word() {
        for b in 0..=255u8 {
            let fine = b == b'\t' || (b >= 0x20 && b != 0x7f);
            for len in 1..20 {
                for at in 0..len {
                    let mut text = vec![b'a'; len];
                    text[at] = b;
                    assert_eq!(check_value(&text).is_ok(), fine, "{b:#x} at {at} of {len}");
                }
            }
        }
    }

    #[test]
    fn a_printable_run_ends_at_its_first_control_byte() {
        for b in 0..=255u8 {
            for len in 1..20 {
                for at in 0..len {
                    let mut text = vec![0xffu8; len];
                    text[at] = b;
                    text.extend_from_slice(b"\x7f\x01\x20\x80\0\x1f");
                    let run = if b < 0x20 || b == 0x7f { at } else { len };
                    assert_eq!(printable_len(&text), run, "{b:#x} at {at} of {len}");
                }
            }
        }
        assert_eq!(printable_len(b"all of it, nine"), 15);
    }

    #[test]
    fn a_token_ends_where_it_must_and_tells_whether_it_is_plain() {
        assert_eq!(token(b"X-Real-IP2: x"), (10, true));
        assert_eq!(token(b"X_Real"), (6, false));
        assert_eq!(token(b"a.b c_d"), (3, false));
        assert_eq!(token(b": x"), (0, true));
    }

    #[test]
    fn control_bytes_are_told_apart() {
        assert_eq!(check_value(b"a\rb"), Err(Malformed::BareCr));
        assert_eq!(check_value(b"a\0b"), Err(Malformed::Nul));
        assert_eq!(check_value(b"a\x7fb"), Err(Malformed::ControlByte));
    }

    #[test]
    fn trimming_takes_blanks_only_and_tells_how_many_stood_first() {
        assert_eq!(trim(b" \t a b\t "), (3, &b"a b"[..]));
        assert_eq!(trim(b"   "), (3, &b""[..]));
        assert_eq!(trim(b""), (0, &b""[..]));
    }
}

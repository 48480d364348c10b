//! Makes the one value of a path that routes are matched on.
//!
//! Rules kept here (CONFIG.md, match key `path`):
//! - Unreserved bytes are decoded, hex digits are upper-cased, repeated slashes are one; a byte
//!   that may not stand in a path raw is matched as its `%XX`.
//! - Where two servers could read two paths there is none: an encoded NUL, a raw backslash, a
//!   broken `%`, a segment that is `.` or `..` once split at `/ \ %2F %5C` and cut at `;` `%3B`.
//! - `%2F` never becomes `/`. What is forwarded is what was sent, byte for byte.
//! - A path that is canonical as it stands is borrowed, not copied.
//!
//! Not known here: the query, which is never rewritten.

use crate::Malformed;
use crate::bytes::{is_path, is_unreserved};

/// The canonical value of `raw`, which is a target's path as sent. An empty path is `/`; `*` stays
/// itself. `scratch` holds the value where it differs from `raw`.
///
/// # Errors
/// `PathNul`, `PathBackslash`, `PathPercent`, `PathDots`.
pub fn canonical_path<'a>(raw: &'a [u8], scratch: &'a mut Vec<u8>) -> Result<&'a [u8], Malformed> {
    match raw {
        [] => Ok(b"/"),
        b"*" => Ok(raw),
        _ if is_canonical(raw) => Ok(raw),
        _ => {
            rewrite(raw, scratch)?;
            Ok(scratch)
        }
    }
}

/// A quick look that may say no to a canonical path, never yes to another: only bytes that stand
/// for themselves, no slash after a slash, no segment that begins with a dot.
fn is_canonical(raw: &[u8]) -> bool {
    let mut after_slash = false;
    for &b in raw {
        let slash = b == b'/';
        if !(slash || is_path(b)) || (after_slash && (slash || b == b'.')) {
            return false;
        }
        after_slash = slash;
    }
    true
}

fn rewrite(raw: &[u8], out: &mut Vec<u8>) -> Result<(), Malformed> {
    out.clear();
    let mut segment = Segment::default();
    let mut rest = raw;
    while let Some((&b, tail)) = rest.split_first() {
        rest = tail;
        match b {
            b'%' => {
                let (byte, tail) = escaped(tail)?;
                rest = tail;
                segment.on_escaped(byte)?;
                put_escaped(byte, out);
            }
            b'\\' => return Err(Malformed::PathBackslash),
            b'/' => {
                segment.on_end()?;
                if out.last() != Some(&b'/') {
                    out.push(b'/');
                }
            }
            _ => {
                segment.on_byte(b);
                put(b, out);
            }
        }
    }
    segment.on_end()
}

/// The byte of two hex digits, and what follows them.
fn escaped(tail: &[u8]) -> Result<(u8, &[u8]), Malformed> {
    let [high, low, rest @ ..] = tail else { return Err(Malformed::PathPercent) };
    let digit = |b: &u8| (*b as char).to_digit(16).map(|d| d as u8);
    match (digit(high), digit(low)) {
        (Some(high), Some(low)) => Ok((high << 4 | low, rest)),
        _ => Err(Malformed::PathPercent),
    }
}

/// A byte sent raw.
fn put(b: u8, out: &mut Vec<u8>) {
    if is_path(b) { out.push(b) } else { put_hex(b, out) }
}

/// A byte sent as `%XX`: only unreserved ones mean the same either way (RFC 3986 §6.2.2.2).
fn put_escaped(b: u8, out: &mut Vec<u8>) {
    if is_unreserved(b) { out.push(b) } else { put_hex(b, out) }
}

fn put_hex(b: u8, out: &mut Vec<u8>) {
    let digit = |d: u8| if d < 10 { b'0' + d } else { b'A' + d - 10 };
    out.extend_from_slice(&[b'%', digit(b >> 4), digit(b & 15)]);
}

/// What a segment has been so far, as the most generous of servers would read it.
#[derive(Default)]
struct Segment {
    dots: u8,
    other: bool,
    cut: bool,
}

impl Segment {
    fn on_byte(&mut self, b: u8) {
        match b {
            _ if self.cut => {}
            b';' => self.cut = true,
            b'.' => self.dots = self.dots.saturating_add(1),
            _ => self.other = true,
        }
    }

    fn on_escaped(&mut self, b: u8) -> Result<(), Malformed> {
        match b {
            0 => return Err(Malformed::PathNul),
            b'/' | b'\\' => self.on_end()?,
            _ => self.on_byte(b),
        }
        Ok(())
    }

    fn on_end(&mut self) -> Result<(), Malformed> {
        let ended = std::mem::take(self);
        match ended.dots {
            1 | 2 if !ended.other => Err(Malformed::PathDots),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn canonical(raw: &[u8]) -> Result<Vec<u8>, Malformed> {
        canonical_path(raw, &mut Vec::new()).map(<[u8]>::to_vec)
    }

    #[test]
    fn a_canonical_path_is_borrowed() {
        let mut scratch = Vec::new();
        let raw = b"/a/b.c/d;v=1/~e@f:g!$&'()*+,=";
        let path = canonical_path(raw, &mut scratch).unwrap();
        assert_eq!(path.as_ptr(), raw.as_ptr());
    }

    #[test]
    fn spellings_of_one_path_have_one_value() {
        for (raw, value) in [
            (&b""[..], &b"/"[..]),
            (b"*", b"*"),
            (b"//a///b//", b"/a/b/"),
            (b"/%61%7e%2D", b"/a~-"),
            (b"/%e4%c3", b"/%E4%C3"),
            (b"/\xe4\xc3", b"/%E4%C3"),
            (b"/a|b{c}[d]^`\"<>", b"/a%7Cb%7Bc%7D%5Bd%5D%5E%60%22%3C%3E"),
            (b"/a%7cb", b"/a%7Cb"),
            (b"/a%2fb", b"/a%2Fb"),
            (b"/a%5cb", b"/a%5Cb"),
            (b"/a%21!", b"/a%21!"),
            (b"/.well-known/..x/...", b"/.well-known/..x/..."),
            (b"/a%25%32%65", b"/a%252e"),
        ] {
            assert_eq!(canonical(raw).as_deref(), Ok(value), "{}", raw.escape_ascii());
        }
    }

    #[test]
    fn a_path_with_two_readings_has_no_value() {
        for (raw, offence) in [
            (&b"/a%00b"[..], Malformed::PathNul),
            (b"/a\\b", Malformed::PathBackslash),
            (b"/a%", Malformed::PathPercent),
            (b"/a%2", Malformed::PathPercent),
            (b"/a%zz", Malformed::PathPercent),
            (b"/..", Malformed::PathDots),
            (b"/.", Malformed::PathDots),
            (b"/a/../b", Malformed::PathDots),
            (b"/a/./b", Malformed::PathDots),
            (b"/a/%2e%2E/b", Malformed::PathDots),
            (b"/a/.%2e", Malformed::PathDots),
            (b"/a/..;x=1/b", Malformed::PathDots),
            (b"/a/..%3Bx/b", Malformed::PathDots),
            (b"/a%2f..%2fb", Malformed::PathDots),
            (b"/a%5c..", Malformed::PathDots),
            (b"/a/..%5cb", Malformed::PathDots),
            (b"/%2e/", Malformed::PathDots),
        ] {
            assert_eq!(canonical(raw), Err(offence), "{}", raw.escape_ascii());
        }
    }

    #[test]
    fn the_value_of_a_value_is_itself() {
        for raw in [&b"/%61//%e4|\xff"[..], b"/a%2fb%5c", b"/.x/%25"] {
            let once = canonical(raw).unwrap();
            assert_eq!(canonical(&once).unwrap(), once);
        }
    }
}

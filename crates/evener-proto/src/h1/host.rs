//! Reads an authority: the value of `Host`, or that of an absolute target.
//!
//! Rules kept here: a name or address and an optional port, nothing else (RFC 9110 §7.2 without
//! userinfo); no percent-encoding, since two spellings of one host would be two readings. An
//! underscore, a trailing dot and an empty port are fine, living hosts have them. Two dots in a row
//! are not: no name has an empty label, and where a host names a directory `..` leads out of it.

use crate::bytes::is_host;
use crate::{Malformed, Span};

/// A checked authority, as places in the buffer it was read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Authority {
    /// All of it, as sent. Empty: the request named no host.
    pub text: Span,
    /// Without the port; an IPv6 address keeps its brackets.
    pub host: Span,
    /// The port, if one was named.
    pub port: Option<u16>,
}

impl Authority {
    /// Reads the piece `text` of `buf`, which must not be empty.
    ///
    /// # Errors
    /// `HostInvalid`.
    #[inline]
    pub fn read(buf: &[u8], text: Span) -> Result<Authority, Malformed> {
        let all = text.of(buf);
        let host_len = match all {
            [b'[', ..] => address_len(all),
            _ => name_len(all),
        };
        let port = match all.get(host_len..).unwrap_or_default() {
            _ if host_len == 0 || all.get(..host_len) == Some(b".") => {
                return Err(Malformed::HostInvalid);
            }
            [] | [b':'] => None,
            [b':', digits @ ..] => Some(port(digits).ok_or(Malformed::HostInvalid)?),
            _ => return Err(Malformed::HostInvalid),
        };
        let start = text.start as usize;
        Ok(Authority { text, host: Span::new(start, start + host_len), port })
    }
}

/// Whether two hosts are the same: ASCII case and one trailing dot do not count.
pub fn same_host(a: &[u8], b: &[u8]) -> bool {
    undotted(a).eq_ignore_ascii_case(undotted(b))
}

fn undotted(host: &[u8]) -> &[u8] {
    host.strip_suffix(b".").unwrap_or(host)
}

/// Length of the name that `all` begins with.
#[inline]
fn name_len(all: &[u8]) -> usize {
    let mut before = 0;
    let ends = |&b: &u8| !is_host(b) || (std::mem::replace(&mut before, b) == b'.' && b == b'.');
    all.iter().position(ends).unwrap_or(all.len())
}

/// Length of a bracketed IPv6 address, 0 if it is none.
fn address_len(all: &[u8]) -> usize {
    let Some(close) = all.iter().position(|&b| b == b']') else { return 0 };
    let inside = all.get(1..close).and_then(|text| std::str::from_utf8(text).ok());
    match inside.map(str::parse::<std::net::Ipv6Addr>) {
        Some(Ok(_)) => close + 1,
        _ => 0,
    }
}

fn port(digits: &[u8]) -> Option<u16> {
    if digits.len() > 5 {
        return None;
    }
    digits.iter().try_fold(0u16, |n, &b| {
        let digit = b.is_ascii_digit().then(|| u16::from(b - b'0'))?;
        n.checked_mul(10)?.checked_add(digit)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &[u8]) -> Result<(&[u8], Option<u16>), Malformed> {
        let a = Authority::read(text, Span::new(0, text.len()))?;
        Ok((a.host.of(text), a.port))
    }

    #[test]
    fn hosts_of_living_systems_are_read() {
        assert_eq!(read(b"a.example"), Ok((&b"a.example"[..], None)));
        assert_eq!(read(b"A_b.Example.:8080"), Ok((&b"A_b.Example."[..], Some(8080))));
        assert_eq!(read(b"a:"), Ok((&b"a"[..], None)));
        assert_eq!(read(b"[::1]:80"), Ok((&b"[::1]"[..], Some(80))));
        assert_eq!(read(b"127.0.0.1:65535"), Ok((&b"127.0.0.1"[..], Some(65535))));
    }

    #[test]
    fn userinfo_paths_blanks_commas_and_bad_ports_are_no_host() {
        for bad in [
            "u@a",
            "u:p@a",
            "a/b",
            "a b",
            "a,b",
            "a:b",
            "a:65536",
            "a:-1",
            "a:+1",
            "a:1:2",
            ":80",
            "",
            "[::1",
            ".",
            ".:80",
            "..",
            "...",
            "a..",
            "..a",
            "a..b:80",
            "[::1]x",
            "[]",
            "[g::]",
            "a%2eb",
            "a\tb",
            "a?b",
            "a#b",
            "[::1%eth0]",
            "a\\b",
            "é",
            "a:000080",
        ] {
            assert_eq!(read(bad.as_bytes()), Err(Malformed::HostInvalid), "{bad}");
        }
    }

    #[test]
    fn case_and_a_trailing_dot_do_not_make_another_host() {
        assert!(same_host(b"A.example.", b"a.EXAMPLE"));
        assert!(!same_host(b"a.example..", b"a.example"));
        assert!(!same_host(b"a.example", b"b.example"));
    }
}

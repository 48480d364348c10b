//! What of a request HAProxy hashes, and by which function.
//!
//! Rules kept here (HAProxy `src/backend.c`, `src/payload.c`):
//! - `source` is the XOR of the address's words, whatever the function; only `avalanche` applies.
//! - `uri` ends at the question mark unless `whole`, after `len` bytes, and before the slash that
//!   `depth` leaves no room for.
//! - `url_param` is searched in the query, then, if asked, in the body of a POST; a parameter
//!   without value is hashed, one that is missing is not.
//! - `hash` of an expression that gives nothing, as a header that is not there, has nothing to hash.
//! - `hdr` is the first value of a list; with `domain_only` what stands between its last two dots.

use evener_plan::{HaproxyHash, HashFunction};

use crate::hashes::{avalanche, crc32, djb2, folded, sdbm, wt6};
use crate::request::Request;

/// What of a request is hashed, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Input {
    part: Part,
    function: HashFunction,
    avalanche: bool,
}

/// What of a request is hashed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Part {
    /// The client's address.
    Source,
    /// Its target.
    Uri(Uri),
    /// A parameter of its query.
    Param { name: Box<str>, check_post: bool },
    /// A header.
    Header { name: Box<str>, domain_only: bool },
    /// A cookie of a remote desktop session.
    RdpCookie(Box<str>),
    /// The pool's key.
    Key,
}

/// How much of a target is hashed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Uri {
    pub(crate) len: u32,
    pub(crate) depth: u32,
    pub(crate) whole: bool,
    pub(crate) path_only: bool,
}

impl Input {
    pub(crate) fn new(part: Part, hash: &HaproxyHash) -> Input {
        Input { part, function: hash.function, avalanche: hash.avalanche }
    }

    /// The hash, unless the request has nothing to hash.
    pub(crate) fn hash(&self, request: &dyn Request) -> Option<u32> {
        let hash = match &self.part {
            Part::Source => folded(request.client()?.ip()),
            Part::Uri(uri) => self.of(uri.cut(request.target()?)),
            Part::Param { name, check_post } => self.of(param(request, name, *check_post)?),
            Part::Header { name, domain_only } => {
                let value = first_value(request.header(name)?);
                let value = if *domain_only { domain(value) } else { value };
                (!value.is_empty()).then(|| self.of(value))?
            }
            Part::RdpCookie(name) => {
                let value = rdp_cookie(request.payload()?, name.as_bytes())?;
                (!value.is_empty()).then(|| self.of(value))?
            }
            Part::Key => self.of(request.key().filter(|key| !key.is_empty())?),
        };
        Some(if self.avalanche { avalanche(hash) } else { hash })
    }

    fn of(&self, bytes: &[u8]) -> u32 {
        match self.function {
            HashFunction::Sdbm => sdbm(bytes),
            HashFunction::Djb2 => djb2(bytes),
            HashFunction::Wt6 => wt6(bytes),
            HashFunction::Crc32 => crc32(bytes),
            HashFunction::None => number(bytes),
        }
    }
}

/// Leading decimal digits, with a sign: what HAProxy's `read_int64` makes of them, which stops at
/// the ends of its 64 bits, cut to 32.
fn number(bytes: &[u8]) -> u32 {
    let (sign, digits) = match bytes {
        [b'-', digits @ ..] => (-1, digits),
        [b'+', digits @ ..] | digits => (1, digits),
    };
    let digits = digits.iter().take_while(|byte| byte.is_ascii_digit());
    let value = digits.fold(0_i64, |value, digit| {
        value.saturating_mul(10).saturating_add(sign * i64::from(digit - b'0'))
    });
    value as u32
}

impl Uri {
    fn cut<'a>(&self, target: &'a [u8]) -> &'a [u8] {
        let target = if self.path_only { path(target) } else { target };
        let target = match self.len as usize {
            0 => target,
            len => &target[..target.len().min(len)],
        };
        let mut slashes = 0;
        let end = target.iter().position(|&byte| {
            slashes += u32::from(byte == b'/');
            let is_deep = byte == b'/' && self.depth > 0 && slashes == self.depth + 1;
            is_deep || (byte == b'?' && !self.whole)
        });
        &target[..end.unwrap_or(target.len())]
    }
}

/// A target without scheme and authority; nothing if it has no path.
fn path(target: &[u8]) -> &[u8] {
    if target.starts_with(b"/") || target == b"*" {
        return target;
    }
    let scheme = target.windows(3).position(|window| window == b"://");
    let authority = scheme.map_or(target, |at| &target[at + 3..]);
    let slash = authority.iter().position(|byte| *byte == b'/');
    slash.map_or(&[], |at| &authority[at..])
}

fn param<'a>(request: &'a dyn Request, name: &str, check_post: bool) -> Option<&'a [u8]> {
    let query = request.target().and_then(|target| {
        let mark = target.iter().position(|byte| *byte == b'?')?;
        Some(&target[mark + 1..])
    });
    let in_query = query.and_then(|query| value_of(query, name.as_bytes()));
    in_query.or_else(|| {
        let value = value_of(request.payload().filter(|_| check_post)?, name.as_bytes())?;
        match value.first() {
            None => Some(value),
            Some(b' ' | b'\t' | b'\r' | b'\n') => Some(&value[..0]),
            // Not the body of a form.
            Some(byte) if !is_token(*byte) => None,
            Some(_) => Some(value),
        }
    })
}

fn value_of<'a>(parameters: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let mut parameters = parameters.split(|byte| *byte == b'&');
    parameters.find_map(|parameter| parameter.strip_prefix(name)?.strip_prefix(b"="))
}

/// RFC 9110 §5.6.2.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// The first of a list of values, without the blanks around it.
fn first_value(list: &[u8]) -> &[u8] {
    let (mut is_quoted, mut is_escaped) = (false, false);
    let end = list.iter().position(|&byte| {
        let escapes = is_quoted && byte == b'\\' && !is_escaped;
        is_quoted ^= byte == b'"' && !is_escaped;
        is_escaped = escapes;
        byte == b',' && !is_quoted
    });
    list[..end.unwrap_or(list.len())].trim_ascii()
}

/// What stands between the last two dots; from the start if there is one dot, all if there is
/// none (or one at the very start).
fn domain(host: &[u8]) -> &[u8] {
    let last = host.iter().rposition(|byte| *byte == b'.').filter(|at| *at > 0);
    let Some(end) = last else {
        return host;
    };
    // HAProxy does not ask whether the byte before that dot is one.
    let start = host[..end - 1].iter().rposition(|byte| *byte == b'.').map_or(0, |at| at + 1);
    &host[start..end]
}

/// The value of a cookie in the first packet of a remote desktop session: after 11 bytes of its
/// headers comes `Cookie: NAME=VALUE` and an end of line.
fn rdp_cookie<'a>(packet: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let (word, rest) = packet.get(11..)?.split_at_checked(7)?;
    if !word.eq_ignore_ascii_case(b"Cookie:") {
        return None;
    }
    let (found, rest) = rest.trim_ascii_start().split_at_checked(name.len())?;
    let value = rest.strip_prefix(b"=").filter(|_| found.eq_ignore_ascii_case(name))?;
    let end = value.iter().position(|byte| *byte == b'\r')?;
    value[end..].starts_with(b"\r\n").then_some(&value[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(uri: (u32, u32, bool, bool), target: &str) -> String {
        let (len, depth, whole, path_only) = uri;
        let bytes = Uri { len, depth, whole, path_only }.cut(target.as_bytes()).to_vec();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn a_target_is_cut_as_the_options_say() {
        assert_eq!(cut((0, 0, false, false), "/a/b?c=/d"), "/a/b");
        assert_eq!(cut((0, 0, true, false), "/a/b?c=/d"), "/a/b?c=/d");
        assert_eq!(cut((3, 0, false, false), "/a/b?c"), "/a/");
        assert_eq!(cut((0, 1, false, false), "/a/b/c"), "/a");
        assert_eq!(cut((0, 2, false, false), "/a/b/c"), "/a/b");
        assert_eq!(cut((0, 0, false, true), "http://host/a?b"), "/a");
        assert_eq!(cut((0, 0, false, false), "http://host/a?b"), "http://host/a");
        assert_eq!(cut((0, 0, false, true), "host:80"), "");
    }

    #[test]
    fn a_parameter_is_found_whole_and_its_value_may_be_empty() {
        let value = |query: &'static str| value_of(query.as_bytes(), b"k");
        assert_eq!(value("a=1&k=2&k=3"), Some(&b"2"[..]));
        assert_eq!(value("kk=1&xk=2"), None);
        assert_eq!(value("k="), Some(&b""[..]));
        assert_eq!(value("k"), None);
    }

    #[test]
    fn of_a_host_the_part_before_its_last_dot_counts() {
        let odd = [("a.b", "a"), ("host", "host"), (".com", ".com"), ("foo..com", "foo.")];
        for (host, part) in odd.into_iter().chain([("www.example.com", "example")]) {
            assert_eq!(domain(host.as_bytes()), part.as_bytes(), "{host}");
        }
        assert_eq!(first_value(b" \"a,b\" , c"), b"\"a,b\"");
    }

    #[test]
    fn a_remote_desktop_names_its_user() {
        let mut packet = vec![3, 0, 0, 42, 37, 0xe0, 0, 0, 0, 0, 0];
        packet.extend(b"Cookie: mstshash=eltons\r\n");
        assert_eq!(rdp_cookie(&packet, b"mstshash"), Some(&b"eltons"[..]));
        assert_eq!(rdp_cookie(&packet, b"msts"), None);
        for end in 0..packet.len() {
            assert_eq!(rdp_cookie(&packet[..end], b"mstshash"), None, "{end}");
        }
    }

    #[test]
    fn without_a_function_a_number_is_its_own_hash() {
        assert_eq!([number(b"42x"), number(b"-1"), number(b"")], [42, u32::MAX, 0]);
        assert_eq!([number(b"+7"), number(b"4294967297")], [7, 1]);
        assert_eq!(number(b"18446744073709551617"), i64::MAX as u32);
        assert_eq!(number(b"-18446744073709551617"), i64::MIN as u32);
    }

    #[test]
    fn an_expression_that_gives_nothing_has_no_hash() {
        struct Keyed(&'static [u8]);
        impl Request for Keyed {
            fn key(&self) -> Option<&[u8]> {
                Some(self.0)
            }
        }
        let (consistent, function) = (false, HashFunction::Sdbm);
        let hash = HaproxyHash {
            consistent,
            function,
            avalanche: true,
            balance_factor: 0,
            key: evener_plan::HashKey::Id,
            pass_full: false,
        };
        let input = Input::new(Part::Key, &hash);
        assert_eq!(input.hash(&Keyed(b"")), None);
        assert_eq!(input.hash(&Keyed(b"a")), Some(avalanche(sdbm(b"a"))));
    }
}

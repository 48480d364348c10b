//! Everything there is to decide about a request once its head is read, in one order.
//!
//! Rules kept here: length, expectation, hops, path, underscores; the first offence is the answer.
//! Whoever forwards, routes or answers a request takes these values and reads none of its own.

use crate::Malformed;
use crate::h1::forward::Underscores;
use crate::h1::hops::{Hops, hops};
use crate::h1::path::canonical_path;
use crate::h1::{BodyLength, Policy, RequestHead, framing};

/// What was decided about a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Admitted<'a> {
    /// Length of its body.
    pub body: BodyLength,
    /// The client waits for a 100 before it sends the body.
    pub awaits_continue: bool,
    /// It asks for a protocol that may be tunnelled.
    pub upgrade: bool,
    /// It may not be forwarded: answer it 200, without a body.
    pub last_hop: bool,
    /// The one value of its path; `*` for the whole server.
    pub path: &'a [u8],
}

/// Decides about the request of `head`; `scratch` holds its path where that is not as it was sent.
///
/// # Errors
/// The offence; answer with its status and close.
#[inline]
pub fn admit<'a>(
    head: &RequestHead,
    buf: &'a [u8],
    policy: &Policy,
    scratch: &'a mut Vec<u8>,
) -> Result<Admitted<'a>, Malformed> {
    let body = framing::request_body(head, buf)?;
    let awaits_continue = framing::expects_continue(head, body, buf)?;
    let last_hop = hops(head, buf)? == Hops::Last;
    let path = matched_path(head, buf, scratch)?;
    if policy.underscores == Underscores::Refuse && head.fields.underscored() {
        return Err(Malformed::Underscore);
    }
    let upgrade = framing::wants_upgrade(head, body, buf);
    Ok(Admitted { body, awaits_continue, upgrade, last_hop, path })
}

/// The one value of the path of `head` that anything is matched on, named by or kept under: `*` for
/// the whole server. `scratch` holds it where it is not as it was sent.
///
/// # Errors
/// It has none: `PathNul`, `PathBackslash`, `PathPercent`, `PathDots`.
#[inline]
pub fn matched_path<'a>(
    head: &RequestHead,
    buf: &'a [u8],
    scratch: &'a mut Vec<u8>,
) -> Result<&'a [u8], Malformed> {
    let raw = if head.is_of_server() { b"*" } else { head.path.of(buf) };
    canonical_path(raw, scratch)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::h1::{Limits, RequestParser};

    fn decided<T>(
        text: &str,
        policy: &Policy,
        look: impl Fn(&Admitted<'_>) -> T,
    ) -> Result<T, Malformed> {
        let mut parser = RequestParser::new();
        parser.parse(text.as_bytes(), &Limits::default()).unwrap().unwrap();
        let mut scratch = Vec::new();
        admit(parser.head(), text.as_bytes(), policy, &mut scratch).map(|found| look(&found))
    }

    #[test]
    fn a_request_is_decided_about_at_once() {
        let text =
            "PUT //%61 HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n";
        let found = decided(text, &Policy::default(), |a| {
            (a.body, a.awaits_continue, a.upgrade, a.last_hop, a.path.to_vec())
        });
        let wanted = (BodyLength::Exact(5), true, false, false, b"/a".to_vec());
        assert_eq!(found, Ok(wanted));
        let text = "OPTIONS * HTTP/1.1\r\nHost: h\r\nMax-Forwards: 0\r\n\r\n";
        let found = decided(text, &Policy::default(), |a| (a.last_hop, a.path.to_vec()));
        assert_eq!(found, Ok((true, b"*".to_vec())));
        let text = "OPTIONS http://h HTTP/1.1\r\nHost: h\r\n\r\n";
        assert_eq!(decided(text, &Policy::default(), |a| a.path.to_vec()), Ok(b"*".to_vec()));
        let text = "GET http://h HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n";
        let found = decided(text, &Policy::default(), |a| (a.upgrade, a.path.to_vec()));
        assert_eq!(found, Ok((true, b"/".to_vec())));
    }

    #[test]
    fn any_offence_refuses_it() {
        let refuse = Policy { underscores: Underscores::Refuse, ..Policy::default() };
        for (line, fields, offence) in [
            ("GET /", "Content-Length: x\r\n", Malformed::ContentLengthInvalid),
            ("GET /", "Expect: x\r\n", Malformed::ExpectUnknown),
            ("OPTIONS /", "Max-Forwards: x\r\n", Malformed::MaxForwardsInvalid),
            ("GET /\\", "", Malformed::PathBackslash),
            ("GET http://h/..", "", Malformed::PathDots),
            ("GET /", "a_b: c\r\n", Malformed::Underscore),
        ] {
            let text = format!("{line} HTTP/1.1\r\nHost: h\r\n{fields}\r\n");
            assert_eq!(decided(&text, &refuse, |_| ()), Err(offence));
        }
    }
}

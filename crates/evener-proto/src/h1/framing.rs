//! Decides how long a body is and whether a connection can carry another message: the only place
//! that does.
//!
//! Rules kept here (RFC 9112 §6, SECURITY.md's smuggling table):
//! - Content-Length and Transfer-Encoding together, either of them twice or malformed: an offence,
//!   never a guess. An answer may repeat an equal Content-Length; one of them is forwarded.
//! - HEAD's answers, 204 and 304 have no body whatever their fields say. An interim answer that
//!   declares one is an offence: the next answer begins right behind it.
//! - Doubt closes: what is not clearly reusable is not reused.
//!
//! Not known here: bodies' bytes (`body`), limits on their size.

use crate::Malformed;
use crate::bytes::is_token;
use crate::h1::field::{Connection, Fields, members};
use crate::h1::name::{FRAMING, Name};
use crate::h1::{Method, RequestHead, ResponseHead, Version};

/// How long a body is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyLength {
    /// There is none: the message ends with its head.
    None,
    /// So many bytes follow.
    Exact(u64),
    /// Chunks follow (RFC 9112 §7.1).
    Chunked,
    /// Everything up to the end of the connection. Answers only.
    UntilClose,
}

impl BodyLength {
    /// Whether no byte follows the head.
    pub fn is_empty(self) -> bool {
        matches!(self, BodyLength::None | BodyLength::Exact(0))
    }
}

/// Length of a request's body (RFC 9112 §6.3).
///
/// # Errors
/// The offence; answer with its status and close.
#[inline]
pub fn request_body(head: &RequestHead, buf: &[u8]) -> Result<BodyLength, Malformed> {
    if !head.fields.seen().meets(FRAMING) {
        return Ok(BodyLength::None);
    }
    let declared = declared(&head.fields, head.version, Repeats::Refused, buf)?;
    Ok(declared.unwrap_or(BodyLength::None))
}

/// Length of the body of an answer to a request made with `method` (RFC 9112 §6.3).
///
/// # Errors
/// The offence; the answer is a 502 and the connection closes.
#[inline]
pub fn response_body(
    method: Method,
    head: &ResponseHead,
    buf: &[u8],
) -> Result<BodyLength, Malformed> {
    if head.status < 200 {
        return interim_body(head, buf);
    }
    if is_bodiless(head.status) {
        return Ok(BodyLength::None);
    }
    let declared = match head.fields.seen().meets(FRAMING) {
        true => declared(&head.fields, head.version, Repeats::IfEqual, buf)?,
        false => None,
    };
    if method == Method::Head {
        return Ok(BodyLength::None);
    }
    Ok(declared.unwrap_or(BodyLength::UntilClose))
}

/// RFC 9110 §8.6 and RFC 9112 §6.1 forbid both fields here; living servers say `Content-Length: 0`.
/// A 101 must say to what it switches (RFC 9110 §15.2.2), and that is nothing we never forward.
#[cold]
fn interim_body(head: &ResponseHead, buf: &[u8]) -> Result<BodyLength, Malformed> {
    if head.status == 101 {
        let upgrades = head.fields.all(Name::Upgrade).flat_map(|f| members(f.value, buf));
        let mut protocols = upgrades.map(|p| is_upgrade(p.of(buf))).peekable();
        if protocols.peek().is_none() || protocols.any(|fits| !fits) {
            return Err(Malformed::SwitchUnasked);
        }
    }
    let length = content_length(&head.fields, Repeats::IfEqual, buf)?.unwrap_or(0);
    if length > 0 || head.fields.has(Name::TransferEncoding) {
        return Err(Malformed::InterimBody);
    }
    Ok(BodyLength::None)
}

/// Whether an answer of that status ends with its head: 1xx, 204, 304.
pub fn is_bodiless(status: u16) -> bool {
    matches!(status, 100..200 | 204 | 304)
}

/// Whether the server's connection may carry another request once this answer has been read to its
/// end. A bodiless status that declares a body closes: some servers send it.
pub fn reusable(head: &ResponseHead, body: BodyLength) -> bool {
    let declares = is_bodiless(head.status) && head.fields.seen().meets(FRAMING);
    head.keep_alive() && body != BodyLength::UntilClose && !declares && head.status != 101
}

/// Whether the sender of such a message keeps its connection open (RFC 9112 §9.3).
pub fn keep_alive(version: Version, connection: Connection) -> bool {
    match version {
        Version::Http11 => !connection.close,
        Version::Http10 => connection.keep_alive && !connection.close,
    }
}

/// Whether the client waits for a 100 before it sends the body (RFC 9110 §10.1.1). Nobody waits on
/// HTTP/1.0 or without a body.
///
/// # Errors
/// `ExpectUnknown` (417) where anything but `100-continue` is expected.
pub fn expects_continue(
    head: &RequestHead,
    body: BodyLength,
    buf: &[u8],
) -> Result<bool, Malformed> {
    if !head.fields.has(Name::Expect) || head.version == Version::Http10 {
        return Ok(false);
    }
    for field in head.fields.all(Name::Expect) {
        if !field.value.of(buf).eq_ignore_ascii_case(b"100-continue") {
            return Err(Malformed::ExpectUnknown);
        }
    }
    Ok(!body.is_empty())
}

/// Whether the request asks to change the protocol to one we can carry: HTTP/1.1, `upgrade` in
/// Connection, an Upgrade field that names more than `h2c`, and no body (after a refusal its bytes
/// could be read two ways).
pub fn wants_upgrade(head: &RequestHead, body: BodyLength, buf: &[u8]) -> bool {
    head.version == Version::Http11
        && head.fields.connection().upgrade
        && body.is_empty()
        && head
            .fields
            .all(Name::Upgrade)
            .any(|f| members(f.value, buf).any(|p| is_upgrade(p.of(buf))))
}

/// Whether a member of Upgrade is a protocol (name, perhaps a version: RFC 9110 §7.8) that we may
/// tunnel: clear-text HTTP/2 never is, whatever version it is said to have.
pub(crate) fn is_upgrade(protocol: &[u8]) -> bool {
    let mut parts = protocol.split(|&b| b == b'/');
    let name = parts.next().unwrap_or_default();
    let is_part = |part: &[u8]| !part.is_empty() && part.iter().all(|&b| is_token(b));
    is_part(name)
        && !name.eq_ignore_ascii_case(b"h2c")
        && parts.next().is_none_or(is_part)
        && parts.next().is_none()
}

#[derive(PartialEq, Eq)]
pub(crate) enum Repeats {
    Refused,
    IfEqual,
}

/// What the framing fields say, for a message that has at least one.
fn declared(
    fields: &Fields,
    version: Version,
    repeats: Repeats,
    buf: &[u8],
) -> Result<Option<BodyLength>, Malformed> {
    let length = content_length(fields, repeats, buf)?;
    if !fields.has(Name::TransferEncoding) {
        return Ok(length.map(BodyLength::Exact));
    }
    if length.is_some() {
        return Err(Malformed::LengthAndTransferEncoding);
    }
    if version == Version::Http10 {
        return Err(Malformed::TransferEncodingOn10);
    }
    let mut codings = fields.all(Name::TransferEncoding).map(|f| f.value.of(buf));
    match (codings.next(), codings.next()) {
        (Some(coding), None) => transfer_coding(coding).map(Some),
        _ => Err(Malformed::TransferEncodingInvalid),
    }
}

/// Exactly `chunked`, in any case; no list, no parameter (SECURITY.md, TE.TE).
fn transfer_coding(coding: &[u8]) -> Result<BodyLength, Malformed> {
    if coding.eq_ignore_ascii_case(b"chunked") {
        Ok(BodyLength::Chunked)
    } else if !coding.is_empty() && coding.iter().all(|&b| is_token(b)) {
        Err(Malformed::TransferEncodingUnknown)
    } else {
        Err(Malformed::TransferEncodingInvalid)
    }
}

/// The value of Content-Length, if there is one.
pub(crate) fn content_length(
    fields: &Fields,
    repeats: Repeats,
    buf: &[u8],
) -> Result<Option<u64>, Malformed> {
    let mut first = None;
    for field in fields.all(Name::ContentLength) {
        let length = number(field.value.of(buf)).ok_or(Malformed::ContentLengthInvalid)?;
        match first {
            None => first = Some(length),
            Some(same) if repeats == Repeats::IfEqual && same == length => {}
            Some(_) => return Err(Malformed::ContentLengthTwice),
        }
    }
    Ok(first)
}

/// Digits and nothing else, within a `u64`.
fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0u64, |n, &b| {
        let digit = b.is_ascii_digit().then(|| u64::from(b - b'0'))?;
        n.checked_mul(10)?.checked_add(digit)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::h1::{Limits, RequestParser, ResponseParser};

    fn request(line: &str, fields: &str) -> (RequestParser, Vec<u8>) {
        let text = format!("{line}\r\nHost: h\r\n{fields}\r\n").into_bytes();
        let mut parser = RequestParser::new();
        parser.parse(&text, &Limits::default()).unwrap().unwrap();
        (parser, text)
    }

    fn of_request(fields: &str) -> Result<BodyLength, Malformed> {
        let (parser, buf) = request("POST / HTTP/1.1", fields);
        request_body(parser.head(), &buf)
    }

    fn response(status: &str, fields: &str) -> (ResponseParser, Vec<u8>) {
        let mut text = format!("{status}\r\n{fields}\r\n").into_bytes();
        let mut parser = ResponseParser::new();
        parser.parse(&mut text, &Limits::default()).unwrap().unwrap();
        (parser, text)
    }

    fn of_response(method: Method, status: &str, fields: &str) -> Result<BodyLength, Malformed> {
        let (parser, buf) = response(status, fields);
        response_body(method, parser.head(), &buf)
    }

    #[test]
    fn a_request_without_framing_fields_has_no_body() {
        assert_eq!(of_request(""), Ok(BodyLength::None));
        assert_eq!(of_request("Content-Length: 0\r\n"), Ok(BodyLength::Exact(0)));
        assert_eq!(of_request("Content-Length:  007 \r\n"), Ok(BodyLength::Exact(7)));
        let most = "Content-Length: 18446744073709551615\r\n";
        assert_eq!(of_request(most), Ok(BodyLength::Exact(u64::MAX)));
        assert_eq!(of_request("transfer-encoding: ChunkeD\r\n"), Ok(BodyLength::Chunked));
    }

    #[test]
    fn malformed_lengths_are_refused_in_requests_and_answers() {
        for bad in ["", "+5", "-5", "5,5", "5 5", "0x5", "5.0", "18446744073709551616", "5;", "٣"]
        {
            let fields = format!("Content-Length: {bad}\r\n");
            let offence = Err(Malformed::ContentLengthInvalid);
            assert_eq!(of_request(&fields), offence, "{bad}");
            assert_eq!(of_response(Method::Get, "HTTP/1.1 200 OK", &fields), offence, "{bad}");
            assert_eq!(of_response(Method::Head, "HTTP/1.1 200 OK", &fields), offence, "{bad}");
        }
    }

    #[test]
    fn a_second_length_is_refused_and_borne_from_servers_if_equal() {
        let equal = "Content-Length: 5\r\nContent-Length: 05\r\n";
        let other = "Content-Length: 5\r\nContent-Length: 6\r\n";
        let twice = Err(Malformed::ContentLengthTwice);
        assert_eq!(of_request(equal), twice);
        assert_eq!(of_response(Method::Get, "HTTP/1.1 200 OK", equal), Ok(BodyLength::Exact(5)));
        assert_eq!(of_response(Method::Get, "HTTP/1.1 200 OK", other), twice);
    }

    #[test]
    fn both_framing_fields_together_are_refused() {
        for fields in [
            "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
            "Transfer-Encoding: chunked\r\nContent-Length: 0\r\n",
            "Transfer-Encoding: x\r\nContent-Length: 5\r\n",
        ] {
            let offence = Err(Malformed::LengthAndTransferEncoding);
            assert_eq!(of_request(fields), offence);
            assert_eq!(of_response(Method::Get, "HTTP/1.1 200 OK", fields), offence);
        }
    }

    #[test]
    fn a_transfer_coding_is_chunked_once_or_refused() {
        for (value, offence) in [
            ("gzip", Malformed::TransferEncodingUnknown),
            ("identity", Malformed::TransferEncodingUnknown),
            ("xchunked", Malformed::TransferEncodingUnknown),
            ("", Malformed::TransferEncodingInvalid),
            ("gzip, chunked", Malformed::TransferEncodingInvalid),
            ("chunked, chunked", Malformed::TransferEncodingInvalid),
            ("chunked,", Malformed::TransferEncodingInvalid),
            ("chunked;q=1", Malformed::TransferEncodingInvalid),
            ("\"chunked\"", Malformed::TransferEncodingInvalid),
            ("chunked\u{a0}", Malformed::TransferEncodingInvalid),
            ("chunked x", Malformed::TransferEncodingInvalid),
            ("chunked\r\nTransfer-Encoding: chunked", Malformed::TransferEncodingInvalid),
        ] {
            let fields = format!("Transfer-Encoding: {value}\r\n");
            assert_eq!(of_request(&fields), Err(offence), "{value}");
            assert_eq!(of_response(Method::Get, "HTTP/1.1 200 OK", &fields), Err(offence));
        }
        let (parser, buf) = request("POST / HTTP/1.0", "Transfer-Encoding: chunked\r\n");
        let offence = Err(Malformed::TransferEncodingOn10);
        assert_eq!(request_body(parser.head(), &buf), offence);
        let fields = "Transfer-Encoding: chunked\r\n";
        assert_eq!(of_response(Method::Get, "HTTP/1.0 200 OK", fields), offence);
    }

    #[test]
    fn an_answer_without_a_length_goes_until_the_connection_closes() {
        let ok = "HTTP/1.1 200 OK";
        assert_eq!(of_response(Method::Get, ok, ""), Ok(BodyLength::UntilClose));
        assert_eq!(of_response(Method::Head, ok, ""), Ok(BodyLength::None));
        assert_eq!(of_response(Method::Head, ok, "Content-Length: 9\r\n"), Ok(BodyLength::None));
    }

    #[test]
    fn bodiless_statuses_have_no_body_and_close_if_they_declare_one() {
        for status in ["204 No Content", "304 Not Modified"] {
            let line = format!("HTTP/1.1 {status}");
            for fields in ["Content-Length: 5\r\n", "Transfer-Encoding: chunked\r\n", ""] {
                assert_eq!(of_response(Method::Get, &line, fields), Ok(BodyLength::None));
                let (parser, _) = response(&line, fields);
                assert_eq!(reusable(parser.head(), BodyLength::None), fields.is_empty());
            }
        }
    }

    #[test]
    fn an_interim_answer_declares_no_body() {
        for status in ["100 Continue", "103 x", "199 x"] {
            let of = |fields| of_response(Method::Get, &format!("HTTP/1.1 {status}"), fields);
            assert_eq!(of(""), Ok(BodyLength::None));
            assert_eq!(of("Content-Length: 0\r\n"), Ok(BodyLength::None));
            assert_eq!(of("Content-Length: 5\r\n"), Err(Malformed::InterimBody));
            assert_eq!(of("Transfer-Encoding: chunked\r\n"), Err(Malformed::InterimBody));
            assert_eq!(of("Content-Length: x\r\n"), Err(Malformed::ContentLengthInvalid));
        }
    }

    #[test]
    fn a_101_says_what_it_switches_to_and_that_is_not_h2c() {
        let of = |fields: &str| of_response(Method::Get, "HTTP/1.1 101 x", fields);
        assert_eq!(of("Upgrade: websocket\r\n"), Ok(BodyLength::None));
        assert_eq!(of("Upgrade: TLS/1.0, websocket\r\n"), Ok(BodyLength::None));
        for fields in ["", "Upgrade: h2c\r\n", "Upgrade: websocket, H2C\r\n", "Upgrade: a b\r\n"] {
            assert_eq!(of(fields), Err(Malformed::SwitchUnasked), "{fields}");
        }
        assert_eq!(of("Upgrade:\r\n"), Err(Malformed::SwitchUnasked));
        let body = of("Upgrade: websocket\r\nContent-Length: 1\r\n");
        assert_eq!(body, Err(Malformed::InterimBody));
    }

    #[test]
    fn a_connection_is_reused_only_where_nothing_is_in_doubt() {
        let reusable = |line: &str, fields: &str, body| {
            let (parser, _) = response(line, fields);
            super::reusable(parser.head(), body)
        };
        let (ok, exact) = ("HTTP/1.1 200 OK", BodyLength::Exact(1));
        assert!(reusable(ok, "", exact));
        assert!(!reusable(ok, "Connection: close\r\n", exact));
        assert!(!reusable("HTTP/1.0 200 OK", "", exact));
        assert!(reusable("HTTP/1.0 200 OK", "Connection: keep-alive\r\n", exact));
        assert!(!reusable(ok, "", BodyLength::UntilClose));
        assert!(!reusable("HTTP/1.1 101 x", "", BodyLength::None));
    }

    #[test]
    fn only_100_continue_is_expected_and_only_with_a_body_on_1_1() {
        let expects = |line: &str, value: &str, body| {
            let (parser, buf) = request(line, &format!("Expect: {value}\r\n"));
            expects_continue(parser.head(), body, &buf)
        };
        let (post, body) = ("POST / HTTP/1.1", BodyLength::Exact(1));
        assert_eq!(expects(post, "100-Continue", body), Ok(true));
        assert_eq!(expects(post, "100-continue", BodyLength::Exact(0)), Ok(false));
        assert_eq!(expects("POST / HTTP/1.0", "100-continue", body), Ok(false));
        assert_eq!(expects("POST / HTTP/1.0", "x", body), Ok(false));
        for other in ["x", "", "100-continue, x", "100-continue;a", "100-continue\r\nExpect: x"] {
            assert_eq!(expects(post, other, body), Err(Malformed::ExpectUnknown), "{other}");
        }
    }

    #[test]
    fn an_upgrade_needs_its_option_a_protocol_and_no_body() {
        let wants = |line: &str, fields: &str, body| {
            let (parser, buf) = request(line, fields);
            wants_upgrade(parser.head(), body, &buf)
        };
        let (get, none) = ("GET / HTTP/1.1", BodyLength::None);
        let both = "Connection: Upgrade\r\nUpgrade: websocket\r\n";
        assert!(wants(get, both, none));
        assert!(wants(get, "Connection: upgrade\r\nUpgrade: h2c, websocket\r\n", none));
        assert!(!wants(get, both, BodyLength::Exact(1)));
        assert!(!wants("GET / HTTP/1.0", both, none));
        assert!(!wants(get, "Upgrade: websocket\r\n", none));
        assert!(!wants(get, "Connection: Upgrade\r\n", none));
        for protocol in ["H2C", "h2c/1.0", "", "a b", "\"websocket\""] {
            let fields = format!("Connection: upgrade\r\nUpgrade: {protocol}\r\n");
            assert!(!wants(get, &fields, none), "{protocol}");
        }
    }
}

//! Decides how long a body is and whether a connection can carry another message: the only place
//! that does.
//!
//! Rules kept here (RFC 9112 §6, SECURITY.md's smuggling table):
//! - Content-Length and Transfer-Encoding together, either of them twice or malformed: an offence,
//!   never a guess. An answer may repeat an equal Content-Length; one of them is forwarded.
//! - HEAD's answers, 1xx, 204 and 304 have no body whatever their fields say.
//! - Doubt closes: what is not clearly reusable is not reused.
//!
//! Not known here: bodies' bytes (`body`), limits on their size.

use crate::Malformed;
use crate::bytes::is_token;
use crate::h1::field::{Connection, FRAMING, Fields, Name, members};
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
        && head.fields.all(Name::Upgrade).any(|f| members(f.value, buf).any(|p| !is_h2c(p.of(buf))))
}

/// Whether a member of Upgrade is the clear-text HTTP/2 we never tunnel.
pub(crate) fn is_h2c(protocol: &[u8]) -> bool {
    protocol.eq_ignore_ascii_case(b"h2c")
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

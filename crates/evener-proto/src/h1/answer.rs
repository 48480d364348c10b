//! Writes heads of our own: status line, fields, end.
//!
//! Rules kept here: a name is a token and a value has no control byte, or nothing is written: no
//! expansion of a template can split an answer (CONFIG.md). Known statuses have the reason phrase
//! of RFC 9110 §15 or their own RFC, others none.

use crate::Malformed;
use crate::bytes::{check_value, is_token};

/// Begins an HTTP/1.1 answer in `out`.
pub fn status_line(status: u16, out: &mut Vec<u8>) {
    status_line_with(status, b"", out);
}

/// As `status_line`, with a checked reason of somebody else's where there is one.
pub(crate) fn status_line_with(status: u16, given: &[u8], out: &mut Vec<u8>) {
    let reason = if given.is_empty() { reason(status).as_bytes() } else { given };
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(itoa::Buffer::new().format(status).as_bytes());
    out.push(b' ');
    out.extend_from_slice(reason);
    out.extend_from_slice(b"\r\n");
}

/// Adds a field.
///
/// # Errors
/// `UnsafeValue`, and `out` is as it was.
pub fn field(name: &[u8], value: &[u8], out: &mut Vec<u8>) -> Result<(), Malformed> {
    if name.is_empty() || !name.iter().all(|&b| is_token(b)) || check_value(value).is_err() {
        return Err(Malformed::UnsafeValue);
    }
    for part in [name, b": ", value, b"\r\n"] {
        out.extend_from_slice(part);
    }
    Ok(())
}

/// Adds `Content-Length`.
pub fn content_length(len: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(b"Content-Length: ");
    out.extend_from_slice(itoa::Buffer::new().format(len).as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// Ends the head.
pub fn end(out: &mut Vec<u8>) {
    out.extend_from_slice(b"\r\n");
}

/// The reason phrase of a status, empty for one that nobody registered.
pub fn reason(status: u16) -> &'static str {
    match status {
        100 => "Continue",
        101 => "Switching Protocols",
        102 => "Processing",
        103 => "Early Hints",
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        203 => "Non-Authoritative Information",
        204 => "No Content",
        205 => "Reset Content",
        206 => "Partial Content",
        207 => "Multi-Status",
        208 => "Already Reported",
        226 => "IM Used",
        300 => "Multiple Choices",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        304 => "Not Modified",
        305 => "Use Proxy",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400..=499 => client_error(status),
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        506 => "Variant Also Negotiates",
        507 => "Insufficient Storage",
        508 => "Loop Detected",
        511 => "Network Authentication Required",
        _ => "",
    }
}

fn client_error(status: u16) -> &'static str {
    match status {
        400 => "Bad Request",
        401 => "Unauthorized",
        402 => "Payment Required",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        407 => "Proxy Authentication Required",
        408 => "Request Timeout",
        409 => "Conflict",
        410 => "Gone",
        411 => "Length Required",
        412 => "Precondition Failed",
        413 => "Content Too Large",
        414 => "URI Too Long",
        415 => "Unsupported Media Type",
        416 => "Range Not Satisfiable",
        417 => "Expectation Failed",
        421 => "Misdirected Request",
        422 => "Unprocessable Content",
        423 => "Locked",
        424 => "Failed Dependency",
        425 => "Too Early",
        426 => "Upgrade Required",
        428 => "Precondition Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        451 => "Unavailable For Legal Reasons",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::h1::{Limits, ResponseParser};

    #[test]
    fn what_we_write_is_read_as_written() {
        let mut out = Vec::new();
        status_line(503, &mut out);
        field(b"Retry-After", b"2", &mut out).unwrap();
        content_length(1234, &mut out);
        end(&mut out);
        assert_eq!(
            out,
            b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 2\r\nContent-Length: 1234\r\n\r\n"
        );
        let out_len = out.len();
        let mut parser = ResponseParser::new();
        assert_eq!(parser.parse(&mut out, &Limits::default()), Ok(Some(out_len)));
    }

    #[test]
    fn a_value_can_not_split_an_answer() {
        let mut out = Vec::new();
        for (name, value) in [
            (&b"X"[..], &b"a\r\nSet-Cookie: b"[..]),
            (b"X", b"a\nb"),
            (b"X", b"a\0b"),
            (b"X: y", b"a"),
            (b"", b"a"),
        ] {
            assert_eq!(field(name, value, &mut out), Err(Malformed::UnsafeValue));
        }
        assert!(out.is_empty());
    }
}

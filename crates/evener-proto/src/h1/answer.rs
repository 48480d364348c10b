//! Writes heads of our own: status line, fields, end.
//!
//! Rules kept here: a name is a token and a value has no control byte, or nothing is written: no
//! expansion of a template can split an answer (CONFIG.md). Known statuses have the reason phrase
//! of RFC 9110 §15 or their own RFC, others none.

use crate::Malformed;
use crate::bytes::{check_value, is_token};
use crate::h1::Version;

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

/// Adds `Via` for a message that came in `received` and goes through us under the name `by`
/// (RFC 9110 §7.6.3). A line behind those that are there is the next member of their list.
///
/// # Errors
/// `UnsafeValue` for a name that is no token, and `out` is as it was.
pub fn via(received: Version, by: &[u8], out: &mut Vec<u8>) -> Result<(), Malformed> {
    if by.is_empty() || !by.iter().all(|&b| is_token(b)) {
        return Err(Malformed::UnsafeValue);
    }
    let version: &[u8] = if received == Version::Http10 { b"1.0 " } else { b"1.1 " };
    for part in [b"Via: ", version, by, b"\r\n"] {
        out.extend_from_slice(part);
    }
    Ok(())
}

/// Adds `Date` (RFC 9110 §6.6.1) for so many seconds since 1970, for answers of our own and for a
/// server's that has none. Years beyond 9999 are written as the last second of that year.
pub fn date(seconds: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(b"Date: ");
    out.extend_from_slice(&imf_fixdate(seconds));
    out.extend_from_slice(b"\r\n");
}

/// `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110 §5.6.7).
pub fn imf_fixdate(seconds: u64) -> [u8; 29] {
    const LAST: u64 = 253_402_300_799;
    let seconds = seconds.min(LAST);
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = civil(days);
    let mut out = *b"Thu, 01 Jan 1970 00:00:00 GMT";
    let name = |names: &'static [u8], n: u64| names.chunks(3).nth(n as usize).unwrap_or_default();
    let mut put = |at: usize, text: &[u8]| {
        if let Some(slot) = out.get_mut(at..at + text.len()) {
            slot.copy_from_slice(text);
        }
    };
    put(0, name(b"ThuFriSatSunMonTueWed", days % 7));
    put(5, &two(day));
    put(8, name(b"JanFebMarAprMayJunJulAugSepOctNovDec", month - 1));
    put(12, &two(year / 100));
    put(14, &two(year % 100));
    put(17, &two(second / 3600));
    put(20, &two(second / 60 % 60));
    put(23, &two(second % 60));
    out
}

fn two(n: u64) -> [u8; 2] {
    [b'0' + (n / 10 % 10) as u8, b'0' + (n % 10) as u8]
}

/// Year, month and day of the month that many days after 1 January 1970. Years are counted from
/// March, so that a leap day is a year's last, and 400 of them have 146,097 days.
fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let from_march = (5 * day + 2) / 153;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = 400 * era + year + u64::from(month <= 2);
    (year, month, day - (153 * from_march + 2) / 5 + 1)
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
    fn dates_are_those_of_the_calendar() {
        for (seconds, text) in [
            (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
            (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
            (951_782_399, "Mon, 28 Feb 2000 23:59:59 GMT"),
            (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"),
            (1_709_251_199, "Thu, 29 Feb 2024 23:59:59 GMT"),
            (4_107_542_400, "Mon, 01 Mar 2100 00:00:00 GMT"),
            (253_402_300_799, "Fri, 31 Dec 9999 23:59:59 GMT"),
            (u64::MAX, "Fri, 31 Dec 9999 23:59:59 GMT"),
        ] {
            assert_eq!(imf_fixdate(seconds).escape_ascii().to_string(), text);
        }
        let mut out = Vec::new();
        date(0, &mut out);
        assert_eq!(out, b"Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n");
    }

    #[test]
    fn each_day_follows_the_day_before() {
        let lengths = |leap| [31, 28 + u64::from(leap), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
        let mut days = 0;
        for year in 1970..2500u64 {
            let leap =
                year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
            for (month, length) in (1..).zip(lengths(leap)) {
                for day in 1..=length {
                    assert_eq!(civil(days), (year, month, day));
                    days += 1;
                }
            }
        }
    }

    #[test]
    fn via_names_the_version_that_came_in() {
        let mut out = Vec::new();
        via(Version::Http11, b"evener", &mut out).unwrap();
        via(Version::Http10, b"x", &mut out).unwrap();
        assert_eq!(out, b"Via: 1.1 evener\r\nVia: 1.0 x\r\n");
        for bad in [&b""[..], b"a b", b"a\r\nb", b"a,b"] {
            assert_eq!(via(Version::Http11, bad, &mut Vec::new()), Err(Malformed::UnsafeValue));
        }
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

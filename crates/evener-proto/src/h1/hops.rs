//! How far a request may still go: `Max-Forwards` (RFC 9110 §7.6.2).
//!
//! Rules kept here: it means something for OPTIONS alone, since TRACE is refused; a value that is
//! no number is an offence; a request that may go no further is answered by us.

use crate::Malformed;
use crate::h1::name::Name;
use crate::h1::{Method, RequestHead};

/// How far a request may still go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hops {
    /// Nothing limits it.
    Free,
    /// It ends here: whoever forwards answers it as its recipient, with 200 and no body.
    Last,
    /// It goes on with this many hops left.
    Left(u8),
}

/// The most hops that we pass on, by the leave of the RFC ("maximum supported value"): no chain of
/// proxies is longer, and two digits need no storage.
const MOST: u8 = 99;

/// How far the request of `head` may still go.
///
/// # Errors
/// `MaxForwardsInvalid`.
#[inline]
pub fn hops(head: &RequestHead, buf: &[u8]) -> Result<Hops, Malformed> {
    if head.method != Method::Options || !head.fields.has(Name::MaxForwards) {
        return Ok(Hops::Free);
    }
    limited(head, buf)
}

#[cold]
fn limited(head: &RequestHead, buf: &[u8]) -> Result<Hops, Malformed> {
    let value = head.fields.value(Name::MaxForwards, buf).unwrap_or_default();
    let digits = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
    if !digits || head.fields.repeats(Name::MaxForwards) {
        return Err(Malformed::MaxForwardsInvalid);
    }
    let add = |n: u32, d: &u8| n.saturating_mul(10).saturating_add(u32::from(d - b'0'));
    Ok(match value.iter().fold(0, add) {
        0 => Hops::Last,
        n => Hops::Left(u8::try_from(n - 1).unwrap_or(MOST).min(MOST)),
    })
}

/// The digits of what is left, in pieces that need no storage.
pub(crate) fn digits(left: u8) -> [&'static [u8]; 2] {
    const DIGITS: &[u8; 10] = b"0123456789";
    let digit = |d: u8| DIGITS.get(usize::from(d)..=usize::from(d)).unwrap_or_default();
    let tens = left / 10;
    [if tens == 0 { b"" } else { digit(tens) }, digit(left % 10)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::h1::{Limits, RequestParser};

    fn of(line: &str, fields: &str) -> Result<Hops, Malformed> {
        let text = format!("{line} HTTP/1.1\r\nHost: h\r\n{fields}\r\n").into_bytes();
        let mut parser = RequestParser::new();
        parser.parse(&text, &Limits::default()).unwrap().unwrap();
        hops(parser.head(), &text)
    }

    #[test]
    fn options_go_one_hop_less_far_and_end_at_none() {
        assert_eq!(of("OPTIONS *", ""), Ok(Hops::Free));
        assert_eq!(of("OPTIONS *", "Max-Forwards: 0\r\n"), Ok(Hops::Last));
        assert_eq!(of("OPTIONS /", "max-forwards: 1\r\n"), Ok(Hops::Left(0)));
        assert_eq!(of("OPTIONS /", "Max-Forwards: 070\r\n"), Ok(Hops::Left(69)));
        for many in ["1000", "256", "18446744073709551616"] {
            assert_eq!(of("OPTIONS /", &format!("Max-Forwards: {many}\r\n")), Ok(Hops::Left(99)));
        }
    }

    #[test]
    fn other_methods_know_no_hops() {
        assert_eq!(of("GET /", "Max-Forwards: 0\r\n"), Ok(Hops::Free));
        assert_eq!(of("GET /", "Max-Forwards: x\r\n"), Ok(Hops::Free));
    }

    #[test]
    fn what_is_no_number_is_an_offence() {
        for bad in ["", "-1", "+1", "1,1", "1 1", "x", "1\r\nMax-Forwards: 1"] {
            let fields = format!("Max-Forwards: {bad}\r\n");
            assert_eq!(of("OPTIONS /", &fields), Err(Malformed::MaxForwardsInvalid), "{bad}");
        }
    }

    #[test]
    fn what_is_left_is_written_without_leading_zeros() {
        for (left, text) in [(0, "0"), (9, "9"), (10, "10"), (99, "99")] {
            assert_eq!(digits(left).concat(), text.as_bytes());
        }
    }
}

//! What a route does to the fields of a head: sets, adds, removes (CONFIG.md, `request_headers`
//! and `response_headers`).
//!
//! Rules kept here:
//! - Nothing is rebuilt: names that are set or removed are cut from the head as it is forwarded
//!   (`forward`), what is set or added goes behind it.
//! - What frames a message, belongs to a connection or names the host is not edited; a name is a
//!   token. Both are told when the plan is built.
//! - A value is checked where it was expanded: a byte that could end the line takes all of the
//!   edits back, and the request is a 500.
//!
//! Not known here: templates and words; values are of any type, the caller expands them.

use crate::Malformed;
use crate::bytes::{check_value, token, trim};
use crate::h1::forward::alike;
use crate::h1::name::{FRAMING, HOP_BY_HOP, Name, Names, classify};

/// Fields whose meaning is ours to keep.
const FIXED: Names = FRAMING.with(HOP_BY_HOP).with(Names::of(&[
    Name::Host,
    Name::Expect,
    Name::MaxForwards,
    Name::Proxy,
    Name::Http2Settings,
    Name::Lookalike,
]));

/// Names to be cut, in any case and with any marks for `-`.
#[derive(Debug, Clone, Default)]
pub struct CutNames {
    list: Vec<Box<[u8]>>,
    /// A bit per length that occurs, modulo 64: most fields need no compare.
    lengths: u64,
}

impl CutNames {
    /// Whether a field of that name is cut.
    #[inline]
    pub fn has(&self, name: &[u8]) -> bool {
        self.lengths & length_bit(name) != 0 && self.list.iter().any(|own| alike(own, name))
    }

    fn add(&mut self, name: &[u8]) {
        if !self.has(name) {
            self.lengths |= length_bit(name);
            self.list.push(name.into());
        }
    }
}

fn length_bit(name: &[u8]) -> u64 {
    1 << (name.len() % 64)
}

/// The edits of one route in one direction. `V` is what a value is expanded from.
#[derive(Debug, Clone)]
pub struct Edits<V> {
    cut: CutNames,
    /// Name with its colon and space, and the value to be.
    lines: Vec<(Box<[u8]>, V)>,
}

impl<V> Default for Edits<V> {
    fn default() -> Self {
        Edits { cut: CutNames::default(), lines: Vec::new() }
    }
}

impl<V> Edits<V> {
    /// No edits.
    pub fn new() -> Self {
        Edits::default()
    }

    /// The field has this value, whatever was sent.
    ///
    /// # Errors
    /// `UnsafeValue` for a name that is no token, `FieldFixed` for one that is not edited.
    pub fn set(&mut self, name: &[u8], value: V) -> Result<(), Malformed> {
        self.add(name, value)?;
        self.cut.add(name);
        Ok(())
    }

    /// A line of this name and value is added to those sent.
    ///
    /// # Errors
    /// As `set`.
    pub fn add(&mut self, name: &[u8], value: V) -> Result<(), Malformed> {
        check_name(name)?;
        self.lines.push(([name, b": "].concat().into(), value));
        Ok(())
    }

    /// No field of this name goes on.
    ///
    /// # Errors
    /// As `set`.
    pub fn remove(&mut self, name: &[u8]) -> Result<(), Malformed> {
        check_name(name)?;
        self.cut.add(name);
        Ok(())
    }

    /// What is cut from the head, for the policies of `forward`; `None`: nothing.
    pub fn cut(&self) -> Option<&CutNames> {
        (!self.cut.list.is_empty()).then_some(&self.cut)
    }

    /// Whether the fields of that name are the route's alone: nobody else adds one.
    pub fn replaces(&self, name: &[u8]) -> bool {
        self.cut.has(name)
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.cut.list.is_empty() && self.lines.is_empty()
    }

    /// Adds the lines that were set and added to `out`, in that order; `expand` appends a value. A
    /// value that is empty or blank is a field without a value.
    ///
    /// # Errors
    /// `UnsafeValue` for a value with a control byte, and `out` is as it was.
    #[inline]
    pub fn write(
        &self,
        out: &mut Vec<u8>,
        mut expand: impl FnMut(&V, &mut Vec<u8>),
    ) -> Result<(), Malformed> {
        let before = out.len();
        for (name, value) in &self.lines {
            out.extend_from_slice(name);
            let start = out.len();
            expand(value, out);
            if let Err(what) = settle(out, start) {
                out.truncate(before);
                return Err(what);
            }
            out.extend_from_slice(b"\r\n");
        }
        Ok(())
    }

    /// The same, name and value apart, for protocols that write fields their own way.
    ///
    /// # Errors
    /// `UnsafeValue`, as `write`; lines before the bad one have been given.
    pub fn each(
        &self,
        mut expand: impl FnMut(&V, &mut Vec<u8>),
        mut take: impl FnMut(&[u8], Vec<u8>),
    ) -> Result<(), Malformed> {
        for (name, value) in &self.lines {
            let mut text = Vec::new();
            expand(value, &mut text);
            settle(&mut text, 0)?;
            take(name.strip_suffix(b": ").unwrap_or(name), text);
        }
        Ok(())
    }
}

/// Judges the value at `start` and takes the blanks around it away.
#[inline]
fn settle(out: &mut Vec<u8>, start: usize) -> Result<(), Malformed> {
    let written = out.get(start..).unwrap_or_default();
    check_value(written).map_err(|_| Malformed::UnsafeValue)?;
    if trim(written).1.len() < written.len() {
        unblank(out, start);
    }
    Ok(())
}

/// Takes the blanks around the value at `start` away: they are no part of it.
#[cold]
fn unblank(out: &mut Vec<u8>, start: usize) {
    let (blanks, value) = trim(out.get(start..).unwrap_or_default());
    let len = value.len();
    out.drain(start..start + blanks);
    out.truncate(start + len);
}

/// Whether a route may edit fields of that name.
///
/// # Errors
/// `UnsafeValue`, `FieldFixed`.
pub fn check_name(name: &[u8]) -> Result<(), Malformed> {
    let (len, plain) = token(name);
    if name.is_empty() || len != name.len() {
        return Err(Malformed::UnsafeValue);
    }
    match FIXED.has(classify(name, plain)) {
        true => Err(Malformed::FieldFixed),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::h1::forward::{RequestPolicy, ResponsePolicy, request_segments, response_segments};
    use crate::h1::{Limits, RequestParser, ResponseParser, Segments};

    fn edits() -> Edits<&'static str> {
        let mut edits = Edits::new();
        edits.set(b"X-User", "{user}").unwrap();
        edits.add(b"X-Trace", "a").unwrap();
        edits.remove(b"Cookie").unwrap();
        edits
    }

    fn expand(value: &&str, out: &mut Vec<u8>) {
        out.extend_from_slice(value.replace("{user}", "bob").as_bytes());
    }

    #[test]
    fn what_is_set_or_removed_is_cut_and_what_is_set_or_added_follows() {
        let edits = edits();
        let text = b"GET / HTTP/1.1\r\nHost: h\r\nX-User: eve\r\nA: b\r\nx_user: eve\r\n\
                     X-Trace: 0\r\nCOOKIE: c\r\nX-Users: u\r\n\r\n";
        let mut parser = RequestParser::new();
        parser.parse(text, &Limits::default()).unwrap().unwrap();
        let policy = RequestPolicy { edited: edits.cut(), ..Default::default() };
        let mut segments = Segments::new();
        request_segments(parser.head(), text, &policy, &mut segments).unwrap();
        let mut out = segments.slices(text).collect::<Vec<_>>().concat();
        edits.write(&mut out, expand).unwrap();
        assert_eq!(
            out.escape_ascii().to_string(),
            b"GET / HTTP/1.1\r\nHost: h\r\nA: b\r\nX-Trace: 0\r\nX-Users: u\r\n\
              X-User: bob\r\nX-Trace: a\r\n"
                .escape_ascii()
                .to_string()
        );
    }

    #[test]
    fn answers_are_edited_likewise() {
        let mut text = b"HTTP/1.1 200 OK\r\nX-User: 1\r\nSet-Cookie: a\r\n\r\n".to_vec();
        let mut parser = ResponseParser::new();
        parser.parse(&mut text, &Limits::default()).unwrap().unwrap();
        let edits = edits();
        let policy = ResponsePolicy { edited: edits.cut(), ..Default::default() };
        let mut segments = Segments::new();
        response_segments(parser.head(), &text, &policy, &mut segments);
        let out = segments.slices(&text).collect::<Vec<_>>().concat();
        assert_eq!(out, b"HTTP/1.1 200 OK\r\nSet-Cookie: a\r\n");
    }

    #[test]
    fn a_value_that_could_end_its_line_takes_all_edits_back() {
        let edits = edits();
        for bad in ["a\r\nX: y", "a\nb", "a\rb", "a\0b", "\n", "a\x7fb"] {
            let mut out = b"before\r\n".to_vec();
            let result = edits.write(&mut out, |_, out| out.extend_from_slice(bad.as_bytes()));
            assert_eq!(result, Err(Malformed::UnsafeValue), "{bad:?}");
            assert_eq!(out, b"before\r\n");
        }
        let mut out = Vec::new();
        edits.write(&mut out, |_, out| out.extend_from_slice(b" \ta b\xff ")).unwrap();
        assert_eq!(out, b"X-User: a b\xff\r\nX-Trace: a b\xff\r\n");
        out.clear();
        edits.write(&mut out, |_, out| out.push(b' ')).unwrap();
        assert_eq!(out, b"X-User: \r\nX-Trace: \r\n");
    }

    #[test]
    fn framing_connection_and_host_are_not_edited_in_any_spelling() {
        for name in [
            "Content-Length",
            "transfer-encoding",
            "Content_Length",
            "Transfer.Encoding",
            "Connection",
            "Keep-Alive",
            "Proxy-Connection",
            "TE",
            "Trailer",
            "Upgrade",
            "Host",
            "Expect",
            "Max-Forwards",
            "Proxy",
            "HTTP2-Settings",
            "X_Forwarded_For",
        ] {
            let mut edits = Edits::new();
            let fixed = Err(Malformed::FieldFixed);
            assert_eq!(edits.set(name.as_bytes(), ""), fixed, "{name}");
            assert_eq!(edits.add(name.as_bytes(), ""), fixed);
            assert_eq!(edits.remove(name.as_bytes()), fixed);
            assert!(edits.is_empty());
        }
        for name in ["", "a b", "a:", "a\r\nb", "\u{e4}", "a\0"] {
            assert_eq!(check_name(name.as_bytes()), Err(Malformed::UnsafeValue), "{name:?}");
        }
    }

    #[test]
    fn what_may_be_edited_is_what_the_configuration_lets_through() {
        let names = include_str!("../../../../tests/golden/fixed_fields.txt");
        for line in names.lines().filter(|line| !line.starts_with('#')) {
            let (verdict, name) = line.split_once(' ').unwrap();
            assert_eq!(check_name(name.as_bytes()).is_ok(), verdict == "free", "{name}");
        }
    }

    #[test]
    fn lines_are_given_apart_to_who_writes_them_another_way() {
        let mut given = Vec::new();
        let mut take = |name: &[u8], value: Vec<u8>| given.push((name.to_vec(), value));
        edits().each(expand, &mut take).unwrap();
        let wanted = [(&b"X-User"[..], &b"bob"[..]), (b"X-Trace", b"a")];
        assert_eq!(given, wanted.map(|(name, value)| (name.to_vec(), value.to_vec())));
        let unsafe_ = edits().each(|_, out| out.extend_from_slice(b"a\r\nb"), |_, _| panic!());
        assert_eq!(unsafe_, Err(Malformed::UnsafeValue));
    }

    #[test]
    fn who_else_adds_fields_asks_whose_they_are() {
        let edits = edits();
        assert!(edits.replaces(b"x-user") && edits.replaces(b"Cookie"));
        assert!(!edits.replaces(b"X-Trace"), "added to what there is");
        assert!(Edits::<()>::new().cut().is_none());
    }

    #[test]
    fn a_name_is_cut_however_many_there_are() {
        let mut names = CutNames::default();
        let long = |n: usize| vec![b'a'; n];
        (1..=130).for_each(|n| names.add(&long(n)));
        assert!((1..=130).all(|n| names.has(&long(n))) && !names.has(&long(131)));
        names.add(&long(130));
        assert_eq!(names.list.len(), 130);
    }
}

//! Reads the head of a request where it lies, as its bytes arrive.
//!
//! Rules kept here:
//! - RFC 9112 §3 and SECURITY.md: a line is judged as soon as it is complete, so that the offence
//!   does not depend on how the bytes were split.
//! - The host a request is for is settled here, once: an absolute target's authority, else `Host`.
//! - CONNECT and TRACE are refused, `*` belongs to OPTIONS, a fragment to nobody.
//!
//! Not known here: the body's length (`framing`), what goes on (`forward`).

use crate::bytes::{control_offence, is_before_query, is_blank, is_target, is_token};
use crate::h1::field::Fields;
use crate::h1::host::Authority;
use crate::h1::lines::{Ending, Limits, Line, Lines};
use crate::h1::name::Name;
use crate::h1::{Version, Violations, framing};
use crate::{Malformed, Span};

/// Methods that a proxy treats differently from others. Names are case-sensitive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[allow(missing_docs, reason = "each is the method of that name")]
pub enum Method {
    Get,
    Head,
    Post,
    Put,
    Delete,
    Options,
    Patch,
    /// Any other token of at most 32 bytes.
    #[default]
    Other,
}

impl Method {
    /// Whether repeating it does no harm (RFC 9110 §9.2.2). Of an unknown method nothing is known.
    pub fn is_idempotent(self) -> bool {
        !matches!(self, Method::Post | Method::Patch | Method::Other)
    }
}

/// How a target is written (RFC 9112 §3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Form {
    /// `/path?query`
    #[default]
    Origin,
    /// `http://host/path?query`
    Absolute,
    /// `*`, for OPTIONS
    Asterisk,
}

/// A complete request head: places in the buffer it was read from.
#[derive(Debug, Clone, Default)]
pub struct RequestHead {
    /// The method, for decisions.
    pub method: Method,
    /// The method as sent, for logs.
    pub method_text: Span,
    /// The whole target as sent.
    pub target: Span,
    /// How the target is written.
    pub form: Form,
    /// The target's path. Empty for `*` and for an absolute target without one (it means `/`).
    pub path: Span,
    /// The target's query without its `?`.
    pub query: Option<Span>,
    /// Version spoken by the client.
    pub version: Version,
    /// Whom the request is for. Empty `text`: HTTP/1.0 and no host named.
    pub authority: Authority,
    /// The field lines.
    pub fields: Fields,
    /// The request line with its CRLF; what stood before it was an empty line.
    pub line: Span,
    /// Where the field lines end: the place of the head's last CRLF.
    pub fields_end: u32,
    /// Length of the head in the buffer, a skipped empty line and the last CRLF included.
    pub len: usize,
}

impl RequestHead {
    /// Whether the client would send another request on this connection (RFC 9112 §9.3).
    pub fn keep_alive(&self) -> bool {
        framing::keep_alive(self.version, self.fields.connection())
    }

    /// Whether it is about the whole server: `OPTIONS *`, and `OPTIONS http://host`, which is the
    /// same (RFC 9112 §3.2.4).
    #[inline]
    pub fn is_of_server(&self) -> bool {
        match self.form {
            Form::Origin => false,
            Form::Asterisk => true,
            Form::Absolute => {
                self.method == Method::Options && self.path.is_empty() && self.query.is_none()
            }
        }
    }

    fn clear(&mut self) {
        let mut fields = std::mem::take(&mut self.fields);
        fields.clear();
        *self = RequestHead { fields, ..RequestHead::default() };
    }
}

/// Reads request heads; keeps its storage from one to the next.
#[derive(Debug, Default)]
pub struct RequestParser {
    head: RequestHead,
    lines: Lines,
    skipped: bool,
}

impl RequestParser {
    /// A parser for one connection, or for a pool of them.
    pub fn new() -> Self {
        RequestParser::default()
    }

    /// The head read last; meaningful after `parse` gave its length.
    pub fn head(&self) -> &RequestHead {
        &self.head
    }

    /// Forgets the head and starts at offset 0 of the next buffer. Allocates and frees nothing.
    pub fn clear(&mut self) {
        self.head.clear();
        self.lines.clear();
        self.skipped = false;
    }

    /// Reads on. `buf` begins with the message's first byte and has grown (or stayed) since the
    /// last call; it may have moved in memory. The head's length once it is complete, `None` while
    /// more bytes are needed. Call `clear` before the next message.
    ///
    /// # Errors
    /// The first offence, by line. The parser must be cleared.
    #[inline]
    pub fn parse(&mut self, buf: &[u8], limits: &Limits) -> Result<Option<usize>, Malformed> {
        while let Some(line) = self.next_line(buf, limits, Ending::Crlf)? {
            if self.head.line.is_empty() {
                self.opening(buf, line)?;
            } else if line.start < line.end {
                self.head.fields.push(buf, line, limits.max_fields)?;
            } else {
                return self.finish(buf, line).map(Some);
            }
            self.usual_fields(buf, limits);
        }
        Ok(None)
    }

    /// As `parse`, where violations are let in by name. Folded fields are unfolded in `buf`; what
    /// was let in, `head().fields.borne()` tells.
    ///
    /// # Errors
    /// As `parse`.
    pub fn parse_accepting(
        &mut self,
        buf: &mut [u8],
        limits: &Limits,
        accept: Violations,
    ) -> Result<Option<usize>, Malformed> {
        while let Some(line) = self.next_line(buf, limits, Ending::accepting(accept))? {
            let folds = buf.get(line.start).is_some_and(|&b| is_blank(b));
            if self.head.line.is_empty() {
                self.opening(buf, line)?;
            } else if line.start == line.end {
                return self.finish(buf, line).map(Some);
            } else if folds && accept.has(Violations::OBS_FOLD) {
                self.head.fields.unfold(buf, line)?;
            } else {
                self.head.fields.push_accepting(buf, line, limits.max_fields, accept)?;
            }
            self.usual_fields(buf, limits);
        }
        Ok(None)
    }

    #[inline]
    fn next_line(
        &mut self,
        buf: &[u8],
        limits: &Limits,
        ending: Ending,
    ) -> Result<Option<Line>, Malformed> {
        self.lines.next(buf, limits.max_head, ending).map_err(|offence| match offence {
            Malformed::HeadTooLarge if self.head.line.is_empty() => Malformed::TargetTooLong,
            other => other,
        })
    }

    #[inline]
    fn usual_fields(&mut self, buf: &[u8], limits: &Limits) {
        if !self.head.line.is_empty() {
            self.head.fields.read_usual(buf, &mut self.lines, limits);
        }
    }

    /// The request line, or an empty one before it.
    #[inline]
    fn opening(&mut self, buf: &[u8], line: Line) -> Result<(), Malformed> {
        if line.start < line.end {
            return self.request_line(buf, line);
        }
        if self.skipped {
            return Err(Malformed::EmptyLine);
        }
        self.skipped = true;
        Ok(())
    }

    #[inline]
    fn request_line(&mut self, buf: &[u8], line: Line) -> Result<(), Malformed> {
        let text = buf.get(line.start..line.end).unwrap_or_default();
        let method_len = text.iter().position(|&b| !is_token(b)).unwrap_or(text.len());
        let (method, rest) = text.split_at_checked(method_len).unwrap_or_default();
        let [b' ', rest @ ..] = rest else { return Err(method_offence(method, rest)) };
        if method.is_empty() || method.len() > MAX_METHOD {
            return Err(method_offence(method, b" "));
        }
        let (path_len, target_len) = target_lens(rest);
        let rest = rest.get(target_len..).unwrap_or_default();
        let version = match rest {
            [b' ', version @ ..] if target_len > 0 => Version::read(version),
            _ => return Err(target_offence(rest)),
        };
        // First: who refuses it can still say what was asked.
        let at = line.start + method_len + 1;
        self.head.method_text = Span::new(line.start, line.start + method_len);
        self.head.target = Span::new(at, at + target_len);
        self.head.version = version.map_err(|offence| version_offence(offence, rest))?;
        self.head.method = method_of(method)?;
        self.head.line = Span::new(line.start, line.next);
        self.target(buf, path_len)
    }

    /// Tells the form of the target and splits it; its first `path_len` bytes have no `?`.
    #[inline]
    fn target(&mut self, buf: &[u8], path_len: usize) -> Result<(), Malformed> {
        let start = self.head.target.start as usize;
        let target = self.head.target.of(buf);
        match target {
            [b'/', ..] => self.split_path(start, path_len, target.len()),
            b"*" if self.head.method == Method::Options => self.head.form = Form::Asterisk,
            _ => return self.absolute(buf, start, target),
        }
        Ok(())
    }

    #[cold]
    fn absolute(&mut self, buf: &[u8], start: usize, target: &[u8]) -> Result<(), Malformed> {
        let scheme = [&b"http://"[..], b"https://"]
            .into_iter()
            .find(|s| target.get(..s.len()).is_some_and(|t| t.eq_ignore_ascii_case(s)))
            .ok_or(Malformed::BadTarget)?;
        let rest = target.get(scheme.len()..).unwrap_or_default();
        let len = rest.iter().position(|&b| b == b'/' || b == b'?').unwrap_or(rest.len());
        let at = start + scheme.len();
        self.head.form = Form::Absolute;
        self.head.authority = Authority::read(buf, Span::new(at, at + len))?;
        let rest = rest.get(len..).unwrap_or_default();
        self.split_path(at + len, target_lens(rest).0, rest.len());
        Ok(())
    }

    /// Names path and query of the `len` bytes at `start`, a path of `path_len` bytes and `?`.
    #[inline]
    fn split_path(&mut self, start: usize, path_len: usize, len: usize) {
        self.head.path = Span::new(start, start + path_len);
        if path_len < len {
            self.head.query = Some(Span::new(start + path_len + 1, start + len));
        }
    }

    #[inline]
    fn finish(&mut self, buf: &[u8], empty: Line) -> Result<usize, Malformed> {
        self.head.fields.finish(buf)?;
        if self.lines.bare() {
            self.head.fields.bear(Violations::LF);
        }
        self.settle_host(buf)?;
        self.head.fields_end = Span::new(empty.start, empty.next).start;
        self.head.len = empty.next;
        Ok(empty.next)
    }

    /// RFC 9112 §3.2: exactly one `Host` on HTTP/1.1, valid even where an absolute target
    /// overrules it. An empty value counts as none.
    #[inline]
    fn settle_host(&mut self, buf: &[u8]) -> Result<(), Malformed> {
        if self.head.fields.repeats(Name::Host) {
            return Err(Malformed::HostTwice);
        }
        let host = self.head.fields.find(Name::Host).map(|f| f.value);
        let Some(value) = host.filter(|value| !value.is_empty()) else {
            let needed = self.head.version == Version::Http11;
            return if needed { Err(Malformed::HostMissing) } else { Ok(()) };
        };
        let named = Authority::read(buf, value)?;
        if self.head.form != Form::Absolute {
            self.head.authority = named;
        }
        Ok(())
    }
}

/// Longest method; the longest registered one has 17 bytes (UPDATEREDIRECTREF).
const MAX_METHOD: usize = 32;

/// How many bytes of `text` belong to a target, the first of them up to a `?`, and all.
#[inline]
fn target_lens(text: &[u8]) -> (usize, usize) {
    let path = text.iter().position(|&b| !is_before_query(b)).unwrap_or(text.len());
    let rest = text.get(path..).unwrap_or_default();
    if rest.first() != Some(&b'?') {
        return (path, path);
    }
    (path, path + rest.iter().position(|&b| !is_target(b)).unwrap_or(rest.len()))
}

#[inline]
fn method_of(method: &[u8]) -> Result<Method, Malformed> {
    Ok(match method {
        b"GET" => Method::Get,
        b"HEAD" => Method::Head,
        b"POST" => Method::Post,
        b"PUT" => Method::Put,
        b"DELETE" => Method::Delete,
        b"OPTIONS" => Method::Options,
        b"PATCH" => Method::Patch,
        b"CONNECT" => return Err(Malformed::ConnectRefused),
        b"TRACE" => return Err(Malformed::TraceRefused),
        _ => Method::Other,
    })
}

#[cold]
fn method_offence(method: &[u8], rest: &[u8]) -> Malformed {
    match rest.first() {
        Some(&b) if b != b'\t' && (b < b' ' || b == 0x7f) => control_offence(b),
        Some(b' ') if method.len() > MAX_METHOD => Malformed::MethodTooLong,
        None | Some(b' ' | b'\t') => Malformed::RequestLine,
        Some(_) => Malformed::BadMethod,
    }
}

#[cold]
fn target_offence(rest: &[u8]) -> Malformed {
    match rest.first() {
        Some(b'#') => Malformed::Fragment,
        Some(&b) if b != b'\t' && (b < b' ' || b == 0x7f) => control_offence(b),
        _ => Malformed::RequestLine,
    }
}

/// A third part that is no version may be a control byte's doing, or one part too many.
#[cold]
fn version_offence(offence: Malformed, rest: &[u8]) -> Malformed {
    let control = rest.iter().find(|&&b| b != b'\t' && (b < b' ' || b == 0x7f));
    let parts = rest.iter().filter(|&&b| b == b' ' || b == b'\t').count();
    match control {
        Some(&b) => control_offence(b),
        None if parts > 1 => Malformed::RequestLine,
        None => offence,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { max_head: 300, max_fields: 4 };

    /// The result of reading `text`; the same whole, byte by byte and with bytes behind it.
    fn read(text: &[u8]) -> Result<RequestHead, Malformed> {
        let mut parser = RequestParser::new();
        let whole = parser.parse(text, &LIMITS);
        for extra in [&b""[..], b"x", b"\r\n\r\n", b"GET / HTTP/1.1\r\n"] {
            let longer = [text, extra].concat();
            for grown in 0..2 {
                let start = if grown == 0 { longer.len() } else { 0 };
                let mut other = RequestParser::new();
                let result = (start..=longer.len())
                    .map(|end| other.parse(&longer[..end], &LIMITS))
                    .find(|result| *result != Ok(None));
                if let (Ok(Some(_)) | Err(_), Some(result)) = (whole, result) {
                    assert_eq!(result, whole, "split differently: {}", text.escape_ascii());
                }
            }
        }
        assert_ne!(whole, Ok(None), "not complete: {}", text.escape_ascii());
        whole.map(|_| parser.head().clone())
    }

    fn refused(cases: &[(&[u8], Malformed)]) {
        for (text, offence) in cases {
            assert_eq!(read(text).map(|_| ()), Err(*offence), "{}", text.escape_ascii());
        }
    }

    #[test]
    fn a_head_is_read_where_it_lies() {
        let text = b"GET /a/b?c=d?e HTTP/1.1\r\nHost: h:81\r\nX:\t y z \t\r\n\r\nbody";
        let mut parser = RequestParser::new();
        assert_eq!(parser.parse(text, &LIMITS), Ok(Some(text.len() - 4)));
        let head = parser.head();
        assert_eq!(head.method, Method::Get);
        assert_eq!(head.method_text.of(text), b"GET");
        assert_eq!(head.target.of(text), b"/a/b?c=d?e");
        assert_eq!(head.path.of(text), b"/a/b");
        assert_eq!(head.query.map(|q| q.of(text)), Some(&b"c=d?e"[..]));
        assert_eq!(head.version, Version::Http11);
        assert_eq!(head.authority.host.of(text), b"h");
        assert_eq!(head.authority.port, Some(81));
        assert_eq!(head.fields.named(b"x", text).unwrap().value.of(text), b"y z");
        assert_eq!(head.fields.named(b"x", text).unwrap().line.of(text), b"X:\t y z \t\r\n");
        assert!(head.keep_alive());
    }

    #[test]
    fn one_empty_line_before_a_request_is_skipped_once() {
        let text = b"\r\nGET / HTTP/1.0\r\n\r\n";
        let head = read(text).unwrap();
        assert_eq!(head.len, text.len());
        assert_eq!(head.line.start, 2);
        refused(&[(b"\r\n\r\nGET / HTTP/1.0\r\n\r\n", Malformed::EmptyLine)]);
    }

    #[test]
    fn a_cleared_parser_remembers_nothing() {
        let mut parser = RequestParser::new();
        let first = b"GET http://a/?q HTTP/1.0\r\nHost: b\r\nConnection: close, x\r\n\r\n";
        parser.parse(first, &LIMITS).unwrap();
        parser.clear();
        parser.parse(b"GET / HTTP/1.0\r\n\r\n", &LIMITS).unwrap();
        let (head, fresh) = (parser.head(), read(b"GET / HTTP/1.0\r\n\r\n").unwrap());
        assert_eq!(format!("{head:?}"), format!("{fresh:?}"));
    }

    #[test]
    fn what_browsers_and_curl_send_passes_in_a_target() {
        let target = b"/|{}[]^\"`<>'%zz\xc3\xa4?\\|#"[..].strip_suffix(b"#").unwrap();
        let text = [b"GET ", target, b" HTTP/1.1\r\nHost: h\r\n\r\n"].concat();
        assert_eq!(read(&text).unwrap().target.of(&text), target);
    }

    #[test]
    fn a_request_line_is_three_parts_with_single_spaces() {
        refused(&[
            (b"GET  / HTTP/1.1\r\n", Malformed::RequestLine),
            (b"GET /  HTTP/1.1\r\n", Malformed::RequestLine),
            (b"GET / x HTTP/1.1\r\n", Malformed::RequestLine),
            (b"GET / HTTP/1.1 \r\n", Malformed::RequestLine),
            (b"GET\t/ HTTP/1.1\r\n", Malformed::RequestLine),
            (b"GET /\tHTTP/1.1\r\n", Malformed::RequestLine),
            (b"GET /\r\n", Malformed::RequestLine),
            (b"GET\r\n", Malformed::RequestLine),
            (b" GET / HTTP/1.1\r\n", Malformed::RequestLine),
            (b"G@T / HTTP/1.1\r\n", Malformed::BadMethod),
            (b"GET /\x01 HTTP/1.1\r\n", Malformed::ControlByte),
            (b"GET /\0 HTTP/1.1\r\n", Malformed::Nul),
            (b"GET /\x7f HTTP/1.1\r\n", Malformed::ControlByte),
            (b"G\x02T / HTTP/1.1\r\n", Malformed::ControlByte),
            (b"GET / HTTP/1.1\r\r\n", Malformed::BareCr),
            (b"GET /\r HTTP/1.1\r\n", Malformed::BareCr),
            (b"GET / HTTP/1.1\n", Malformed::BareLf),
            (b"\nGET / HTTP/1.1\r\n", Malformed::BareLf),
            (b"GET /#f HTTP/1.1\r\n", Malformed::Fragment),
        ]);
    }

    #[test]
    fn methods_are_tokens_of_at_most_32_bytes_and_two_are_refused() {
        let longest = [&[b'M'; 32][..], b" / HTTP/1.0\r\n\r\n"].concat();
        assert_eq!(read(&longest).unwrap().method, Method::Other);
        let longer = [&[b'M'; 33][..], b" / HTTP/1.0\r\n\r\n"].concat();
        refused(&[
            (&longer, Malformed::MethodTooLong),
            (b"CONNECT a:443 HTTP/1.1\r\n", Malformed::ConnectRefused),
            (b"TRACE / HTTP/1.1\r\n", Malformed::TraceRefused),
        ]);
        assert_eq!(read(b"get / HTTP/1.0\r\n\r\n").unwrap().method, Method::Other);
    }

    #[test]
    fn higher_minor_versions_are_1_1_and_other_majors_are_505() {
        let version = |v: &str| read(format!("GET / {v}\r\nHost: h\r\n\r\n").as_bytes());
        assert_eq!(version("HTTP/1.0").unwrap().version, Version::Http10);
        assert_eq!(version("HTTP/1.9").unwrap().version, Version::Http11);
        for other in ["HTTP/0.9", "HTTP/2.0", "HTTP/3.1"] {
            assert_eq!(version(other).map(|_| ()), Err(Malformed::VersionUnsupported));
        }
        for bad in ["http/1.1", "HTTP/1", "HTTP/1.10", "HTTP/+1.1", "HTTP/1,1", "HTTPS/1.1", ""] {
            assert_eq!(version(bad).map(|_| ()), Err(Malformed::BadVersion), "{bad}");
        }
    }

    #[test]
    fn targets_have_three_forms() {
        let text = b"GET HTTP://A.example:8?q HTTP/1.1\r\nHost: b\r\n\r\n";
        let head = read(text).unwrap();
        assert_eq!(head.form, Form::Absolute);
        assert_eq!(head.authority.text.of(text), b"A.example:8");
        assert!(head.path.is_empty());
        assert_eq!(head.query.map(|q| q.of(text)), Some(&b"q"[..]));
        assert_eq!(read(b"OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n").unwrap().form, Form::Asterisk);
        refused(&[
            (b"GET * HTTP/1.1\r\n", Malformed::BadTarget),
            (b"GET a HTTP/1.1\r\n", Malformed::BadTarget),
            (b"GET ?a HTTP/1.1\r\n", Malformed::BadTarget),
            (b"GET ftp://a/ HTTP/1.1\r\n", Malformed::BadTarget),
            (b"GET http:/a HTTP/1.1\r\n", Malformed::BadTarget),
            (b"GET http:///a HTTP/1.1\r\n", Malformed::HostInvalid),
            (b"GET http://u@a/ HTTP/1.1\r\n", Malformed::HostInvalid),
        ]);
    }

    #[test]
    fn exactly_one_valid_host_is_due_on_1_1() {
        refused(&[
            (b"GET / HTTP/1.1\r\n\r\n", Malformed::HostMissing),
            (b"GET / HTTP/1.1\r\nHost: \r\n\r\n", Malformed::HostMissing),
            (b"GET / HTTP/1.1\r\nHost: a\r\nhost: a\r\n\r\n", Malformed::HostTwice),
            (b"GET / HTTP/1.0\r\nHost: a\r\nHost:\r\n\r\n", Malformed::HostTwice),
            (b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", Malformed::HostInvalid),
            (b"GET / HTTP/1.0\r\nHost: a b\r\n\r\n", Malformed::HostInvalid),
            (b"GET http://a/ HTTP/1.1\r\n\r\n", Malformed::HostMissing),
            (b"GET http://a/ HTTP/1.1\r\nHost: @\r\n\r\n", Malformed::HostInvalid),
        ]);
        assert!(read(b"GET / HTTP/1.0\r\n\r\n").unwrap().authority.text.is_empty());
        assert!(read(b"GET / HTTP/1.0\r\nHost:\r\n\r\n").unwrap().authority.text.is_empty());
    }

    #[test]
    fn field_lines_are_never_repaired() {
        let cases: &[(&[u8], Malformed)] = &[
            (b"A : b", Malformed::SpaceBeforeColon),
            (b"A\t: b", Malformed::SpaceBeforeColon),
            (b": b", Malformed::EmptyName),
            (b"A", Malformed::MissingColon),
            (b"A b: c", Malformed::BadName),
            (b"A(b): c", Malformed::BadName),
            (b"\xc3\xa4: c", Malformed::BadName),
            (b"A\x01: c", Malformed::ControlByte),
            (b"A\0: c", Malformed::Nul),
            (b"A: b\rc", Malformed::BareCr),
            (b"A: b\r", Malformed::BareCr),
            (b"A\r: b", Malformed::BareCr),
            (b"A: b\0", Malformed::Nul),
            (b"A: b\x0bc", Malformed::ControlByte),
            (b"A: b\x7f", Malformed::ControlByte),
        ];
        for (line, offence) in cases {
            for before in [&b""[..], b"Host: h\r\n"] {
                let text = [b"GET / HTTP/1.1\r\n", before, line, b"\r\n"].concat();
                refused(&[(&text, *offence)]);
            }
        }
        refused(&[
            (b"GET / HTTP/1.1\r\n A: b\r\n", Malformed::LeadingWhitespace),
            (b"GET / HTTP/1.1\r\n\tA: b\r\n", Malformed::LeadingWhitespace),
            (b"GET / HTTP/1.1\r\nA: b\r\n c\r\n", Malformed::ObsFold),
            (b"GET / HTTP/1.1\r\nA: b\r\n\tc: d\r\n", Malformed::ObsFold),
            (b"GET / HTTP/1.1\r\nA: b\n", Malformed::BareLf),
            (b"GET / HTTP/1.1\r\nA: b\r\n\n", Malformed::BareLf),
        ]);
        assert!(read(b"GET / HTTP/1.1\r\nHost: h\r\nA:\r\nB: \xff\t\x80\r\n\r\n").is_ok());
    }

    #[test]
    fn limits_hold_for_every_split() {
        let five = [b"GET / HTTP/1.1\r\n", &b"A: b\r\n".repeat(5)[..]].concat();
        refused(&[(&five, Malformed::TooManyFields)]);
        let line = [b"GET /", &[b'a'; 300][..]].concat();
        refused(&[(&line, Malformed::TargetTooLong)]);
        let field = [b"GET / HTTP/1.1\r\nA: ", &[b'a'; 300][..]].concat();
        refused(&[(&field, Malformed::HeadTooLarge)]);
        let fitting =
            |n: usize| [b"GET / HTTP/1.0\r\nA: ", &[b'a'; 300][..n], b"\r\n\r\n"].concat();
        assert_eq!(read(&fitting(277)).unwrap().len, 300);
        refused(&[(&fitting(278), Malformed::HeadTooLarge)]);
    }

    #[test]
    fn connection_options_are_summed_up_over_all_fields() {
        let connection = |fields: &str, version: &str| {
            let text = format!("GET / HTTP/{version}\r\nHost: h\r\n{fields}\r\n");
            let head = read(text.as_bytes()).unwrap();
            (head.keep_alive(), head.fields.connection())
        };
        assert!(connection("", "1.1").0);
        assert!(!connection("", "1.0").0);
        assert!(connection("Connection: Keep-Alive\r\n", "1.0").0);
        assert!(!connection("Connection: keep-alive\r\nConnection: CLOSE\r\n", "1.1").0);
        assert!(!connection("Connection: keep-alive, close\r\n", "1.0").0);
        let sum = connection("Connection: x,, Upgrade\r\n", "1.1").1;
        assert!(sum.upgrade && sum.nominates && !sum.close);
        let many = "a,".repeat(17);
        let text = format!("GET / HTTP/1.0\r\nConnection: {many}\r\n\r\n");
        refused(&[(text.as_bytes(), Malformed::TooManyConnectionOptions)]);
    }
}

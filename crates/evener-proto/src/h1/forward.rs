//! Says which bytes of a head go on: the head as it lies, less a few cuts.
//!
//! Rules kept here (RFC 9110 §7.6, SECURITY.md 6):
//! - What goes on is what was read: pieces of the very buffer, in order. Nothing is rebuilt, except
//!   the version (we speak HTTP/1.1 to everyone), an absolute target (origin-form, its authority
//!   as Host) and a missing space in a status line.
//! - Fields of one connection end here, as do those that `Connection` nominates; it can't nominate
//!   Host, framing, identity or what we set.
//! - A stranger's identity fields are cut in every spelling; look-alikes are cut even from those we
//!   trust.
//! - A head with nothing to cut is one piece.
//!
//! Not known here: fields that we add. They go between the pieces and the final CRLF.

use crate::h1::field::{FRAMING, Field, Fields, HOP_BY_HOP, IDENTITY, Name, Names, members};
use crate::h1::framing::{is_bodiless, is_h2c};
use crate::h1::{Form, Method, RequestHead, ResponseHead};
use crate::{Malformed, Span};

/// One piece of a forwarded head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Segment {
    /// Bytes of the buffer.
    Kept(Span),
    /// Bytes of ours.
    Text(&'static [u8]),
}

/// The pieces of a forwarded head up to and with its last field line; the final CRLF is not among
/// them. Its storage is kept by the next use.
#[derive(Debug, Clone, Default)]
pub struct Segments {
    list: Vec<Segment>,
}

impl Segments {
    /// An empty list.
    pub fn new() -> Self {
        Segments::default()
    }

    /// The pieces.
    pub fn as_slice(&self) -> &[Segment] {
        &self.list
    }

    /// The pieces' bytes, `buf` being the buffer the head was read from.
    pub fn slices<'a>(&'a self, buf: &'a [u8]) -> impl ExactSizeIterator<Item = &'a [u8]> + 'a {
        self.list.iter().map(move |segment| match segment {
            Segment::Kept(span) => span.of(buf),
            Segment::Text(text) => text,
        })
    }

    /// The bytes of all pieces together.
    pub fn byte_len(&self) -> usize {
        let len = |segment: &Segment| match segment {
            Segment::Kept(span) => span.len(),
            Segment::Text(text) => text.len(),
        };
        self.list.iter().map(len).sum()
    }

    /// Adds a piece, joined to the last one where it follows on.
    fn keep(&mut self, start: u32, end: u32) {
        if end <= start {
            return;
        }
        match self.list.last_mut() {
            Some(Segment::Kept(last)) if last.end == start => last.end = end,
            _ => self.list.push(Segment::Kept(Span { start, end })),
        }
    }

    fn text(&mut self, text: &'static [u8]) {
        self.list.push(Segment::Text(text));
    }
}

/// What happens to fields with an underscore in their name (CONFIG.md `http.underscores`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Underscores {
    /// They are cut.
    #[default]
    Drop,
    /// They go on, look-alikes excepted.
    Pass,
    /// The request is malformed.
    Refuse,
}

/// How a request goes on.
#[derive(Debug, Clone, Copy, Default)]
pub struct RequestPolicy<'a> {
    /// The peer is a trusted proxy: its identity fields stay.
    pub trusted: bool,
    /// Underscores in names.
    pub underscores: Underscores,
    /// The request may become a tunnel ([`super::framing::wants_upgrade`]): Upgrade stays, without
    /// `h2c`. The caller adds `Connection: upgrade`.
    pub tunnel: bool,
    /// The body goes on in other framing than it came: Transfer-Encoding and Content-Length are
    /// cut, the caller adds its own.
    pub reframed: bool,
    /// Names the caller sets itself: the client's are cut, in any case and with `_` for `-`.
    pub set: &'a [&'a [u8]],
}

/// How an answer goes on.
#[derive(Debug, Clone, Copy, Default)]
pub struct ResponsePolicy<'a> {
    /// The answer is a 101 to an upgrade we forwarded: Upgrade stays. The caller adds
    /// `Connection: upgrade`.
    pub tunnel: bool,
    /// As in [`RequestPolicy`].
    pub reframed: bool,
    /// Names the caller sets itself.
    pub set: &'a [&'a [u8]],
}

/// Cut from every request, by name alone.
const REQUEST_CUTS: Names =
    HOP_BY_HOP.with(Names::of(&[Name::Proxy, Name::Http2Settings, Name::Lookalike]));

/// Never ended by a nomination in `Connection`.
const PROTECTED: Names = IDENTITY.with(FRAMING).with(Names::of(&[Name::Host, Name::Date]));

/// Fills `out` with the pieces of `head` that go on to a server.
///
/// # Errors
/// `Underscore` where the policy refuses them.
#[inline]
pub fn request_segments(
    head: &RequestHead,
    buf: &[u8],
    policy: &RequestPolicy<'_>,
    out: &mut Segments,
) -> Result<(), Malformed> {
    out.list.clear();
    if policy.underscores == Underscores::Refuse && head.fields.underscored() {
        return Err(Malformed::Underscore);
    }
    request_line(head, buf, out);
    let cuts = Cuts {
        names: request_cuts(head, policy),
        nominates: head.fields.connection().nominates,
        tunnel: policy.tunnel,
        set: policy.set,
    };
    cuts.fields(&head.fields, buf, head.line.end, head.fields_end, out);
    Ok(())
}

fn request_cuts(head: &RequestHead, policy: &RequestPolicy<'_>) -> Names {
    let mut names = REQUEST_CUTS;
    if !policy.trusted {
        names = names.with(IDENTITY);
    }
    if policy.underscores == Underscores::Drop {
        names = names.with(Names::of(&[Name::Underscored]));
    }
    if policy.reframed {
        names = names.with(FRAMING);
    }
    if head.form == Form::Absolute {
        names = names.with(Names::of(&[Name::Host]));
    }
    names
}

#[inline]
fn request_line(head: &RequestHead, buf: &[u8], out: &mut Segments) {
    let plain = head.form != Form::Absolute;
    let version = head.line.end.saturating_sub(VERSION_LEN + 2);
    if plain && ends_with_11(head.line, buf) {
        return out.keep(head.line.start, head.line.end);
    }
    out.keep(head.line.start, head.target.start);
    if plain || head.path.is_empty() && head.query.is_none() && head.method == Method::Options {
        // `OPTIONS http://host` means `OPTIONS *` (RFC 9112 §3.2.4).
        match plain {
            true => out.keep(head.target.start, head.target.end),
            false => out.text(b"*"),
        }
    } else {
        if head.path.is_empty() {
            out.text(b"/");
        }
        out.keep(head.path.start, head.target.end);
    }
    out.keep(head.target.end, version);
    out.text(b"HTTP/1.1\r\n");
    if !plain {
        out.text(b"Host: ");
        out.keep(head.authority.text.start, head.authority.text.end);
        out.text(b"\r\n");
    }
}

const VERSION_LEN: u32 = 8;

fn ends_with_11(line: Span, buf: &[u8]) -> bool {
    line.of(buf).ends_with(b"HTTP/1.1\r\n")
}

/// Fills `out` with the pieces of `head` that go on to a client.
pub fn response_segments(
    head: &ResponseHead,
    buf: &[u8],
    policy: &ResponsePolicy<'_>,
    out: &mut Segments,
) {
    out.list.clear();
    status_line(head, buf, out);
    let mut names = HOP_BY_HOP;
    if policy.reframed || is_bodiless(head.status) {
        names = names.with(FRAMING);
    }
    let cuts = Cuts {
        names,
        nominates: head.fields.connection().nominates,
        tunnel: policy.tunnel,
        set: policy.set,
    };
    cuts.fields(&head.fields, buf, head.line.end, head.fields_end, out);
}

/// `HTTP/1.1 200 ` and a reason; the space is due even where there is no reason (RFC 9112 §4).
#[inline]
fn status_line(head: &ResponseHead, buf: &[u8], out: &mut Segments) {
    const CODE_END: u32 = VERSION_LEN + 4;
    let line = head.line;
    let spaced = line.len() > CODE_END as usize + 2;
    if spaced && line.of(buf).starts_with(b"HTTP/1.1") {
        return out.keep(line.start, line.end);
    }
    out.text(b"HTTP/1.1");
    if spaced {
        return out.keep(line.start + VERSION_LEN, line.end);
    }
    out.keep(line.start + VERSION_LEN, line.start + CODE_END);
    out.text(b" \r\n");
}

/// What is cut from the fields of one head.
struct Cuts<'a> {
    names: Names,
    nominates: bool,
    tunnel: bool,
    set: &'a [&'a [u8]],
}

impl Cuts<'_> {
    /// Keeps all of `from..end` but the fields to cut.
    #[inline]
    fn fields(&self, fields: &Fields, buf: &[u8], from: u32, end: u32, out: &mut Segments) {
        let repeats = fields.repeats(Name::ContentLength);
        if !fields.seen().meets(self.names) && !self.nominates && self.set.is_empty() && !repeats {
            return out.keep(from, end);
        }
        let mut from = from;
        let mut length_kept = false;
        for field in fields {
            let length = field.id == Name::ContentLength;
            if self.cuts(field, fields, buf) || (length && length_kept) {
                out.keep(from, field.line.start);
                from = field.line.end;
                if field.id == Name::Upgrade && self.tunnel {
                    upgrade(field, buf, out);
                }
            }
            length_kept |= length;
        }
        out.keep(from, end);
    }

    #[inline]
    fn cuts(&self, field: &Field, fields: &Fields, buf: &[u8]) -> bool {
        self.names.has(field.id)
            || (self.nominates && nominated(field, fields, buf))
            || self.set.iter().any(|name| alike(name, field.name.of(buf)))
    }
}

fn nominated(field: &Field, fields: &Fields, buf: &[u8]) -> bool {
    let name = field.name.of(buf);
    !PROTECTED.has(field.id)
        && fields.connection_options(buf).any(|option| option.eq_ignore_ascii_case(name))
}

/// Whether two names are one to somebody who folds case and underscores.
fn alike(ours: &[u8], theirs: &[u8]) -> bool {
    let fold = |b: &u8| if *b == b'_' { b'-' } else { b.to_ascii_lowercase() };
    ours.len() == theirs.len() && ours.iter().map(fold).eq(theirs.iter().map(fold))
}

/// Puts an Upgrade field back, member by member, without `h2c`.
fn upgrade(field: &Field, buf: &[u8], out: &mut Segments) {
    let mut first = true;
    for member in members(field.value, buf).filter(|m| !is_h2c(m.of(buf))) {
        out.text(if first { b"Upgrade: " } else { b", " });
        first = false;
        out.keep(member.start, member.end);
    }
    if !first {
        out.text(b"\r\n");
    }
}

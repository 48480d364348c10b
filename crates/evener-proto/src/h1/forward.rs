//! Says which bytes of a head go on: the head as it lies, less a few cuts.
//!
//! Rules kept here (RFC 9110 §7.6, SECURITY.md 6):
//! - What goes on is what was read: pieces of the very buffer, in order. Nothing is rebuilt, except
//!   the version (we speak HTTP/1.1 to everyone), an absolute target (origin-form, its authority
//!   as Host) and a missing space in a status line.
//! - Fields of one connection end here, as do those that `Connection` nominates; it can't nominate
//!   Host, framing, identity, Expect, Max-Forwards, Date, Via or what we set.
//! - A stranger's identity fields are cut in every spelling; look-alikes are cut even from those we
//!   trust.
//! - What was let in by name goes on as it should have been: fields with illegal names are cut,
//!   lines end with CRLF.
//! - A head with nothing to cut is one piece.
//!
//! Not known here: fields that we add. They go between the pieces and the final CRLF.

use crate::h1::edit::CutNames;
use crate::h1::field::{Field, Fields, members};
use crate::h1::framing::{is_bodiless, is_upgrade, request_body};
use crate::h1::hops::{Hops, digits, hops};
use crate::h1::name::{FRAMING, HOP_BY_HOP, IDENTITY, Name, Names, fold};
use crate::h1::{BodyLength, Form, RequestHead, ResponseHead, Version, Violations};
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
    /// Names the caller sets itself: the client's are cut, in any case and with any marks for `-`.
    pub set: &'a [&'a [u8]],
    /// Names that the route sets or removes ([`super::edit::Edits::cut`]), likewise.
    pub edited: Option<&'a CutNames>,
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
    /// As in [`RequestPolicy`].
    pub edited: Option<&'a CutNames>,
    /// What the client speaks: one of 1.0 never hears of Transfer-Encoding (RFC 9112 §6.1), not
    /// even in an answer to its HEAD.
    pub version: Version,
}

/// Whether rules and words may look at a field of a request: what a server would be told, and what ends
/// here because it is about this connection. A stranger's word about who it is, what is dropped for its
/// name and what the client itself takes out (`Connection`) are as if they had not come.
pub fn is_heard(
    field: &Field,
    head: &RequestHead,
    buf: &[u8],
    trusted: bool,
    underscores: Underscores,
) -> bool {
    let stranger = !trusted && IDENTITY.has(field.id);
    let marked = field.id == Name::Underscored && underscores == Underscores::Drop;
    let nominates = head.fields.connection().nominates && !HOP_BY_HOP.has(field.id);
    let dropped = nominates && nominated(field, &head.fields, buf);
    !stranger && !marked && !dropped && field.id != Name::Lookalike && field.id != Name::Illegal
}

/// Cut from every request, by name alone.
const REQUEST_CUTS: Names = ANSWER_CUTS.with(Names::of(&[Name::Proxy, Name::Http2Settings]));

/// Cut from every answer, by name alone: a client may read `Content_Length` as well as a server.
pub(crate) const ANSWER_CUTS: Names = HOP_BY_HOP.with(Names::of(&[Name::Lookalike, Name::Illegal]));

/// Never ended by a nomination in `Connection`.
const PROTECTED: Names = IDENTITY.with(FRAMING).with(Names::of(&[
    Name::Host,
    Name::Date,
    Name::Via,
    Name::Expect,
    Name::MaxForwards,
]));

/// Fills `out` with the pieces of `head` that go on to a server.
///
/// # Errors
/// `Underscore` where the policy refuses them; `MaxForwardsInvalid`.
#[inline]
pub fn request_segments(
    head: &RequestHead,
    buf: &[u8],
    policy: &RequestPolicy<'_>,
    out: &mut Segments,
) -> Result<(), Malformed> {
    out.list.clear();
    let mut cuts = Cuts::of_request(head, buf, policy)?;
    request_line(head, buf, out);
    let hops = hops(head, buf)?;
    if hops == Hops::Free {
        cuts.fields(&head.fields, buf, head.line.end, head.fields_end, out);
        return Ok(());
    }
    cuts.names = cuts.names.with(Names::of(&[Name::MaxForwards]));
    cuts.fields(&head.fields, buf, head.line.end, head.fields_end, out);
    out.text(b"Max-Forwards: ");
    let left = if let Hops::Left(left) = hops { left } else { 0 };
    digits(left).into_iter().for_each(|digit| out.text(digit));
    out.text(b"\r\n");
    Ok(())
}

/// The fields of `head` that go on to a server, for protocols that write them their own way
/// (FastCGI's parameters). `Host` is not among them where an absolute target overrules it: the one
/// host is `head.authority`.
///
/// # Errors
/// `Underscore` where the policy refuses them.
pub fn request_fields<'a>(
    head: &'a RequestHead,
    buf: &'a [u8],
    policy: &RequestPolicy<'a>,
) -> Result<impl Iterator<Item = &'a Field>, Malformed> {
    let cuts = Cuts::of_request(head, buf, policy)?;
    Ok(head.fields.iter().filter(move |field| !cuts.cuts(field, &head.fields, buf)))
}

#[inline]
fn request_cuts(head: &RequestHead, buf: &[u8], policy: &RequestPolicy<'_>) -> Names {
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
    if head.form == Form::Absolute || head.authority.text.is_empty() {
        // The authority stands for it, or it is empty, and the caller names the server.
        names = names.with(Names::of(&[Name::Host]));
    }
    if head.fields.has(Name::Expect) && !is_awaited(head, buf) {
        names = names.with(Names::of(&[Name::Expect]));
    }
    names
}

/// Whether an expectation means anything: not in 1.0, where the server would hear 1.1, and not
/// where no body waits for the answer (RFC 9110 §10.1.1).
#[cold]
fn is_awaited(head: &RequestHead, buf: &[u8]) -> bool {
    let body = request_body(head, buf).unwrap_or(BodyLength::None);
    head.version != Version::Http10 && !body.is_empty()
}

#[inline]
fn request_line(head: &RequestHead, buf: &[u8], out: &mut Segments) {
    let plain = head.form != Form::Absolute;
    if plain && ends_with_11(head.line, buf) {
        return out.keep(head.line.start, head.line.end);
    }
    out.keep(head.line.start, head.target.start);
    if plain {
        out.keep(head.target.start, head.target.end);
    } else if head.is_of_server() {
        out.text(b"*");
    } else {
        if head.path.is_empty() {
            out.text(b"/");
        }
        out.keep(head.path.start, head.target.end);
    }
    out.text(b" HTTP/1.1\r\n");
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
    let mut names = ANSWER_CUTS;
    if policy.reframed || is_bodiless(head.status) {
        names = names.with(FRAMING);
    } else if policy.version == Version::Http10 {
        names = names.with(Names::of(&[Name::TransferEncoding]));
    }
    let cuts = Cuts {
        names,
        nominates: head.fields.connection().nominates,
        tunnel: policy.tunnel,
        set: policy.set,
        edited: policy.edited,
    };
    cuts.fields(&head.fields, buf, head.line.end, head.fields_end, out);
}

/// `HTTP/1.1 200 ` and a reason; the space is due even where there is no reason (RFC 9112 §4).
#[inline]
fn status_line(head: &ResponseHead, buf: &[u8], out: &mut Segments) {
    const CODE_END: u32 = VERSION_LEN + 4;
    let line = head.line;
    let spaced = head.reason.end > line.start + CODE_END;
    let sound = line.of(buf).ends_with(b"\r\n");
    if spaced && sound && line.of(buf).starts_with(b"HTTP/1.1") {
        return out.keep(line.start, line.end);
    }
    out.text(b"HTTP/1.1");
    out.keep(line.start + VERSION_LEN, head.reason.end);
    out.text(if spaced { b"\r\n" } else { b" \r\n" });
}

/// What is cut from the fields of one head.
struct Cuts<'a> {
    names: Names,
    nominates: bool,
    tunnel: bool,
    set: &'a [&'a [u8]],
    edited: Option<&'a CutNames>,
}

impl<'a> Cuts<'a> {
    #[inline]
    fn of_request(
        head: &RequestHead,
        buf: &[u8],
        policy: &RequestPolicy<'a>,
    ) -> Result<Self, Malformed> {
        if policy.underscores == Underscores::Refuse && head.fields.underscored() {
            return Err(Malformed::Underscore);
        }
        Ok(Cuts {
            names: request_cuts(head, buf, policy),
            nominates: head.fields.connection().nominates,
            tunnel: policy.tunnel,
            set: policy.set,
            edited: policy.edited,
        })
    }

    /// Keeps all of `from..end` but the fields to cut.
    #[inline]
    fn fields(&self, fields: &Fields, buf: &[u8], from: u32, end: u32, out: &mut Segments) {
        let repeats = fields.repeats(Name::ContentLength);
        let bare = fields.borne().has(Violations::LF);
        let by_name = self.nominates || !self.set.is_empty() || self.edited.is_some();
        if !fields.seen().meets(self.names) && !by_name && !repeats && !bare {
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
            } else if bare && !field.line.of(buf).ends_with(b"\r\n") {
                out.keep(from, field.line.end.saturating_sub(1));
                out.text(b"\r\n");
                from = field.line.end;
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
            || self.edited.is_some_and(|names| names.has(field.name.of(buf)))
    }
}

fn nominated(field: &Field, fields: &Fields, buf: &[u8]) -> bool {
    !PROTECTED.has(field.id) && fields.nominates(field.name.of(buf), buf)
}

/// Whether two names are one to somebody who folds case and marks.
pub(crate) fn alike(ours: &[u8], theirs: &[u8]) -> bool {
    ours.len() == theirs.len() && ours.iter().zip(theirs).all(|(a, b)| fold(*a) == fold(*b))
}

/// Puts an Upgrade field back, member by member, without `h2c` and what is no protocol.
fn upgrade(field: &Field, buf: &[u8], out: &mut Segments) {
    let mut first = true;
    for member in members(field.value, buf).filter(|m| is_upgrade(m.of(buf))) {
        out.text(if first { b"Upgrade: " } else { b", " });
        first = false;
        out.keep(member.start, member.end);
    }
    if !first {
        out.text(b"\r\n");
    }
}

#[cfg(test)]
mod tests;

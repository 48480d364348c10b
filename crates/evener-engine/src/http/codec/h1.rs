//! HTTP/1.1 to servers: nothing is copied, no head rebuilt.

use std::ops::Range;

use evener_proto::h1::edit::Edits;
use evener_proto::h1::forward::{self, RequestPolicy, ResponsePolicy, Segment};
use evener_proto::h1::framing::{self, BodyLength};
use evener_proto::h1::{
    BodyDecoder, ChunkHeader, Field, Fields, LAST_CHUNK, Limits, Method, Name, ResponseParser,
    Segments, Sender, Version, Violations,
};
use evener_proto::{Malformed, Progress};

use super::{AnswerHead, HeadPolicy, facts};
use crate::http::exchange::Asked;
use crate::http::forwarded::Own;
use crate::http::work::{Tools, Work};
use crate::io::{Buffer, Outgoing};

/// Limits of answers' heads: as generous as the default for requests, and no key of their own.
const LIMITS: Limits = Limits { max_head: 64 << 10, max_fields: 256 };

/// An exchange with a server that speaks HTTP/1.1.
pub struct H1 {
    accept: Violations,
    chunked_up: bool,
    body: BodyDecoder,
    reusable: bool,
    identifies: bool,
    lasts: u64,
}

impl H1 {
    /// Before the request; `accept` names violations of the server that are let in.
    pub fn new(accept: Violations) -> H1 {
        let body = BodyDecoder::new(BodyLength::None, Sender::Server);
        let (reusable, identifies, lasts) = (false, false, u64::MAX);
        H1 { accept, chunked_up: false, body, reusable, identifies, lasts }
    }

    #[inline]
    pub(super) fn request_head(
        &mut self,
        asked: &Asked,
        work: &mut Work,
        read: &[u8],
        own: &Own<'_>,
    ) -> Result<(), Malformed> {
        self.chunked_up = asked.length == BodyLength::Chunked;
        let policy = RequestPolicy {
            trusted: own.trusted,
            underscores: own.underscores,
            tunnel: asked.upgrade,
            reframed: false,
            set: own.replaced(),
            edited: own.edits.and_then(Edits::cut),
        };
        let head = work.request.head();
        let Tools { segments, up, edited, .. } = &mut *work.desk;
        self.identifies = names_connection_scheme(&head.fields, SENT, read);
        forward::request_segments(head, read, &policy, segments)?;
        name_pieces(segments, up);
        let named = !head.authority.text.is_empty();
        up.own(|out| {
            if !named {
                own.host(out);
            }
            own.fields(head, read, edited, out);
            out.extend_from_slice(b"\r\n");
        });
        Ok(())
    }

    #[inline]
    pub(super) fn request_body(&mut self, data: Range<usize>, last: bool, up: &mut Outgoing) {
        body_pieces(self.chunked_up, data, last, up);
    }

    #[inline]
    pub(super) fn answer_head(
        &mut self,
        method: Method,
        work: &mut Work,
        inbox: &mut Buffer,
    ) -> Result<Option<AnswerHead>, Malformed> {
        let parsed = match self.accept.is_empty() {
            true => work.desk.answer.parse(inbox.bytes_mut(), &LIMITS),
            false => self.parse_accepting(&mut work.desk.answer, inbox.bytes_mut()),
        };
        if parsed?.is_none() {
            return Ok(None);
        }
        let head = work.desk.answer.head();
        let length = framing::response_body(method, head, inbox.bytes())?;
        self.body = BodyDecoder::new(length, Sender::Server);
        self.reusable = framing::reusable(head, length);
        self.identifies |= names_connection_scheme(&head.fields, ASKED, inbox.bytes());
        self.lasts = match head.fields.has(Name::KeepAlive) {
            true => kept_for(&head.fields, inbox.bytes()),
            false => u64::MAX,
        };
        Ok(Some(facts(head, length)))
    }

    #[cold]
    fn parse_accepting(
        &self,
        parser: &mut ResponseParser,
        read: &mut [u8],
    ) -> Result<Option<usize>, Malformed> {
        parser.parse_accepting(read, &LIMITS, self.accept)
    }

    #[inline]
    pub(super) fn write_head(&mut self, policy: HeadPolicy<'_>, work: &mut Work, read: &[u8]) {
        let version = if policy.http10 { Version::Http10 } else { Version::Http11 };
        let HeadPolicy { tunnel, reframed, edited, .. } = policy;
        let policy =
            ResponsePolicy { tunnel, reframed, edited, version, ..ResponsePolicy::default() };
        let Tools { answer, segments, down, .. } = &mut *work.desk;
        forward::response_segments(answer.head(), read, &policy, segments);
        name_pieces(segments, down);
    }

    #[inline]
    pub(super) fn answer_body(
        &mut self,
        inbox: &mut Buffer,
        skip: usize,
    ) -> Result<Progress, Malformed> {
        self.body.decode(inbox.bytes_mut().get_mut(skip..).unwrap_or(&mut []))
    }

    pub(super) fn on_end(&mut self) -> bool {
        self.reusable = false;
        self.body.on_eof()
    }

    pub(super) fn is_done(&self) -> bool {
        self.body.is_done()
    }

    pub(super) fn reusable(&self) -> bool {
        self.reusable && self.body.is_done()
    }

    pub(super) fn identifies(&self) -> bool {
        self.identifies
    }

    pub(super) fn lasts(&self) -> u64 {
        self.lasts
    }
}

/// Where servers ask for an identity, and where clients send it.
const ASKED: [Name; 2] = [Name::WwwAuthenticate, Name::ProxyAuthenticate];
const SENT: [Name; 2] = [Name::Authorization, Name::ProxyAuthorization];

/// Whether these fields name a scheme that gives an identity to the connection instead of the request
/// (NTLM, RFC 4559 §6).
#[inline]
fn names_connection_scheme(fields: &Fields, names: [Name; 2], bytes: &[u8]) -> bool {
    names
        .iter()
        .any(|name| fields.has(*name) && fields.all(*name).any(|field| is_one(field, bytes)))
}

#[cold]
fn is_one(field: &Field, bytes: &[u8]) -> bool {
    field.value.of(bytes).split(|byte| *byte == b',').any(|one| {
        let scheme = one.trim_ascii().split(u8::is_ascii_whitespace).next().unwrap_or(one);
        scheme.eq_ignore_ascii_case(b"ntlm") || scheme.eq_ignore_ascii_case(b"negotiate")
    })
}

/// Milliseconds for which a server keeps an unused connection by its `Keep-Alive: timeout`, less a
/// second: a request under way to it must not meet its end. Node's is 5 s, unless told.
#[cold]
fn kept_for(fields: &Fields, bytes: &[u8]) -> u64 {
    let members = fields.all(Name::KeepAlive);
    let members = members.flat_map(|field| field.value.of(bytes).split(|byte| *byte == b','));
    let seconds = members.filter_map(|member| {
        let (name, value) = std::str::from_utf8(member).ok()?.split_once('=')?;
        let value = value.trim().trim_matches('"');
        name.trim().eq_ignore_ascii_case("timeout").then(|| value.parse::<u64>().ok())?
    });
    seconds.min().map_or(u64::MAX, |seconds| seconds.saturating_sub(1).saturating_mul(1000))
}

/// Names the pieces of a head.
#[inline]
fn name_pieces(segments: &Segments, out: &mut Outgoing) {
    for segment in segments.as_slice() {
        match segment {
            Segment::Kept(span) => out.read(span.start as usize..span.end as usize),
            Segment::Text(text) => out.own(|own| own.extend_from_slice(text)),
        }
    }
}

/// Names the pieces of a run of payload: as it is, or as one chunk.
#[inline]
pub fn body_pieces(chunked: bool, data: Range<usize>, last: bool, out: &mut Outgoing) {
    if !chunked {
        return out.read(data);
    }
    if !data.is_empty() {
        let header = ChunkHeader::new(data.len());
        out.own(|own| own.extend_from_slice(header.as_bytes()));
        out.read(data);
        out.own(|own| own.extend_from_slice(b"\r\n"));
    }
    if last {
        out.own(|own| own.extend_from_slice(LAST_CHUNK));
    }
}

//! Upstream codecs: how a request is put to a server and its answer read, whatever it speaks.
//!
//! Rules kept here:
//! - The exchange knows only these verbs. Codecs take the request from where it lies and give the
//!   answer as head, pieces of payload, end.
//! - A codec does no IO: it names pieces to be written and reads from a buffer.
//!
//! Not known here: time, retries, the client's protocol.

mod fastcgi;
mod h1;

use evener_plan::PoolProtocol;
use evener_proto::h1::edit::CutNames;
use evener_proto::h1::{BodyLength, Method, Name, ResponseHead, Version, Violations};
use evener_proto::{Malformed, Progress};

pub use fastcgi::FastCgi;
pub use h1::{H1, body_pieces};

use super::exchange::{Asked, RequestBody};
use super::forwarded::Own;
use super::work::Work;
use crate::io::{Buffer, Outgoing};

/// What a server speaks, and where its exchange stands.
pub enum Codec {
    /// HTTP/1.1.
    H1(H1),
    /// FastCGI, responder role.
    FastCgi(Box<FastCgi>),
}

/// The head of an answer, as far as decisions need it.
#[derive(Debug, Clone, Copy)]
pub struct AnswerHead {
    /// Status code.
    pub status: u16,
    /// How the server delimits the body.
    pub length: BodyLength,
    /// Bytes of the server's inbox that the head takes.
    pub taken: usize,
    /// Whether it has a Date.
    pub dated: bool,
    /// Violations that it has and that were let in.
    pub borne: Violations,
}

/// How an answer's head goes on.
#[derive(Debug, Clone, Copy)]
pub struct HeadPolicy<'a> {
    /// The body goes on in other framing than it came in.
    pub reframed: bool,
    /// The client speaks HTTP/1.0: it must not see a transfer coding (RFC 9112 §6.1), not even that
    /// of an answer to HEAD.
    pub http10: bool,
    /// The connection becomes a tunnel.
    pub tunnel: bool,
    /// Names that the route sets or removes.
    pub edited: Option<&'a CutNames>,
}

/// Calls the same verb of whichever codec this is.
macro_rules! on_codec {
    ($codec:expr, $inner:ident => $call:expr) => {
        match $codec {
            Codec::H1($inner) => $call,
            Codec::FastCgi($inner) => $call,
        }
    };
}

/// A body that was taken in whole has a length, whatever framing it came in: servers that must know it
/// first are told.
pub fn learn_length(protocol: PoolProtocol, asked: &mut Asked, body: &RequestBody) {
    let needed = protocol == PoolProtocol::Fastcgi && asked.length == BodyLength::Chunked;
    if needed && body.decoder.is_done() {
        asked.length = BodyLength::Exact(body.bytes);
    }
}

/// Whether servers that speak this can be asked what was asked: known before one is picked.
///
/// # Errors
/// What of the request they cannot be told.
#[inline]
pub fn takes(protocol: PoolProtocol, asked: &Asked) -> Result<(), Malformed> {
    match protocol {
        PoolProtocol::Http => Ok(()),
        PoolProtocol::Fastcgi => fastcgi::takes(asked.length),
    }
}

impl Codec {
    /// Names the pieces of the request's head; `read` are the client's unread bytes, in which the
    /// head lies.
    ///
    /// # Errors
    /// What of the head cannot go on.
    #[inline]
    pub fn request_head(
        &mut self,
        asked: &Asked,
        work: &mut Work,
        read: &[u8],
        own: &Own<'_>,
    ) -> Result<(), Malformed> {
        on_codec!(self, codec => codec.request_head(asked, work, read, own))
    }

    /// Names the pieces of a run of payload, and of the end behind it when it is the `last`.
    #[inline]
    pub fn request_body(&mut self, data: std::ops::Range<usize>, last: bool, up: &mut Outgoing) {
        on_codec!(self, codec => codec.request_body(data, last, up));
    }

    /// Reads the answer's head once it is whole.
    ///
    /// # Errors
    /// What is wrong with it.
    #[inline]
    pub fn answer_head(
        &mut self,
        method: Method,
        work: &mut Work,
        inbox: &mut Buffer,
    ) -> Result<Option<AnswerHead>, Malformed> {
        on_codec!(self, codec => codec.answer_head(method, work, inbox))
    }

    /// Names the pieces of the answer's head, up to and with its last field. `read` are the
    /// server's unread bytes.
    #[inline]
    pub fn write_head(&mut self, policy: HeadPolicy<'_>, work: &mut Work, read: &[u8]) {
        on_codec!(self, codec => codec.write_head(policy, work, read));
    }

    /// Takes payload from the server's unread bytes behind the first `skip`; ranges count from
    /// there.
    ///
    /// # Errors
    /// What is wrong with the body.
    #[inline]
    pub fn answer_body(&mut self, inbox: &mut Buffer, skip: usize) -> Result<Progress, Malformed> {
        on_codec!(self, codec => codec.answer_body(inbox, skip))
    }

    /// The server has ended the connection: whether the answer is whole all the same.
    pub fn on_end(&mut self) -> bool {
        on_codec!(self, codec => codec.on_end())
    }

    /// Whether the answer was read to its end.
    pub fn is_done(&self) -> bool {
        on_codec!(self, codec => codec.is_done())
    }

    /// Whether the server's connection may carry another request now.
    pub fn reusable(&self) -> bool {
        on_codec!(self, codec => codec.reusable())
    }

    /// Milliseconds for which the server keeps the connection for another request, by what it says.
    pub fn lasts(&self) -> u64 {
        match self {
            Codec::H1(h1) => h1.lasts(),
            Codec::FastCgi(_) => u64::MAX,
        }
    }

    /// Whether the server may take who asked for whoever speaks on this connection.
    pub fn identifies(&self) -> bool {
        match self {
            Codec::H1(h1) => h1.identifies(),
            Codec::FastCgi(_) => false,
        }
    }

    /// Whether a 100 that the client waits for must be our own, since the server says none.
    pub fn continues_itself(&self) -> bool {
        matches!(self, Codec::FastCgi(_))
    }

    /// What the server wrote beside its answer, for the log.
    pub fn take_stderr(&mut self) -> Option<Vec<u8>> {
        match self {
            Codec::H1(_) => None,
            Codec::FastCgi(fastcgi) => fastcgi.take_stderr(),
        }
    }
}

/// Whether a body of this kind tells its own end to a client of this version.
pub fn is_delimited(length: BodyLength, version: Version) -> bool {
    match length {
        BodyLength::None | BodyLength::Exact(_) => true,
        BodyLength::Chunked => version == Version::Http11,
        BodyLength::UntilClose => false,
    }
}

/// What decides about a read answer head.
fn facts(head: &ResponseHead, length: BodyLength) -> AnswerHead {
    let dated = head.fields.has(Name::Date);
    AnswerHead { status: head.status, length, taken: head.len, dated, borne: head.fields.borne() }
}

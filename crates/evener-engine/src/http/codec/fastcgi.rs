//! FastCGI to responders such as php-fpm: one request per connection.
//!
//! Rules kept here:
//! - A responder gets the meta-variables of RFC 3875 and nginx's usual further ones; the
//!   configuration's parameters stand over them.
//! - What the client said of itself reaches the program only as the exchange found it: identity
//!   fields are ours, `Proxy` is never passed, names with underscores are as the listener says.
//! - A body of unknown length is refused (411): responders read as much as CONTENT_LENGTH says. One
//!   that was taken in whole has a length.
//! - An answer ends where its head said, or with its end record; anything else was cut. A request
//!   that the responder ends unserved is a 502.
//!
//! Not known here: records' bytes (evener-proto), sockets.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;
use std::rc::Rc;

use evener_proto::fastcgi::{
    self, CgiParser, Decoder, MAX_RECORD, Params, ProtocolStatus, STDIN_END,
};
use evener_proto::h1::edit::Edits;
use evener_proto::h1::forward::{self, RequestPolicy};
use evener_proto::h1::{BodyLength, Form, Limits, Method, Name, Violations};
use evener_proto::{Malformed, Progress};

use super::{AnswerHead, HeadPolicy};
use crate::http::exchange::{Asked, Exchange};
use crate::http::forwarded::{self, Own};
use crate::http::template::{Word, Words};
use crate::http::words::ExchangeWords;
use crate::http::work::Work;
use crate::io::{Buffer, Outgoing};
use crate::shard::PoolView;

const LIMITS: Limits = Limits { max_head: 64 << 10, max_fields: 256 };

/// An exchange with a FastCGI responder.
pub struct FastCgi {
    /// The request's first records.
    request: Vec<u8>,
    decoder: Decoder,
    head: CgiParser,
    /// Bytes at the front of the inbox that are payload already.
    decoded: usize,
    /// Bytes of payload that may still go to the client.
    left: u64,
    /// The answer ends with the program's output, not after a number of bytes.
    open_ended: bool,
    started: bool,
}

/// Whether a responder can be given a body of this length.
///
/// # Errors
/// [`Malformed::LengthRequired`].
pub fn takes(length: BodyLength) -> Result<(), Malformed> {
    match length {
        BodyLength::None | BodyLength::Exact(_) => Ok(()),
        _ => Err(Malformed::LengthRequired),
    }
}

impl FastCgi {
    /// Before the request: its parameters are made from the exchange.
    ///
    /// # Errors
    /// `UnsafeValue` where the route sets a field that cannot be sent.
    pub fn new(
        exchange: &Exchange<'_>,
        pool: &Rc<PoolView>,
        server: usize,
    ) -> Result<FastCgi, Malformed> {
        let mut request = Vec::with_capacity(2048);
        fastcgi::begin(&mut request);
        let mut params = Params::new(&mut request);
        parameters(exchange, pool, server, &mut params)?;
        params.end();
        Ok(FastCgi {
            request,
            decoder: Decoder::new(),
            head: CgiParser::new(),
            decoded: 0,
            left: 0,
            open_ended: false,
            started: false,
        })
    }

    pub(super) fn request_head(
        &mut self,
        asked: &Asked,
        work: &mut Work,
        _read: &[u8],
        _own: &Own<'_>,
    ) -> Result<(), Malformed> {
        takes(asked.length)?;
        work.desk.up.own(|out| out.append(&mut self.request));
        Ok(())
    }

    pub(super) fn request_body(&mut self, data: Range<usize>, last: bool, up: &mut Outgoing) {
        let mut from = data.start;
        while from < data.end {
            let count = (data.end - from).min(MAX_RECORD);
            // A record holds less than 64 KiB, so its length fits.
            up.own(|out| out.extend_from_slice(&fastcgi::stdin_header(count as u16)));
            up.read(from..from + count);
            from += count;
        }
        if last {
            up.own(|out| out.extend_from_slice(&STDIN_END));
        }
    }

    pub(super) fn answer_head(
        &mut self,
        method: Method,
        _work: &mut Work,
        inbox: &mut Buffer,
    ) -> Result<Option<AnswerHead>, Malformed> {
        self.decode(inbox, self.decoded)?;
        let payload = inbox.part(0..self.decoded);
        let Some(taken) = self.head.parse(payload, &LIMITS)? else {
            return match self.decoder.end() {
                Some(_) => Err(Malformed::CgiEmpty),
                None => Ok(None),
            };
        };
        let head = self.head.head();
        let length = head.body(method);
        self.started = true;
        self.open_ended = length == BodyLength::UntilClose;
        self.left = match length {
            BodyLength::Exact(length) => length,
            BodyLength::UntilClose => u64::MAX,
            _ => 0,
        };
        let dated = head.fields.has(Name::Date);
        let borne = Violations::NONE;
        Ok(Some(AnswerHead { status: head.status, length, taken, dated, borne }))
    }

    pub(super) fn write_head(&mut self, policy: HeadPolicy<'_>, work: &mut Work, read: &[u8]) {
        work.desk.down.own(|out| self.head.head().write(read, policy.edited, out));
    }

    pub(super) fn answer_body(
        &mut self,
        inbox: &mut Buffer,
        skip: usize,
    ) -> Result<Progress, Malformed> {
        self.decode(inbox, self.decoded.max(skip))?;
        let come = self.decoded.saturating_sub(skip);
        self.decoded = 0;
        // A program that writes more than it announced is cut to its word.
        let data = usize::try_from(self.left).unwrap_or(usize::MAX).min(come);
        self.left -= data as u64;
        if self.decoder.end().is_some() && !self.is_done() {
            return Err(Malformed::FcgiShort);
        }
        Ok(Progress { consumed: come, data: 0..data, done: self.is_done() })
    }

    /// Decodes what lies behind the first `from` bytes; then the inbox holds payload only.
    fn decode(&mut self, inbox: &mut Buffer, from: usize) -> Result<(), Malformed> {
        let raw = inbox.bytes_mut().get_mut(from..).unwrap_or(&mut []);
        let count = self.decoder.decode(raw)?.data.len();
        self.decoded = from + count;
        inbox.truncate(self.decoded);
        match self.decoder.end() {
            Some(end) if end != ProtocolStatus::Complete => Err(Malformed::FcgiRefused),
            _ => Ok(()),
        }
    }

    pub(super) fn on_end(&mut self) -> bool {
        self.is_done()
    }

    pub(super) fn is_done(&self) -> bool {
        self.started && (self.left == 0 || self.open_ended && self.decoder.end().is_some())
    }

    pub(super) fn reusable(&self) -> bool {
        false
    }

    pub(super) fn take_stderr(&mut self) -> Option<Vec<u8>> {
        let mut words = self.decoder.stderr().to_vec();
        if self.decoder.stderr_lost() > 0 {
            words.extend(format!(" … and {} bytes more", self.decoder.stderr_lost()).bytes());
        }
        (!words.is_empty()).then_some(words)
    }
}

/// All parameters: ours where the configuration says nothing, its own, the request's fields.
fn parameters(
    exchange: &Exchange<'_>,
    pool: &Rc<PoolView>,
    server: usize,
    out: &mut Params<'_>,
) -> Result<(), Malformed> {
    let words = ExchangeWords(exchange);
    let given = pool.params(server);
    let is_given = |name: &str| given.iter().any(|(given, _)| given == name);
    let lines = lines(exchange)?;
    let mut value = Vec::new();
    for (name, fill) in meta_variables() {
        if !is_given(name) {
            value.clear();
            if fill(exchange, &words, &mut value) {
                out.add(name.as_bytes(), &value);
            }
        }
    }
    if !is_given("CONTENT_TYPE") {
        let content_type = lines.iter().rfind(|line| line.is(b"Content-Type"));
        out.add(b"CONTENT_TYPE", content_type.map_or(b"", |line| &line.value));
    }
    for (name, template) in given {
        value.clear();
        template.expand(&words, &mut value);
        out.add(name.as_bytes(), &value);
    }
    if let Some((_, root)) = given.iter().find(|(name, _)| name == "DOCUMENT_ROOT")
        && !is_given("SCRIPT_FILENAME")
    {
        value.clear();
        root.expand(&words, &mut value);
        while value.last() == Some(&b'/') {
            value.pop();
        }
        script(exchange, &mut value);
        out.add(b"SCRIPT_FILENAME", &value);
    }
    let set: Vec<_> = given.iter().filter_map(|(name, _)| name.strip_prefix("HTTP_")).collect();
    fields(lines.iter().filter(|line| !set.iter().any(|name| line.is(name.as_bytes()))), out);
    Ok(())
}

/// A field's line on its way to the program.
struct Line<'a> {
    name: Cow<'a, [u8]>,
    value: Cow<'a, [u8]>,
}

impl Line<'_> {
    /// Whether a program would see that name: `A-B` is `a_b` to it.
    fn is(&self, name: &[u8]) -> bool {
        self.name.len() == name.len() && self.name.iter().map(as_seen).eq(name.iter().map(as_seen))
    }
}

/// A byte of a name as it decides which parameter the field becomes.
fn as_seen(byte: &u8) -> u8 {
    if *byte == b'_' { b'-' } else { byte.to_ascii_lowercase() }
}

/// The request's fields, identity fields as we know them, and what the route makes of them. What an
/// absolute target names is the host; an expectation has been dealt with.
fn lines<'a>(exchange: &'a Exchange<'_>) -> Result<Vec<Line<'a>>, Malformed> {
    let bytes = exchange.client.inbox.bytes();
    let head = exchange.work.request.head();
    let own = forwarded::own(exchange.client, &exchange.view, &exchange.asked, "");
    let policy = RequestPolicy {
        trusted: own.trusted,
        underscores: own.underscores,
        tunnel: false,
        reframed: true,
        set: own.replaced(),
        edited: own.edits.and_then(Edits::cut),
    };
    let mut lines = Vec::new();
    let mut add = |name: Cow<'a, [u8]>, value: Cow<'a, [u8]>| lines.push(Line { name, value });
    if head.form == Form::Absolute {
        add(b"Host"[..].into(), head.authority.text.of(bytes).into());
    }
    // What the listener refuses was refused before.
    for field in forward::request_fields(head, bytes, &policy).into_iter().flatten() {
        if field.id != Name::Expect {
            add(field.name.of(bytes).into(), field.value.of(bytes).into());
        }
    }
    own.each(head, bytes, &mut |name, value| add(name.to_vec().into(), value.to_vec().into()));
    if let Some(edits) = own.edits {
        let words = ExchangeWords(exchange);
        edits.each(
            |template, out| template.expand(&words, out),
            |name, value| add(name.to_vec().into(), value.into()),
        )?;
    }
    Ok(lines)
}

/// Fields as HTTP_*, the lines of one name as one (RFC 9110 §5.3; for Cookie RFC 6265 §5.4). A type
/// has a parameter of its own.
fn fields<'a>(lines: impl Iterator<Item = &'a Line<'a>>, out: &mut Params<'_>) {
    // Names are a stranger's, and may be many and long: each is looked at once.
    let mut known = HashMap::new();
    let mut fields: Vec<(&Line<'_>, Vec<&[u8]>)> = Vec::new();
    for line in lines.filter(|line| !line.is(b"Content-Type")) {
        let name: Vec<u8> = line.name.iter().map(as_seen).collect();
        let place = *known.entry(name).or_insert(fields.len());
        match fields.get_mut(place) {
            Some((_, values)) => values.push(&line.value),
            None => fields.push((line, vec![&line.value])),
        }
    }
    for (line, values) in fields {
        let between: &[u8] = if line.is(b"Cookie") { b"; " } else { b", " };
        out.add_field(&line.name, &values.join(between));
    }
}

type Fill = fn(&Exchange<'_>, &ExchangeWords<'_, '_>, &mut Vec<u8>) -> bool;

/// Names and how each is filled; false leaves it out.
fn meta_variables() -> [(&'static str, Fill); 17] {
    [
        ("GATEWAY_INTERFACE", |_, _, out| text(out, b"CGI/1.1")),
        ("SERVER_SOFTWARE", |_, _, out| text(out, b"evener")),
        // php-cgi refuses to run without it when built with force-cgi-redirect.
        ("REDIRECT_STATUS", |_, _, out| text(out, b"200")),
        ("REQUEST_METHOD", |_, words, out| word(words, &Word::Method, out)),
        ("REQUEST_URI", |_, words, out| word(words, &Word::Uri, out)),
        ("QUERY_STRING", |_, words, out| word(words, &Word::Query(String::new()), out)),
        ("DOCUMENT_URI", |exchange, _, out| script(exchange, out)),
        ("SCRIPT_NAME", |exchange, _, out| script(exchange, out)),
        ("REQUEST_SCHEME", |_, words, out| word(words, &Word::Scheme, out)),
        ("REMOTE_ADDR", |_, words, out| word(words, &Word::ClientIp, out)),
        ("REMOTE_PORT", |_, words, out| word(words, &Word::ClientPort, out)),
        ("SERVER_NAME", |exchange, words, out| {
            // RFC 3875 §4.1.14: it is never empty.
            word(words, &Word::Host, out)
                && (!out.is_empty() || address(exchange, out) || text(out, b"localhost"))
        }),
        ("SERVER_PROTOCOL", |exchange, _, out| text(out, exchange.asked.version.text().as_bytes())),
        ("SERVER_ADDR", |exchange, _, out| address(exchange, out)),
        ("SERVER_PORT", |exchange, _, out| {
            let local = exchange.client.stream.local_address();
            local
                .is_some_and(|local| text(out, itoa::Buffer::new().format(local.port()).as_bytes()))
        }),
        ("HTTPS", |exchange, _, out| exchange.client.stream.is_tls() && text(out, b"on")),
        ("CONTENT_LENGTH", |exchange, _, out| match exchange.asked.length {
            BodyLength::Exact(length) => text(out, itoa::Buffer::new().format(length).as_bytes()),
            _ => text(out, b""),
        }),
    ]
}

fn text(out: &mut Vec<u8>, value: &[u8]) -> bool {
    out.extend_from_slice(value);
    true
}

/// The address that the client connected to; false on a unix socket.
fn address(exchange: &Exchange<'_>, out: &mut Vec<u8>) -> bool {
    let local = exchange.client.stream.local_address();
    local.is_some_and(|local| {
        forwarded::write_address(Some(local.ip()), out);
        true
    })
}

fn word(words: &ExchangeWords<'_, '_>, word: &Word, out: &mut Vec<u8>) -> bool {
    words.append(word, out);
    true
}

/// The script's name: the canonical path, decoded; `index.php` in a directory. An escaped slash stays
/// escaped, as it is none to the routes: what they let through is what runs.
fn script(exchange: &Exchange<'_>, out: &mut Vec<u8>) -> bool {
    let mut path = Vec::new();
    ExchangeWords(exchange).append(&Word::Path, &mut path);
    let mut rest = path.as_slice();
    while let Some((first, behind)) = rest.split_first() {
        let escaped = behind.get(..2).filter(|_| *first == b'%').and_then(hex);
        match escaped {
            Some(byte) if byte != b'/' => {
                out.push(byte);
                rest = behind.get(2..).unwrap_or(&[]);
            }
            _ => {
                out.push(*first);
                rest = behind;
            }
        }
    }
    if out.last() == Some(&b'/') {
        out.extend_from_slice(b"index.php");
    }
    true
}

fn hex(digits: &[u8]) -> Option<u8> {
    u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

//! Requests from a client, answers from a server, both hostile.
//!
//! Invariant, in words:
//! 1. *One reading.* A request or answer that goes on is exactly one message to a strict reader and
//!    to every careless one (`naive`): same length, same host, same target. No reader finds a second
//!    message in it, none waits for more.
//! 2. *Nothing leaks.* A message is made of its own bytes only; where one is refused or cut, nothing
//!    of it or after it goes on. Bytes beyond the last message stay unread.
//! 3. *What ends here ends here.* No field of one connection, no look-alike, and from a stranger no
//!    identity field goes on.
//! 4. *Any split, one outcome.* Whole, byte by byte and mixed pieces give the same messages and the
//!    same offence.
//!
//! Input: a byte of flags (1: the client is trusted, 2: underscores pass, 4: they are refused), the
//! client's bytes, 0x1E, the server's bytes.

use evener_proto::Malformed;
use evener_proto::h1::forward::{
    RequestPolicy, ResponsePolicy, Underscores, request_segments, response_segments,
};
use evener_proto::h1::framing::{
    expects_continue, is_bodiless, request_body, response_body, reusable, wants_upgrade,
};
use evener_proto::h1::path::canonical_path;
use evener_proto::h1::{
    BodyDecoder, BodyLength, ChunkHeader, LAST_CHUNK, Limits, Method, RequestHead, RequestParser,
    ResponseParser, Segments, Sender,
};

use crate::naive::{Head, readers};
use crate::wire::{Pieces, Wire};

/// Small, so that inputs reach them.
const LIMITS: Limits = Limits { max_head: 1024, max_fields: 16 };

/// Runs the target.
pub fn h1_exchange(data: &[u8]) {
    let Some((&flags, rest)) = data.split_first() else { return };
    let middle = rest.iter().position(|&b| b == 0x1E).unwrap_or(rest.len());
    let (client, server) = rest.split_at(middle);
    let server = server.get(1..).unwrap_or_default();
    let seed = data.iter().fold(u32::from(flags), |n, &b| n.wrapping_mul(31) ^ u32::from(b));

    let whole = run(client, server, flags, Pieces::Whole);
    for pieces in [Pieces::Bytes, Pieces::Mixed(seed)] {
        assert_eq!(run(client, server, flags, pieces), whole, "{pieces:?}");
    }
    for exchange in &whole.exchanges {
        exchange.request.check(flags & 1 != 0);
        if let Some(answer) = &exchange.answer {
            answer.check();
        }
    }
}

#[derive(Debug, PartialEq, Eq, Default)]
struct Outcome {
    exchanges: Vec<Exchange>,
    /// Why there are no more.
    end: End,
    client_unread: usize,
    server_unread: usize,
}

#[derive(Debug, PartialEq, Eq, Default)]
enum End {
    #[default]
    Closed,
    Cut,
    Refused(Malformed),
    BadAnswer(Malformed),
    Tunnel,
}

#[derive(Debug, PartialEq, Eq)]
struct Exchange {
    request: Request,
    answer: Option<Answer>,
}

/// A request as it goes on.
#[derive(Debug, PartialEq, Eq)]
struct Request {
    bytes: Vec<u8>,
    method: Method,
    target: Vec<u8>,
    host: Vec<u8>,
    path: Result<Vec<u8>, Malformed>,
    payload: Vec<u8>,
    upgrade: bool,
}

/// An answer as it goes on.
#[derive(Debug, PartialEq, Eq)]
struct Answer {
    bytes: Vec<u8>,
    status: u16,
    method: Method,
    payload: Vec<u8>,
}

/// Carries messages until something ends it.
fn run(client: &[u8], server: &[u8], flags: u8, pieces: Pieces) -> Outcome {
    let mut client = Wire::new(client, pieces);
    let mut server = Wire::new(server, pieces);
    let mut outcome = Outcome::default();
    let mut parsers = (RequestParser::new(), ResponseParser::new(), Segments::new());
    outcome.end = loop {
        match exchange(&mut client, &mut server, flags, &mut parsers, &mut outcome.exchanges) {
            Ok(None) => {}
            Ok(Some(end)) | Err(end) => break end,
        }
    };
    (outcome.client_unread, outcome.server_unread) = (client.unread(), server.unread());
    if matches!(outcome.end, End::Refused(_) | End::BadAnswer(_)) {
        // How much of a refused message had been taken depends on the split, and on nothing else.
        (outcome.client_unread, outcome.server_unread) = (0, 0);
    }
    outcome
}

type Parsers = (RequestParser, ResponseParser, Segments);

fn exchange(
    client: &mut Wire<'_>,
    server: &mut Wire<'_>,
    flags: u8,
    (requests, answers, segments): &mut Parsers,
    done: &mut Vec<Exchange>,
) -> Result<Option<End>, End> {
    requests.clear();
    let (request, keep) = request(client, flags, requests, segments)?;
    let (method, upgrade) = (request.method, request.upgrade);
    done.push(Exchange { request, answer: None });
    let (answer, reuse) = answer(server, method, upgrade, answers, segments)?;
    let tunnel = upgrade && answer.status == 101;
    if let Some(last) = done.last_mut() {
        last.answer = Some(answer);
    }
    Ok(match (tunnel, keep && reuse) {
        (true, _) => Some(End::Tunnel),
        (false, false) => Some(End::Closed),
        (false, true) => None,
    })
}

/// One request, and whether the client's connection goes on after it.
fn request(
    client: &mut Wire<'_>,
    flags: u8,
    parser: &mut RequestParser,
    segments: &mut Segments,
) -> Result<(Request, bool), End> {
    let buf = client.head(|buf| parser.parse(buf, &LIMITS)).map_err(End::Refused)?;
    let buf = buf.ok_or(End::Cut)?;
    let head = parser.head();
    let length = request_body(head, &buf).map_err(End::Refused)?;
    expects_continue(head, length, &buf).map_err(End::Refused)?;
    let upgrade = wants_upgrade(head, length, &buf);
    let policy = RequestPolicy {
        trusted: flags & 1 != 0,
        underscores: match flags & 6 {
            2 => Underscores::Pass,
            4 => Underscores::Refuse,
            _ => Underscores::Drop,
        },
        tunnel: upgrade,
        ..Default::default()
    };
    request_segments(head, &buf, &policy, segments).map_err(End::Refused)?;
    let mut bytes: Vec<u8> = segments.slices(&buf).flatten().copied().collect();
    bytes.extend_from_slice(b"\r\n");
    let decoder = BodyDecoder::new(length, Sender::Client);
    let payload = client.body(decoder).map_err(End::Refused)?.ok_or(End::Cut)?;
    frame(length, &payload, &mut bytes);
    Ok((described(head, &buf, bytes, payload, upgrade), head.keep_alive()))
}

fn described(
    head: &RequestHead,
    buf: &[u8],
    bytes: Vec<u8>,
    payload: Vec<u8>,
    upgrade: bool,
) -> Request {
    Request {
        bytes,
        method: head.method,
        target: head.target.of(buf).to_vec(),
        host: head.authority.text.of(buf).to_vec(),
        path: canonical_path(head.path.of(buf), &mut Vec::new()).map(<[u8]>::to_vec),
        payload,
        upgrade,
    }
}

/// One answer past interim ones, and whether the server's connection goes on after it.
fn answer(
    server: &mut Wire<'_>,
    method: Method,
    upgrade: bool,
    parser: &mut ResponseParser,
    segments: &mut Segments,
) -> Result<(Answer, bool), End> {
    let buf = loop {
        parser.clear();
        let buf = server.head(|buf| parser.parse(buf, &LIMITS)).map_err(End::BadAnswer)?;
        let buf = buf.ok_or(End::Cut)?;
        if !parser.head().is_interim() {
            break buf;
        }
    };
    let head = parser.head();
    let length = response_body(method, head, &buf).map_err(End::BadAnswer)?;
    let tunnel = head.status == 101;
    if tunnel && !upgrade {
        return Err(End::BadAnswer(Malformed::SwitchUnasked));
    }
    let reframed = length == BodyLength::UntilClose;
    let policy = ResponsePolicy { reframed, tunnel, ..Default::default() };
    response_segments(head, &buf, &policy, segments);
    let mut bytes: Vec<u8> = segments.slices(&buf).flatten().copied().collect();
    if reframed {
        bytes.extend_from_slice(b"Transfer-Encoding: chunked\r\n");
    }
    bytes.extend_from_slice(b"\r\n");
    let decoder = BodyDecoder::new(length, Sender::Server);
    let payload = server.body(decoder).map_err(End::BadAnswer)?.ok_or(End::Cut)?;
    frame(length, &payload, &mut bytes);
    Ok((Answer { bytes, status: head.status, method, payload }, reusable(head, length)))
}

/// The body as it goes on.
fn frame(length: BodyLength, payload: &[u8], out: &mut Vec<u8>) {
    match length {
        BodyLength::None => assert!(payload.is_empty()),
        BodyLength::Exact(n) => {
            assert_eq!(payload.len() as u64, n);
            out.extend_from_slice(payload);
        }
        BodyLength::Chunked | BodyLength::UntilClose => {
            if !payload.is_empty() {
                out.extend_from_slice(ChunkHeader::new(payload.len()).as_bytes());
                out.extend_from_slice(payload);
                out.extend_from_slice(b"\r\n");
            }
            out.extend_from_slice(LAST_CHUNK);
        }
    }
}

impl Request {
    fn check(&self, trusted: bool) {
        for reader in readers() {
            let len = reader.message(&self.bytes, false);
            assert_eq!(len, Some(self.bytes.len()), "{reader:?}: {}", self.bytes.escape_ascii());
            let head = reader.head(&self.bytes).expect("a message has a head");
            let hosts = head.values("host");
            match self.host.is_empty() {
                true => assert!(hosts.is_empty()),
                false => assert_eq!(hosts, [self.host.as_slice()]),
            }
            assert_eq!(head.line.split(|&b| b == b' ').count(), 3);
            assert!(head.line.ends_with(b" HTTP/1.1"));
            check_fields(&head, trusted, self.upgrade);
        }
        self.reread();
    }

    /// Our own reader, on what we send.
    fn reread(&self) {
        let mut wire = Wire::new(&self.bytes, Pieces::Whole);
        let mut parser = RequestParser::new();
        // Rewriting 1.0 and an absolute target may lengthen a head, and 1.0 may lack a Host.
        let limits = longer();
        let buf = match wire.head(|buf| parser.parse(buf, &limits)) {
            Err(Malformed::HostMissing) if self.host.is_empty() => return,
            result => result.expect("one reading").expect("a whole head"),
        };
        let head = parser.head();
        assert_eq!((head.method, head.authority.text.of(&buf)), (self.method, &*self.host));
        let origin = self.target.starts_with(b"/");
        assert!(!origin || self.target == head.target.of(&buf), "forwarded byte for byte");
        let path = canonical_path(head.path.of(&buf), &mut Vec::new()).map(<[u8]>::to_vec);
        let star = self.method == Method::Options && path.as_deref() == Ok(b"/");
        assert!(path == self.path || star);
        let length = request_body(head, &buf).expect("one length");
        let payload = wire.body(BodyDecoder::new(length, Sender::Client));
        assert_eq!(payload.as_ref(), Ok(&Some(self.payload.clone())));
        assert_eq!(wire.unread(), 0);
    }
}

impl Answer {
    fn check(&self) {
        let bodiless = self.method == Method::Head || is_bodiless(self.status);
        for reader in readers() {
            let len = reader.message(&self.bytes, bodiless);
            assert_eq!(len, Some(self.bytes.len()), "{reader:?}: {}", self.bytes.escape_ascii());
            let head = reader.head(&self.bytes).expect("a message has a head");
            check_hops(&head, self.status == 101);
        }
        let mut wire = Wire::new(&self.bytes, Pieces::Whole);
        let mut parser = ResponseParser::new();
        let buf = wire.head(|buf| parser.parse(buf, &longer())).expect("one reading");
        let buf = buf.expect("a whole head");
        assert_eq!(parser.head().status, self.status);
        let length = response_body(self.method, parser.head(), &buf).expect("one length");
        assert_ne!(length, BodyLength::UntilClose);
        let payload = wire.body(BodyDecoder::new(length, Sender::Server));
        assert_eq!(payload.as_ref(), Ok(&Some(self.payload.clone())));
        assert_eq!(wire.unread(), 0);
    }
}

/// Room for what goes on: a line may be rewritten, and a field added.
fn longer() -> Limits {
    Limits { max_head: LIMITS.max_head * 2, max_fields: LIMITS.max_fields + 1 }
}

fn check_fields(head: &Head, trusted: bool, upgrade: bool) {
    check_hops(head, upgrade);
    for (name, _) in &head.fields {
        assert!(!matches!(name.as_slice(), b"proxy" | b"http2-settings"));
        let identity = name.starts_with(b"x-forwarded-")
            || matches!(name.as_slice(), b"forwarded" | b"x-real-ip");
        assert!(trusted || !identity, "{}", name.escape_ascii());
    }
    for value in head.values("upgrade") {
        assert!(!value.split(|&b| b == b',').any(|p| p.trim_ascii().eq_ignore_ascii_case(b"h2c")));
    }
}

fn check_hops(head: &Head, upgrade: bool) {
    for name in ["connection", "keep-alive", "proxy-connection", "te", "trailer"] {
        assert!(head.values(name).is_empty(), "{name}");
    }
    assert!(upgrade || head.values("upgrade").is_empty());
}

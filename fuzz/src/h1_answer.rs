//! An answer's head against a second opinion.
//!
//! Invariant, in words:
//! 1. *Two readers, one meaning.* What our parser takes for an answer, a plain strict reader that
//!    shares no code with it (`strict`) takes for the same one: status, fields (unfolded), bytes,
//!    length of the body. What one refuses the other does not accept.
//! 2. *What goes on is what was read, less what ends here.* The forwarded head has exactly the fields
//!    that a list of plain rules leaves; at most one of them frames, none where there is no body.
//! 3. *What was let in is not let out*, and *any split, one outcome*, as for requests.
//!
//! Input: a byte of flags (1: HEAD was asked, 2: the client speaks 1.0, 8, 32: lf and bad_names are
//! let in), then the server's bytes.

use evener_proto::Malformed;
use evener_proto::h1::forward::{ResponsePolicy, response_segments};
use evener_proto::h1::framing::{is_bodiless, response_body};
use evener_proto::h1::{BodyLength, Limits, Method, ResponseParser, Segments, Version, Violations};

use crate::strict::{self, Answer, Field, Length, Read, values};
use crate::wire::{Pieces, Wire};

/// Small, so that inputs reach them.
const LIMITS: Limits = Limits { max_head: 1024, max_fields: 32 };

/// Runs the target.
pub fn h1_answer(data: &[u8]) {
    let Some((&flags, bytes)) = data.split_first() else { return };
    let accept = [(8, Violations::LF), (32, Violations::BAD_NAMES)]
        .into_iter()
        .filter(|(bit, _)| flags & bit != 0)
        .fold(Violations::NONE, |all, (_, one)| all.with(one));
    let whole = run(bytes, flags, accept, Pieces::Whole);
    let seed = data.iter().fold(u32::from(flags), |n, &b| n.wrapping_mul(31) ^ u32::from(b));
    for pieces in [Pieces::Bytes, Pieces::Mixed(seed)] {
        assert_eq!(run(bytes, flags, accept, pieces), whole, "{pieces:?}");
    }
    match (accept.is_empty(), &whole) {
        (_, Err(Malformed::HeadTooLarge | Malformed::TooManyFields)) => {}
        (true, _) => compare(bytes, flags, &whole),
        (false, Ok(Some(ours))) => check_rebuilt(ours, flags),
        (false, _) => {}
    }
}

/// An answer as we read it, and as it goes on with its last line.
#[derive(Debug, PartialEq, Eq)]
struct Ours {
    answer: Answer,
    length: BodyLength,
    forwarded: Vec<u8>,
}

fn run(
    bytes: &[u8],
    flags: u8,
    accept: Violations,
    pieces: Pieces,
) -> Result<Option<Ours>, Malformed> {
    let mut parser = ResponseParser::new();
    let mut wire = Wire::new(bytes, pieces);
    let head = wire.head(|buf| parser.parse_accepting(buf, &LIMITS, accept))?;
    let Some(buf) = head else { return Ok(None) };
    let head = parser.head();
    let method = if flags & 1 != 0 { Method::Head } else { Method::Get };
    let length = response_body(method, head, &buf)?;
    let version = if flags & 2 != 0 { Version::Http10 } else { Version::Http11 };
    let policy = ResponsePolicy { version, ..ResponsePolicy::default() };
    let mut segments = Segments::new();
    response_segments(head, &buf, &policy, &mut segments);
    let mut forwarded: Vec<u8> = segments.slices(&buf).flatten().copied().collect();
    forwarded.extend_from_slice(b"\r\n");
    let pair = |f: &evener_proto::h1::Field| {
        (f.name.of(&buf).to_ascii_lowercase(), f.value.of(&buf).to_vec())
    };
    let answer = Answer {
        status: head.status,
        old: head.version == Version::Http10,
        fields: head.fields.iter().map(pair).collect(),
        len: head.len,
    };
    Ok(Some(Ours { answer, length, forwarded }))
}

fn compare(bytes: &[u8], flags: u8, ours: &Result<Option<Ours>, Malformed>) {
    let theirs = match strict::answer(bytes) {
        Read::Whole(answer) => match length(&answer, flags) {
            Some(length) => Read::Whole((answer, length)),
            None => Read::Bad,
        },
        Read::Bad => Read::Bad,
        Read::More => Read::More,
    };
    match (ours, theirs) {
        (Ok(Some(ours)), Read::Whole((theirs, length))) => {
            assert_eq!((&ours.answer, ours.length), (&theirs, length));
            check_forwarded(ours, flags);
        }
        (Ok(None), Read::More) | (Err(_), Read::Bad | Read::More) => {}
        (ours, theirs) => panic!("{ours:?}\n{theirs:?}\n{}", bytes.escape_ascii()),
    }
}

/// What the rules say of the body; `None`: an offence.
fn length(answer: &Answer, flags: u8) -> Option<BodyLength> {
    let interim = answer.status < 200;
    if is_bodiless(answer.status) && !interim {
        return Some(BodyLength::None);
    }
    let protocols = strict::members(&answer.fields, b"upgrade");
    let switches = !protocols.is_empty() && protocols.iter().all(|one| strict::is_protocol(one));
    if answer.status == 101 && !switches {
        return None;
    }
    let old = answer.old && !interim;
    match (strict::length(&answer.fields, old, true)?, interim) {
        (Length::Undeclared | Length::Bytes(0), true) => Some(BodyLength::None),
        (_, true) => None,
        _ if flags & 1 != 0 => Some(BodyLength::None),
        (Length::Undeclared, _) => Some(BodyLength::UntilClose),
        (Length::Bytes(n), _) => Some(BodyLength::Exact(n)),
        (Length::Chunks, _) => Some(BodyLength::Chunked),
    }
}

/// The fields that are left by the rules.
fn left(ours: &Ours, flags: u8) -> Vec<Field> {
    let ended = strict::nominated(&ours.answer.fields);
    let hops: &[&[u8]] =
        &[b"connection", b"keep-alive", b"proxy-connection", b"te", b"trailer", b"upgrade"];
    let framing: &[&[u8]] = &[b"content-length", b"transfer-encoding"];
    let stays: &[&[u8]] =
        &[b"host", b"date", b"via", b"expect", b"max-forwards", b"forwarded", b"x-real-ip"];
    let mut length_seen = false;
    let mut fields = Vec::new();
    for (name, value) in &ours.answer.fields {
        let plain = |b: &u8| if b.is_ascii_alphanumeric() { *b } else { b'-' };
        let alike: Vec<u8> = name.iter().map(plain).collect();
        let known = |n: &[u8]| {
            hops.contains(&n)
                || framing.contains(&n)
                || n == b"forwarded"
                || n == b"x-real-ip"
                || n == b"http2-settings"
                || n.starts_with(b"x-forwarded-")
        };
        let is_framing = framing.contains(&&name[..]);
        let protected =
            is_framing || stays.contains(&&name[..]) || name.starts_with(b"x-forwarded-");
        let cut = (alike != *name && known(&alike))
            || hops.contains(&&name[..])
            || (is_framing && is_bodiless(ours.answer.status))
            || (name == b"transfer-encoding" && flags & 2 != 0)
            || (name == b"content-length" && length_seen)
            || (ended.contains(name) && !protected);
        length_seen |= name == b"content-length";
        if !cut {
            fields.push((name.clone(), value.clone()));
        }
    }
    fields
}

fn check_forwarded(ours: &Ours, flags: u8) {
    let sent = &ours.forwarded;
    let Read::Whole(theirs) = strict::answer(sent) else {
        panic!("not strict: {}", sent.escape_ascii());
    };
    assert_eq!((theirs.len, theirs.old), (sent.len(), false));
    assert_eq!(theirs.status, ours.answer.status);
    assert_eq!(theirs.fields, left(ours, flags));
    let framing = |name: &[u8]| values(&theirs.fields, name).len();
    let frames = framing(b"content-length") + framing(b"transfer-encoding");
    assert!(frames <= 1 && (frames == 0 || !is_bodiless(theirs.status)));
    assert!(sent.get(12) == Some(&b' '), "the space after the code is due");
}

/// A head in which violations were let in is a strict one when it goes on.
fn check_rebuilt(ours: &Ours, flags: u8) {
    let sent = &ours.forwarded;
    match strict::answer(sent) {
        Read::Whole(theirs) => {
            assert_eq!((theirs.len, theirs.status), (sent.len(), ours.answer.status));
            assert!(flags & 2 == 0 || values(&theirs.fields, b"transfer-encoding").is_empty());
        }
        read => panic!("{read:?}: {}", sent.escape_ascii()),
    }
}

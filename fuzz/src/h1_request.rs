//! A request's head against a second opinion.
//!
//! Invariant, in words:
//! 1. *Two readers, one meaning.* What our parser takes for a request, a plain strict reader that
//!    shares no code with it (`strict`) takes for the same one: method, target, host, fields, length
//!    of the body, canonical path, bytes. What one refuses the other does not accept.
//! 2. *What goes on is what was read, less what ends here.* The forwarded head, read by that other
//!    reader, has exactly the fields that a list of plain rules leaves, in order.
//! 3. *What was let in is not let out.* Where violations are accepted by name, the forwarded head is
//!    one that the strict reader takes.
//! 4. *Any split, one outcome.*
//!
//! Input: a byte of flags (1: the client is trusted, 2: underscores pass, 4: they are refused, 8, 16,
//! 32: lf, obs_fold, bad_names are let in), then the client's bytes.

use evener_proto::Malformed;
use evener_proto::h1::forward::{RequestPolicy, Underscores, request_segments};
use evener_proto::h1::{
    BodyLength, Form, Limits, Policy, RequestParser, Segments, Version, Violations, admit,
};

use crate::strict::{self, Field, Length, Read, Request, values};
use crate::wire::{Pieces, Wire};

/// Small, so that inputs reach them.
const LIMITS: Limits = Limits { max_head: 1024, max_fields: 32 };

/// Runs the target.
pub fn h1_request(data: &[u8]) {
    let Some((&flags, bytes)) = data.split_first() else { return };
    let policy = policy(flags);
    let whole = run(bytes, flags, &policy, Pieces::Whole);
    let seed = data.iter().fold(u32::from(flags), |n, &b| n.wrapping_mul(31) ^ u32::from(b));
    for pieces in [Pieces::Bytes, Pieces::Mixed(seed)] {
        assert_eq!(run(bytes, flags, &policy, pieces), whole, "{pieces:?}");
    }
    match (policy.accept.is_empty(), &whole) {
        (_, Err(offence)) if is_size(*offence) => {}
        (true, _) => compare(bytes, flags, &policy, &whole),
        (false, Ok(Some(ours))) => check_rebuilt(ours),
        (false, _) => {}
    }
}

fn policy(flags: u8) -> Policy {
    let named = [(8, Violations::LF), (16, Violations::OBS_FOLD), (32, Violations::BAD_NAMES)];
    Policy {
        limits: LIMITS,
        underscores: match flags & 6 {
            2 => Underscores::Pass,
            4 => Underscores::Refuse,
            _ => Underscores::Drop,
        },
        accept: named
            .into_iter()
            .filter(|(bit, _)| flags & bit != 0)
            .fold(Violations::NONE, |all, (_, one)| all.with(one)),
        ..Policy::default()
    }
}

fn is_size(offence: Malformed) -> bool {
    use Malformed::*;
    matches!(offence, TargetTooLong | HeadTooLarge | TooManyFields)
}

/// A request as we read it, and as it goes on with its last line.
#[derive(Debug, PartialEq, Eq)]
struct Ours {
    request: Request,
    absolute: bool,
    upgrade: bool,
    forwarded: Vec<u8>,
}

fn run(
    bytes: &[u8],
    flags: u8,
    policy: &Policy,
    pieces: Pieces,
) -> Result<Option<Ours>, Malformed> {
    let mut parser = RequestParser::new();
    let mut wire = Wire::new(bytes, pieces);
    let head = wire.head(|buf| match policy.accept.is_empty() {
        true => parser.parse(buf, &policy.limits),
        false => parser.parse_accepting(buf, &policy.limits, policy.accept),
    })?;
    let Some(buf) = head else { return Ok(None) };
    let (head, mut scratch) = (parser.head(), Vec::new());
    let admitted = admit(head, &buf, policy, &mut scratch)?;
    let how = RequestPolicy {
        trusted: flags & 1 != 0,
        underscores: policy.underscores,
        tunnel: admitted.upgrade,
        ..RequestPolicy::default()
    };
    let mut segments = Segments::new();
    request_segments(head, &buf, &how, &mut segments)?;
    let mut forwarded: Vec<u8> = segments.slices(&buf).flatten().copied().collect();
    if head.authority.text.is_empty() {
        forwarded.extend_from_slice(b"Host: ours\r\n");
    }
    forwarded.extend_from_slice(b"\r\n");
    let pair = |f: &evener_proto::h1::Field| {
        (f.name.of(&buf).to_ascii_lowercase(), f.value.of(&buf).to_vec())
    };
    let request = Request {
        method: head.method_text.of(&buf).to_vec(),
        target: head.target.of(&buf).to_vec(),
        old: head.version == Version::Http10,
        fields: head.fields.iter().map(pair).collect(),
        host: head.authority.text.of(&buf).to_vec(),
        length: match admitted.body {
            BodyLength::None => Length::Undeclared,
            BodyLength::Exact(n) => Length::Bytes(n),
            BodyLength::Chunked => Length::Chunks,
            BodyLength::UntilClose => panic!("no request ends with its connection"),
        },
        path: admitted.path.to_vec(),
        len: head.len,
    };
    let absolute = head.form == Form::Absolute;
    Ok(Some(Ours { request, absolute, upgrade: admitted.upgrade, forwarded }))
}

fn compare(bytes: &[u8], flags: u8, policy: &Policy, ours: &Result<Option<Ours>, Malformed>) {
    let theirs = match strict::request(bytes) {
        Read::Whole(one) if refuses(policy, &one) => Read::Bad,
        read => read,
    };
    match (ours, theirs) {
        (Ok(Some(ours)), Read::Whole(theirs)) => {
            assert_eq!(ours.request, theirs);
            check_forwarded(ours, flags);
        }
        (Ok(None), Read::More) | (Err(_), Read::Bad | Read::More) => {}
        (ours, theirs) => panic!("{ours:?}\n{theirs:?}\n{}", bytes.escape_ascii()),
    }
}

fn refuses(policy: &Policy, request: &Request) -> bool {
    let odd = |(name, _): &Field| name.contains(&b'_') || is_other_spelling(name);
    policy.underscores == Underscores::Refuse && request.fields.iter().any(odd)
}

const HOP_BY_HOP: &[&[u8]] =
    &[b"connection", b"keep-alive", b"proxy-connection", b"te", b"trailer", b"upgrade"];

fn is_identity(name: &[u8]) -> bool {
    name.starts_with(b"x-forwarded-") || name == b"forwarded" || name == b"x-real-ip"
}

fn is_other_spelling(name: &[u8]) -> bool {
    let plain = |b: &u8| if b.is_ascii_alphanumeric() { *b } else { b'-' };
    let alike: Vec<u8> = name.iter().map(plain).collect();
    let framing: &[&[u8]] = &[b"content-length", b"transfer-encoding", b"http2-settings"];
    alike != name
        && (is_identity(&alike)
            || HOP_BY_HOP.contains(&&alike[..])
            || framing.contains(&&alike[..]))
}

/// The fields that are left by the rules.
fn left(ours: &Ours, flags: u8) -> Vec<Field> {
    let request = &ours.request;
    let ended = strict::nominated(&request.fields);
    let bodiless = matches!(request.length, Length::Undeclared | Length::Bytes(0));
    let options = request.method == b"OPTIONS";
    let stays = |name: &[u8]| {
        let kept: &[&[u8]] = &[
            b"host",
            b"content-length",
            b"transfer-encoding",
            b"date",
            b"via",
            b"expect",
            b"max-forwards",
        ];
        kept.contains(&name) || is_identity(name)
    };
    let mut fields = Vec::new();
    if ours.absolute {
        fields.push((b"host".to_vec(), request.host.clone()));
    }
    for (name, value) in &request.fields {
        let cut = is_other_spelling(name)
            || (flags & 6 == 0 || flags & 6 == 6) && name.contains(&b'_')
            || HOP_BY_HOP.contains(&&name[..])
            || name == b"proxy"
            || name == b"http2-settings"
            || (flags & 1 == 0 && is_identity(name))
            || (name == b"expect" && (request.old || bodiless))
            || (name == b"host" && (ours.absolute || request.host.is_empty()))
            || (name == b"max-forwards" && options)
            || (ended.contains(name) && !stays(name));
        if !cut {
            fields.push((name.clone(), value.clone()));
        }
        let protocols = protocols(value);
        if name == b"upgrade" && ours.upgrade && !protocols.is_empty() {
            fields.push((name.clone(), protocols));
        }
    }
    if options && !values(&request.fields, b"max-forwards").is_empty() {
        let text = values(&request.fields, b"max-forwards")[0];
        let digits = std::str::from_utf8(text).expect("digits");
        let left = digits.parse::<u64>().map_or(99, |n| n.saturating_sub(1).min(99));
        fields.push((b"max-forwards".to_vec(), left.to_string().into_bytes()));
    }
    if request.host.is_empty() {
        fields.push((b"host".to_vec(), b"ours".to_vec()));
    }
    fields
}

/// The members of an Upgrade that may be tunnelled.
fn protocols(value: &[u8]) -> Vec<u8> {
    let members = value.split(|b| *b == b',').map(<[u8]>::trim_ascii);
    members.filter(|member| strict::is_protocol(member)).collect::<Vec<_>>().join(&b", "[..])
}

fn check_forwarded(ours: &Ours, flags: u8) {
    let sent = &ours.forwarded;
    let Read::Whole(theirs) = strict::request(sent) else {
        panic!("not strict: {}", sent.escape_ascii());
    };
    assert_eq!(theirs.len, sent.len());
    assert_eq!((&theirs.method, theirs.old), (&ours.request.method, false));
    assert_eq!((theirs.path, theirs.length), (ours.request.path.clone(), ours.request.length));
    assert!(ours.absolute || theirs.target == ours.request.target, "forwarded byte for byte");
    assert_eq!(theirs.fields, left(ours, flags));
}

/// A head in which violations were let in is a strict one when it goes on.
fn check_rebuilt(ours: &Ours) {
    let sent = &ours.forwarded;
    match strict::request(sent) {
        Read::Whole(theirs) => {
            assert_eq!(theirs.len, sent.len());
            assert_eq!(theirs.method, ours.request.method);
            assert_eq!(
                (theirs.path, theirs.length),
                (ours.request.path.clone(), ours.request.length)
            );
        }
        read => panic!("{read:?}: {}", sent.escape_ascii()),
    }
}

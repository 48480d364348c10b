//! llhttp's samples of requests and answers (tests/conformance/llhttp), each with our verdict.
//!
//! Rules kept here: every sample has its verdict in verdicts.toml, and no verdict is left over;
//! where we refuse what llhttp takes, or take what it refuses, the reason stands there, too.
//! Messages that only lack a Host are read on with one put in, since nearly every sample does.

use std::collections::{BTreeMap, BTreeSet};

use evener_proto::Malformed;
use evener_proto::h1::framing::response_body;
use evener_proto::h1::{
    BodyDecoder, BodyLength, Fate, Interim, Interims, Limits, Method, Policy, RequestParser,
    ResponseParser, Sender, Version, admit,
};
use serde::Deserialize;

#[derive(Deserialize)]
struct Samples {
    sample: Vec<Sample>,
}

#[derive(Deserialize)]
struct Sample {
    name: String,
    kind: String,
    theirs: String,
    bytes: String,
}

#[derive(Deserialize)]
struct Verdicts {
    /// What becomes of a sample's bytes, by its name.
    verdict: BTreeMap<String, String>,
    /// Why we refuse what llhttp takes, by our cause.
    refused: BTreeMap<String, String>,
    /// Why we take what llhttp refuses, by its reason.
    taken: BTreeMap<String, String>,
}

/// What became of a sample: its messages, and the offence that ended them.
struct Ours {
    messages: Vec<String>,
    offence: Option<Malformed>,
}

impl Ours {
    fn text(&self) -> String {
        let offence = self.offence.map(|offence| format!("refused: {}", offence.cause()));
        let all: Vec<String> = self.messages.iter().cloned().chain(offence).collect();
        all.join(" | ")
    }
}

fn requests(bytes: &[u8]) -> Ours {
    let mut bytes = bytes.to_vec();
    loop {
        let (ours, at) = read_requests(&bytes);
        let line_end = |rest: &[u8]| {
            let first = if rest.starts_with(b"\r\n") { 2 } else { 0 };
            rest.get(first..)?.iter().position(|&b| b == b'\n').map(|end| first + end + 1)
        };
        match (ours.offence, line_end(bytes.get(at..).unwrap_or_default())) {
            (Some(Malformed::HostMissing), Some(end)) => {
                bytes.splice(at + end..at + end, *b"Host: h\r\n");
            }
            _ => return ours,
        }
    }
}

/// The requests, and where the last one begins.
fn read_requests(bytes: &[u8]) -> (Ours, usize) {
    let mut ours = Ours { messages: Vec::new(), offence: None };
    let mut at = 0;
    while at < bytes.len() {
        match one_request(&bytes[at..]) {
            Ok((text, len)) => {
                ours.messages.push(text);
                at += len;
            }
            Err(offence) => {
                ours.offence = Some(offence);
                break;
            }
        }
    }
    (ours, at)
}

/// What the request at the start of `bytes` is, and how many of them belong to it.
fn one_request(bytes: &[u8]) -> Result<(String, usize), Malformed> {
    let mut parser = RequestParser::new();
    let Some(len) = parser.parse(bytes, &Limits::default())? else {
        return Ok(("unfinished head".to_owned(), bytes.len()));
    };
    let (head, mut scratch) = (parser.head(), Vec::new());
    let admitted = admit(head, bytes, &Policy::default(), &mut scratch)?;
    let name = head.method_text.of(bytes).escape_ascii();
    let target = head.target.of(bytes).escape_ascii();
    let mut text = format!("{name} {target}");
    let taken = body(&mut text, admitted.body, Sender::Client, &bytes[len..])?;
    if admitted.upgrade {
        return Ok((text + ", upgrade", bytes.len()));
    }
    if head.keep_alive() {
        return Ok((text, len + taken));
    }
    let rest = bytes.len() - len - taken;
    let unread = if rest > 0 { format!(", {rest} unread") } else { String::new() };
    Ok((format!("{text}, close{unread}"), bytes.len()))
}

fn answers(bytes: &[u8]) -> Ours {
    let mut ours = Ours { messages: Vec::new(), offence: None };
    let mut interims = Interims::new(Interim::Pass, Version::Http11, true, true);
    let mut at = 0;
    while at < bytes.len() {
        match one_answer(&bytes[at..], &mut interims) {
            Ok((text, len)) => {
                ours.messages.push(text);
                at += len;
            }
            Err(offence) => {
                ours.offence = Some(offence);
                break;
            }
        }
    }
    ours
}

fn one_answer(bytes: &[u8], interims: &mut Interims) -> Result<(String, usize), Malformed> {
    let mut buf = bytes.to_vec();
    let mut parser = ResponseParser::new();
    let Some(len) = parser.parse(&mut buf, &Limits::default())? else {
        return Ok(("unfinished head".to_owned(), bytes.len()));
    };
    let head = parser.head();
    let length = response_body(Method::Get, head, &buf)?;
    let mut text = head.status.to_string();
    if head.status < 200 && interims.judge(head.status)? == Fate::Switch {
        return Ok((text + ", switched", bytes.len()));
    }
    let taken = body(&mut text, length, Sender::Server, &bytes[len..])?;
    let close = if head.keep_alive() { "" } else { ", close" };
    Ok((format!("{text}{close}"), len + taken))
}

/// Adds what the body is, and says how many bytes belong to it.
fn body(
    text: &mut String,
    length: BodyLength,
    sender: Sender,
    bytes: &[u8],
) -> Result<usize, Malformed> {
    let mut decoder = BodyDecoder::new(length, sender);
    let progress = decoder.decode(&mut bytes.to_vec())?;
    if !length.is_empty() {
        *text += &format!(", {} bytes", progress.data.len());
    }
    if !progress.done {
        *text += if length == BodyLength::UntilClose { " to the end" } else { " unfinished" };
    }
    Ok(progress.consumed)
}

/// The bytes of a string of the file.
fn unescaped(text: &str) -> Vec<u8> {
    let (mut out, mut rest) = (Vec::new(), text);
    while let Some(first) = rest.chars().next() {
        let (byte, len) = match rest.as_bytes() {
            [b'\\', b'r', ..] => (b'\r', 2),
            [b'\\', b'n', ..] => (b'\n', 2),
            [b'\\', b't', ..] => (b'\t', 2),
            [b'\\', b'0', ..] => (0, 2),
            [b'\\', b'\\', ..] => (b'\\', 2),
            [b'\\', b'x', ..] => (u8::from_str_radix(&rest[2..4], 16).unwrap(), 4),
            _ => (u8::try_from(first).expect("ASCII"), 1),
        };
        out.push(byte);
        rest = &rest[len..];
    }
    out
}

fn samples() -> Vec<Sample> {
    let text = include_str!("../../../tests/conformance/llhttp/samples.toml");
    toml::from_str::<Samples>(text).unwrap_or_else(|e| panic!("{e}")).sample
}

fn verdicts() -> Verdicts {
    let text = include_str!("../../../tests/conformance/llhttp/verdicts.toml");
    toml::from_str(text).unwrap_or_else(|e| panic!("{e}"))
}

fn ours(sample: &Sample) -> Ours {
    let bytes = unescaped(&sample.bytes);
    if sample.kind.starts_with("request") { requests(&bytes) } else { answers(&bytes) }
}

#[test]
fn every_sample_of_llhttp_has_the_verdict_that_is_written_down() {
    let mut verdicts = verdicts().verdict;
    let mut wrong = Vec::new();
    for sample in samples() {
        let found = ours(&sample).text();
        if verdicts.remove(&sample.name).as_ref() != Some(&found) {
            wrong.push(format!("{:?} = {found:?}", sample.name));
        }
    }
    assert!(wrong.is_empty(), "{} verdicts are not:\n{}", wrong.len(), wrong.join("\n"));
    assert_eq!(verdicts.into_keys().collect::<Vec<_>>(), [""; 0], "verdicts without a sample");
}

#[test]
fn where_llhttp_differs_the_reason_is_written_down_and_no_reason_is_left_over() {
    let Verdicts { refused, taken, .. } = verdicts();
    let (mut causes, mut reasons) = (BTreeSet::new(), BTreeSet::new());
    for sample in samples() {
        match (ours(&sample).offence, sample.theirs.as_str()) {
            (Some(offence), "taken") => drop(causes.insert(offence.cause().to_owned())),
            (None, theirs) if theirs != "taken" => drop(reasons.insert(theirs.to_owned())),
            _ => {}
        }
    }
    assert_eq!(causes, refused.into_keys().collect());
    assert_eq!(reasons, taken.into_keys().collect());
}

//! The table of HTTP/1's rules (tests/conformance/http1/rules.toml), every row of it: its bytes
//! whole, byte by byte and cut at every single place give what the row says.
//!
//! Not here: rows that only an engine can show, and real sockets.

use std::collections::{BTreeSet, VecDeque};

use evener_proto::Malformed;
use evener_proto::h1::forward::{
    RequestPolicy, ResponsePolicy, Underscores, request_segments, response_segments,
};
use evener_proto::h1::framing::{response_body, reusable};
use evener_proto::h1::{
    BodyDecoder, BodyLength, Fate, Interim, Interims, Limits, Method, Policy, RequestParser,
    ResponseHead, ResponseParser, Segments, Sender, Version, Violations, admit,
};
use serde::Deserialize;

#[derive(Deserialize)]
struct Table {
    rule: Vec<Rule>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rule {
    id: String,
    #[serde(rename = "part")]
    _part: String,
    side: Side,
    #[serde(rename = "what")]
    _what: String,
    #[serde(rename = "rfc")]
    _rfc: String,
    #[serde(rename = "does")]
    _does: Option<String>,
    #[serde(rename = "deviation")]
    _deviation: Option<String>,
    test: Option<String>,
    #[serde(default)]
    case: Vec<Case>,
}

#[derive(Deserialize, PartialEq, Eq, Clone, Copy)]
#[serde(rename_all = "lowercase")]
enum Side {
    Request,
    Answer,
    Engine,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    send: OneOrMore,
    #[serde(default)]
    policy: CasePolicy,
    ask: Option<String>,
    #[serde(default)]
    eof: bool,
    status: Option<u16>,
    cause: Option<String>,
    cut: Option<String>,
    answer: Option<u16>,
    #[serde(default)]
    interim: Vec<String>,
    forward: Option<String>,
    #[serde(default)]
    body: String,
    path: Option<String>,
    #[serde(default)]
    then: Then,
    #[serde(default)]
    behind: String,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMore {
    One(String),
    More(Vec<String>),
}

#[derive(Deserialize, Default, PartialEq, Eq, Clone, Copy, Debug)]
#[serde(rename_all = "lowercase")]
enum Then {
    #[default]
    Kept,
    Closed,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct CasePolicy {
    trusted: bool,
    underscores: Option<String>,
    accept: Vec<String>,
    interim: Option<String>,
    max_head: Option<usize>,
    max_fields: Option<usize>,
}

impl CasePolicy {
    fn policy(&self) -> Policy {
        let default = Limits::default();
        let named = |word: &String| Violations::named(word).expect("a violation's word");
        Policy {
            limits: Limits {
                max_head: self.max_head.unwrap_or(default.max_head),
                max_fields: self.max_fields.unwrap_or(default.max_fields),
            },
            underscores: match self.underscores.as_deref() {
                Some("pass") => Underscores::Pass,
                Some("refuse") => Underscores::Refuse,
                Some("drop") | None => Underscores::Drop,
                Some(other) => panic!("underscores: {other}"),
            },
            accept: self.accept.iter().map(named).fold(Violations::NONE, Violations::with),
            interim: match self.interim.as_deref() {
                Some("drop") => Interim::Drop,
                Some("pass") | None => Interim::Pass,
                Some(other) => panic!("interim: {other}"),
            },
            via: false,
        }
    }
}

/// What became of the bytes.
#[derive(PartialEq, Eq, Debug, Clone)]
enum Outcome {
    Refused { status: u16, cause: &'static str },
    Answered { status: u16 },
    Cut { cause: &'static str },
    Passed(Passed),
    Unfinished,
}

#[derive(PartialEq, Eq, Debug, Clone)]
struct Passed {
    interim: Vec<String>,
    forward: String,
    body: String,
    path: String,
    then: Then,
    behind: String,
}

/// Bytes that come in pieces.
struct Wire<'a> {
    pieces: VecDeque<&'a [u8]>,
    buf: Vec<u8>,
}

impl Wire<'_> {
    fn fill(&mut self) -> bool {
        self.pieces.pop_front().map(|piece| self.buf.extend_from_slice(piece)).is_some()
    }

    fn unread(&self) -> String {
        text(&[&self.buf[..], &self.pieces.iter().copied().collect::<Vec<_>>().concat()].concat())
    }

    fn head(
        &mut self,
        mut parse: impl FnMut(&mut [u8]) -> Result<Option<usize>, Malformed>,
    ) -> Result<Option<Vec<u8>>, Malformed> {
        loop {
            if let Some(len) = parse(&mut self.buf)? {
                return Ok(Some(self.buf.drain(..len).collect()));
            }
            if !self.fill() {
                return Ok(None);
            }
        }
    }

    fn body(
        &mut self,
        length: BodyLength,
        sender: Sender,
        eof: bool,
    ) -> Result<Option<Vec<u8>>, Malformed> {
        let (mut decoder, mut payload) = (BodyDecoder::new(length, sender), Vec::new());
        loop {
            let progress = decoder.decode(&mut self.buf)?;
            payload.extend_from_slice(&self.buf[progress.data]);
            self.buf.drain(..progress.consumed);
            if progress.done || (self.pieces.is_empty() && eof && decoder.on_eof()) {
                return Ok(Some(payload));
            }
            if !self.fill() {
                return Ok(None);
            }
        }
    }
}

fn refused(offence: Malformed) -> Outcome {
    Outcome::Refused { status: offence.status(), cause: offence.cause() }
}

fn request(case: &Case, wire: &mut Wire<'_>) -> Result<Outcome, Malformed> {
    let policy = case.policy.policy();
    let mut parser = RequestParser::new();
    let accept = policy.accept;
    let head = wire.head(|buf| match accept.is_empty() {
        true => parser.parse(buf, &policy.limits),
        false => parser.parse_accepting(buf, &policy.limits, accept),
    })?;
    let Some(buf) = head else { return Ok(Outcome::Unfinished) };
    let (head, mut scratch) = (parser.head(), Vec::new());
    let admitted = admit(head, &buf, &policy, &mut scratch)?;
    if admitted.last_hop {
        return Ok(Outcome::Answered { status: 200 });
    }
    let how = RequestPolicy {
        trusted: case.policy.trusted,
        underscores: policy.underscores,
        tunnel: admitted.upgrade,
        ..RequestPolicy::default()
    };
    let mut segments = Segments::new();
    request_segments(head, &buf, &how, &mut segments)?;
    let body = wire.body(admitted.body, Sender::Client, false)?;
    let Some(body) = body else { return Ok(Outcome::Unfinished) };
    Ok(Outcome::Passed(Passed {
        interim: Vec::new(),
        forward: text(&segments.slices(&buf).collect::<Vec<_>>().concat()),
        body: text(&body),
        path: text(admitted.path),
        then: if head.keep_alive() { Then::Kept } else { Then::Closed },
        behind: wire.unread(),
    }))
}

/// Whose answer it is.
struct Asked {
    method: Method,
    version: Version,
    interims: Interims,
}

fn asked(case: &Case) -> Asked {
    let ask = case.ask.as_deref().unwrap_or("GET / HTTP/1.1\\r\\nHost: h\\r\\n\\r\\n");
    let ask = bytes(ask);
    let mut parser = RequestParser::new();
    parser.parse(&ask, &Limits::default()).unwrap().expect("a whole head");
    let (head, policy, mut scratch) = (parser.head(), case.policy.policy(), Vec::new());
    let admitted = admit(head, &ask, &policy, &mut scratch).unwrap();
    let (awaits, upgrade) = (admitted.awaits_continue, admitted.upgrade);
    let interims = Interims::new(policy.interim, head.version, awaits, upgrade);
    Asked { method: head.method, version: head.version, interims }
}

fn answer(case: &Case, wire: &mut Wire<'_>) -> Result<Outcome, Malformed> {
    let mut asked = asked(case);
    let policy = case.policy.policy();
    let (mut interim, mut parser) = (Vec::new(), ResponseParser::new());
    loop {
        parser.clear();
        let (limits, accept) = (&policy.limits, policy.accept);
        let head = wire.head(|buf| parser.parse_accepting(buf, limits, accept))?;
        let Some(buf) = head else { return Ok(Outcome::Unfinished) };
        let head = parser.head();
        let length = response_body(asked.method, head, &buf)?;
        let fate = if head.status < 200 { Some(asked.interims.judge(head.status)?) } else { None };
        let goes_on = forwarded(head, &buf, length, &asked, fate == Some(Fate::Switch));
        match fate {
            Some(Fate::Pass) => interim.push(goes_on),
            Some(Fate::Drop) => {}
            Some(Fate::Switch) | None => {
                let body = match wire.body(length, Sender::Server, case.eof) {
                    Err(offence) => return Ok(Outcome::Cut { cause: offence.cause() }),
                    Ok(None) => return Ok(Outcome::Unfinished),
                    Ok(Some(body)) => text(&body),
                };
                let kept = reusable(head, length);
                let then = if kept { Then::Kept } else { Then::Closed };
                let behind = wire.unread();
                let (forward, path) = (goes_on, String::new());
                return Ok(Outcome::Passed(Passed { interim, forward, body, path, then, behind }));
            }
        }
    }
}

fn forwarded(
    head: &ResponseHead,
    buf: &[u8],
    length: BodyLength,
    asked: &Asked,
    tunnel: bool,
) -> String {
    let until_close = length == BodyLength::UntilClose;
    let reframed =
        until_close || (length == BodyLength::Chunked && asked.version == Version::Http10);
    let policy =
        ResponsePolicy { reframed, tunnel, version: asked.version, ..ResponsePolicy::default() };
    let mut segments = Segments::new();
    response_segments(head, buf, &policy, &mut segments);
    let mut out = segments.slices(buf).collect::<Vec<_>>().concat();
    if until_close && asked.version == Version::Http11 {
        out.extend_from_slice(b"Transfer-Encoding: chunked\r\n");
    }
    text(&out)
}

fn expected(case: &Case) -> Outcome {
    let offence = |cause: &str| Malformed::ALL.iter().find(|m| m.cause() == cause);
    if let Some(status) = case.status {
        let cause = case.cause.as_deref().and_then(offence).expect("a refusal has a known cause");
        return Outcome::Refused { status, cause: cause.cause() };
    }
    if let Some(cause) = &case.cut {
        return Outcome::Cut { cause: offence(cause).expect("a known cause").cause() };
    }
    if let Some(status) = case.answer {
        return Outcome::Answered { status };
    }
    let forward = case.forward.as_deref().expect("a case says what becomes of its bytes");
    Outcome::Passed(Passed {
        interim: case.interim.iter().map(|head| text(&bytes(head))).collect(),
        forward: text(&bytes(forward)),
        body: text(&bytes(&case.body)),
        path: case.path.as_deref().map(|path| text(&bytes(path))).unwrap_or_default(),
        then: case.then,
        behind: text(&bytes(&case.behind)),
    })
}

fn outcome(side: Side, case: &Case, pieces: &[&[u8]]) -> Outcome {
    let mut wire = Wire { pieces: pieces.iter().copied().collect(), buf: Vec::new() };
    let found = match side {
        Side::Request => request(case, &mut wire),
        _ => answer(case, &mut wire),
    };
    let mut found = found.unwrap_or_else(|offence| match side {
        Side::Request => refused(offence),
        _ => Outcome::Refused { status: 502, cause: offence.cause() },
    });
    if let (Outcome::Passed(passed), None) = (&mut found, &case.path) {
        passed.path.clear();
    }
    found
}

/// The bytes of a string of the table.
fn bytes(text: &str) -> Vec<u8> {
    let (mut out, mut rest) = (Vec::new(), text.bytes());
    while let Some(b) = rest.next() {
        out.push(match b {
            b'\\' => match rest.next().expect("an escape is whole") {
                b'r' => b'\r',
                b'n' => b'\n',
                b't' => b'\t',
                b'0' => 0,
                b'\\' => b'\\',
                b'x' => {
                    let digits = [rest.next().unwrap(), rest.next().unwrap()];
                    u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap()
                }
                other => panic!("no such escape: {}", other as char),
            },
            b => b,
        });
    }
    out
}

fn text(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}

fn table() -> Vec<Rule> {
    let text = include_str!("../../../tests/conformance/http1/rules.toml");
    toml::from_str::<Table>(text).unwrap_or_else(|e| panic!("{e}")).rule
}

fn sent(case: &Case) -> Vec<Vec<u8>> {
    let list = match &case.send {
        OneOrMore::One(one) => std::slice::from_ref(one),
        OneOrMore::More(list) => list.as_slice(),
    };
    let behind = bytes(&case.behind);
    list.iter().map(|text| [bytes(text), behind.clone()].concat()).collect()
}

#[test]
fn every_rule_of_the_table_holds_whole_byte_by_byte_and_cut_anywhere() {
    let mut wrong = Vec::new();
    for rule in table().iter().filter(|rule| rule.side != Side::Engine) {
        for case in &rule.case {
            let wanted = expected(case);
            for all in sent(case) {
                let each: Vec<&[u8]> = all.chunks(1).collect();
                let cuts = (1..all.len()).map(|at| vec![&all[..at], &all[at..]]);
                for pieces in [vec![&all[..]], each].into_iter().chain(cuts) {
                    let found = outcome(rule.side, case, &pieces);
                    if found != wanted {
                        let what = text(&all);
                        wrong.push(format!("{}: {what}\n  {found:?}\n  {wanted:?}", rule.id));
                        break;
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} cases:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn every_cause_of_the_codec_has_a_row() {
    // Of size, shown by the modules' own tests; of FastCGI; of our own words.
    let elsewhere = [
        "chunk_overhead",
        "trailer_too_large",
        "too_many_interim",
        "length_required",
        "unsafe_value",
        "field_fixed",
    ];
    let told: BTreeSet<String> = table()
        .iter()
        .flat_map(|rule| &rule.case)
        .filter_map(|case| case.cause.clone().or_else(|| case.cut.clone()))
        .collect();
    let every = Malformed::ALL.iter().map(|m| m.cause());
    let ours = every.filter(|c| !c.starts_with("fcgi_") && !c.starts_with("cgi_"));
    let missing: Vec<_> = ours.filter(|c| !told.contains(*c) && !elsewhere.contains(c)).collect();
    assert_eq!(missing, [""; 0]);
}

#[test]
fn the_table_is_whole() {
    let rules = table();
    let ids: BTreeSet<_> = rules.iter().map(|rule| &rule.id).collect();
    assert_eq!(ids.len(), rules.len(), "ids are told apart");
    for rule in &rules {
        let shown =
            !rule.case.is_empty() || rule.side == Side::Engine || rule.id == "interim-flood";
        assert!(shown, "{} has no case", rule.id);
        assert!(rule.test.is_some() || rule.side == Side::Engine, "{} names no test", rule.id);
    }
}

//! What an HTTP check asks, and whether the answer is what it must be.
//!
//! Rules kept here:
//! - Pure: bytes in, a verdict out as soon as there is one.
//! - Of a body at most 64 KiB are read, whatever the server sends.
//! - The words of a failure have what was found and what was expected.
//!
//! Not known here: sockets, time.

use std::sync::Arc;

use evener_plan::{CheckKind, Expect, Pool, PoolProtocol};
use evener_proto::h1::framing::response_body;
use evener_proto::h1::{BodyDecoder, Limits, Method, ResponseParser, Sender, Violations};

/// A check's request and what its answer must be.
#[derive(Debug)]
pub struct Ask {
    /// The request's bytes.
    pub request: Vec<u8>,
    method: Method,
    expect: Arc<Expect>,
    /// Violations that are let in, as from answers to clients.
    accept: Violations,
}

/// Reads one answer.
pub struct Judge<'a> {
    ask: &'a Ask,
    held: Vec<u8>,
    parser: ResponseParser,
    body: Option<BodyDecoder>,
    seen: Vec<u8>,
}

/// How a check went, in words: `Ok` is passed.
pub type Verdict = Result<String, String>;

/// As generous as for answers to clients.
const LIMITS: Limits = Limits { max_head: 64 << 10, max_fields: 256 };
/// Bytes of a body that are looked at.
const MOST_BODY: usize = 64 << 10;

/// Refuses checks that make no sense for a pool.
///
/// # Errors
/// A sentence with the remedy.
pub fn refuse(pool: &Pool) -> Result<(), String> {
    for check in &pool.checks {
        let CheckKind::Http { path, method, host, headers, .. } = &check.kind else { continue };
        if pool.protocol == PoolProtocol::Fastcgi {
            let why = "an http check cannot be made of a FastCGI server; use a tcp check";
            return Err(why.to_owned());
        }
        let fields = headers.iter().flat_map(|(name, value)| [name, value]);
        for text in [path, method].into_iter().chain(host).chain(fields) {
            if text.bytes().any(|byte| byte < b' ' || byte == 0x7f) {
                return Err(format!("check: {text:?} has a control character"));
            }
        }
    }
    Ok(())
}

impl Ask {
    /// The request of a check at a server that is called `authority`; `None` for checks that ask
    /// nothing.
    pub fn of(kind: &CheckKind, authority: &str, accept: Violations) -> Option<Ask> {
        let CheckKind::Http { path, method, host, headers, expect } = kind else { return None };
        let own = |name: &str| !headers.keys().any(|key| key.eq_ignore_ascii_case(name));
        let mut request = format!("{method} {path} HTTP/1.1\r\n");
        let mut field = |name: &str, value: &str| {
            request.extend([name, ": ", value, "\r\n"]);
        };
        if own("host") {
            field("Host", host.as_deref().unwrap_or(authority));
        }
        if own("user-agent") {
            field("User-Agent", concat!("evener-check/", env!("CARGO_PKG_VERSION")));
        }
        for (name, value) in headers {
            field(name, value);
        }
        field("Connection", "close");
        request.push_str("\r\n");
        let method = match method.as_str() {
            "HEAD" => Method::Head,
            _ => Method::Get,
        };
        let (request, expect) = (request.into_bytes(), Arc::new(expect.clone()));
        Some(Ask { request, method, expect, accept })
    }
}

impl<'a> Judge<'a> {
    /// Before the answer.
    pub fn new(ask: &'a Ask) -> Judge<'a> {
        let parser = ResponseParser::new();
        Judge { ask, held: Vec::new(), parser, body: None, seen: Vec::new() }
    }

    /// Takes bytes of the answer; gives the verdict as soon as there is one.
    pub fn take(&mut self, bytes: &[u8]) -> Option<Verdict> {
        self.held.extend_from_slice(bytes);
        if self.body.is_none() {
            match self.head() {
                Ok(true) => {}
                Ok(false) => return None,
                Err(verdict) => return Some(verdict),
            }
        }
        self.read_body()
    }

    /// The server has closed the connection.
    pub fn end(mut self) -> Verdict {
        match self.body.as_mut().map(BodyDecoder::on_eof) {
            Some(true) => self.lacks(),
            Some(false) => Err("the answer's body was cut".to_owned()),
            None if self.held.is_empty() => Err("closed without an answer".to_owned()),
            None => Err("closed within the answer's head".to_owned()),
        }
    }

    /// Reads the head; false while it is incomplete. An error is the verdict.
    fn head(&mut self) -> Result<bool, Verdict> {
        loop {
            let parsed = self.parser.parse_accepting(&mut self.held, &LIMITS, self.ask.accept);
            let Some(length) = parsed.map_err(|why| Err(no_answer(&why)))? else {
                return Ok(false);
            };
            if self.parser.head().is_interim() {
                self.held.drain(..length);
                self.parser.clear();
                continue;
            }
            self.compare_head()?;
            let head = self.parser.head();
            let body = response_body(self.ask.method, head, &self.held);
            let body = body.map_err(|why| Err(no_answer(&why)))?;
            self.body = Some(BodyDecoder::new(body, Sender::Server));
            self.held.drain(..length);
            return Ok(true);
        }
    }

    fn compare_head(&self) -> Result<(), Verdict> {
        let (head, expect) = (self.parser.head(), &self.ask.expect);
        let status = head.status;
        if !expect.status.iter().any(|(from, to)| (*from..=*to).contains(&status)) {
            return Err(Err(format!("status {status}, expected {}", ranges(&expect.status))));
        }
        for (name, value) in &expect.header {
            let found = head.fields.named(name.as_bytes(), &self.held);
            let found = found.map(|field| field.value.of(&self.held));
            if found != Some(value.as_bytes()) {
                let found = match found {
                    Some(found) => format!("is {:?}", String::from_utf8_lossy(found)),
                    None => "is missing".to_owned(),
                };
                return Err(Err(format!("field {name} {found}, expected {value:?}")));
            }
        }
        if expect.body.is_none() {
            return Err(Ok(format!("status {status}")));
        }
        Ok(())
    }

    fn read_body(&mut self) -> Option<Verdict> {
        let body = self.body.as_mut()?;
        let progress = match body.decode(&mut self.held) {
            Ok(progress) => progress,
            Err(why) => return Some(Err(no_answer(&why))),
        };
        let room = MOST_BODY - self.seen.len();
        let data = self.held.get(progress.data).unwrap_or(&[]);
        self.seen.extend_from_slice(data.get(..room.min(data.len())).unwrap_or(&[]));
        self.held.drain(..progress.consumed);
        let wanted = self.ask.expect.body.as_deref().unwrap_or("");
        if memchr::memmem::find(&self.seen, wanted.as_bytes()).is_some() {
            return Some(Ok(format!("status {}, with {wanted:?}", self.parser.head().status)));
        }
        let over = progress.done || self.seen.len() >= MOST_BODY;
        over.then(|| self.lacks())
    }

    fn lacks(&self) -> Verdict {
        let wanted = self.ask.expect.body.as_deref().unwrap_or("");
        Err(format!("{wanted:?} is not in the first {} bytes of the body", self.seen.len()))
    }
}

fn no_answer(why: &evener_proto::Malformed) -> String {
    format!("no valid answer: {why}")
}

fn ranges(ranges: &[(u16, u16)]) -> String {
    let one = |(from, to): &(u16, u16)| match from == to {
        true => from.to_string(),
        false => format!("{from} to {to}"),
    };
    ranges.iter().map(one).collect::<Vec<_>>().join(" or ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn kind(method: &str, expect: Expect) -> CheckKind {
        CheckKind::Http {
            path: "/health?deep=1".to_owned(),
            method: method.to_owned(),
            host: None,
            headers: BTreeMap::from([("X-Check".to_owned(), "yes".to_owned())]),
            expect,
        }
    }

    fn expect(body: Option<&str>) -> Expect {
        let body = body.map(str::to_owned);
        Expect { status: vec![(200, 299), (304, 304)], body, header: BTreeMap::new() }
    }

    /// The verdict on an answer, which must not depend on how its bytes were cut.
    fn judge(kind: &CheckKind, answer: &[u8]) -> Verdict {
        judge_accepting(kind, answer, Violations::NONE)
    }

    fn judge_accepting(kind: &CheckKind, answer: &[u8], accept: Violations) -> Verdict {
        let ask = Ask::of(kind, "127.0.0.1:80", accept).unwrap();
        let whole = |cut: usize| {
            let mut judge = Judge::new(&ask);
            let (one, two) = answer.split_at(cut);
            judge.take(one).or_else(|| judge.take(two)).unwrap_or_else(|| judge.end())
        };
        let verdict = whole(0);
        for cut in 1..answer.len().min(300) {
            assert_eq!(whole(cut), verdict, "cut at {cut}");
        }
        verdict
    }

    #[test]
    fn the_request_has_what_the_check_says_and_closes() {
        let ask = Ask::of(&kind("GET", expect(None)), "[::1]:80", Violations::NONE).unwrap();
        let text = String::from_utf8(ask.request).unwrap();
        assert!(text.starts_with("GET /health?deep=1 HTTP/1.1\r\nHost: [::1]:80\r\n"));
        assert!(text.contains("\r\nX-Check: yes\r\n"));
        assert!(text.ends_with("\r\nConnection: close\r\n\r\n"));
        assert!(Ask::of(&CheckKind::Tcp {}, "a", Violations::NONE).is_none());
    }

    #[test]
    fn a_status_within_a_range_passes_and_another_is_named_with_what_was_expected() {
        let kind = kind("GET", expect(None));
        assert_eq!(judge(&kind, b"HTTP/1.1 204 No\r\n\r\n"), Ok("status 204".to_owned()));
        let bad = judge(&kind, b"HTTP/1.1 503 No\r\n\r\n").unwrap_err();
        assert_eq!(bad, "status 503, expected 200 to 299 or 304");
    }

    #[test]
    fn interim_answers_are_passed_over() {
        let answer = b"HTTP/1.1 103 Hints\r\nA: b\r\n\r\nHTTP/1.1 200 OK\r\n\r\n";
        assert_eq!(judge(&kind("GET", expect(None)), answer), Ok("status 200".to_owned()));
    }

    #[test]
    fn a_text_is_found_across_chunks_and_missed_where_it_is_not() {
        let kind = kind("GET", expect(Some("good")));
        let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        let chunks = |body: &str| judge(&kind, format!("{head}{body}").as_bytes());
        assert!(chunks("4\r\nallg\r\n3\r\nood\r\n0\r\n\r\n").is_ok());
        let bad = chunks("3\r\nall\r\n3\r\nbad\r\n0\r\n\r\n").unwrap_err();
        assert_eq!(bad, "\"good\" is not in the first 6 bytes of the body");
        assert_eq!(chunks("3\r\nal").unwrap_err(), "the answer's body was cut");
    }

    #[test]
    fn a_text_beyond_64_kib_is_not_found() {
        let kind = kind("GET", expect(Some("good")));
        let answer = |before: usize| format!("HTTP/1.0 200 OK\r\n\r\n{:before$}good", "");
        assert!(judge(&kind, answer(MOST_BODY - 4).as_bytes()).is_ok());
        let bad = judge(&kind, answer(MOST_BODY - 3).as_bytes()).unwrap_err();
        assert!(bad.contains("first 65536 bytes"), "{bad}");
    }

    #[test]
    fn a_field_must_have_exactly_its_value() {
        let header = BTreeMap::from([("X-Role".to_owned(), "primary".to_owned())]);
        let kind = kind("GET", Expect { header, ..expect(None) });
        let with = |field: &str| judge(&kind, format!("HTTP/1.1 200 OK\r\n{field}\r\n").as_bytes());
        assert!(with("x-role: primary\r\n").is_ok());
        let bad = with("X-Role: replica\r\n").unwrap_err();
        assert_eq!(bad, "field X-Role is \"replica\", expected \"primary\"");
        assert_eq!(with("").unwrap_err(), "field X-Role is missing, expected \"primary\"");
    }

    #[test]
    fn a_head_request_waits_for_no_body() {
        let kind = kind("HEAD", expect(Some("good")));
        let bad = judge(&kind, b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n").unwrap_err();
        assert_eq!(bad, "\"good\" is not in the first 0 bytes of the body");
    }

    #[test]
    fn violations_that_the_pool_lets_in_are_let_in_here_too() {
        let answer = b"HTTP/1.1 200 OK\nX-Up: 1\n\n";
        let kind = kind("GET", expect(None));
        let strict = judge(&kind, answer).unwrap_err();
        assert!(strict.starts_with("no valid answer: "), "{strict}");
        assert_eq!(judge_accepting(&kind, answer, Violations::LF), Ok("status 200".to_owned()));
    }

    #[test]
    fn what_is_no_answer_is_said_to_be_none() {
        let kind = kind("GET", expect(None));
        assert!(judge(&kind, b"SSH-2.0-x\r\n").unwrap_err().starts_with("no valid answer: "));
        assert_eq!(judge(&kind, b"HTTP/1.1 200").unwrap_err(), "closed within the answer's head");
        assert_eq!(judge(&kind, b"").unwrap_err(), "closed without an answer");
    }
}

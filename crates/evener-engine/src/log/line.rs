//! One line of the access log for a request, as JSON or in the combined format.
//!
//! Rules kept here:
//! - A client's bytes cannot end a line or a string: control bytes, quotes and backslashes are
//!   escaped, what is not UTF-8 is shown byte by byte.
//! - JSON's keys are OpenTelemetry's attribute names where there is one.

use std::io::Write;

use super::Entry;
use crate::clock;
use crate::http::forwarded::{ClientAddress, write_address};
use crate::shard::ids::Id;

/// What a line tells.
pub struct Line<'a> {
    /// Who asked.
    pub client: ClientAddress,
    /// Method as sent.
    pub method: &'a [u8],
    /// Target as sent.
    pub target: &'a [u8],
    /// `HTTP/1.1`; empty where it was not read.
    pub version: &'a str,
    /// Host as sent, without its port.
    pub host: &'a [u8],
    /// The port that stood behind it.
    pub port: Option<u16>,
    /// Status of the answer.
    pub status: u16,
    /// Bytes of its payload.
    pub sent: u64,
    /// Microseconds from the request's head to the answer's end.
    pub took: u64,
    /// The listener.
    pub listener: &'a str,
    /// The route.
    pub route: &'a str,
    /// The pool that answered.
    pub pool: Option<&'a str>,
    /// The scheduler that picked, as it is shown.
    pub scheduler: Option<&'a str>,
    /// What its hash was of.
    pub key: Option<&'a [u8]>,
    /// The server picked last.
    pub server: Option<&'a str>,
    /// Who picked it, where a policy might have.
    pub by: Option<&'static str>,
    /// Requests sent to servers.
    pub tries: u8,
    /// The request's id, where the configuration uses it.
    pub id: Option<Id>,
    /// What went wrong.
    pub cause: Option<&'a str>,
    /// What of it exactly.
    pub detail: Option<&'a str>,
    /// Referer field.
    pub referer: Option<&'a [u8]>,
    /// User-Agent field.
    pub agent: Option<&'a [u8]>,
}

impl Entry for Line<'_> {
    fn json(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"time\":\"");
        Moment::now().rfc3339(out);
        out.extend_from_slice(b"\",\"client.address\":\"");
        self.client(out);
        out.push(b'"');
        text(out, "http.request.method", self.method);
        let (path, query) = split(self.target);
        text(out, "url.path", path);
        if let Some(query) = query {
            text(out, "url.query", query);
        }
        let bare = self.host.strip_prefix(b"[").and_then(|host| host.strip_suffix(b"]"));
        text(out, "server.address", bare.unwrap_or(self.host));
        if let Some(port) = self.port {
            number(out, "server.port", u64::from(port));
        }
        number(out, "http.response.status_code", u64::from(self.status));
        number(out, "http.response.body.size", self.sent);
        let _ = write!(out, ",\"duration\":{:.6}", self.took as f64 / 1e6);
        text(out, "evener.listener", self.listener.as_bytes());
        text(out, "evener.route", self.route.as_bytes());
        let pool = self.pool.map(str::as_bytes);
        let scheduler = self.scheduler.map(str::as_bytes);
        let server = self.server.map(str::as_bytes);
        picked(out, [pool, scheduler, self.key, server, self.by.map(str::as_bytes)]);
        number(out, "evener.tries", u64::from(self.tries));
        if let Some(id) = &self.id {
            text(out, "evener.request.id", id);
        }
        for (key, value) in [("error.type", self.cause), ("error.detail", self.detail)] {
            if let Some(value) = value {
                text(out, key, value.as_bytes());
            }
        }
        if let Some(agent) = self.agent {
            text(out, "user_agent.original", agent);
        }
        out.extend_from_slice(b"}\n");
    }

    fn combined(&self, out: &mut Vec<u8>) {
        self.client(out);
        out.extend_from_slice(b" - - [");
        Moment::now().common(out);
        out.extend_from_slice(b"] \"");
        let request = [self.method, self.target, self.version.as_bytes()];
        // What was not read has no version either; a dash is what Apache says of it.
        let request = if self.method.is_empty() { &[&b"-"[..]][..] } else { &request[..] };
        for (index, part) in request.iter().enumerate() {
            if index > 0 && !part.is_empty() {
                out.push(b' ');
            }
            quoted(out, part);
        }
        let _ = write!(out, "\" {} {} \"", self.status, self.sent);
        quoted(out, self.referer.unwrap_or(b"-"));
        out.extend_from_slice(b"\" \"");
        quoted(out, self.agent.unwrap_or(b"-"));
        out.extend_from_slice(b"\"\n");
    }
}

impl Line<'_> {
    fn client(&self, out: &mut Vec<u8>) {
        match self.client {
            ClientAddress::Ip(address) => write_address(Some(address), out),
            ClientAddress::Unix => write_address(None, out),
        }
    }
}

fn split(target: &[u8]) -> (&[u8], Option<&[u8]>) {
    match memchr::memchr(b'?', target) {
        Some(mark) => {
            let (path, rest) = target.split_at(mark);
            (path, rest.get(1..))
        }
        None => (target, None),
    }
}

/// Pool, scheduler, what its hash was of, the server, and who picked it: how a pick was made.
pub(super) fn picked(out: &mut Vec<u8>, values: [Option<&[u8]>; 5]) {
    let keys =
        ["evener.pool", "evener.scheduler", "evener.key", "evener.server", "evener.picked_by"];
    for (key, value) in keys.iter().zip(values) {
        if let Some(value) = value {
            text(out, key, value);
        }
    }
}

pub(super) fn number(out: &mut Vec<u8>, key: &str, value: u64) {
    let _ = write!(out, ",\"{key}\":{value}");
}

pub(super) fn text(out: &mut Vec<u8>, key: &str, value: &[u8]) {
    let _ = write!(out, ",\"{key}\":\"");
    for chunk in value.utf8_chunks() {
        for letter in chunk.valid().chars() {
            match letter {
                '"' | '\\' => {
                    let _ = write!(out, "\\{letter}");
                }
                control if control.is_control() => {
                    let _ = write!(out, "\\u{:04x}", control as u32);
                }
                other => {
                    let _ = write!(out, "{other}");
                }
            }
        }
        for byte in chunk.invalid() {
            let _ = write!(out, "\\\\x{byte:02x}");
        }
    }
    out.push(b'"');
}

pub(super) fn quoted(out: &mut Vec<u8>, value: &[u8]) {
    for byte in value {
        match byte {
            // Not ASCII may be a terminal's control bytes; nginx writes it so, too.
            b'"' | b'\\' | 0..=0x1f | 0x7f.. => {
                let _ = write!(out, "\\x{byte:02X}");
            }
            other => out.push(*other),
        }
    }
}

/// A moment in UTC, taken apart.
pub(super) struct Moment {
    year: u64,
    month: usize,
    day: u64,
    seconds: u64,
    millis: u64,
}

impl Moment {
    pub(super) fn now() -> Moment {
        Moment::of(clock::unix_millis())
    }

    /// Days to a date by H. Hinnant's algorithm (chrono-compatible low-level date algorithms),
    /// for years from 1970 on.
    fn of(unix_millis: u64) -> Moment {
        let (days, in_day) = (unix_millis / 86_400_000, unix_millis % 86_400_000);
        let shifted = days + 719_468;
        let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
        let year_of_era =
            (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted_month = (5 * day_of_year + 2) / 153;
        let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
        Moment {
            year: year_of_era + era * 400 + u64::from(month <= 2),
            month: month as usize,
            day: day_of_year - (153 * shifted_month + 2) / 5 + 1,
            seconds: in_day / 1000,
            millis: in_day % 1000,
        }
    }

    fn clock(&self) -> (u64, u64, u64) {
        (self.seconds / 3600, self.seconds / 60 % 60, self.seconds % 60)
    }

    pub(super) fn rfc3339(&self, out: &mut Vec<u8>) {
        let (hour, minute, second) = self.clock();
        let Moment { year, month, day, millis, .. } = self;
        let _ = write!(
            out,
            "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z"
        );
    }

    pub(super) fn common(&self, out: &mut Vec<u8>) {
        const MONTHS: &str = "JanFebMarAprMayJunJulAugSepOctNovDec";
        let (hour, minute, second) = self.clock();
        let from = (self.month.max(1) - 1) * 3;
        let month = MONTHS.get(from..from + 3).unwrap_or("Jan");
        let Moment { year, day, .. } = self;
        let _ = write!(out, "{day:02}/{month}/{year}:{hour:02}:{minute:02}:{second:02} +0000");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line<'a>(target: &'a [u8], agent: &'a [u8]) -> Line<'a> {
        Line {
            client: ClientAddress::Ip("192.0.2.1".parse().unwrap()),
            method: b"GET",
            target,
            version: "HTTP/1.1",
            host: b"a.example",
            port: Some(8080),
            status: 200,
            sent: 5,
            took: 1500,
            listener: "web",
            route: "default",
            pool: Some("app"),
            scheduler: Some("nginx/hash"),
            key: Some(b"a\"b"),
            server: Some("a"),
            by: Some("fallback: timeout"),
            tries: 1,
            id: None,
            cause: None,
            detail: None,
            referer: None,
            agent: Some(agent),
        }
    }

    #[test]
    fn moments_are_taken_apart_in_utc() {
        let mut out = Vec::new();
        Moment::of(951_826_154_007).rfc3339(&mut out);
        assert_eq!(out, b"2000-02-29T12:09:14.007Z");
        out.clear();
        Moment::of(951_826_154_007).common(&mut out);
        assert_eq!(out, b"29/Feb/2000:12:09:14 +0000");
    }

    #[test]
    fn a_json_line_is_json_whatever_the_client_sent() {
        let mut out = Vec::new();
        line(b"/a\"b\\?q=\xff", b"x\ny").json(&mut out);
        let read: serde_json::Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(read["url.path"], "/a\"b\\");
        assert_eq!(read["url.query"], "q=\\xff");
        assert_eq!(read["user_agent.original"], "x\ny");
        assert_eq!(read["duration"], 0.0015);
        assert_eq!(
            (&read["server.address"], &read["server.port"]),
            (&"a.example".into(), &8080.into())
        );
        assert_eq!(
            (&read["evener.scheduler"], &read["evener.key"]),
            (&"nginx/hash".into(), &"a\"b".into())
        );
        assert_eq!(read["evener.picked_by"], "fallback: timeout");
        assert_eq!(out.iter().filter(|byte| **byte == b'\n').count(), 1);
    }

    #[test]
    fn an_ipv6_host_is_written_as_clients_addresses_are() {
        let mut out = Vec::new();
        Line { host: b"[2001:db8::1]", port: None, ..line(b"/", b"x") }.json(&mut out);
        let read: serde_json::Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(read["server.address"], "2001:db8::1");
        assert!(read.get("server.port").is_none());
    }

    #[test]
    fn a_combined_line_cannot_be_broken_out_of() {
        let mut out = Vec::new();
        line(b"/x", b"a\"\r\nb").combined(&mut out);
        let text = String::from_utf8(out).unwrap();
        assert!(text.starts_with("192.0.2.1 - - ["));
        assert!(text.ends_with("\"GET /x HTTP/1.1\" 200 5 \"-\" \"a\\x22\\x0D\\x0Ab\"\n"));
    }

    #[test]
    fn a_request_that_was_not_read_is_a_dash_and_claims_no_version() {
        let mut out = Vec::new();
        Line { method: b"", status: 400, ..line(b"", b"-") }.combined(&mut out);
        let text = String::from_utf8(out).unwrap();
        assert!(text.ends_with("+0000] \"-\" 400 5 \"-\" \"-\"\n"), "{text}");
    }
}

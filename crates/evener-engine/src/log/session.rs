//! One line of the access log for a TCP session, written when it is over.
//!
//! Rules kept here:
//! - The keys are those of a request's line where they mean the same; what bytes mean is not known, so
//!   there is no status: `error.type` says how it ended, if not by both sides' will.
//! - In the combined format the listener stands for what was asked, and the status is what nginx's
//!   stream module would say (its variable `$status`): 200, or why no server was found.

use std::io::Write;
use std::net::SocketAddr;

use super::Entry;
use super::line::{Moment, number, picked, quoted, text};
use crate::http::forwarded::write_address;

/// What a line tells.
pub struct SessionLine<'a> {
    /// Who connected; `None` over a unix socket.
    pub client: Option<SocketAddr>,
    /// The listener.
    pub listener: &'a str,
    /// The pool.
    pub pool: &'a str,
    /// The scheduler that picked, as it is shown.
    pub scheduler: &'a str,
    /// What its hash was of.
    pub key: Option<&'a [u8]>,
    /// The server that was tried last.
    pub server: Option<&'a str>,
    /// Who picked it, where a policy might have.
    pub by: Option<&'static str>,
    /// Servers tried.
    pub tries: u8,
    /// Whether one of them was connected to.
    pub served: bool,
    /// Bytes of the client that the server took.
    pub received: u64,
    /// Bytes of the server that the client took.
    pub sent: u64,
    /// Microseconds from its beginning to its end.
    pub took: u64,
    /// What ended it, where it was not both sides.
    pub cause: Option<&'a str>,
    /// What of it exactly.
    pub detail: Option<&'a str>,
}

impl Entry for SessionLine<'_> {
    fn json(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"time\":\"");
        Moment::now().rfc3339(out);
        out.extend_from_slice(b"\",\"client.address\":\"");
        write_address(self.client.map(|client| client.ip()), out);
        out.push(b'"');
        if let Some(client) = self.client {
            number(out, "client.port", u64::from(client.port()));
        }
        text(out, "network.transport", b"tcp");
        let _ = write!(out, ",\"duration\":{:.6}", self.took as f64 / 1e6);
        number(out, "evener.bytes_received", self.received);
        number(out, "evener.bytes_sent", self.sent);
        text(out, "evener.listener", self.listener.as_bytes());
        let server = self.server.map(str::as_bytes);
        let scheduler = server.and(Some(self.scheduler.as_bytes()));
        let by = self.by.map(str::as_bytes);
        picked(out, [Some(self.pool.as_bytes()), scheduler, self.key, server, by]);
        number(out, "evener.tries", u64::from(self.tries));
        for (key, value) in [("error.type", self.cause), ("error.detail", self.detail)] {
            if let Some(value) = value {
                text(out, key, value.as_bytes());
            }
        }
        out.extend_from_slice(b"}\n");
    }

    fn combined(&self, out: &mut Vec<u8>) {
        write_address(self.client.map(|client| client.ip()), out);
        out.extend_from_slice(b" - - [");
        Moment::now().common(out);
        out.extend_from_slice(b"] \"TCP ");
        quoted(out, self.listener.as_bytes());
        let status = if self.served { 200 } else { 502 };
        let _ = writeln!(out, "\" {status} {} \"-\" \"-\"", self.sent);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERVED: SessionLine<'_> = SessionLine {
        client: Some(SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 4711)),
        listener: "db",
        pool: "app",
        scheduler: "evener/maglev",
        key: Some(b"ada"),
        server: Some("a"),
        by: Some("policy"),
        tries: 2,
        served: true,
        received: 7,
        sent: 8,
        took: 1_500_000,
        cause: None,
        detail: None,
    };

    #[test]
    fn a_json_line_has_the_keys_of_a_requests_line_and_bytes_both_ways() {
        let mut out = Vec::new();
        SERVED.json(&mut out);
        let mut read: serde_json::Value = serde_json::from_slice(&out).unwrap();
        assert!(read.as_object_mut().unwrap().remove("time").is_some());
        let expected = serde_json::json!({
            "client.address": "127.0.0.1", "client.port": 4711, "network.transport": "tcp",
            "duration": 1.5, "evener.bytes_received": 7, "evener.bytes_sent": 8,
            "evener.listener": "db", "evener.pool": "app",
            "evener.scheduler": "evener/maglev", "evener.key": "ada", "evener.server": "a",
            "evener.picked_by": "policy",
            "evener.tries": 2
        });
        assert_eq!(read, expected);
        out.clear();
        let (cause, detail) = (Some("connect_failed"), Some("no \"route\""));
        SessionLine { client: None, server: None, cause, detail, ..SERVED }.json(&mut out);
        let read: serde_json::Value = serde_json::from_slice(&out).unwrap();
        assert_eq!((&read["client.address"], &read["client.port"]), (&"unix".into(), &().into()));
        assert_eq!(read["error.detail"], "no \"route\"");
    }

    #[test]
    fn a_combined_line_has_a_status_that_tools_understand() {
        for (served, end) in [
            (true, "] \"TCP db\" 200 8 \"-\" \"-\"\n"),
            (false, "] \"TCP db\" 502 8 \"-\" \"-\"\n"),
        ] {
            let mut out = Vec::new();
            SessionLine { served, ..SERVED }.combined(&mut out);
            let text = String::from_utf8(out).unwrap();
            assert!(text.starts_with("127.0.0.1 - - [") && text.ends_with(end), "{text}");
        }
    }
}

//! Listeners: where traffic is accepted, and under which rules.

use serde::{Deserialize, Serialize};

use crate::{Millis, Redirect, Route};

/// An address Evener accepts traffic on, and the protocol it speaks there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listener {
    /// Its name in the configuration; identity across generations.
    pub name: String,
    /// Socket addresses as text: `192.0.2.1:80`, `[::]:80` or `unix:/path`.
    pub bind: Vec<String>,
    /// What is spoken on it.
    pub protocol: ListenerProtocol,
    /// TLS in front of the protocol.
    pub tls: Option<ListenerTls>,
    /// Rules of HTTP messages. Not used by TCP listeners.
    pub http: HttpRules,
    /// Networks (`10.0.0.0/8`, `2001:db8::/32`) and the word `unix`, whose forwarded fields are
    /// believed.
    pub trusted_proxies: Vec<String>,
    /// How long each wait on a client may last.
    pub timeouts: ListenerTimeouts,
    /// Most connections held at once; `None` is unlimited.
    pub connections: Option<u64>,
    /// Most connections of one client held at once (an IPv6 network of 64 bits is one client), or
    /// requests in hand of one behind a trusted proxy; `None` is unlimited.
    pub per_client: Option<u64>,
    /// How fast one client may ask (HTTP) or connect (TCP); `None` is unlimited.
    pub rate_per_client: Option<Rate>,
    /// The whole listener answers with this redirect.
    pub redirect: Option<Redirect>,
    /// Ordered rules; the first that matches answers.
    pub routes: Vec<Route>,
    /// Name of the pool that serves what no route matched.
    pub pool: Option<String>,
}

/// So many in a time; as many may come at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rate {
    /// How many.
    pub count: u32,
    /// In which time, in milliseconds.
    pub per: u32,
}

/// What a listener speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ListenerProtocol {
    /// HTTP/1.
    Http,
    /// Bytes, relayed as they come.
    Tcp,
}

/// TLS towards clients.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListenerTls {
    /// Ids of secrets, each a PEM text with a certificate chain and its key. The first serves
    /// clients that name no server or an unknown one.
    pub certificates: Vec<String>,
    /// The lowest version accepted.
    pub min_version: TlsVersion,
    /// Protocols offered by ALPN, the preferred first.
    pub alpn: Vec<String>,
}

/// A version of TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum TlsVersion {
    /// RFC 5246.
    #[serde(rename = "1.2")]
    V12,
    /// RFC 8446.
    #[serde(rename = "1.3")]
    V13,
}

/// Rules of HTTP messages from and to clients.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpRules {
    /// Most bytes of a request's head, request line included.
    pub max_head: u64,
    /// Most fields in a request's head.
    pub max_fields: u64,
    /// Most bytes of a request's body; `None` is unlimited.
    pub max_body: Option<u64>,
    /// What happens to fields of requests with an underscore in their name.
    pub underscores: Underscores,
    /// Whether messages that go through, either way, are marked with Via.
    pub via: bool,
    /// Whether clients hear of interim answers that they did not ask for.
    pub interim: Interim,
    /// Violations in requests that are let in.
    pub accept: Vec<Violation>,
}

/// What happens to fields with an underscore in their name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Underscores {
    /// They end here.
    Drop,
    /// They go on.
    Pass,
    /// The request is refused.
    Refuse,
}

/// What happens to interim answers other than those a client waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Interim {
    /// They go to clients of HTTP/1.1.
    Pass,
    /// They end here.
    Drop,
}

/// A violation of HTTP/1 that is let in by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Violation {
    /// A line of a head ends with LF alone.
    Lf,
    /// A field goes on in the next line.
    ObsFold,
    /// A field's name is no token.
    BadNames,
}

/// How long each wait on a client may last.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListenerTimeouts {
    /// For the TLS handshake as a whole.
    pub tls: Millis,
    /// From a request's first byte to the end of its head.
    pub head: Millis,
    /// Between two pieces of a request's body.
    pub body: Millis,
    /// Between two pieces of an answer that the client takes.
    pub send: Millis,
    /// Between an answer and the next request.
    pub idle: Millis,
    /// Without a byte in either direction of a tunnel (upgrades and TCP sessions).
    pub tunnel_idle: Millis,
    /// For a tunnel as a whole; `None` is unlimited.
    pub tunnel_max: Option<Millis>,
    /// Bytes a second that a client must at least send or take, after ten seconds, counting only
    /// the time spent waiting for it; 0 is off.
    pub min_rate: u64,
}

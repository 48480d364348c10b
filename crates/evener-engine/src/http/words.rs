//! What the words of a template stand for, for a request in hand.
//!
//! Rules kept here:
//! - A word reads what goes on: the one host and path that routes were matched on, fields without
//!   what a stranger says of who it is. A word without a value is empty.
//! - Nothing is decoded: `{query.N}` and `{cookie.N}` are bytes as they were sent.
//!
//! Not known here: where values stand, and whether they are safe there.

use evener_proto::h1::forward::is_heard;
use evener_proto::h1::{Name, matched_path};

use super::exchange::Exchange;
use super::forwarded::{self, ClientAddress};
use super::template::{Word, Words};

/// The words of a request in hand.
pub struct ExchangeWords<'a, 'e>(pub &'a Exchange<'e>);

impl Words for ExchangeWords<'_, '_> {
    fn append(&self, word: &Word, out: &mut Vec<u8>) {
        let exchange = self.0;
        match word {
            Word::ClientIp => forwarded::write_address(self.client().0, out),
            Word::PeerIp => forwarded::write_address(exchange.client.peer_ip(), out),
            Word::ClientPort => {
                if let Some(port) = self.client().1 {
                    number(u64::from(port), out);
                }
            }
            Word::Host => out.extend_from_slice(exchange.work.host.as_bytes()),
            Word::Path | Word::Uri | Word::Query(_) | Word::Method => self.target(word, out),
            Word::Header(name) => self.header(name.as_bytes(), out),
            Word::Cookie(name) => self.cookie(name, out),
            Word::Scheme => {
                let tls = exchange.client.stream.is_tls();
                out.extend_from_slice(if tls { b"https" } else { b"http" });
            }
            Word::TlsSni => out.extend_from_slice(exchange.client.stream.server_name().as_bytes()),
            Word::RequestId => out.extend_from_slice(&exchange.record.id(exchange.shard)),
            Word::Server => {
                let pool = exchange.record.pool.as_ref().zip(exchange.record.server);
                let id = pool.and_then(|(pool, index)| pool.server_id(index));
                out.extend_from_slice(id.unwrap_or("").as_bytes());
            }
            Word::Pool => {
                let pool = exchange.record.pool.as_ref();
                out.extend_from_slice(pool.map_or("", |pool| &pool.spec().name).as_bytes());
            }
            Word::Route => {
                let name = exchange.view.running().route_name(exchange.asked.route);
                out.extend_from_slice(name.as_bytes());
            }
            Word::Now => number(crate::clock::unix_millis() / 1000, out),
        }
    }
}

impl ExchangeWords<'_, '_> {
    /// The client's address, and its port where the client is the peer itself.
    fn client(&self) -> (Option<std::net::IpAddr>, Option<u16>) {
        let Exchange { client, view, work, .. } = self.0;
        let found = match forwarded::client_address(client, view, work) {
            ClientAddress::Ip(address) => Some(address),
            ClientAddress::Unix => None,
        };
        let peer = client.peer.filter(|peer| Some(peer.ip().to_canonical()) == found);
        (found, peer.map(|peer| peer.port()))
    }

    fn target(&self, word: &Word, out: &mut Vec<u8>) {
        let bytes = self.0.client.inbox.bytes();
        let head = self.0.work.request.head();
        let raw = if head.is_of_server() { b"*" } else { head.path.of(bytes) };
        match word {
            Word::Method => out.extend_from_slice(head.method_text.of(bytes)),
            Word::Path => {
                let mut scratch = Vec::new();
                out.extend_from_slice(matched_path(head, bytes, &mut scratch).unwrap_or(raw));
            }
            Word::Query(name) => {
                let query = head.query.map_or(&b""[..], |query| query.of(bytes));
                out.extend_from_slice(argument(query, name));
            }
            _ => {
                out.extend_from_slice(if raw.is_empty() { b"/" } else { raw });
                if let Some(query) = head.query {
                    out.push(b'?');
                    out.extend_from_slice(query.of(bytes));
                }
            }
        }
    }

    /// The lines of a field as one (RFC 9110 §5.3; for Cookie RFC 6265 §5.4).
    fn header(&self, name: &[u8], out: &mut Vec<u8>) {
        let exchange = self.0;
        let bytes = exchange.client.inbox.bytes();
        let head = exchange.work.request.head();
        if name == b"host" {
            return out.extend_from_slice(head.authority.text.of(bytes));
        }
        let between: &[u8] = if name == b"cookie" { b"; " } else { b", " };
        let listener = exchange.view.running();
        let trusted = listener.trusted.believe(exchange.client.peer_ip());
        let mut first = true;
        for field in head.fields.iter() {
            if !field.name.of(bytes).eq_ignore_ascii_case(name)
                || !is_heard(field, head, bytes, trusted, listener.policy.underscores)
            {
                continue;
            }
            if !first {
                out.extend_from_slice(between);
            }
            first = false;
            out.extend_from_slice(field.value.of(bytes));
        }
    }

    fn cookie(&self, name: &str, out: &mut Vec<u8>) {
        let bytes = self.0.client.inbox.bytes();
        let cookies = self.0.work.request.head().fields.all(Name::Cookie);
        let mut found = cookies.filter_map(|field| cookie(field.value.of(bytes), name));
        out.extend_from_slice(found.next().unwrap_or(b""));
    }
}

fn number(number: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

/// The value of an argument of a query; of all of it without a name.
fn argument<'a>(query: &'a [u8], name: &str) -> &'a [u8] {
    if name.is_empty() {
        return query;
    }
    let mut pairs = query.split(|byte| *byte == b'&');
    pairs.find_map(|pair| pair.strip_prefix(name.as_bytes())?.strip_prefix(b"=")).unwrap_or(b"")
}

/// The value of a cookie in a Cookie field.
fn cookie<'a>(field: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let mut pairs = field.split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
    pairs.find_map(|pair| pair.strip_prefix(name.as_bytes())?.strip_prefix(b"="))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_and_cookies_are_found_by_their_whole_name() {
        assert_eq!(argument(b"ab=1&a=2", "a"), b"2");
        assert_eq!(argument(b"ab=1", ""), b"ab=1");
        assert_eq!(cookie(b"sid2=x; sid=y", "sid"), Some(&b"y"[..]));
    }
}

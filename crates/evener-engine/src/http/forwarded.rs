//! What we tell a server about the client, and which client's word we believe.
//!
//! Rules kept here:
//! - `X-Forwarded-For`, `-Proto` and `-Host` are ours; a stranger's are cut before (see proto's
//!   `forward`), a trusted proxy's are continued: its addresses, then the proxy's own.
//! - Every rule, key and log line uses the client's address as found here.

use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr};

use evener_proto::h1::forward::Underscores;
use evener_proto::h1::{Name, RequestHead, Version, answer};

use super::client::Client;
use super::edits::FieldEdits;
use super::exchange::Asked;
use super::work::Work;
use crate::shard::ListenerView;

/// Fields of our own for a request.
pub struct Own<'a> {
    /// The peer is a proxy whose forwarded fields are believed.
    pub trusted: bool,
    /// Address of the socket's other end.
    pub peer: Option<IpAddr>,
    /// Whether the client spoke TLS.
    pub tls: bool,
    /// Whether the request may become a tunnel.
    pub upgrade: bool,
    /// What happens to fields with underscores.
    pub underscores: Underscores,
    /// What the client spoke, where that is to be told in Via.
    pub via: Option<Version>,
    /// What stands in Host where the client sent none.
    pub authority: &'a str,
    /// What the route changes; its lines have been expanded.
    pub edits: Option<&'a FieldEdits>,
}

/// Who the client is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientAddress {
    /// This address.
    Ip(IpAddr),
    /// A peer on a unix socket that named nobody.
    Unix,
}

impl ClientAddress {
    /// The address, if it has one.
    pub fn ip(self) -> Option<IpAddr> {
        match self {
            ClientAddress::Ip(ip) => Some(ip),
            ClientAddress::Unix => None,
        }
    }
}

impl Own<'_> {
    /// Names that we set and the client's of which are cut.
    #[inline]
    pub fn replaced(&self) -> &'static [&'static [u8]] {
        if self.trusted { &[b"x-forwarded-for"] } else { &[] }
    }

    /// The Host field.
    pub fn host(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"Host: ");
        out.extend_from_slice(self.authority.as_bytes());
        out.extend_from_slice(b"\r\n");
    }

    /// All other fields of our own, each with its line's end. `edited`: lines of the route.
    #[inline]
    pub fn fields(&self, head: &RequestHead, read: &[u8], edited: &[u8], out: &mut Vec<u8>) {
        if self.edits.is_some() {
            return self.edited_fields(head, read, edited, out);
        }
        out.extend_from_slice(b"X-Forwarded-For: ");
        self.forwarded_for(head, read, out);
        if !self.keeps(head, Name::XForwardedProto) {
            out.extend_from_slice(b"\r\nX-Forwarded-Proto: ");
            out.extend_from_slice(self.scheme());
        }
        if !self.keeps(head, Name::XForwardedHost) && !head.authority.text.is_empty() {
            out.extend_from_slice(b"\r\nX-Forwarded-Host: ");
            out.extend_from_slice(head.authority.text.of(read));
        }
        if self.upgrade {
            out.extend_from_slice(b"\r\nConnection: upgrade");
        }
        out.extend_from_slice(b"\r\n");
        if let Some(version) = self.via {
            via(version, out);
        }
    }

    #[cold]
    fn edited_fields(&self, head: &RequestHead, read: &[u8], edited: &[u8], out: &mut Vec<u8>) {
        self.each(head, read, &mut |name, value| {
            for part in [name, b": ", value, b"\r\n"] {
                out.extend_from_slice(part);
            }
        });
        if self.upgrade {
            out.extend_from_slice(b"Connection: upgrade\r\n");
        }
        out.extend_from_slice(edited);
    }

    /// Those of who the client is, name and value apart; without what the route sets or removes.
    pub fn each(&self, head: &RequestHead, read: &[u8], take: &mut dyn FnMut(&[u8], &[u8])) {
        let mut take = |name: &[u8], value: &[u8]| {
            if !self.edits.is_some_and(|edits| edits.replaces(name)) {
                take(name, value);
            }
        };
        let mut addresses = Vec::new();
        self.forwarded_for(head, read, &mut addresses);
        take(b"X-Forwarded-For", &addresses);
        if !self.keeps(head, Name::XForwardedProto) {
            take(b"X-Forwarded-Proto", self.scheme());
        }
        if !self.keeps(head, Name::XForwardedHost) && !head.authority.text.is_empty() {
            take(b"X-Forwarded-Host", head.authority.text.of(read));
        }
        if let Some(version) = self.via {
            let version: &[u8] = if version == Version::Http10 { b"1.0 " } else { b"1.1 " };
            take(b"Via", &[version, PSEUDONYM].concat());
        }
    }

    /// Whether a field of this name came from a proxy that is believed.
    fn keeps(&self, head: &RequestHead, name: Name) -> bool {
        self.trusted && head.fields.has(name)
    }

    fn scheme(&self) -> &'static [u8] {
        if self.tls { b"https" } else { b"http" }
    }

    /// A believed proxy's addresses, then its own.
    #[inline]
    fn forwarded_for(&self, head: &RequestHead, read: &[u8], out: &mut Vec<u8>) {
        if self.trusted {
            for field in head.fields.all(Name::XForwardedFor) {
                out.extend_from_slice(field.value.of(read));
                out.extend_from_slice(b", ");
            }
        }
        write_address(self.peer, out);
    }
}

/// The client's address: the peer, or whom a trusted peer names.
pub fn client_address(client: &Client, view: &ListenerView, work: &Work) -> ClientAddress {
    let peer = client.peer_ip();
    let trusted = &view.running().trusted;
    if trusted.believe(peer) {
        let bytes = client.inbox.bytes();
        let lines = work.request.head().fields.all(Name::XForwardedFor);
        if let Some(address) = trusted.client(lines.map(|field| field.value.of(bytes))) {
            return ClientAddress::Ip(address);
        }
    }
    peer.map_or(ClientAddress::Unix, |ip| ClientAddress::Ip(ip.to_canonical()))
}

/// What we say of ourselves for a request to a server with this authority.
pub fn own<'a>(
    client: &Client,
    view: &'a ListenerView,
    asked: &Asked,
    authority: &'a str,
) -> Own<'a> {
    Own {
        trusted: view.running().trusted.believe(client.peer_ip()),
        peer: client.peer_ip(),
        tls: client.stream.is_tls(),
        upgrade: asked.upgrade,
        underscores: view.running().policy.underscores,
        via: view.running().policy.via.then_some(asked.version),
        authority,
        edits: view.running().edits.of_requests(asked.route),
    }
}

/// Our name in Via (RFC 9110 §7.6.3): one for all of us, and it tells no host's name. Whether a
/// message has been here before is not looked for.
const PSEUDONYM: &[u8] = b"evener";

/// The Via field of a message that came in this version.
pub fn via(received: Version, out: &mut Vec<u8>) {
    // The pseudonym is a token.
    let _ = answer::via(received, PSEUDONYM, out);
}

/// An address as it stands in fields and logs.
pub fn write_address(address: Option<IpAddr>, out: &mut Vec<u8>) {
    match address.map(|address| address.to_canonical()) {
        Some(IpAddr::V4(address)) => write_v4(address, out),
        // Writing into memory cannot fail.
        Some(IpAddr::V6(address)) => drop(write!(Text(out), "{address}")),
        None => out.extend_from_slice(b"unix"),
    }
}

/// The same without the machinery of formatting: it stands in every request.
fn write_v4(address: Ipv4Addr, out: &mut Vec<u8>) {
    let mut text = [b'.'; 15];
    let mut at = 0;
    for (place, octet) in address.octets().into_iter().enumerate() {
        at += usize::from(place > 0);
        for (from, by) in [(100, 100), (10, 10), (0, 1)] {
            if octet >= from
                && let Some(digit) = text.get_mut(at)
            {
                *digit = b'0' + octet / by % 10;
                at += 1;
            }
        }
    }
    out.extend_from_slice(text.get(..at).unwrap_or(&text));
}

struct Text<'a>(&'a mut Vec<u8>);

impl Write for Text<'_> {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        self.0.extend_from_slice(text.as_bytes());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_written_as_everybody_writes_it() {
        let mut addresses = vec!["::1".parse().unwrap(), "2001:db8::7".parse().unwrap()];
        for octet in 0..=255 {
            addresses.push(IpAddr::from([octet, 255 - octet, octet / 2, octet / 25]));
        }
        for address in addresses {
            let mut text = Vec::new();
            write_address(Some(address), &mut text);
            assert_eq!(String::from_utf8(text).unwrap(), address.to_string());
        }
        let mut text = Vec::new();
        write_address(Some("::ffff:10.0.0.7".parse().unwrap()), &mut text);
        write_address(None, &mut text);
        assert_eq!(text, b"10.0.0.7unix");
    }
}

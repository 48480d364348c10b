//! Where a server is, in the forms that connecting to it needs.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use rustls_pki_types::ServerName;

use evener_plan::{Pool, Server};

use crate::tls;

/// A server's place, resolved once with the plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Where to connect to.
    pub place: Place,
    /// Name to verify and send, when the pool speaks TLS.
    pub server_name: Option<ServerName<'static>>,
    /// What stands in Host where the client sent none.
    pub authority: Arc<str>,
}

/// Where to connect to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Place {
    /// TCP.
    Tcp(SocketAddr),
    /// A unix socket.
    Unix(PathBuf),
}

impl Target {
    /// Reads a server's address.
    ///
    /// # Errors
    /// A sentence naming the address or the name that is not usable.
    pub fn of(pool: &Pool, server: &Server) -> Result<Target, String> {
        let place = Place::parse(&server.address)?;
        let server_name = match &pool.tls {
            Some(tls) => {
                let name = tls.server_name.as_deref().unwrap_or(&server.host);
                Some(tls::client::server_name(name)?)
            }
            None => None,
        };
        let authority = place.authority(&server.host).into();
        Ok(Target { place, server_name, authority })
    }

    /// Whether a connection made for the other may serve: it leads to the same place, and whom it
    /// was verified to be is whom this one is to be.
    pub fn shares_with(&self, other: &Target) -> bool {
        self.place == other.place && self.server_name == other.server_name
    }
}

impl Place {
    /// Reads `192.0.2.1:80`, `[2001:db8::1]:80` or `unix:/path`.
    ///
    /// # Errors
    /// A sentence naming the address.
    pub fn parse(address: &str) -> Result<Place, String> {
        match address.strip_prefix("unix:") {
            Some(path) => Ok(Place::Unix(PathBuf::from(path))),
            None => address
                .parse()
                .map(Place::Tcp)
                .map_err(|_| format!("{address:?} is not an address with a port")),
        }
    }

    /// The same place at another port; a unix socket has none and stays.
    pub fn at_port(&self, port: u16) -> Place {
        match self {
            Place::Tcp(address) => Place::Tcp(SocketAddr::new(address.ip(), port)),
            Place::Unix(path) => Place::Unix(path.clone()),
        }
    }

    /// What a server of this host is called there.
    pub fn authority(&self, host: &str) -> String {
        match self {
            Place::Tcp(address) => format!("{}:{}", bracketed(host), address.port()),
            Place::Unix(_) => "localhost".to_owned(),
        }
    }
}

/// An IPv6 address in brackets, everything else as it is.
fn bracketed(host: &str) -> String {
    if host.contains(':') && !host.starts_with('[') { format!("[{host}]") } else { host.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_serves_for_the_place_and_the_name_it_was_made_for() {
        let target = |port: u16, name: &str, authority: &str| Target {
            place: Place::parse(&format!("127.0.0.1:{port}")).unwrap(),
            server_name: Some(ServerName::try_from(name.to_owned()).unwrap()),
            authority: authority.into(),
        };
        let made_for = target(1, "a.example", "a.example:1");
        assert!(made_for.shares_with(&target(1, "a.example", "other")));
        assert!(!made_for.shares_with(&target(1, "b.example", "a.example:1")));
        assert!(!made_for.shares_with(&target(2, "a.example", "a.example:1")));
    }

    #[test]
    fn addresses_are_tcp_or_unix_and_anything_else_is_named() {
        assert!(matches!(Place::parse("[::1]:80").unwrap(), Place::Tcp(_)));
        assert_eq!(Place::parse("unix:/a b").unwrap(), Place::Unix("/a b".into()));
        assert!(Place::parse("web1:80").unwrap_err().contains("web1:80"));
    }
}

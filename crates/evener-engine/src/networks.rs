//! Networks whose word is believed, and the client behind them.

use std::net::IpAddr;

use ipnet::IpNet;

/// Networks, and perhaps peers on unix sockets.
#[derive(Debug, Clone, Default)]
pub struct Networks {
    networks: Vec<IpNet>,
    unix: bool,
}

impl Networks {
    /// Reads networks and single addresses; the word `unix` stands for peers on unix sockets.
    ///
    /// # Errors
    /// A sentence naming the text that is none of these.
    pub fn parse(texts: &[String]) -> Result<Networks, String> {
        let mut networks = Networks::default();
        for text in texts {
            if text == "unix" {
                networks.unix = true;
                continue;
            }
            let network = text
                .parse::<IpNet>()
                .or_else(|_| text.parse::<IpAddr>().map(IpNet::from))
                .map_err(|_| format!("{text:?} is not a network"))?;
            networks.networks.push(network.trunc());
        }
        Ok(networks)
    }

    /// Whether the peer (`None` on a unix socket) is believed.
    pub fn believe(&self, peer: Option<IpAddr>) -> bool {
        match peer {
            None => self.unix,
            Some(address) => self.contains(address),
        }
    }

    /// The client as X-Forwarded-For tells it, whose lines are one list (RFC 9110 §5.3): the last
    /// address that is not a believed proxy's. `None` when the list is empty or its deciding entry is
    /// no address. A hop over a unix socket says so, and has none.
    pub fn client<'l>(&self, lines: impl DoubleEndedIterator<Item = &'l [u8]>) -> Option<IpAddr> {
        let mut furthest = None;
        let entries = lines.rev().flat_map(|line| line.rsplit(|byte| *byte == b','));
        let entries = entries.map(<[u8]>::trim_ascii);
        for entry in entries.filter(|entry| !entry.is_empty() && *entry != b"unix") {
            let address = address(entry)?;
            furthest = Some(address);
            if !self.contains(address) {
                break;
            }
        }
        furthest
    }

    fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.networks.iter().any(|network| network.contains(&address))
    }
}

/// An address, perhaps with a port or in brackets, as proxies write them.
fn address(entry: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(entry).ok()?;
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some(address.to_canonical());
    }
    if let Ok(socket) = text.parse::<std::net::SocketAddr>() {
        return Some(socket.ip().to_canonical());
    }
    text.strip_prefix('[')?.strip_suffix(']')?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn networks(texts: &[&str]) -> Networks {
        Networks::parse(&texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>()).unwrap()
    }

    #[test]
    fn the_client_is_the_last_address_that_is_no_believed_proxy() {
        let own = networks(&["10.0.0.0/8"]);
        let client = |list: &str| {
            let lines = list.split('|').map(str::as_bytes);
            own.client(lines).map(|ip| ip.to_string())
        };
        assert_eq!(client("6.6.6.6, 1.2.3.4, 10.0.0.1").as_deref(), Some("1.2.3.4"));
        assert_eq!(client("10.0.0.9,10.0.0.1").as_deref(), Some("10.0.0.9"));
        assert_eq!(client("[2001:db8::1]:4711").as_deref(), Some("2001:db8::1"));
        assert_eq!(client("unknown, 10.0.0.1"), None);
        assert_eq!(client("6.6.6.6|1.2.3.4|10.0.0.1").as_deref(), Some("1.2.3.4"));
        assert_eq!(client("1.2.3.4, 10.0.0.1||, ").as_deref(), Some("1.2.3.4"));
        assert_eq!(client("1.2.3.4, unix, 10.0.0.1").as_deref(), Some("1.2.3.4"));
        assert_eq!((client(""), client("unix")), (None, None));
    }

    #[test]
    fn an_address_mapped_into_ipv6_is_the_address() {
        let own = networks(&["127.0.0.1", "unix"]);
        assert!(own.believe(Some("::ffff:127.0.0.1".parse().unwrap())));
        assert!(own.believe(None));
        assert!(!own.believe(Some("127.0.0.2".parse().unwrap())));
    }
}

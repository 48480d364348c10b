//! `nginx/ip_hash`: the client's network keeps its server.
//!
//! Rules kept here (nginx, `ngx_http_upstream_get_ip_hash_peer`):
//! - Of an IPv4 address the first three bytes count, of an IPv6 address all; who has none is
//!   0.0.0.
//! - The hash chosen modulo the weights; a place that cannot take it keeps its share and the hash
//!   goes on.

use std::net::IpAddr;

use super::chain::Misses;
use super::round_robin::RoundRobin;
use crate::key::KeyRule;
use crate::schedule::{Ask, Crew, Schedule};
use crate::structures::Shares;

/// The client's network keeps its server.
pub(crate) struct IpHash {
    robin: RoundRobin,
    shares: Shares,
    places: usize,
}

impl IpHash {
    pub(crate) fn new(crew: &Crew<'_>) -> IpHash {
        IpHash {
            robin: RoundRobin::new(crew),
            shares: Shares::of(&crew.weights()),
            places: crew.len(),
        }
    }

    fn hashed(&self, bytes: &[u8], tried: &[u32]) -> Option<usize> {
        let mut misses = Misses::new(tried);
        let mut hash = 89;
        while misses.are_few() {
            hash = bytes.iter().fold(hash, |hash, byte| (hash * 113 + u64::from(*byte)) % 6271);
            let place = self.shares.owner(hash % self.shares.total().max(1))?;
            if misses.takes(place, self.robin.gate().is_open(place)) {
                return Some(place);
            }
        }
        None
    }
}

impl Schedule for IpHash {
    fn pick(&mut self, ask: &Ask<'_>) -> Option<usize> {
        let hashed = match ask.key.client.map(|client| client.ip()) {
            _ if self.places < 2 => None,
            Some(IpAddr::V4(four)) => self.hashed(&four.octets()[..3], ask.tried),
            Some(IpAddr::V6(six)) => self.hashed(&six.octets(), ask.tried),
            None => self.hashed(&[0; 3], ask.tried),
        };
        hashed.or_else(|| self.robin.pick_besides(ask.tried))
    }

    fn key_rule(&self) -> KeyRule {
        KeyRule::Addresses
    }

    robin_keeps!();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::Key;
    use crate::schedule::tests::Troop;

    fn pick(hash: &mut IpHash, client: &str, tried: &[u32]) -> Option<usize> {
        let key = Key { client: client.parse().ok(), ..Key::default() };
        hash.pick(&Ask { tried, key, now: 0 })
    }

    fn of(weights: &[u32]) -> IpHash {
        let mut hash = IpHash::new(&Troop::new(weights).crew());
        (0..weights.len()).for_each(|place| hash.set_active(place, true));
        hash
    }

    #[test]
    fn a_network_keeps_its_server_and_a_lost_one_moves_nobody_else() {
        let mut hash = of(&[1, 2, 3]);
        let client = |net: u32| format!("10.{}.{}.7:80", net / 250, net % 250);
        let before: Vec<_> = (0..500).map(|net| pick(&mut hash, &client(net), &[])).collect();
        assert_eq!(pick(&mut hash, "10.0.9.250:1", &[]), before[9]);
        hash.set_active(1, false);
        for (net, before) in (0..).zip(before) {
            let after = pick(&mut hash, &client(net), &[]);
            assert!(after == before || before == Some(1), "{net}");
        }
    }

    #[test]
    fn a_retry_goes_on_along_the_chain_and_ends_at_round_robin() {
        let mut hash = of(&[1, 1, 1]);
        let first = pick(&mut hash, "[2001:db8::1]:9", &[]).unwrap() as u32;
        let second = pick(&mut hash, "[2001:db8::1]:9", &[first]).unwrap() as u32;
        let third = pick(&mut hash, "[2001:db8::1]:9", &[first, second]).unwrap() as u32;
        let mut all = [first, second, third];
        all.sort_unstable();
        assert_eq!(all, [0, 1, 2]);
        assert_eq!(pick(&mut hash, "[2001:db8::1]:9", &all), None);
        assert!(pick(&mut hash, "unix", &[]).is_some());
    }
}

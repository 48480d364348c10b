//! Who asks, and for what: what keyed schedulers go by.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use evener_balance::Request;
use serde::{Deserialize, Serialize};

use crate::draw::Draw;

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Clients {
    /// Each request is somebody else's, for something else.
    Fresh,
    /// So many, the one in row `n` asks in proportion to `1 / n^skew`; each always for the same.
    Known {
        /// How many.
        count: u32,
        /// 0 is evenly, 1 is Zipf's law.
        skew: f64,
    },
}

/// The clients of a run.
#[derive(Debug)]
pub(crate) struct Crowd {
    /// Sums of the parts of all up to each; empty is fresh ones.
    sums: Vec<f64>,
}

impl Crowd {
    pub(crate) fn new(clients: Clients) -> Crowd {
        let Clients::Known { count, skew } = clients else {
            return Crowd { sums: Vec::new() };
        };
        let mut sum = 0.0;
        let part = |row: u32| {
            sum += f64::from(row).powf(-skew);
            sum
        };
        Crowd { sums: (1..=count).map(part).collect() }
    }

    /// Who asks next, and for what.
    pub(crate) fn next(&self, draw: &mut Draw) -> (u64, u64) {
        let bits = draw.bits();
        let Some(all) = self.sums.last() else {
            return (bits, bits);
        };
        let at = all * draw.unit();
        let row = self.sums.partition_point(|sum| *sum < at);
        // A number of its own, spread over all addresses.
        let number = Draw::new(row as u64 ^ 0xc11e).bits();
        (number, number)
    }
}

/// A request as a scheduler sees it: the key, in hexadecimal digits, is its path, the parameter
/// `k` of its query, the value of each header, and the cookie of a remote desktop session.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asker {
    client: u64,
    target: [u8; 36],
    payload: [u8; 46],
}

const DIGITS: usize = 16;

impl Asker {
    pub(crate) fn new(client: u64, key: u64) -> Asker {
        let mut digits = [0; DIGITS];
        for (at, digit) in digits.iter_mut().enumerate() {
            *digit = b"0123456789abcdef"[(key >> (60 - 4 * at)) as usize & 15];
        }
        let mut target = *b"/----------------?k=----------------";
        target[1..1 + DIGITS].copy_from_slice(&digits);
        target[20..].copy_from_slice(&digits);
        let mut payload = *b"...........Cookie: mstshash=----------------\r\n";
        payload[28..28 + DIGITS].copy_from_slice(&digits);
        Asker { client, target, payload }
    }
}

impl Request for Asker {
    fn client(&self) -> Option<SocketAddr> {
        let port = 1_024 + (self.client >> 32) as u16 % 60_000;
        Some(SocketAddr::new(IpAddr::V4(Ipv4Addr::from_bits(self.client as u32)), port))
    }

    fn local(&self) -> Option<IpAddr> {
        Some(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)))
    }

    fn target(&self) -> Option<&[u8]> {
        Some(&self.target)
    }

    fn header(&self, _: &str) -> Option<&[u8]> {
        self.key()
    }

    fn payload(&self) -> Option<&[u8]> {
        Some(&self.payload)
    }

    fn key(&self) -> Option<&[u8]> {
        self.target.get(20..)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn known_clients_ask_by_their_place_in_the_row() {
        let crowd = Crowd::new(Clients::Known { count: 4, skew: 1.0 });
        let mut draw = Draw::new(1);
        let mut counts: BTreeMap<u64, u32> = BTreeMap::new();
        (0..25_000).for_each(|_| *counts.entry(crowd.next(&mut draw).0).or_default() += 1);
        let mut counts: Vec<u32> = counts.into_values().collect();
        counts.sort_unstable_by(|one, other| other.cmp(one));
        for (count, wanted) in counts.iter().zip([12_000, 6_000, 4_000, 3_000]) {
            assert!(count.abs_diff(wanted) < 300, "{counts:?}");
        }
        let asker = Asker::new(1, 0xbeef);
        assert_eq!(asker.target().unwrap(), b"/000000000000beef?k=000000000000beef");
        assert_eq!(asker.key().unwrap(), b"000000000000beef");
        assert!(asker.payload().unwrap().ends_with(b"mstshash=000000000000beef\r\n"));
    }
}

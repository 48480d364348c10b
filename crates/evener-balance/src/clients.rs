//! What is remembered of clients: how many connections each holds, and how fast it asks.
//!
//! Rules kept here:
//! - A client is an IPv4 address, or an IPv6 network of 64 bits: whoever has one such network has all
//!   its addresses (RFC 6177), and must not be as many clients.
//! - Memory is taken once: [`PLACES`] clients, whoever asks. A client may stand in a few places only,
//!   which ones is keyed, so that nobody can choose addresses that crowd out another.
//! - A full table forgets a rate that is nearest to being forgiven anyway, and never a connection: a
//!   client that finds no place then is let in without being counted.
//! - A place is held by a lock for a few loads and stores; clients seldom share one.
//!
//! Not known here: sockets, what a request is, what a refused client is told.

mod counts;
mod rates;

use std::net::IpAddr;
use std::num::NonZeroU64;
use std::sync::{Mutex, PoisonError};

pub use counts::{Counts, Entered, Held};
pub use rates::{Rate, Rates};

use crate::hashes::siphash13_word;

/// Clients that are remembered at once.
pub const PLACES: usize = 1 << 16;
/// Places in which a client may stand: with eight, more than nine tenths of a table are used when it
/// is full (its tests measure that), and looking through them is one cache line or two.
const WAYS: usize = 8;

/// Who is counted as one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Client(NonZeroU64);

impl Client {
    /// The client of this address.
    pub fn of(address: IpAddr) -> Client {
        let number = match address.to_canonical() {
            // Nobody connects from ffff::/16: it is multicast (RFC 4291 §2.7).
            IpAddr::V4(v4) => (0xffff_ffff << 32) | u64::from(v4.to_bits()),
            IpAddr::V6(v6) => (v6.to_bits() >> 64) as u64,
        };
        // Nobody connects from 255.255.255.255 either, so that what is left is never 0.
        Client(NonZeroU64::new(!number).unwrap_or(NonZeroU64::MIN))
    }
}

/// What a table remembers of a client.
trait Remembered: Default {
    /// What forgetting it at this time would give away: the least is forgotten first. `None`: it must
    /// be kept.
    fn worth(&self, now: u64) -> Option<u64>;
}

struct Place<S> {
    client: Option<Client>,
    state: S,
}

/// A fixed number of clients and what is remembered of each.
struct Table<S> {
    buckets: Box<[Mutex<[Place<S>; WAYS]>]>,
    key: [u64; 2],
}

impl<S: Remembered> Table<S> {
    fn new(key: [u64; 2]) -> Table<S> {
        let place = |_| Place { client: None, state: S::default() };
        let bucket = || Mutex::new(std::array::from_fn(place));
        Table { buckets: std::iter::repeat_with(bucket).take(PLACES / WAYS).collect(), key }
    }

    /// Does something with what is known of a client; `None` when there is no place for it.
    fn with<R>(&self, client: Client, now: u64, act: impl FnOnce(&mut S) -> R) -> Option<R> {
        let bucket = self.buckets.get(self.bucket_of(client))?;
        // A panic in here leaves numbers that are whole: they are used on.
        let mut places = bucket.lock().unwrap_or_else(PoisonError::into_inner);
        Some(act(&mut place_of(&mut places, client, now)?.state))
    }

    fn bucket_of(&self, client: Client) -> usize {
        let number = client.0.get();
        let key = [self.key[0], self.key[1] ^ (number >> 32)];
        siphash13_word(number as u32, key) as usize % self.buckets.len()
    }
}

/// The place of a client: its own, else a free one, else that of whoever is worth least.
fn place_of<S: Remembered>(
    places: &mut [Place<S>; WAYS],
    client: Client,
    now: u64,
) -> Option<&mut Place<S>> {
    let own = places.iter().position(|place| place.client == Some(client));
    let index = own.or_else(|| {
        let worth = |place: &Place<S>| match place.client {
            None => Some(0),
            Some(_) => place.state.worth(now),
        };
        let places = places.iter().enumerate();
        let (_, index) = places.filter_map(|(at, place)| Some((worth(place)?, at))).min()?;
        Some(index)
    })?;
    let place = places.get_mut(index)?;
    if own.is_none() {
        *place = Place { client: Some(client), state: S::default() };
    }
    Some(place)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(text: &str) -> Client {
        Client::of(text.parse().unwrap())
    }

    #[test]
    fn an_ipv6_network_of_64_bits_is_one_client_and_an_ipv4_address_another() {
        assert_eq!(client("2001:db8:1:2::3"), client("2001:db8:1:2:ffff::9"));
        assert_ne!(client("2001:db8:1:2::3"), client("2001:db8:1:3::3"));
        assert_eq!(client("::ffff:192.0.2.1"), client("192.0.2.1"));
        assert_ne!(client("192.0.2.1"), client("192.0.2.2"));
        assert_ne!(client("0.0.0.0"), client("::1"));
        assert_eq!(client("::1"), client("::2"));
    }

    #[test]
    fn a_table_takes_its_memory_once() {
        assert_eq!(size_of::<Place<u64>>(), 16);
        let buckets = PLACES / WAYS;
        assert!(buckets * size_of::<Mutex<[Place<u64>; WAYS]>>() < 5 << 18, "1.25 MiB");
    }

    impl Remembered for u64 {
        fn worth(&self, now: u64) -> Option<u64> {
            (*self < 1000).then(|| self.saturating_sub(now))
        }
    }

    /// So many clients that all belong into one bucket.
    fn crowd(table: &Table<u64>, count: usize) -> Vec<Client> {
        let all = (1..).map(|number| Client::of(IpAddr::V4(u32::into(number))));
        let home = table.bucket_of(client("10.0.0.1"));
        all.filter(|one| table.bucket_of(*one) == home).take(count).collect()
    }

    #[test]
    fn a_full_bucket_forgets_whoever_is_worth_least_and_nobody_who_must_be_kept() {
        let table = Table::<u64>::new([7, 8]);
        let crowd = crowd(&table, WAYS + 2);
        for (at, one) in crowd.iter().take(WAYS).enumerate() {
            let state = if at == 3 { 50 } else { 100 + at as u64 };
            assert!(table.with(*one, 0, |known| *known = state).is_some());
        }
        assert_eq!(table.with(crowd[WAYS], 0, |known| std::mem::replace(known, 2000)), Some(0));
        assert_eq!(table.with(crowd[0], 0, |known| *known), Some(100));
        for one in crowd.iter().take(WAYS).filter(|one| **one != crowd[3]) {
            table.with(*one, 0, |known| *known = 2000);
        }
        assert_eq!(table.with(crowd[WAYS + 1], 0, |known| *known), None);
        assert_eq!(table.with(crowd[WAYS], 0, |known| *known), Some(2000));
    }

    #[test]
    fn who_shares_a_bucket_with_whom_depends_on_the_key() {
        let tables = [Table::<u64>::new([1, 2]), Table::new([1, 3]), Table::new([2, 2])];
        let homes = tables.map(|table| {
            let all = (0..64u32).map(|number| Client::of(IpAddr::V4(number.into())));
            all.map(|one| table.bucket_of(one)).collect::<Vec<_>>()
        });
        assert!(homes[0] != homes[1] && homes[1] != homes[2] && homes[0] != homes[2]);
    }
}

//! How fast each client asks: a bucket that leaks, kept as the time at which it will be empty.
//!
//! Rules kept here:
//! - `N` in a time `T`: `N` may come at once, then one each `T / N`. That is nginx's `limit_req` with
//!   `burst=N-1 nodelay`, to the millisecond. Whoever is refused has asked for nothing.
//! - Times are counted in parts of a millisecond of which `N` make one, so that nothing is rounded.
//!
//! Source: ITU-T I.371 Annex A, the virtual scheduling algorithm (GCRA).

use super::{Client, Remembered, Table};

/// So many in so many milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// How many; as many may come at once.
    pub count: u32,
    /// In which time, in milliseconds.
    pub per: u32,
}

/// How fast each client asks.
pub struct Rates {
    table: Table<Empty>,
    rate: Rate,
}

/// When the client's bucket will be empty, in parts of a millisecond.
#[derive(Default)]
struct Empty(u64);

impl Remembered for Empty {
    fn worth(&self, now: u64) -> Option<u64> {
        Some(self.0.saturating_sub(now))
    }
}

impl Rates {
    /// Nobody has asked yet. The key is to be known to nobody outside.
    pub fn new(rate: Rate, key: [u64; 2]) -> Rates {
        Rates { table: Table::new(key), rate }
    }

    /// What is allowed.
    pub fn rate(&self) -> Rate {
        self.rate
    }

    /// The client asks once, at this time in milliseconds.
    ///
    /// # Errors
    /// The milliseconds until it would be let in, when that is not now.
    pub fn take(&self, client: Client, now: u64) -> Result<(), u64> {
        let (count, per) = (u64::from(self.rate.count.max(1)), u64::from(self.rate.per));
        let now = now.saturating_mul(count);
        let full = count * per;
        let taken = self.table.with(client, now, |empty| {
            let filled = empty.0.saturating_sub(now) + per;
            if filled > full {
                return Err((filled - full).div_ceil(count));
            }
            empty.0 = now.saturating_add(filled);
            Ok(())
        });
        // There is always somebody to forget.
        taken.unwrap_or(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use proptest::prelude::*;

    use super::*;
    use crate::clients::PLACES;

    fn client(number: u32) -> Client {
        Client::of(Ipv4Addr::from_bits(number).into())
    }

    proptest! {
        #[test]
        fn no_span_of_time_sees_more_than_the_burst_and_what_the_rate_allows_in_it(
            count in 1..50u32,
            per in prop::sample::select(vec![1000u32, 60_000, 3_600_000]),
            gaps in prop::collection::vec(0..2000u64, 1..300)
        ) {
            let rates = Rates::new(Rate { count, per }, [1, 2]);
            let mut now = 1_000_000;
            let mut came = Vec::new();
            for gap in gaps {
                now += gap;
                match rates.take(client(1), now) {
                    Ok(()) => came.push(now),
                    Err(wait) => {
                        prop_assert!(rates.take(client(1), now + wait - 1).is_err());
                        prop_assert!(wait <= u64::from(per.div_ceil(count)));
                        now += wait;
                        prop_assert_eq!(rates.take(client(1), now), Ok(()));
                        came.push(now);
                    }
                }
            }
            let allowed = |span: u64| u64::from(count) + span * u64::from(count) / u64::from(per);
            for (first, from) in came.iter().enumerate() {
                for (last, to) in came.iter().enumerate().skip(first) {
                    prop_assert!((last - first) as u64 + 1 <= allowed(to - from));
                }
            }
        }

        #[test]
        fn who_keeps_to_the_rate_is_never_refused(count in 1..1000u32, jitter in 0..1000u64) {
            let rates = Rates::new(Rate { count, per: 1000 }, [1, 2]);
            for asked in 0..2 * u64::from(count) {
                let now = jitter + (asked * 1000).div_ceil(u64::from(count));
                prop_assert_eq!(rates.take(client(1), now), Ok(()));
            }
        }

        /// nginx: `excess = max(0, excess − rate·ms/1000 + 1000)`, refused beyond `burst·1000`.
        #[test]
        fn it_is_nginx_limit_req_without_delay(
            count in prop::sample::select(vec![1u32, 2, 5, 10, 50, 100]),
            gaps in prop::collection::vec(0..700u64, 1..200)
        ) {
            let rates = Rates::new(Rate { count, per: 1000 }, [1, 2]);
            let (mut excess, mut last, mut now) = (-1000i64, 5000u64, 5000u64);
            for gap in gaps {
                now += gap;
                let ms = (now - last) as i64;
                let next = (excess - i64::from(count) * ms + 1000).max(0);
                let nginx = next <= (i64::from(count) - 1) * 1000;
                if nginx {
                    (excess, last) = (next, now);
                }
                prop_assert_eq!(rates.take(client(1), now).is_ok(), nginx);
            }
        }
    }

    #[test]
    fn clients_are_judged_apart_and_a_clock_that_stands_still_or_goes_back_gives_nothing() {
        let rates = Rates::new(Rate { count: 2, per: 1000 }, [1, 2]);
        let at = |number, now| rates.take(client(number), now);
        assert_eq!([at(1, 100), at(1, 100), at(1, 100)], [Ok(()), Ok(()), Err(500)]);
        assert_eq!(at(1, 50), Err(550));
        assert_eq!(at(2, 100), Ok(()));
        assert_eq!([at(1, 600), at(1, 600)], [Ok(()), Err(500)]);
    }

    #[test]
    fn many_others_do_not_make_a_table_forget_who_asks_too_fast() {
        let rates = Rates::new(Rate { count: 10, per: 1000 }, [3, 4]);
        let fast = client(0);
        while rates.take(fast, 0).is_ok() {}
        for number in 1..4 * PLACES as u32 {
            assert_eq!(rates.take(client(number), 1), Ok(()));
        }
        assert!(rates.take(fast, 2).is_err());
    }
}

//! Connections (or requests) that each client holds at once.
//!
//! Rules kept here:
//! - Only the end of a [`Held`] lowers a count.
//! - The most is told with every newcomer, so that another plan changes it and keeps the counts.

use std::sync::Arc;

use super::{Client, Remembered, Table};

/// How many each client holds.
pub struct Counts {
    table: Table<Count>,
}

/// Counts one while it lives.
pub struct Held {
    counts: Arc<Counts>,
    client: Client,
}

/// What became of a newcomer.
pub enum Entered {
    /// It is counted.
    In(Held),
    /// It would be one too many.
    Full,
    /// The table is full of others: it is not counted.
    Unknown,
}

#[derive(Default)]
struct Count(u32);

impl Remembered for Count {
    fn worth(&self, _: u64) -> Option<u64> {
        (self.0 == 0).then_some(0)
    }
}

impl Counts {
    /// Nobody holds anything. The key is to be known to nobody outside.
    pub fn new(key: [u64; 2]) -> Counts {
        Counts { table: Table::new(key) }
    }

    /// One more of this client, which may hold so many.
    pub fn enter(self: &Arc<Self>, client: Client, most: u64) -> Entered {
        let entered = self.table.with(client, 0, |count| {
            let room = u64::from(count.0) < most;
            count.0 += u32::from(room);
            room
        });
        match entered {
            Some(true) => Entered::In(Held { counts: self.clone(), client }),
            Some(false) => Entered::Full,
            None => Entered::Unknown,
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let leave = |count: &mut Count| count.0 = count.0.saturating_sub(1);
        // Whoever holds something is never forgotten.
        self.counts.table.with(self.client, 0, leave);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::net::Ipv4Addr;

    use proptest::prelude::*;

    use super::*;
    use crate::clients::PLACES;

    fn client(number: u32) -> Client {
        Client::of(Ipv4Addr::from_bits(number).into())
    }

    proptest! {
        #[test]
        fn a_client_holds_what_it_entered_with_and_never_more_than_the_most(
            steps in prop::collection::vec((0..5u32, any::<bool>(), 1..4u64), 0..200)
        ) {
            let counts = Arc::new(Counts::new([1, 2]));
            let mut held: BTreeMap<u32, Vec<Held>> = BTreeMap::new();
            for (number, leaves, most) in steps {
                let own = held.entry(number).or_default();
                if leaves {
                    own.pop();
                    continue;
                }
                let room = (own.len() as u64) < most;
                match counts.enter(client(number), most) {
                    Entered::In(one) => own.push(one),
                    Entered::Full => prop_assert!(!room),
                    Entered::Unknown => prop_assert!(false, "there is room for five"),
                }
                prop_assert!(own.len() <= 4);
                if room {
                    prop_assert!(!own.is_empty());
                }
            }
        }
    }

    #[test]
    fn a_table_full_of_others_lets_newcomers_in_uncounted_and_forgets_nobody() {
        let counts = Arc::new(Counts::new([3, 4]));
        let mut held = Vec::new();
        let mut unknown = 0;
        for number in 0..2 * PLACES as u32 {
            match counts.enter(client(number), 1) {
                Entered::In(one) => held.push(one),
                Entered::Unknown => unknown += 1,
                Entered::Full => panic!("{number} came once"),
            }
        }
        assert_eq!(held.len() + unknown, 2 * PLACES);
        assert!(held.len() <= PLACES && held.len() > PLACES * 9 / 10);
        let again = held.iter().filter(|one| matches!(counts.enter(one.client, 1), Entered::Full));
        assert_eq!(again.count(), held.len(), "whoever holds one is still known");
        held.clear();
        assert!(matches!(counts.enter(client(7), 1), Entered::In(_)));
    }

    #[test]
    fn threads_count_together() {
        let counts = Arc::new(Counts::new([5, 6]));
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let counts = counts.clone();
                std::thread::spawn(move || {
                    let one = client(1);
                    let entered: Vec<_> = (0..100).map(|_| counts.enter(one, 250)).collect();
                    entered.into_iter().filter(|one| matches!(one, Entered::In(_))).collect()
                })
            })
            .collect();
        let all: Vec<Vec<Entered>> = threads.into_iter().map(|one| one.join().unwrap()).collect();
        assert_eq!(all.iter().map(Vec::len).sum::<usize>(), 250);
    }
}

//! `evener/maglev`: the pool's key over a Maglev table.
//!
//! Rules kept here:
//! - Each server fills the table in an order of its own, by its id; they take turns, each as many
//!   as its weight says.
//! - The table is made once per plan. A key whose server can't be picked is hashed on, 8 times,
//!   then goes along the table: other keys stay where they are.
//!
//! Precedent: Eisenbud and others, "Maglev: a fast and reliable software network load balancer"
//! (NSDI 2016), §3.4; turns by weight as in Envoy.

use super::field::Field;
use crate::dice::mix;
use crate::hashes::xxh64;
use crate::key::KeyRule;
use crate::schedule::{Ask, Crew, Schedule};

/// The pool's key over a Maglev table.
pub(crate) struct Maglev {
    field: Field,
    /// Places; empty if nobody has weight.
    table: Vec<u32>,
}

const REHASHES: u64 = 8;

impl Maglev {
    pub(crate) fn new(crew: &Crew<'_>, size: u32) -> Maglev {
        let ids: Vec<&str> = crew.servers.iter().map(|server| server.id.as_str()).collect();
        Maglev { field: Field::new(crew), table: table(&ids, &crew.weights(), prime(size)) }
    }

    fn at(&self, hash: u64) -> usize {
        (hash % self.table.len() as u64) as usize
    }
}

/// The least prime that is not below.
fn prime(size: u32) -> u32 {
    let is_prime = |number: &u32| {
        let mut divisors = (2..).take_while(|divisor| divisor * divisor <= *number);
        divisors.all(|divisor| !number.is_multiple_of(divisor))
    };
    (size.clamp(2, 5_000_011)..).find(is_prime).unwrap_or(2)
}

/// Who has each entry, by place.
fn table(ids: &[&str], weights: &[u32], size: u32) -> Vec<u32> {
    const NOBODY: u32 = u32::MAX;
    let heaviest = weights.iter().copied().max().unwrap_or(0);
    if heaviest == 0 {
        return Vec::new();
    }
    let start = |id: &&str| (xxh64(id.as_bytes(), 1) % u64::from(size)) as u32;
    let skip = |id: &&str| (xxh64(id.as_bytes(), 2) % u64::from(size - 1)) as u32 + 1;
    let mut walks: Vec<(u32, u32)> = ids.iter().map(|id| (start(id), skip(id))).collect();
    let mut credit = vec![0_u64; ids.len()];
    let mut table = vec![NOBODY; size as usize];
    let mut left = size;
    while left > 0 {
        for place in 0..ids.len() {
            credit[place] += u64::from(weights[place]);
            if credit[place] < u64::from(heaviest) || left == 0 {
                continue;
            }
            credit[place] -= u64::from(heaviest);
            let (at, skip) = &mut walks[place];
            while table[*at as usize] != NOBODY {
                *at = (*at + *skip) % size;
            }
            table[*at as usize] = place as u32;
            left -= 1;
        }
    }
    table
}

impl Schedule for Maglev {
    fn pick(&mut self, ask: &Ask<'_>) -> Option<usize> {
        let mut hash = self.field.hash(ask);
        if self.table.is_empty() {
            return None;
        }
        for rehash in 0..=REHASHES {
            let place = self.table[self.at(hash)] as usize;
            if self.field.takes(place, ask) {
                return Some(place);
            }
            hash = mix(hash ^ (rehash + 1));
        }
        let from = self.at(hash);
        let mut rest = self.table[from..].iter().chain(&self.table[..from]);
        let found = rest.find(|place| self.field.takes(**place as usize, ask));
        found.map(|place| *place as usize)
    }

    fn key_rule(&self) -> KeyRule {
        KeyRule::Wide
    }

    field_keeps!();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(servers: usize) -> Vec<String> {
        (0..servers).map(|server| format!("server-{server}")).collect()
    }

    fn shares(table: &[u32], servers: usize) -> Vec<usize> {
        let mut shares = vec![0; servers];
        table.iter().for_each(|place| shares[*place as usize] += 1);
        shares
    }

    #[test]
    fn above_a_hundred_entries_each_shares_differ_by_less_than_a_percent() {
        let names = ids(600);
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let shares = shares(&table(&names, &[1; 600], 65_537), 600);
        let (least, most) = (shares.iter().min().unwrap(), shares.iter().max().unwrap());
        assert!(most - least <= 1, "{least} {most}");
    }

    #[test]
    fn shares_are_by_weight() {
        let names = ids(3);
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let shares = shares(&table(&names, &[1, 2, 5], 65_537), 3);
        for (share, weight) in shares.iter().zip([1.0, 2.0, 5.0]) {
            assert!((*share as f64 / 65_537.0 - weight / 8.0).abs() < 0.001, "{shares:?}");
        }
    }

    /// Measured: 0.6 %, 2.4 % and 3.3 % of the entries.
    #[test]
    fn few_entries_of_those_that_stay_move_when_others_are_removed() {
        let names = ids(1_000);
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let before = table(&names, &[1; 1_000], 65_537);
        for (removed, most) in [(1, 0.008), (10, 0.03), (50, 0.045)] {
            let after = table(&names[removed..], &[1; 1_000][removed..], 65_537);
            let stayed = before.iter().zip(&after);
            let stayed = stayed.filter(|(before, _)| **before as usize >= removed);
            let moved = stayed.filter(|(before, after)| **before != **after + removed as u32);
            let moved = moved.count() as f64 / 65_537.0;
            assert!(moved < most, "{removed}: {moved}");
        }
    }

    #[test]
    fn a_table_has_a_prime_number_of_entries() {
        assert_eq!([prime(0), prime(8), prime(65_537), prime(65_536)], [2, 11, 65_537, 65_537]);
    }
}

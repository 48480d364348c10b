//! Hashing when servers go: 1000 servers, 1, 10 and 50 of them removed. The figure is the part of
//! the keys whose server stays that move all the same, and how uneven a table is.
//!
//! Source: Eisenbud and others, "Maglev: a fast and reliable software network load balancer" (NSDI
//! 2016), §3.4 and §5.3: a table of 65537 entries and 1000 servers; evenness within 1 % with a
//! table above a hundred times the servers.

use evener_balance::{Birth, Group, NoServer, Request, Tried};
use evener_plan::{Pool, Scheduler};

use super::{Row, Study};
use crate::{Draw, LabError, pool};

pub(super) const STUDY: Study = Study {
    name: "maglev",
    title: "Keys when servers go",
    model: "1000 servers, a Maglev table of 65537 entries, 50 000 keys; 1, 10 or 50 servers drawn \
            and removed; evenness: 10 servers, 2 000 000 keys",
    source: "Eisenbud and others, “Maglev: a fast and reliable software network load balancer” \
             (NSDI 2016)",
    run: rows,
};

const SERVERS: usize = 1_000;
const KEYS: u64 = 50_000;
const TABLE: u32 = 65_537;

/// A key.
struct Key([u8; 8]);

impl Request for Key {
    fn key(&self) -> Option<&[u8]> {
        Some(&self.0)
    }
}

fn picks(pool: &Pool, keys: u64) -> Vec<String> {
    let group = Group::new(pool, None, Birth::Start, 0);
    let pick = |key: u64| -> Result<String, NoServer> {
        let lease = group.pick_for(&Key(key.to_be_bytes()), &Tried::new(), 0)?;
        Ok(lease.server().id().to_owned())
    };
    (0..keys).map(|key| pick(key).unwrap_or_default()).collect()
}

/// The part of the keys, in percent, whose server stays and that move all the same.
fn moved(scheduler: Scheduler, gone: usize, seed: u64) -> f64 {
    let mut pool = pool(scheduler, &[1; SERVERS]);
    let before = picks(&pool, KEYS);
    let mut draw = Draw::new(seed);
    for _ in 0..gone {
        let at = draw.below(pool.servers.len() as u64) as usize;
        pool.servers.remove(at);
    }
    let stays = |id: &String| pool.servers.iter().any(|server| server.id == *id);
    let after = picks(&pool, KEYS);
    let staying: Vec<_> = before.iter().zip(&after).filter(|(id, _)| stays(id)).collect();
    let moved = staying.iter().filter(|(before, after)| before != after).count();
    100.0 * moved as f64 / staying.len() as f64
}

/// How far the greatest share is above the mean, in percent. Keys are counted, so that their own
/// chance (a fifth of a percent) is in it.
fn unevenness(seed: u64) -> f64 {
    const FEW: usize = 10;
    const MANY: u64 = 2_000_000;
    let pool = pool(Scheduler::Maglev { table: TABLE }, &[1; FEW]);
    let group = Group::new(&pool, None, Birth::Start, 0);
    let mut shares = [0_u64; FEW];
    for key in 0..MANY {
        let key = Key((key | seed << 40).to_be_bytes());
        if let Ok(lease) = group.pick_for(&key, &Tried::new(), 0) {
            shares[lease.index()] += 1;
        }
    }
    let most = shares.iter().max().copied().unwrap_or_default();
    100.0 * (most as f64 * FEW as f64 / MANY as f64 - 1.0)
}

fn rows(seed: u64) -> Result<Vec<Row>, LabError> {
    let mut rows = Vec::new();
    for (gone, bound) in [(1, 0.8), (10, 3.0), (50, 4.5)] {
        let found = moved(Scheduler::Maglev { table: TABLE }, gone, seed);
        let what = format!("staying keys that move, maglev, {gone} of {SERVERS} gone");
        rows.push(Row::at_most(&what, "%", bound, found));
    }
    let found = moved(Scheduler::Rendezvous {}, 50, seed);
    rows.push(Row::at_most("staying keys that move, rendezvous, 50 gone", "%", 0.0, found));
    rows.push(Row::at_most("greatest share above the mean, maglev", "%", 1.0, unevenness(seed)));
    Ok(rows)
}

//! What a pick costs: `cargo run --release -p evener-balance --example pick_cost`.
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "it measures time, with threads that contend"
)]

#[path = "../tests/pools/mod.rs"]
mod pools;

use std::sync::Arc;
use std::time::Instant;

use evener_balance::{Birth, Group, Lease, Outcome, Tried};
use evener_plan::{Readmit, Scheduler};

const OK: Outcome = Outcome::Answered { status: 200 };

fn main() {
    println!("ns per pick with its report and its lease's end, 64 leases held");
    let schedulers = [Scheduler::NginxRoundRobin {}, Scheduler::NginxLeastConn {}];
    for scheduler in schedulers {
        for servers in [10, 100, 10_000] {
            for (words, weigh) in WEIGHTS {
                let group = group(&scheduler, servers, weigh);
                let picks = 20_000_000 / servers.max(100);
                println!("{scheduler:?} {servers:>6} {words}: {:.0}", cost(&group, picks));
                if servers == 10 {
                    println!("  with 2 threads: {:.0}", contended(group, picks));
                }
            }
        }
    }
}

type Weigh = fn(usize) -> u32;

const WEIGHTS: [(&str, Weigh); 2] =
    [("equal weights", |_| 1), ("weights 1 to 100", |i| 1 + (i as u32 * 7919) % 100)];

fn group(scheduler: &Scheduler, servers: usize, weigh: Weigh) -> Group {
    let weights: Vec<u32> = (0..servers).map(weigh).collect();
    let mut pool = pools::pool(&weights);
    pool.scheduler = scheduler.clone();
    pool.passive = pools::passive(Readmit::Tcp);
    Group::new(&pool, None, Birth::Start, 0)
}

fn cost(group: &Group, picks: usize) -> f64 {
    let tried = Tried::new();
    let pick = || group.pick(&tried, 1).expect("all are up");
    let mut held: Vec<Lease> = (0..64).map(|_| pick()).collect();
    let start = Instant::now();
    for i in 0..picks {
        let lease = pick();
        group.report(&lease, OK, 1);
        held[i % 64] = lease;
    }
    start.elapsed().as_nanos() as f64 / picks as f64
}

fn contended(group: Group, picks: usize) -> f64 {
    let group = Arc::new(group);
    let run = |group: Arc<Group>| std::thread::spawn(move || cost(&group, picks));
    let threads = [run(group.clone()), run(group)];
    let costs = threads.map(|thread| thread.join().expect("no panic"));
    costs.iter().sum::<f64>() / 2.0
}

//! What a pick costs: `cargo run --release -p evener-balance --example pick_cost [NAME]`.
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "it measures time, with threads that contend"
)]

#[path = "../tests/pools/mod.rs"]
mod pools;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use evener_balance::{Birth, Group, Lease, Outcome, Request, Tried};
use evener_plan::{Readmit, Scheduler};
use pools::schedulers::all;

const OK: Outcome = Outcome::Answered { status: 200 };

fn main() {
    let wanted = std::env::args().nth(1).unwrap_or_default();
    println!(
        "ns per pick with its report and its lease's end, 64 leases held: time on a core, and"
    );
    println!("with 4 threads at one pool by the wall clock");
    println!("{:32} {:>8} {:>8} {:>8} {:>8}", "servers", 10, "4 threads", 100, 10_000);
    // A policy's pick is another thread's; what is here of it is its fallback.
    let ours = |name: &str| name != "evener/python" && name.contains(&wanted);
    for (name, scheduler) in all().iter().filter(|(name, _)| ours(name)) {
        for (words, weigh) in WEIGHTS {
            let cost_of = |servers: usize| {
                let group = group(scheduler, servers, weigh);
                cost(&group, PICKS, on_core)
            };
            let four = contended(group(scheduler, 10, weigh), PICKS / 2);
            let (few, some, many) = (cost_of(10), cost_of(100), cost_of(10_000));
            println!("{:32} {few:8.0} {four:8.0} {some:8.0} {many:8.0}", format!("{name} {words}"));
        }
    }
}

/// Enough that the kernel has booked the time, which it does a few hundred times a second.
const PICKS: usize = 200_000;

type Weigh = fn(usize) -> u32;

const WEIGHTS: [(&str, Weigh); 2] = [("", |_| 1), ("1-9", |i| 1 + (i as u32 * 7919) % 9)];

/// A request with all that a scheduler may ask.
struct Asked(u32);

impl Request for Asked {
    fn client(&self) -> Option<SocketAddr> {
        Some(SocketAddr::new(IpAddr::V4(Ipv4Addr::from_bits(self.0 & 0x3ff)), 1_024))
    }

    fn local(&self) -> Option<IpAddr> {
        Some(IpAddr::V4(Ipv4Addr::from_bits(self.0 & 0x3ff)))
    }

    fn target(&self) -> Option<&[u8]> {
        const TARGETS: [&[u8]; 4] = [b"/a/b?k=1", b"/c?k=22", b"/?k=333", b"/d/e/f?k=4444"];
        Some(TARGETS[self.0 as usize % 4])
    }

    fn header(&self, _name: &str) -> Option<&[u8]> {
        Some(b"www.example.com")
    }

    fn key(&self) -> Option<&[u8]> {
        self.target()
    }
}

fn group(scheduler: &Scheduler, servers: usize, weigh: Weigh) -> Group {
    let weights: Vec<u32> = (0..servers).map(weigh).collect();
    let mut pool = pools::pool(&weights);
    pool.scheduler = scheduler.clone();
    pool.passive = pools::passive(Readmit::Tcp);
    Group::new(&pool, None, Birth::Start, 0)
}

fn cost(group: &Group, picks: usize, clock: fn() -> u64) -> f64 {
    let tried = Tried::new();
    let pick = |i: usize| {
        let asked = Asked((i as u32).wrapping_mul(2_654_435_761));
        group.pick_for(&asked, &tried, 1 + i as u64 / 1_000).ok()
    };
    let mut held: Vec<Option<Lease>> = (0..64).map(pick).collect();
    let start = clock();
    for i in 0..picks {
        // The one before goes first, as where connections are few.
        held[i % 64] = None;
        let lease = pick(i);
        if let Some(lease) = &lease {
            group.report(lease, OK, 1 + i as u64 / 1_000);
        }
        held[i % 64] = lease;
    }
    (clock() - start) as f64 / picks as f64
}

/// Nanoseconds that this thread has had a core.
fn on_core() -> u64 {
    let booked = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    booked.split(' ').next().and_then(|word| word.parse().ok()).unwrap_or_default()
}

/// Nanoseconds since the first look: waiting for others counts.
fn on_wall() -> u64 {
    static BEGIN: OnceLock<Instant> = OnceLock::new();
    BEGIN.get_or_init(Instant::now).elapsed().as_nanos() as u64
}

fn contended(group: Group, picks: usize) -> f64 {
    let group = Arc::new(group);
    let run = |group: Arc<Group>| std::thread::spawn(move || cost(&group, picks, on_wall));
    let threads = [(); 4].map(|()| run(group.clone()));
    let costs = threads.map(|thread| thread.join().expect("no panic"));
    costs.iter().sum::<f64>() / 4.0
}

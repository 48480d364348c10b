//! What a pick costs: `cargo run --release -p evener-balance --example pick_cost [NAME]`.
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "it measures time, with threads that contend"
)]

#[path = "../tests/pools/mod.rs"]
mod pools;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

use evener_balance::{Birth, Group, Lease, Outcome, Request, Tried};
use evener_plan::{Readmit, Scheduler};
use pools::schedulers::all;

const OK: Outcome = Outcome::Answered { status: 200 };

fn main() {
    let wanted = std::env::args().nth(1).unwrap_or_default();
    println!(
        "ns per pick, and per report with the lease's end, 64 to 128 leases held: the least of"
    );
    println!(
        "{ROUNDS} rounds on one thread; all of it by the wall clock with 4 threads at one pool"
    );
    println!("{:32} {:>8} {:>8} {:>8} {:>8}", "servers", 10, "its end", "4 threads", 10_000);
    // A policy's pick is another thread's; what is here of it is its fallback.
    let ours = |name: &str| name != "evener/python" && name.contains(&wanted);
    for (name, scheduler) in all().iter().filter(|(name, _)| ours(name)) {
        for (words, weigh) in WEIGHTS {
            let cost_of = |servers: usize| Costed::new(group(scheduler, servers, weigh)).least();
            let four = contended(group(scheduler, 10, weigh));
            let (few, many) = (cost_of(10), cost_of(10_000));
            let name = format!("{name} {words}");
            println!("{name:32} {:8.0} {:8.0} {four:8.0} {:8.0}", few.pick, few.end, many.pick);
        }
    }
}

/// What else runs on the machine can only add to a round: the least of them is ours. A round is
/// shorter than the kernel lets a thread run.
const ROUNDS: usize = 40;
const ROUND: Duration = Duration::from_micros(500);

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

/// Leases that are made in a row, and ended in a row: a look at the clock costs as much as a pick.
const BATCH: usize = 64;

/// A group that is picked from, with the leases that are held.
struct Costed {
    group: Arc<Group>,
    held: Vec<Lease>,
    tried: Tried,
    picks: usize,
}

/// Times of picks, and of their reports with their leases' ends: nanoseconds each.
#[derive(Clone, Copy)]
struct Times {
    pick: f64,
    end: f64,
}

impl Costed {
    fn new(group: impl Into<Arc<Group>>) -> Costed {
        let (group, held) = (group.into(), Vec::with_capacity(2 * BATCH));
        let mut costed = Costed { group, held, tried: Tried::new(), picks: 0 };
        costed.run(1);
        costed
    }

    fn least(&mut self) -> Times {
        let mut batches = 1;
        while self.whole(batches) < ROUND / 2 {
            batches *= 2;
        }
        let rounds = (0..ROUNDS).map(|_| self.run(batches));
        let least = rounds.reduce(|least, round| Times {
            pick: least.pick.min(round.pick),
            end: least.end.min(round.end),
        });
        least.unwrap_or(Times { pick: f64::INFINITY, end: f64::INFINITY })
    }

    fn whole(&mut self, batches: usize) -> Duration {
        let begin = Instant::now();
        self.run(batches);
        begin.elapsed()
    }

    fn run(&mut self, batches: usize) -> Times {
        let (mut picking, mut ending) = (Duration::ZERO, Duration::ZERO);
        for _ in 0..batches {
            let before = self.held.len();
            let begin = Instant::now();
            for _ in 0..BATCH {
                let asked = Asked((self.picks as u32).wrapping_mul(2_654_435_761));
                let now = self.now();
                self.picks += 1;
                self.held.extend(self.group.pick_for(&asked, &self.tried, now).ok());
            }
            let picked = Instant::now();
            let now = self.now();
            for lease in &self.held[before..] {
                self.group.report(lease, OK, now);
            }
            self.held.drain(..before);
            picking += picked - begin;
            ending += picked.elapsed();
        }
        let each = |time: Duration| time.as_nanos() as f64 / (batches * BATCH) as f64;
        Times { pick: each(picking), end: each(ending) }
    }

    fn now(&self) -> u64 {
        1 + self.picks as u64 / 1_000
    }
}

/// The mean of the threads' means: who waits for another is what is asked here.
fn contended(group: Group) -> f64 {
    let group = Arc::new(group);
    let start = Barrier::new(4);
    let run = || {
        let mut costed = Costed::new(group.clone());
        start.wait();
        costed.whole(CONTENDED).as_nanos() as f64 / (CONTENDED * BATCH) as f64
    };
    let costs = std::thread::scope(|scope| {
        let threads = [(); 4].map(|()| scope.spawn(run));
        threads.map(|thread| thread.join().expect("no panic"))
    });
    costs.iter().sum::<f64>() / 4.0
}

const CONTENDED: usize = 800;

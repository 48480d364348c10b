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
    println!("ns per pick with its report and its lease's end, 64 leases held: the least of");
    println!("{ROUNDS} rounds on one thread, and by the wall clock with 4 threads at one pool");
    println!("{:32} {:>8} {:>8} {:>8} {:>8}", "servers", 10, "4 threads", 100, 10_000);
    // A policy's pick is another thread's; what is here of it is its fallback.
    let ours = |name: &str| name != "evener/python" && name.contains(&wanted);
    for (name, scheduler) in all().iter().filter(|(name, _)| ours(name)) {
        for (words, weigh) in WEIGHTS {
            let cost_of = |servers: usize| Costed::new(group(scheduler, servers, weigh)).least();
            let four = contended(group(scheduler, 10, weigh));
            let (few, some, many) = (cost_of(10), cost_of(100), cost_of(10_000));
            println!("{:32} {few:8.0} {four:8.0} {some:8.0} {many:8.0}", format!("{name} {words}"));
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

/// A group that is picked from, with the leases that are held.
struct Costed {
    group: Arc<Group>,
    held: Vec<Option<Lease>>,
    tried: Tried,
    picks: usize,
}

impl Costed {
    fn new(group: impl Into<Arc<Group>>) -> Costed {
        let mut costed = Costed {
            group: group.into(),
            held: (0..64).map(|_| None).collect(),
            tried: Tried::new(),
            picks: 0,
        };
        costed.run(64);
        costed
    }

    /// Nanoseconds a pick.
    fn least(&mut self) -> f64 {
        let mut picks = 64;
        while self.run(picks) < ROUND / 2 {
            picks *= 2;
        }
        let rounds = (0..ROUNDS).map(|_| self.run(picks));
        rounds.min().unwrap_or_default().as_nanos() as f64 / picks as f64
    }

    fn run(&mut self, picks: usize) -> Duration {
        let begin = Instant::now();
        for _ in 0..picks {
            let (i, now) = (self.picks, 1 + self.picks as u64 / 1_000);
            self.picks += 1;
            // The one before goes first, as where connections are few.
            self.held[i % 64] = None;
            let asked = Asked((i as u32).wrapping_mul(2_654_435_761));
            let lease = self.group.pick_for(&asked, &self.tried, now).ok();
            if let Some(lease) = &lease {
                self.group.report(lease, OK, now);
            }
            self.held[i % 64] = lease;
        }
        begin.elapsed()
    }
}

/// The mean of the threads' means: who waits for another is what is asked here.
fn contended(group: Group) -> f64 {
    let group = Arc::new(group);
    let start = Barrier::new(4);
    let run = || {
        let mut costed = Costed::new(group.clone());
        start.wait();
        costed.run(CONTENDED).as_nanos() as f64 / CONTENDED as f64
    };
    let costs = std::thread::scope(|scope| {
        let threads = [(); 4].map(|()| scope.spawn(run));
        threads.map(|thread| thread.join().expect("no panic"))
    });
    costs.iter().sum::<f64>() / 4.0
}

const CONTENDED: usize = 50_000;

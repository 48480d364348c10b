//! What counting and showing cost: `cargo run --release -p evener-stats --example count_cost`.
#![expect(clippy::disallowed_methods, clippy::disallowed_types, reason = "it measures time")]

use std::hint::black_box;
use std::sync::atomic::AtomicU64;
use std::time::Instant;

use evener_stats::exposition::page;
use evener_stats::{
    Extras, Life, RouteBlock, RouteHistogram, Segment, ServerBlock, ServerFact, ServerHistogram,
    Totals,
};

const SERVERS: usize = 10_000;
const ROUNDS: u64 = 20_000_000;

fn main() {
    let words: Vec<AtomicU64> = (0..SERVERS * 200).map(|_| AtomicU64::new(0)).collect();
    let mut grow = |_: usize| Err("enough".into());
    let mut segment = Segment::create(&words).expect("room for a header");
    let route: RouteBlock = segment.add(&["l", "r", "p"], 1, &mut grow).expect("room");
    let start = Instant::now();
    for i in 0..ROUNDS {
        route.record(RouteHistogram::Duration, black_box(i.wrapping_mul(7919) % 3_000_000));
    }
    print_each("record", start, ROUNDS);
    let start = Instant::now();
    for i in 0..ROUNDS {
        route.add_status(black_box(200 + (i % 3) as u16));
    }
    print_each("add_status", start, ROUNDS);

    let names: Vec<String> =
        (0..SERVERS).map(|i| format!("10.0.{}.{}:8000", i / 250, i % 250)).collect();
    let start = Instant::now();
    for name in &names {
        let server: ServerBlock = segment.add(&["app", name, name], 1, &mut grow).expect("room");
        server.record(ServerHistogram::Response, 1234);
    }
    println!("{SERVERS} servers added: {:?}", start.elapsed());
    let start = Instant::now();
    let mut totals = Totals::new();
    totals.add(&words, Life::Living).expect("a segment");
    println!("{SERVERS} servers summed: {:?}", start.elapsed());
    let fact = |name| ServerFact {
        pool: "app",
        server: name,
        state: "up",
        weight: 1,
        check_seconds: None,
    };
    let servers: Vec<ServerFact> = names.iter().map(|name| fact(name)).collect();
    let states = ["up", "starting", "draining", "maintenance", "ejected", "down"];
    let extras = Extras { version: "x", states: &states, servers: &servers, ..Extras::default() };
    let start = Instant::now();
    let text = page(&totals, &extras);
    println!("page of {SERVERS} servers: {:?}, {} bytes", start.elapsed(), text.len());
}

fn print_each(what: &str, start: Instant, rounds: u64) {
    println!("{what}: {:.2} ns", start.elapsed().as_nanos() as f64 / rounds as f64);
}

//! Prints what one request head costs: parse, framing, pieces to forward, canonical path.
//!
//! `cargo run --release -p evener-proto --example head_cost`. A figure for comparing two builds on
//! one machine, the best of many rounds; bounds are `make bench`'s. With a kind (`wrk`, `curl`,
//! `browser`, `answer`, `chunk`, `tiny`) and a count it only does that work so often: two counts
//! under `valgrind --tool=callgrind` give the instructions of one.
#![allow(clippy::disallowed_methods, reason = "a measurement needs a clock; the crate does not")]

use std::cell::Cell;
use std::hint::black_box;
use std::time::Instant;

use evener_proto::h1::forward::{
    RequestPolicy, ResponsePolicy, request_segments, response_segments,
};
use evener_proto::h1::framing::{request_body, response_body};
use evener_proto::h1::path::canonical_path;
use evener_proto::h1::{
    BodyDecoder, BodyLength, Limits, Method, RequestParser, ResponseParser, Segments, Sender,
};

const WRK: &[u8] = b"GET /64 HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\r\n";

const CURL: &[u8] = b"GET /index.html HTTP/1.1\r\nHost: www.example.org\r\n\
User-Agent: curl/8.5.0\r\nAccept: */*\r\n\r\n";

const BROWSER: &[u8] = b"GET /articles/2026/11/view.html?id=17&lang=de HTTP/1.1\r\n\
Host: www.example.org\r\nConnection: keep-alive\r\nCache-Control: max-age=0\r\n\
Upgrade-Insecure-Requests: 1\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 \
(KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36\r\nAccept: text/html,application/xhtml+xml,\
application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8\r\nSec-Fetch-Site: same-origin\r\n\
Sec-Fetch-Mode: navigate\r\nReferer: https://www.example.org/articles/\r\n\
Accept-Encoding: gzip, deflate, br\r\nAccept-Language: de-DE,de;q=0.9,en;q=0.8\r\n\
Cookie: session=0123456789abcdef0123456789abcdef; theme=dark\r\n\r\n";

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nServer: nginx/1.22.1\r\n\
Date: Mon, 23 Nov 2026 06:00:00 GMT\r\nContent-Type: text/plain\r\nContent-Length: 64\r\n\
Last-Modified: Mon, 23 Nov 2026 05:00:00 GMT\r\nConnection: keep-alive\r\n\
ETag: \"6740f1a0-40\"\r\nAccept-Ranges: bytes\r\n\r\n";

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if let [kind, count] = args.as_slice() {
        let count = count.parse().expect("KIND COUNT");
        COUNT.with(|slot| slot.set(count));
        return once(kind);
    }
    for (name, head) in [("wrk", WRK), ("curl", CURL), ("browser", BROWSER)] {
        report(name, head.len(), request_cost(head));
    }
    report("answer", ANSWER.len(), answer_cost(ANSWER));
    report("16 KiB in one chunk", 16 << 10, chunk_cost(16 << 10, 1));
    report("16 KiB in 256 chunks", 16 << 10, chunk_cost(64, 256));
}

thread_local! {
    /// Calls to make, 0 to measure time.
    static COUNT: Cell<u32> = const { Cell::new(0) };
}

fn once(kind: &str) {
    match kind {
        "wrk" => request_cost(WRK),
        "curl" => request_cost(CURL),
        "browser" => request_cost(BROWSER),
        "answer" => answer_cost(ANSWER),
        "chunk" => chunk_cost(16 << 10, 1),
        "tiny" => chunk_cost(16, 1024),
        _ => panic!("no such kind"),
    };
}

fn report(name: &str, bytes: usize, nanos: f64) {
    println!("{name:>22} {bytes:>6} bytes {nanos:>8.1} ns");
}

/// Nanoseconds per call, the best of 20 rounds.
fn best(mut call: impl FnMut()) -> f64 {
    const CALLS: u32 = 20_000;
    let count = COUNT.with(Cell::get);
    if count > 0 {
        (0..count).for_each(|_| call());
        return 0.0;
    }
    let mut least = f64::MAX;
    for _ in 0..20 {
        let start = Instant::now();
        (0..CALLS).for_each(|_| call());
        least = least.min(start.elapsed().as_nanos() as f64 / f64::from(CALLS));
    }
    least
}

fn request_cost(head: &[u8]) -> f64 {
    let limits = Limits::default();
    let policy = RequestPolicy::default();
    let (mut parser, mut segments, mut scratch) =
        (RequestParser::new(), Segments::new(), Vec::new());
    best(|| {
        parser.clear();
        let buf = black_box(head);
        assert_eq!(parser.parse(buf, &limits), Ok(Some(head.len())));
        let head = parser.head();
        black_box(request_body(head, buf)).expect("no framing fields");
        request_segments(head, buf, &policy, &mut segments).expect("nothing to refuse");
        black_box(&segments);
        black_box(canonical_path(head.path.of(buf), &mut scratch)).expect("a plain path");
    })
}

fn answer_cost(head: &[u8]) -> f64 {
    let limits = Limits::default();
    let policy = ResponsePolicy::default();
    let (mut parser, mut segments) = (ResponseParser::new(), Segments::new());
    let mut buf = head.to_vec();
    best(|| {
        parser.clear();
        let buf = black_box(&mut buf);
        assert_eq!(parser.parse(buf, &limits), Ok(Some(head.len())));
        let head = parser.head();
        black_box(response_body(Method::Get, head, buf)).expect("one length");
        response_segments(head, buf, &policy, &mut segments);
        black_box(&segments);
    })
}

fn chunk_cost(size: usize, count: usize) -> f64 {
    let chunk = [format!("{size:x}\r\n").as_bytes(), &vec![b'x'; size], b"\r\n"].concat();
    let body = chunk.repeat(count);
    let mut buf = body.clone();
    best(|| {
        buf.copy_from_slice(&body);
        let mut decoder = BodyDecoder::new(BodyLength::Chunked, Sender::Server);
        let progress = decoder.decode(black_box(&mut buf)).expect("well-formed");
        assert_eq!(progress.data.len(), size * count);
    })
}

//! Fuzzes on stable Rust: mutates seeds for a while and runs a target on each.
//!
//! `cargo run --release --bin mutate -- TARGET SECONDS [SEED]`. Without coverage it is blinder than
//! libFuzzer, so that its mutations know the wire: dictionary words, line surgery, splices of
//! seeds. An input that breaks the invariant is shrunk by cutting, kept in `regressions/TARGET/`
//! and ends the run with status 1. The seed in the first line repeats a run.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime};

use evener_fuzz::{TARGETS, Target};

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let target = args.first().and_then(|name| TARGETS.iter().find(|(n, _)| n == name));
    let seconds = args.get(1).and_then(|text| text.parse().ok());
    let (Some((name, target)), Some(seconds)) = (target, seconds) else {
        let names: Vec<_> = TARGETS.iter().map(|(name, _)| *name).collect();
        eprintln!("usage: mutate {} SECONDS [SEED]", names.join("|"));
        return ExitCode::from(2);
    };
    let seed = args.get(2).and_then(|text| text.parse().ok()).unwrap_or_else(now);
    println!("{name}: {seconds} s from seed {seed}");
    run(name, *target, Duration::from_secs(seconds), seed)
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(1, |d| d.as_nanos() as u64 | 1)
}

fn run(name: &str, target: Target, time: Duration, seed: u64) -> ExitCode {
    let seeds = seeds(name);
    let mut random = Random(seed | 1);
    let (start, mut runs) = (Instant::now(), 0u64);
    std::panic::set_hook(Box::new(|_| {}));
    while start.elapsed() < time {
        for _ in 0..256 {
            runs += 1;
            let input = random.input(&seeds);
            if breaks(target, &input) {
                return report(name, target, input, runs);
            }
        }
    }
    println!("{name}: {runs} inputs, {:.0}/s, none broke it", runs as f64 / time.as_secs_f64());
    ExitCode::SUCCESS
}

fn breaks(target: Target, input: &[u8]) -> bool {
    catch_unwind(AssertUnwindSafe(|| target(input))).is_err()
}

fn report(name: &str, target: Target, input: Vec<u8>, runs: u64) -> ExitCode {
    let small = shrink(target, input);
    let hash = small
        .iter()
        .fold(0xcbf2_9ce4_8422_2325u64, |h, &b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3));
    let path = folder("regressions", name).join(format!("{hash:016x}"));
    let kept = std::fs::write(&path, &small).map_or_else(|e| e.to_string(), |()| "kept".into());
    let _ = std::panic::take_hook();
    eprintln!("{name}: input {runs} breaks it: {}", small.escape_ascii());
    eprintln!("{}: {kept}", path.display());
    breaks(target, &small);
    ExitCode::FAILURE
}

/// Cuts pieces out for as long as the rest still breaks the target.
fn shrink(target: Target, mut input: Vec<u8>) -> Vec<u8> {
    let mut size = input.len() / 2;
    while size > 0 {
        let mut at = 0;
        while at + size <= input.len() {
            let rest = [&input[..at], &input[at + size..]].concat();
            if breaks(target, &rest) { input = rest } else { at += size }
        }
        size /= 2;
    }
    input
}

fn folder(kind: &str, name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(kind).join(name)
}

fn seeds(name: &str) -> Vec<Vec<u8>> {
    let folders = [folder("seeds", name), folder("regressions", name)];
    let entries = folders.iter().filter_map(|f| std::fs::read_dir(f).ok()).flatten();
    let mut paths: Vec<_> = entries.filter_map(|e| Some(e.ok()?.path())).collect();
    paths.sort();
    paths.iter().filter_map(|path| std::fs::read(path).ok()).collect()
}

/// Words of the wire, whole and maimed.
const WORDS: &[&[u8]] = &[
    b"\r\n",
    b"\n",
    b"\r",
    b"\r\n\r\n",
    b" ",
    b"\t",
    b":",
    b": ",
    b"\0",
    b"\x1e",
    b",",
    b";",
    b"=",
    b"\"",
    b"\\",
    b"/",
    b"//",
    b"..",
    b"%2f",
    b"%2e",
    b"%00",
    b"?",
    b"#",
    b"*",
    b"_",
    b"@",
    b"HTTP/1.0",
    b"HTTP/1.1",
    b"HTTP/1.9",
    b"GET ",
    b"HEAD ",
    b"POST ",
    b"OPTIONS ",
    b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    b"http://b",
    b"http://",
    b"Host: c\r\n",
    b"Host:\r\n",
    b"Content-Length: 5\r\n",
    b"Content-Length: 05\r\n",
    b"Content_Length: 7\r\n",
    b"Content-Length: 18446744073709551615\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Transfer_Encoding: chunked\r\n",
    b"Transfer-Encoding: x\r\n",
    b"chunked",
    b"Connection: close\r\n",
    b"Connection: keep-alive\r\n",
    b"Connection: Content-Length\r\n",
    b"Connection: upgrade\r\n",
    b"Upgrade: h2c, websocket\r\n",
    b"Expect: 100-continue\r\n",
    b"X-Forwarded-For: 1\r\n",
    b"X_Forwarded_For: 1\r\n",
    b"Forwarded: x\r\n",
    b"TE: trailers\r\n",
    b"Trailer: x\r\n",
    b"A: b\r\n",
    b" folded\r\n",
    b"Max-Forwards: 1\r\n",
    b"OPTIONS * ",
    b"X.Real-IP: 1\r\n",
    b"Connection: x, host\r\n",
    b"Date: x\r\n",
    b"Via: x\r\n",
    b"A(b): c\r\n",
    b"A b: c\n",
    b";a=\"b\"",
    b"0\r\n\r\n",
    b"1\r\nx\r\n",
    b"5;a=b\r\nhello\r\n",
    b"ffffffffffffffff\r\n",
    b"HTTP/1.1 200 OK\r\n",
    b"HTTP/1.1 204\r\n",
    b"HTTP/1.1 304 x\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\n",
    b"HTTP/1.1 101 x\r\n\r\n",
    b"HTTP/1.0 200 OK\r\n",
    b"Status: 200\n",
    b"Location: /\n",
    b"\x01\x06\0\x01\0\x05\0\0hello",
    b"\x01\x07\0\x01\0\x01\x02\0xyz",
    b"\x01\x03\0\x01\0\x08\0\0\0\0\0\0\0\0\0\0",
    b"\x01\x06\0\x01\0\0\0\0",
];

/// xorshift64*: the same inputs for the same seed, everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    fn below(&mut self, n: usize) -> usize {
        (((self.next() >> 32) * n.max(1) as u64) >> 32) as usize
    }

    fn pick<'a, T>(&mut self, list: &'a [T]) -> Option<&'a T> {
        list.get(self.below(list.len()))
    }

    fn input(&mut self, seeds: &[Vec<u8>]) -> Vec<u8> {
        let mut input = self.pick(seeds).cloned().unwrap_or_default();
        for _ in 0..=self.below(6) {
            self.mutate(&mut input, seeds);
        }
        input.truncate(8192);
        input
    }

    fn mutate(&mut self, input: &mut Vec<u8>, seeds: &[Vec<u8>]) {
        let at = self.below(input.len() + 1);
        let end = (at + self.below(40)).min(input.len());
        match self.below(8) {
            0 => drop(input.drain(at..end)),
            1 | 2 => {
                let word = self.pick(WORDS).copied().unwrap_or_default();
                input.splice(at..at, word.iter().copied());
            }
            3 => {
                let word = self.pick(WORDS).copied().unwrap_or_default();
                input.splice(at..end, word.iter().copied());
            }
            4 => {
                let copy = input[at..end].to_vec();
                let to = self.below(input.len() + 1);
                input.splice(to..to, copy);
            }
            5 => self.line(input),
            6 => {
                let other = self.pick(seeds).cloned().unwrap_or_default();
                let from = self.below(other.len() + 1);
                input.splice(at..end, other[from..].iter().copied());
            }
            _ => {
                let byte = self.next() as u8;
                if let Some(slot) = input.get_mut(at) {
                    *slot = if byte & 1 == 0 { byte } else { *slot ^ (1 << (byte >> 5)) };
                }
            }
        }
    }

    /// Doubles, drops or swaps whole lines.
    fn line(&mut self, input: &mut Vec<u8>) {
        let mut lines: Vec<Vec<u8>> =
            input.split_inclusive(|&b| b == b'\n').map(Vec::from).collect();
        let (a, b) = (self.below(lines.len()), self.below(lines.len()));
        match self.below(3) {
            _ if lines.is_empty() => {}
            0 => lines.insert(b, lines[a].clone()),
            1 => drop(lines.remove(a)),
            _ => lines.swap(a, b),
        }
        *input = lines.concat();
    }
}

//! The Prometheus page against a golden file.

use std::sync::atomic::AtomicU64;

use evener_stats::exposition::page;
use evener_stats::{
    Certificate, Extras, Life, ListenerBlock, ListenerCounter, ListenerGauge, PoolBlock,
    PoolCounter, PoolHistogram, Process, Queue, Reload, RouteBlock, RouteHistogram, Segment,
    ServerBlock, ServerFact, ServerGauge, ServerHistogram, Totals, WorkerBlock, WorkerCounter,
};

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/page.txt");

fn sample() -> String {
    let words: Vec<AtomicU64> = (0..8192).map(|_| AtomicU64::new(0)).collect();
    let mut grow = |_: usize| Err("enough".into());
    let mut segment = Segment::create(&words).unwrap();
    let worker: WorkerBlock = segment.add(&[], 1, &mut grow).unwrap();
    worker.add(WorkerCounter::AccessLinesLost, 3);
    let web: ListenerBlock = segment.add(&["web"], 1, &mut grow).unwrap();
    web.add(ListenerCounter::Connections, 7);
    web.add(ListenerCounter::Tls13Resumed, 2);
    web.set(ListenerGauge::Open, 4);
    let api: RouteBlock = segment.add(&["web", "path=\"/a\\b\"\nx", "app"], 1, &mut grow).unwrap();
    let rest: RouteBlock = segment.add(&["web", "rest", "app"], 1, &mut grow).unwrap();
    let none: RouteBlock = segment.add(&["web", "redirect", ""], 1, &mut grow).unwrap();
    api.add_status(200);
    rest.add_status(418);
    none.add_status(301);
    api.record(RouteHistogram::Duration, 1_000);
    rest.record(RouteHistogram::Duration, 1_001);
    none.record(RouteHistogram::Duration, 40);
    let app: PoolBlock = segment.add(&["app"], 1, &mut grow).unwrap();
    app.add(PoolCounter::Requests, 2);
    app.record(PoolHistogram::Response, 20_000_000);
    let a: ServerBlock = segment.add(&["app", "a", "10.0.0.1:80"], 1, &mut grow).unwrap();
    let _: ServerBlock = segment.add(&["app", "b", "10.0.0.2:80"], 1, &mut grow).unwrap();
    a.add_status(200);
    a.raise(ServerGauge::InFlight);
    for micros in [900, 1_100, 1_900] {
        a.record(ServerHistogram::Response, micros);
    }
    let mut totals = Totals::new();
    totals.add(&words, Life::Living).unwrap();
    page(&totals, &extras())
}

fn extras() -> Extras<'static> {
    let fact = |server, state, check_seconds| ServerFact {
        pool: "app",
        server,
        state,
        weight: 1,
        check_seconds,
    };
    Extras {
        version: "0.1.0",
        generation: 3,
        reloads: &[Reload { result: "ok", count: 2 }, Reload { result: "refused", count: 1 }],
        last_reload_success: Some(1_700_000_000.5),
        states: &["up", "starting", "draining", "maintenance", "ejected", "down"],
        servers: Box::leak(Box::new([fact("a", "up", Some(0.25)), fact("b", "down", None)])),
        processes: &[Process {
            role: "worker",
            cpu_seconds: 1.5,
            resident_bytes: 4096,
            virtual_bytes: 8192,
            open_fds: 12,
            max_fds: 1024,
            start_seconds: 1_700_000_000.0,
        }],
        queues: &[Queue { listener: "web", waiting: 5 }],
        certificates: &[Certificate { file: "/etc/a.pem", not_after: 1_800_000_000.0 }],
    }
}

/// Written anew by `EVENER_GOLDEN=write cargo test -p evener-stats --test page`.
#[test]
fn the_page_is_the_golden_one() {
    let page = sample();
    #[expect(clippy::disallowed_methods, reason = "a test may be told to write its golden file")]
    if std::env::var("EVENER_GOLDEN").is_ok_and(|word| word == "write") {
        std::fs::write(GOLDEN, &page).unwrap();
    }
    let golden = std::fs::read_to_string(GOLDEN).expect("the golden page is there");
    let differs = page.lines().zip(golden.lines()).find(|(ours, theirs)| ours != theirs);
    assert_eq!(differs, None);
    assert_eq!(page.len(), golden.len());
}

#[test]
fn each_metric_is_introduced_once_and_stands_together() {
    let page = sample();
    let mut seen = std::collections::BTreeSet::new();
    for line in page.lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
        assert!(seen.insert(line.split(' ').next().unwrap()), "{line} twice");
    }
    assert!(page.ends_with('\n') && seen.len() > 40);
}

/// As OpenMetrics has it: a counter `a_total` is the metric `a`, and what a histogram or summary `a`
/// is made of is reserved, too (OpenMetrics 1.0, "Suffixes").
#[test]
fn no_metric_takes_a_name_that_another_has_reserved() {
    let page = sample();
    let mut owners = std::collections::BTreeMap::new();
    for line in page.lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
        let (name, kind) = line.split_once(' ').unwrap();
        let metric = name.strip_suffix("_total").filter(|_| kind == "counter").unwrap_or(name);
        let suffixes: &[&str] = match kind {
            "counter" => &["", "_total", "_created"],
            "histogram" => &["", "_bucket", "_sum", "_count", "_created"],
            "summary" => &["", "_sum", "_count", "_created"],
            _ => &[""],
        };
        for suffix in suffixes {
            let before = owners.insert(format!("{metric}{suffix}"), name);
            assert_eq!(before, None, "{name} is {metric}{suffix}, too");
        }
    }
}

#[test]
fn label_values_are_escaped() {
    let wanted = r#"route="path=\"/a\\b\"\nx",pool="app",code="200"} 1"#;
    assert!(sample().contains(wanted));
}

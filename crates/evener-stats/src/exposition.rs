//! The Prometheus text page, from sums and facts.
//!
//! Rules kept here:
//! - Pure: sums and facts in, text out (text format 0.0.4, which every scraper reads).
//! - All series of a metric stand together under one HELP and one TYPE.
//! - Per-server histograms would be 18 series each: a server has sum, count and two quantiles.
//! - What never happened is 0, not absent, so that `rate()` sees the first time.
//!
//! Not known here: where facts come from, HTTP.

mod text;

use std::collections::BTreeMap;

use crate::families::{FAMILIES, Family, Kind, Metric, MetricKind};
use crate::histogram::Distribution;
use crate::{RouteHistogram, Totals, Values};
use text::{Labels, Sort, Text};

/// What the page shows besides counters.
#[derive(Debug, Clone, Default)]
pub struct Extras<'a> {
    /// Version of this build.
    pub version: &'a str,
    /// Number of the plan that serves.
    pub generation: u64,
    /// Reloads by result.
    pub reloads: &'a [Reload<'a>],
    /// When a plan was last taken, in seconds since 1970.
    pub last_reload_success: Option<f64>,
    /// All words a server's state can be, in the order shown.
    pub states: &'a [&'a str],
    /// All servers.
    pub servers: &'a [ServerFact<'a>],
    /// Listeners and what waits to be accepted by them.
    pub queues: &'a [Queue<'a>],
    /// The processes, each with its role.
    pub processes: &'a [Process<'a>],
    /// Certificates that are shown to clients or servers.
    pub certificates: &'a [Certificate<'a>],
}

/// Reloads with one result.
#[derive(Debug, Clone, Copy)]
pub struct Reload<'a> {
    /// `ok`, `refused`…
    pub result: &'a str,
    /// How many.
    pub count: u64,
}

/// What the page shows of a server besides its counters.
#[derive(Debug, Clone, Copy)]
pub struct ServerFact<'a> {
    /// Its pool.
    pub pool: &'a str,
    /// Its id.
    pub server: &'a str,
    /// The word, one of [`Extras::states`].
    pub state: &'a str,
    /// Its share of picks.
    pub weight: u32,
    /// How long its last check took, in seconds.
    pub check_seconds: Option<f64>,
}

/// What waits in the kernel's queues of a listener.
#[derive(Debug, Clone, Copy)]
pub struct Queue<'a> {
    /// The listener.
    pub listener: &'a str,
    /// Connections that nobody has accepted yet.
    pub waiting: u64,
}

/// A certificate of ours.
#[derive(Debug, Clone, Copy)]
pub struct Certificate<'a> {
    /// The file it was read from.
    pub file: &'a str,
    /// When it ends, in seconds since 1970.
    pub not_after: f64,
}

/// Numbers of a process.
#[derive(Debug, Clone, Copy)]
pub struct Process<'a> {
    /// `supervisor` or `worker`.
    pub role: &'a str,
    /// CPU time used, in seconds.
    pub cpu_seconds: f64,
    /// Resident memory.
    pub resident_bytes: u64,
    /// Virtual memory.
    pub virtual_bytes: u64,
    /// Open descriptors.
    pub open_fds: u64,
    /// Descriptors it may have.
    pub max_fds: u64,
    /// When it started, in seconds since 1970.
    pub start_seconds: f64,
}

/// Quantiles shown of a server's answers.
const QUANTILES: [(f64, &str); 2] = [(0.5, "0.5"), (0.99, "0.99")];

/// The page.
pub fn page(totals: &Totals, extras: &Extras<'_>) -> String {
    let mut text = Text::default();
    plan(&mut text, extras);
    processes(&mut text, extras.processes);
    certificates(&mut text, extras.certificates);
    queues(&mut text, extras.queues);
    requests(&mut text, totals);
    for family in FAMILIES {
        entries(&mut text, family, totals);
    }
    servers(&mut text, extras);
    text.into_string()
}

fn plan(text: &mut Text, extras: &Extras<'_>) {
    text.metric("evener_build_info", Sort::Gauge, "The build that writes this page.");
    text.whole(&Labels::new().with("version", extras.version), 1);
    let help = "Number of the plan that serves.";
    text.metric("evener_plan_generation", Sort::Gauge, help);
    text.whole(&Labels::new(), extras.generation);
    let help = "Configurations read, by what became of them.";
    text.metric("evener_plan_reloads_total", Sort::Counter, help);
    for reload in extras.reloads {
        text.whole(&Labels::new().with("result", reload.result), reload.count);
    }
    if let Some(when) = extras.last_reload_success {
        let name = "evener_plan_last_reload_success_timestamp_seconds";
        text.metric(name, Sort::Gauge, "When a plan was last taken.");
        text.real(&Labels::new(), when);
    }
}

fn processes(text: &mut Text, processes: &[Process<'_>]) {
    /// How a number of a process is read.
    type Read = fn(&Process<'_>) -> f64;
    let metrics: [(&str, Sort, &str, Read); 6] = [
        ("process_cpu_seconds_total", Sort::Counter, "CPU time used.", |process| {
            process.cpu_seconds
        }),
        ("process_resident_memory_bytes", Sort::Gauge, "Resident memory.", |process| {
            process.resident_bytes as f64
        }),
        ("process_virtual_memory_bytes", Sort::Gauge, "Virtual memory.", |process| {
            process.virtual_bytes as f64
        }),
        ("process_open_fds", Sort::Gauge, "Open descriptors.", |process| process.open_fds as f64),
        ("process_max_fds", Sort::Gauge, "Descriptors it may have.", |process| {
            process.max_fds as f64
        }),
        ("process_start_time_seconds", Sort::Gauge, "When the process started.", |process| {
            process.start_seconds
        }),
    ];
    for (name, sort, help, read) in metrics {
        text.metric(name, sort, help);
        for process in processes {
            text.real(&Labels::new().with("role", process.role), read(process));
        }
    }
}

fn certificates(text: &mut Text, certificates: &[Certificate<'_>]) {
    let name = "evener_certificate_not_after_timestamp_seconds";
    text.metric(name, Sort::Gauge, "When a certificate ends that Evener shows, by its file.");
    for certificate in certificates {
        text.real(&Labels::new().with("file", certificate.file), certificate.not_after);
    }
}

fn queues(text: &mut Text, queues: &[Queue<'_>]) {
    let help = "Connections in the kernel's queue that nobody has accepted yet.";
    text.metric("evener_listener_waiting_connections", Sort::Gauge, help);
    for queue in queues {
        text.whole(&Labels::new().with("listener", queue.listener), queue.waiting);
    }
}

/// Durations by listener and pool, from those of the routes: also of routes that are gone, as long
/// as one is left.
fn requests(text: &mut Text, totals: &Totals) {
    let slot = RouteHistogram::LIST[RouteHistogram::Duration as usize].slot;
    let mut sums: BTreeMap<(&str, &str), (Distribution, bool)> = BTreeMap::new();
    for (names, values, shown) in totals.all(Kind::Route) {
        if let [listener, _, pool] = names[..] {
            let sum = sums.entry((listener, pool)).or_insert((Distribution::EMPTY, false));
            sum.0.merge(&values.distribution(slot));
            sum.1 |= shown;
        }
    }
    sums.retain(|_, (_, shown)| *shown);
    let help = "From a request's head to its answer's last byte, and from a session's beginning to its end.";
    text.metric("evener_request_duration_seconds", Sort::Histogram, help);
    for ((listener, pool), (sum, _)) in &sums {
        let labels = Labels::new().with("listener", listener).with("pool", pool);
        text.histogram(&labels, sum);
    }
}

fn entries(text: &mut Text, family: &Family, totals: &Totals) {
    let named = |(names, values): (Vec<&str>, _)| {
        let mut labels = Labels::new();
        for (label, name) in family.labels.iter().zip(names) {
            labels = labels.with(label, name);
        }
        (labels, values)
    };
    let entries: Vec<(Labels, Values<'_>)> = totals.entries(family.kind).map(named).collect();
    for list in family.lists {
        for metrics in list.chunk_by(|one, next| one.name == next.name) {
            metric(text, family.kind, metrics, &entries);
        }
    }
}

/// One metric: its series differ in their own labels.
fn metric(text: &mut Text, kind: Kind, metrics: &[Metric], entries: &[(Labels, Values<'_>)]) {
    let Some(first) = metrics.first() else { return };
    let summed = kind == Kind::Server && first.kind == MetricKind::Histogram;
    text.metric(
        first.name,
        match first.kind {
            MetricKind::Counter => Sort::Counter,
            MetricKind::Gauge => Sort::Gauge,
            MetricKind::Histogram if summed => Sort::Summary,
            MetricKind::Histogram => Sort::Histogram,
        },
        first.help,
    );
    let own: Vec<Labels> = metrics.iter().map(own_labels).collect();
    for (labels, values) in entries {
        for (metric, own) in metrics.iter().zip(&own) {
            match first.kind {
                MetricKind::Histogram if summed => {
                    text.summary(labels, &values.distribution(metric.slot), &QUANTILES);
                }
                MetricKind::Histogram => text.histogram(labels, &values.distribution(metric.slot)),
                _ => text.whole_of(labels, own, values.at(metric.slot)),
            }
        }
    }
}

fn own_labels(metric: &Metric) -> Labels {
    let labels = metric.labels.iter();
    labels.fold(Labels::new(), |labels, (name, value)| labels.with(name, value))
}

fn servers(text: &mut Text, extras: &Extras<'_>) {
    let named =
        |fact: &ServerFact<'_>| Labels::new().with("pool", fact.pool).with("server", fact.server);
    let labels: Vec<Labels> = extras.servers.iter().map(named).collect();
    let states: Vec<Labels> =
        extras.states.iter().map(|state| Labels::new().with("state", state)).collect();
    let help = "1 for the state the server is in, else 0.";
    text.metric("evener_server_state", Sort::Gauge, help);
    for (fact, labels) in extras.servers.iter().zip(&labels) {
        for (state, own) in extras.states.iter().zip(&states) {
            text.whole_of(labels, own, u64::from(*state == fact.state));
        }
    }
    text.metric("evener_server_weight", Sort::Gauge, "Share of picks.");
    for (fact, labels) in extras.servers.iter().zip(&labels) {
        text.whole(labels, u64::from(fact.weight));
    }
    let help = "How long the last check took.";
    text.metric("evener_server_check_duration_seconds", Sort::Gauge, help);
    for (fact, labels) in extras.servers.iter().zip(&labels) {
        if let Some(seconds) = fact.check_seconds {
            text.real(labels, seconds);
        }
    }
    pools(text, extras, &states);
}

fn pools(text: &mut Text, extras: &Extras<'_>, states: &[Labels]) {
    let mut pools: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
    for fact in extras.servers {
        let counts = pools.entry(fact.pool).or_insert_with(|| vec![0; states.len()]);
        for (count, state) in counts.iter_mut().zip(extras.states) {
            *count += u64::from(*state == fact.state);
        }
    }
    text.metric("evener_pool_servers", Sort::Gauge, "Servers of the pool, by state.");
    for (pool, counts) in pools {
        let labels = Labels::new().with("pool", pool);
        for (own, count) in states.iter().zip(counts) {
            text.whole_of(&labels, own, count);
        }
    }
}

//! The counters of an instance, read by its supervisor: sums over the segments of all worker lives.
//!
//! Rules kept here:
//! - A segment that its writer has not begun yet counts nothing and is no error.
//! - Reading never makes a writer wait.
//!
//! Not known here: whose segments these are, and what else is on a page.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;

use evener_stats::{
    Certificate, Extras, FAMILIES, Family, Kind, Life, MetricKind, Process, Queue, Reload,
    ServerFact, StatsError, Totals, Values, exposition, stamp_of,
};
use serde::{Deserialize, Serialize};

use crate::error::EngineError;
use crate::sys::memory::ForeignMemory;

/// Segments of one instance.
pub struct Segments {
    living: Vec<ForeignMemory>,
    retired: Vec<ForeignMemory>,
}

/// What a page shows besides counters.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PageFacts {
    version: String,
    generation: u64,
    reloads: Vec<ReloadFact>,
    last_reload_success: Option<f64>,
    states: Vec<String>,
    servers: Vec<Server>,
    processes: Vec<ProcessFact>,
    certificates: Vec<CertificateFact>,
    queues: Vec<QueueFact>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct QueueFact {
    listener: String,
    waiting: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CertificateFact {
    file: String,
    not_after: f64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ReloadFact {
    result: String,
    count: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Server {
    pool: String,
    server: String,
    state: String,
    weight: u32,
    check_seconds: Option<f64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ProcessFact {
    role: String,
    cpu_seconds: f64,
    resident_bytes: u64,
    virtual_bytes: u64,
    open_fds: u64,
    max_fds: u64,
    start_seconds: f64,
}

/// The sums of one thing.
#[derive(Serialize)]
struct Entry<'a> {
    names: Vec<&'a str>,
    values: BTreeMap<String, u64>,
    histograms: BTreeMap<&'static str, Histogram>,
}

#[derive(Serialize)]
struct Histogram {
    count: u64,
    sum: u64,
    buckets: Vec<(u64, Option<u64>, u64)>,
}

impl Segments {
    /// The segments in these files: those of the worker that lives, and those of earlier ones.
    pub fn new(living: Vec<OwnedFd>, retired: Vec<OwnedFd>) -> Segments {
        let all = |files: Vec<OwnedFd>| files.into_iter().map(ForeignMemory::new).collect();
        Segments { living: all(living), retired: all(retired) }
    }

    /// The last sign of life of each living segment's writer; 0 is none yet.
    ///
    /// # Errors
    /// [`EngineError::Map`], [`EngineError::Counters`].
    pub fn stamps(&mut self) -> Result<Vec<u64>, EngineError> {
        let stamp = |memory: &mut ForeignMemory| {
            let words = memory.words().map_err(EngineError::Map)?;
            match stamp_of(words) {
                Err(StatsError::NotASegment) => Ok(0),
                stamp => Ok(stamp?),
            }
        };
        self.living.iter_mut().map(stamp).collect()
    }

    /// All sums as JSON: kind → entries with names, counters and gauges that are not zero (under
    /// the metric's name with its labels as Prometheus writes them), and histograms with records
    /// (count, sum, buckets: lower and upper bound, records; in microseconds).
    ///
    /// # Errors
    /// [`EngineError::Map`], [`EngineError::Counters`].
    pub fn totals_json(&mut self) -> Result<String, EngineError> {
        let totals = self.totals()?;
        let kinds: BTreeMap<&str, Vec<Entry<'_>>> =
            FAMILIES.iter().map(|family| (word(family.kind), entries(family, &totals))).collect();
        Ok(serde_json::to_string(&kinds)?)
    }

    /// The Prometheus page; `facts` is what it shows besides counters, as JSON.
    ///
    /// # Errors
    /// [`EngineError::Map`], [`EngineError::Counters`], [`EngineError::Facts`].
    pub fn prometheus(&mut self, facts: &str) -> Result<String, EngineError> {
        let facts: PageFacts = serde_json::from_str(facts)?;
        Ok(facts.page(&self.totals()?))
    }

    fn totals(&mut self) -> Result<Totals, EngineError> {
        let mut totals = Totals::new();
        let living = self.living.iter_mut().map(|memory| (memory, Life::Living));
        let retired = self.retired.iter_mut().map(|memory| (memory, Life::Retired));
        for (memory, life) in living.chain(retired) {
            let words = memory.words().map_err(EngineError::Map)?;
            match totals.add(words, life) {
                Ok(()) | Err(StatsError::NotASegment) => {}
                Err(why) => return Err(EngineError::Counters(why)),
            }
        }
        Ok(totals)
    }
}

impl PageFacts {
    fn page(&self, totals: &Totals) -> String {
        let reloads: Vec<_> = self.reloads.iter().map(ReloadFact::shown).collect();
        let states: Vec<_> = self.states.iter().map(String::as_str).collect();
        let servers: Vec<_> = self.servers.iter().map(Server::shown).collect();
        let processes: Vec<_> = self.processes.iter().map(ProcessFact::shown).collect();
        let certificates: Vec<_> = self.certificates.iter().map(CertificateFact::shown).collect();
        let queues: Vec<_> = self.queues.iter().map(QueueFact::shown).collect();
        let extras = Extras {
            version: &self.version,
            generation: self.generation,
            reloads: &reloads,
            last_reload_success: self.last_reload_success,
            states: &states,
            servers: &servers,
            processes: &processes,
            certificates: &certificates,
            queues: &queues,
        };
        exposition::page(totals, &extras)
    }
}

impl CertificateFact {
    fn shown(&self) -> Certificate<'_> {
        Certificate { file: &self.file, not_after: self.not_after }
    }
}

impl QueueFact {
    fn shown(&self) -> Queue<'_> {
        Queue { listener: &self.listener, waiting: self.waiting }
    }
}

impl ReloadFact {
    fn shown(&self) -> Reload<'_> {
        Reload { result: &self.result, count: self.count }
    }
}

impl Server {
    fn shown(&self) -> ServerFact<'_> {
        ServerFact {
            pool: &self.pool,
            server: &self.server,
            state: &self.state,
            weight: self.weight,
            check_seconds: self.check_seconds,
        }
    }
}

impl ProcessFact {
    fn shown(&self) -> Process<'_> {
        Process {
            role: &self.role,
            cpu_seconds: self.cpu_seconds,
            resident_bytes: self.resident_bytes,
            virtual_bytes: self.virtual_bytes,
            open_fds: self.open_fds,
            max_fds: self.max_fds,
            start_seconds: self.start_seconds,
        }
    }
}

fn word(kind: Kind) -> &'static str {
    match kind {
        Kind::Worker => "worker",
        Kind::Listener => "listener",
        Kind::Route => "route",
        Kind::Pool => "pool",
        Kind::Server => "server",
    }
}

/// Also of what no living segment has: a new worker finds the counters of a server or a route when
/// they are first used, and until then their sums stand where the last one left them.
fn entries<'t>(family: &Family, totals: &'t Totals) -> Vec<Entry<'t>> {
    totals.all(family.kind).map(|(names, values, _)| entry(family, names, values)).collect()
}

fn entry<'t>(family: &Family, names: Vec<&'t str>, sums: Values<'t>) -> Entry<'t> {
    let mut values = BTreeMap::new();
    let mut histograms = BTreeMap::new();
    for metric in family.metrics() {
        if metric.kind == MetricKind::Histogram {
            let sums = sums.distribution(metric.slot);
            if sums.count() > 0 {
                let (count, sum) = (sums.count(), sums.sum());
                let buckets = sums.buckets().collect();
                histograms.insert(metric.name, Histogram { count, sum, buckets });
            }
        } else if sums.at(metric.slot) > 0 {
            values.insert(series(metric.name, metric.labels), sums.at(metric.slot));
        }
    }
    Entry { names, values, histograms }
}

/// A series' name as on the page. Labels of metrics are words of ours: nothing is to be escaped.
fn series(name: &str, labels: &[(&str, &str)]) -> String {
    if labels.is_empty() {
        return name.to_owned();
    }
    let labels: Vec<String> =
        labels.iter().map(|(label, value)| format!("{label}=\"{value}\"")).collect();
    format!("{name}{{{}}}", labels.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::counters::{Counters, RouteBlock, RouteCounter, RouteHistogram};
    use crate::sys::memory::SharedMemory;

    fn file() -> OwnedFd {
        rustix::fs::memfd_create("counters", rustix::fs::MemfdFlags::CLOEXEC).unwrap()
    }

    fn writer(file: &OwnedFd) -> Counters {
        Counters::create(SharedMemory::writable(file.try_clone().unwrap()).unwrap()).unwrap()
    }

    #[test]
    fn living_and_retired_segments_are_summed_and_an_unbegun_one_is_nothing() {
        let files = [file(), file(), file()];
        for file in &files[..2] {
            let route: RouteBlock<'_> = writer(file).block(&["web", "default", "app"], 1);
            route.add(RouteCounter::S200, 2);
            route.record(RouteHistogram::Duration, 12);
        }
        let [retired, living, unbegun] = files;
        let mut segments = Segments::new(vec![living, unbegun], vec![retired]);
        let text = segments.totals_json().unwrap();
        let json: serde_json::Value = serde_json::from_str(&text).unwrap();
        let route = &json["route"][0];
        assert_eq!(route["names"], serde_json::json!(["web", "default", "app"]));
        let values = serde_json::json!({"evener_requests_total{code=\"200\"}": 4});
        assert_eq!(route["values"], values);
        let histogram = &route["histograms"]["evener_route_request_duration_seconds"];
        let expected = serde_json::json!({"count": 2, "sum": 24, "buckets": [[10, 15, 2]]});
        assert_eq!(*histogram, expected);
        assert_eq!(json["server"], serde_json::json!([]));
    }

    #[test]
    fn a_reader_follows_a_segment_that_grows() {
        let file = file();
        let counters = writer(&file);
        counters.stamp(7);
        let mut segments = Segments::new(vec![file], vec![]);
        assert_eq!(segments.stamps().unwrap(), [7]);
        for number in 0..2000 {
            let name = format!("server-{number}");
            counters.server(&["app", &name, "127.0.0.1:1"], 1);
        }
        counters.stamp(8);
        assert_eq!(segments.stamps().unwrap(), [8]);
        let totals = segments.totals().unwrap();
        assert_eq!(totals.entries(Kind::Server).count(), 2000);
    }

    #[test]
    fn a_page_has_counters_and_facts() {
        let facts = r#"{"version":"9","generation":3,"reloads":[{"result":"ok","count":1}],
            "last_reload_success":null,"states":["up","down"],"servers":[{"pool":"app",
            "server":"a","state":"up","weight":1,"check_seconds":0.5}],"processes":[],
            "certificates":[{"file":"/a.pem","not_after":1.7e9}],
            "queues":[{"listener":"web","waiting":3}]}"#;
        let file = file();
        writer(&file).worker();
        let mut segments = Segments::new(vec![file], vec![]);
        let page = segments.prometheus(facts).unwrap();
        assert!(page.contains("evener_plan_generation 3\n"));
        assert!(page.contains("evener_panics_total 0\n"));
        assert!(page.contains("evener_listener_waiting_connections{listener=\"web\"} 3\n"));
        assert!(page.contains("_seconds{file=\"/a.pem\"} 1700000000\n"));
        assert!(matches!(segments.prometheus("{}"), Err(EngineError::Facts(_))));
    }
}

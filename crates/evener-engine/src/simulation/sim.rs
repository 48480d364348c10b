//! The simulation itself: one shard of the real code, its peers, and time.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::Receiver;

use evener_balance::{Lease, Outcome};
use evener_plan::{Admin, Plan};
use evener_stats::{Kind, family};

use super::executor::Executor;
use super::network::{Manner, Network};
use super::peer::{Peer, Server};
use super::policy;
use super::stream::{self, Pipe};
use super::wire::Wire;
use crate::clock;
use crate::counters::WorkerCounter;
use crate::events::{Event, Events, Heard};
use crate::http::client::{self, Client};
use crate::http::slow::{Held, MOST};
use crate::io::deadlines::TICK_MS;
use crate::io::{Buffer, Stream, buffers};
use crate::log::Message;
use crate::pool::owned::Owned;
use crate::running::{Running, Workshop};
use crate::shard::slot::Place;
use crate::shard::{Common, Open, Shard};
use crate::steps;
use crate::sys::memory::SharedMemory;
use crate::tcp::session;

/// Time at which every simulation begins, in milliseconds.
const BEGIN: u64 = 10_000;
/// Rounds after which something that should rest is held to run for ever.
const ROUNDS: usize = 1_000_000;
/// Longer than any wait that the plan of [`plan`] allows.
const FOREVER_MS: u64 = 400_000;

thread_local! {
    static OUTCOMES: RefCell<Vec<(String, Outcome)>> = const { RefCell::new(Vec::new()) };
}

/// A listener `web` in front of a pool `app`.
pub struct Sim {
    world: Rc<World>,
}

/// What the simulation and all handles to its peers share.
pub struct World {
    shard: Rc<Shard>,
    tasks: Rc<Executor>,
    network: Rc<Network>,
    clients: RefCell<Vec<Rc<RefCell<Pipe>>>>,
    generation: RefCell<Arc<Running>>,
    heard: Heard,
    log: Receiver<Message>,
    now: Cell<u64>,
    cancelled: Cell<bool>,
}

/// The one outcome of a try is made: what the engine calls from where it does so.
pub fn heard(lease: &Lease, outcome: Outcome) {
    OUTCOMES.with_borrow_mut(|all| all.push((lease.server().id().to_owned(), outcome)));
}

impl Sim {
    /// A pool with these servers, one letter each.
    pub fn new(servers: &[&str]) -> Sim {
        Sim::with(servers, |_| {})
    }

    /// The same with changes to the plan.
    pub fn with(servers: &[&str], change: impl FnOnce(&mut Plan)) -> Sim {
        let mut plan = plan(servers);
        change(&mut plan);
        clock::set_virtual(Some(BEGIN * 1000));
        OUTCOMES.take();
        policy::forget();
        steps::passed();
        let network = Rc::<Network>::default();
        Network::install(Some(network.clone()));
        let (common, heard, lines) = common(&plan);
        let shard = Shard::simulated(SharedMemory::of_thread(), common);
        let running = build(plan, None);
        shard.swap(running.clone());
        let world = World {
            shard,
            tasks: Rc::default(),
            network,
            clients: RefCell::default(),
            generation: RefCell::new(running),
            heard,
            log: lines,
            now: Cell::new(BEGIN),
            cancelled: Cell::new(false),
        };
        Sim { world: Rc::new(world) }
    }

    /// A server by its letter.
    pub fn server(&self, name: &str) -> Server {
        Server::new(self.world.clone(), self.world.network.server(&address(name)))
    }

    /// A new client of the listener `web`, from 192.0.2.200.
    pub fn client(&self) -> Peer {
        let (stream, pipe) = stream::pair(Wire::current());
        let shard = self.world.shard.clone();
        let slot = shard.slot("web").expect("the plan has the listener");
        let view = slot.view();
        let open = Open::new(Place::beyond(slot), None);
        let stream = Stream::Scripted(Box::new(stream));
        let peer: SocketAddr = "192.0.2.200:50000".parse().expect("an address");
        let wait = shard.deadlines.slot();
        if view.spec().protocol == evener_plan::ListenerProtocol::Tcp {
            self.world.tasks.spawn(session::serve(shard, view, stream, Some(peer), open));
        } else {
            let inbox = Buffer::empty();
            let (peer, owned) = (Some(peer), Owned::default());
            let client = Client { stream, inbox, peer, open, wait, owned };
            self.world.tasks.spawn(client::serve(shard, client));
        }
        self.world.clients.borrow_mut().push(pipe.clone());
        self.world.settle();
        Peer::new(self.world.clone(), pipe)
    }

    /// A server dies: it refuses, and what is connected to it breaks.
    pub fn kill(&self, name: &str) {
        let server = self.world.network.server(&address(name));
        server.manner.set(Manner::Refuses);
        for connection in server.connections.borrow().iter() {
            connection.pipe.borrow_mut().break_off();
        }
        self.world.settle();
    }

    /// Lets so many milliseconds pass, and a tick more, since deadlines may be late by one.
    pub fn run_for(&self, millis: u64) {
        self.world.run_for(millis + TICK_MS, TICK_MS);
    }

    /// Lets so many milliseconds pass, less than which no deadline may fire.
    pub fn run_for_less_than(&self, millis: u64) {
        self.world.run_for(millis.saturating_sub(TICK_MS), TICK_MS);
    }

    /// Lets time pass in large steps until every task has ended, or so many milliseconds are over:
    /// at once and not byte by byte, a slow but living peer may take longer.
    pub fn falls_still(&self, millis: u64) {
        let until = self.world.now.get() + millis;
        while self.alive() > 0 && self.world.now.get() < until {
            self.world.run_for(1000, 1000);
        }
    }

    /// Others hold all that may be held for slow clients, until the result is dropped.
    pub fn fill_room(&self) -> Held {
        let mut others = Held::new(&self.world.shard.room);
        others.set(MOST);
        others
    }

    /// Runs everything until it rests.
    pub fn settle(&self) {
        self.world.settle();
    }

    /// Swaps in a generation with changes.
    pub fn reload(&self, change: impl FnOnce(&mut Plan)) {
        let before = self.world.generation.borrow().clone();
        let mut plan = before.plan.clone();
        plan.generation += 1;
        change(&mut plan);
        let running = build(plan, Some(&before));
        self.world.shard.swap(running.clone());
        for pool in &running.pools {
            pool.group.adopt(&pool.spec, clock::millis());
        }
        *self.world.generation.borrow_mut() = running;
        self.world.settle();
    }

    /// Somebody says that a server is to take nothing new.
    pub fn drain_server(&self, name: &str) {
        self.say(name, Admin::Drain);
    }

    /// Somebody takes that back.
    pub fn ready_server(&self, name: &str) {
        self.say(name, Admin::Ready);
    }

    fn say(&self, name: &str, word: Admin) {
        let running = self.world.generation.borrow();
        let group = &running.pools[0].group;
        let index = group.index_of(name).expect("a server of the plan");
        let _ = group.on_admin(index, word, self.world.now.get());
    }

    /// Begins to drain.
    pub fn drain(&self) {
        self.world.tasks.spawn(self.world.shard.clone().simulated_drain());
        self.world.settle();
    }

    /// Leases of a server that have not ended.
    pub fn in_flight(&self, name: &str) -> u32 {
        let running = self.world.generation.borrow();
        let group = &running.pools[0].group;
        let index = group.index_of(name).expect("a server of the plan");
        group.server(index).expect("it is there").in_flight()
    }

    /// Outcomes of all tries so far, by server.
    pub fn outcomes(&self) -> Vec<(String, Outcome)> {
        OUTCOMES.with_borrow(Clone::clone)
    }

    /// Exactly these tries have ended since the last look.
    #[track_caller]
    pub fn saw(&self, expected: &[(&str, Outcome)]) {
        let outcomes = OUTCOMES.take();
        let outcomes: Vec<_> = outcomes.iter().map(|(name, how)| (name.as_str(), *how)).collect();
        assert_eq!(outcomes, expected);
    }

    /// Times measured since the beginning by all histograms of this kind and name: how many, and
    /// their sum in microseconds.
    pub fn measured(&self, kind: Kind, name: &str) -> (u64, u64) {
        let totals = self.world.shard.counters.totals();
        let slots = family(kind).metrics().filter(|metric| metric.name == name);
        let slot = slots.map(|metric| metric.slot).next().expect("a metric");
        let all = totals.entries(kind).map(|(_, values)| values.distribution(slot));
        all.fold((0, 0), |(count, sum), times| (count + times.count(), sum + times.sum()))
    }

    /// What all counters of this kind, metric and label hold together.
    pub fn counted(&self, kind: Kind, name: &str, label: &str) -> u64 {
        let totals = self.world.shard.counters.totals();
        let is_it = |metric: &&evener_stats::Metric| {
            metric.name == name && metric.labels.iter().any(|(_, value)| *value == label)
        };
        let slot = family(kind).metrics().find(is_it).expect("a metric").slot;
        totals.entries(kind).map(|(_, values)| values.at(slot)).sum()
    }

    /// Server connections kept for later.
    pub fn kept(&self) -> usize {
        self.world.shard.kept()
    }

    /// Drops everything in hand where it stands, as the end of a shard does.
    pub fn cancel(&self) {
        self.world.cancelled.set(true);
        self.world.tasks.clear();
    }

    /// Connections that time has cut in a drain.
    pub fn drain_cuts(&self) -> u64 {
        self.world.shard.worker.counted(WorkerCounter::DrainCut)
    }

    /// Tasks that have not ended.
    pub fn alive(&self) -> usize {
        self.world.tasks.alive()
    }

    /// Lines of the access log since the last look.
    pub fn log(&self) -> String {
        self.world.shard.log.flush();
        let mut lines = Vec::new();
        for message in self.world.log.try_iter() {
            if let Message::Lines(more) = message {
                lines.extend(more);
            }
        }
        String::from_utf8(lines).expect("a log is text")
    }

    /// Words for people since the last look.
    pub fn words(&self) -> Vec<String> {
        let words = self.world.heard.inbox.try_iter().filter_map(|event| match event {
            Event::Log { text, .. } => Some(text),
            Event::Warning { pool, server, text } => Some(format!("{pool}/{server}: {text}")),
            _ => None,
        });
        words.collect()
    }
}

impl World {
    /// Runs everything until it rests.
    pub fn settle(&self) {
        for _ in 0..ROUNDS {
            self.tasks.run();
            let mut moved = self.network.step();
            for pipe in self.clients.borrow().iter() {
                moved |= pipe.borrow_mut().step();
            }
            if !moved {
                return;
            }
        }
        panic!("it never comes to rest");
    }

    fn run_for(&self, millis: u64, step: u64) {
        let until = self.now.get() + millis;
        while self.now.get() < until {
            let now = (self.now.get() + step).min(until);
            self.now.set(now);
            clock::set_virtual(Some(now * 1000));
            self.shard.simulated_tick(now);
            self.settle();
        }
    }
}

impl Drop for Sim {
    /// Nobody moves any more: all that waits ends by itself, and all that was lent is back.
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.falls_still(FOREVER_MS);
            assert_eq!(self.alive(), 0, "every wait has a deadline");
            for server in &self.world.generation.borrow().plan.pools[0].servers {
                assert_eq!(self.in_flight(&server.id), 0, "every lease ends");
            }
            self.world.shard.forget_kept();
            assert_eq!(self.world.shard.deadlines.len(), 0, "every deadline is given back");
            assert_eq!(buffers::lent(), 0, "every buffer is given back");
            let passed = steps::passed();
            let count = |name| passed.iter().filter(|step| **step == name).count();
            let tries = (count("pool::connection"), count("dial::report"));
            assert!(self.world.cancelled.get() || tries.0 == tries.1, "one outcome per try");
        }
        self.world.tasks.clear();
        Network::install(None);
        clock::set_virtual(None);
    }
}

/// What the shards of a worker share, and the ends that hear of it.
pub fn common(plan: &Plan) -> (Common, Heard, Receiver<Message>) {
    let (events, heard) = Events::new().expect("a descriptor for the bell");
    let (log, lines) = crate::log::queue();
    let common = Common {
        parked: Arc::default(),
        connections: Arc::default(),
        limit: Arc::new(plan.connections.into()),
        events,
        log,
        seed: 7,
    };
    (common, heard, lines.inbox())
}

/// A plan made ready to run.
pub fn build(plan: Plan, previous: Option<&Running>) -> Arc<Running> {
    let secrets = BTreeMap::new();
    let (tickets, now) = (Arc::default(), clock::millis());
    let (secrets, tickets, host) = (&secrets, &tickets, &policy::Scripted);
    let shop = Workshop { secrets, tickets, previous, now, seed: 7, shards: 1, host };
    match Running::build(plan, &shop) {
        Ok(running) => Arc::new(running),
        Err(why) => panic!("the plan does not build: {why:?}"),
    }
}

/// `a` is at 192.0.2.1:80, `b` at 192.0.2.2:80 and so on.
fn address(name: &str) -> String {
    let letter = name.bytes().next().filter(u8::is_ascii_lowercase).expect("a letter");
    format!("192.0.2.{}:80", letter - b'a' + 1)
}

/// A plan with short bounds, nothing passive and no checks.
pub fn plan(servers: &[&str]) -> Plan {
    let servers: Vec<_> = servers
        .iter()
        .map(|name| {
            serde_json::json!({"id": name, "address": address(name), "host": "app.test",
                "weight": 1, "tier": 0, "admin": "ready", "params": {}})
        })
        .collect();
    let plan = serde_json::json!({
        "generation": 1, "drain": {"requests": 30_000, "tunnels": 60_000}, "connections": 1000,
        "access_log": {"format": "off", "sample": 1.0},
        "listeners": [{
            "name": "web", "bind": ["192.0.2.100:80"], "protocol": "http", "tls": null,
            "http": {"max_head": 65_536, "max_fields": 100, "max_body": null,
                "underscores": "drop", "via": false, "interim": "pass", "accept": []},
            "trusted_proxies": [],
            "timeouts": {"tls": 10_000, "head": 10_000, "body": 30_000, "send": 30_000,
                "idle": 75_000, "tunnel_idle": 60_000, "tunnel_max": null, "min_rate": 0},
            "connections": null, "per_client": null, "rate_per_client": null,
            "redirect": null, "routes": [], "pool": "app"}],
        "pools": [{
            "name": "app", "protocol": "http", "tls": null,
            "scheduler": {"name": "nginx/round_robin"}, "key": null, "servers": servers, "checks": [],
            "passive": null, "initial": "up",
            "retry": {"attempts": 2, "on": ["connect", "reset"]},
            "buffer": {"request": 0, "response": 65_536},
            "keepalive": {"idle": 60_000, "per_shard": 128, "max_age": 3_600_000},
            "timeouts": {"connect": 5_000, "send": 30_000, "response": 60_000, "receive": 60_000},
            "http": {"accept": []}, "params": {}}]
    });
    Plan::from_json(plan.to_string().as_bytes()).expect("a plan")
}

//! A shard: one worker thread with its own event loop, connections, buffers and counters.
//!
//! Rules kept here:
//! - Nothing of a shard is touched by another thread; it is told things over a channel.
//! - A generation is swapped between two polls: whoever has begun with the old one ends with it.
//! - A tick every 50 ms moves deadlines, once a second parked connections, kept server connections
//!   and spare buffers are looked through.
//!
//! Not known here: where plans come from, what is spoken on connections.

pub mod accept;
pub mod clients;
#[cfg(test)]
mod faults;
mod handshake;
pub mod ids;
mod parked;
#[cfg(any(test, feature = "simulation"))]
mod simulated;
pub mod slot;
pub mod view;

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::future::{Future, poll_fn};
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, OnceLock, Weak};
use std::task::Poll;

use evener_balance::{State, Transition};
use evener_plan::Drain;
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};
use tokio::sync::mpsc::UnboundedReceiver;

use crate::clock;
use crate::counters::{Counters, ServerCounter, WorkerBlock, WorkerCounter, WorkerGauge};
use crate::date::DateLine;
use crate::events::{Event, Events};
use crate::http::client::{self, Client};
use crate::http::slow::Room;
use crate::http::work::{Tools, Work};
use crate::io::deadlines::TICK_MS;
use crate::io::event_loop::give_way;
use crate::io::parking::Parking;
use crate::io::poller::{Watched, Way};
use crate::io::{Deadlines, EventLoop, Poller, Spare, Timers, buffers};
use crate::log::{Queue, ShardLog};
use crate::running::Running;
use crate::steps::may_break;
use crate::sys::memory::SharedMemory;
use accept::Acceptor;
use ids::Ids;
use parked::Parked;
pub use slot::{Open, Slot, Tunnel};
pub use view::{ListenerView, PoolView, View};

/// What a shard is told.
pub enum Command {
    /// Listening sockets, by address. They are used once a plan names them.
    Sockets(Vec<(String, OwnedFd)>),
    /// A plan to serve from now on; told the microseconds that taking it up took.
    Serve(Arc<Running>, Sender<u64>),
    /// Listen no longer; end connections as they come to rest, all of them after a while.
    Drain {
        /// For requests in hand, in milliseconds.
        requests: u64,
        /// For tunnels and TCP sessions, in milliseconds.
        tunnels: u64,
        /// Told the number of connections that time cut, once nothing is left.
        done: Sender<u64>,
    },
}

/// What all shards of a worker share.
#[derive(Clone)]
pub struct Common {
    /// Client connections of all shards.
    pub connections: Arc<AtomicU64>,
    /// Those of them that are parked, as of the last second.
    pub parked: Arc<AtomicU64>,
    /// Most of them before accepting pauses.
    pub limit: Arc<AtomicU64>,
    /// What the control thread is told.
    pub events: Events,
    /// The log's writer.
    pub log: Queue,
    /// Makes ids of requests unlike those of other workers.
    pub seed: u64,
}

/// One worker thread's state.
pub struct Shard {
    /// Its number, from 0.
    pub number: usize,
    /// All its waits.
    pub deadlines: Rc<Deadlines>,
    /// Waits that must be exact.
    pub timers: Rc<Timers>,
    /// Its counters.
    pub counters: Counters,
    /// Counters of the shard itself.
    pub worker: WorkerBlock<'static>,
    /// Its end of the access log.
    pub log: ShardLog,
    /// The Date of answers.
    pub date: DateLine,
    /// Ids of its requests.
    pub ids: Ids,
    /// What it holds for slow clients.
    pub room: Rc<Room>,
    common: Common,
    parking: Parking<Parked>,
    /// Clients' sockets, and those that listen.
    pub clients: Rc<Poller>,
    /// Servers' sockets.
    pub servers: Rc<Poller>,
    /// Boxes: a task must not move 500 bytes about.
    works: Spare<Box<Work>>,
    tools: Rc<Spare<Box<Tools>>>,
    view: RefCell<Option<Rc<View>>>,
    slots: RefCell<HashMap<String, Rc<Slot>>>,
    /// Listeners that were removed, as long as something of theirs goes on.
    left: RefCell<Vec<std::rc::Weak<Slot>>>,
    acceptors: RefCell<Vec<Acceptor>>,
    spare_sockets: RefCell<Vec<(String, OwnedFd)>>,
    /// Generations that something may still be pinned to, the oldest first.
    generations: RefCell<Vec<(u64, Weak<Running>)>>,
    /// Client connections of this shard.
    connections: Rc<Cell<u64>>,
    /// Those that are tunnels or TCP sessions.
    tunnels: Rc<Cell<u64>>,
    /// The lowest descriptor that was free a second ago: about so many are in use.
    descriptors: Cell<u64>,
    /// Its share of `Common::parked`.
    parked: Cell<u64>,
    draining: Cell<bool>,
    /// When requests of removed listeners are cut.
    cuts: RefCell<Vec<u64>>,
    warned: Cell<(u64, u32)>,
    /// Connections that are being turned away with a word.
    turned_away: Cell<u32>,
    /// Parked connections when memory was last given back, and when that was.
    trimmed: Cell<(usize, u64)>,
}

/// Clients woken in one turn, see [`crate::io::event_loop`]. Measured best of 4 to 1024 with 1000
/// busy clients (1024 cost an eighth more) and with new connections.
const CLIENTS: usize = 16;
/// Events taken at once.
const EVENTS: usize = 256;
/// Warnings about servers a second, per shard.
const WARNINGS: u32 = 5;

/// From this share of all descriptors on, what only waits is closed.
const CLOSE_AT_PERCENT: u64 = 90;
/// From this share on, nothing is accepted.
const PAUSE_AT_PERCENT: u64 = 95;

/// This share of the descriptors that the process may have.
fn scarce(percent: u64) -> u64 {
    static LIMIT: OnceLock<u64> = OnceLock::new();
    let limit = LIMIT.get_or_init(|| {
        use rustix::process::{Resource, getrlimit};
        getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
    });
    limit / 100 * percent
}

/// The lowest free descriptor: the kernel gives the lowest, so at least as many are in use, and
/// seldom many more.
fn lowest_free() -> u64 {
    // Without one to copy they are all in use.
    let copy = rustix::io::dup(std::io::stderr());
    copy.map_or(u64::MAX, |copy| copy.as_raw_fd() as u64)
}

/// Runs a shard until its commands end. Called on a thread of its own.
///
/// # Errors
/// In words, when it cannot start.
pub fn run(
    id: u32,
    memory: SharedMemory,
    common: Common,
    commands: UnboundedReceiver<Command>,
) -> Result<(), String> {
    let why = |why: std::io::Error| format!("shard {id}: no event loop: {why}");
    let events = EventLoop::new(EVENTS, CLIENTS).map_err(why)?;
    let shard = Rc::new(Shard::new(id, memory, common, &events)?);
    let timer = timer(&events).map_err(why)?;
    // A task like others: it is asked when it can go on, and not once a turn.
    let body = async { tokio::task::spawn_local(work(shard, timer, commands)).await };
    let ended = events.run(body).map_err(why)?;
    ended.unwrap_or_else(|why| Err(why.to_string())).map_err(|what| format!("shard {id}: {what}"))
}

/// Obeys until commands end. What a shard does beside connections must not end before, not even by
/// a fault of ours, unnoticed.
async fn work(
    shard: Rc<Shard>,
    timer: Watched,
    commands: UnboundedReceiver<Command>,
) -> Result<(), String> {
    let mut ticks = tokio::task::spawn_local(tick(shard.clone(), timer));
    let mut wakes = tokio::task::spawn_local(wake_parked(shard.clone()));
    let mut obeys = pin!(obey(shard, commands));
    poll_fn(|cx| {
        for (name, task) in [("the tick", &mut ticks), ("waking parked ones", &mut wakes)] {
            if let Poll::Ready(ended) = Pin::new(task).poll(cx) {
                return Poll::Ready(Err(format!("{name} has ended: {ended:?}")));
            }
        }
        obeys.as_mut().poll(cx).map(Ok)
    })
    .await
}

async fn obey(shard: Rc<Shard>, mut commands: UnboundedReceiver<Command>) {
    while let Some(command) = commands.recv().await {
        match command {
            Command::Sockets(sockets) => shard.spare_sockets.borrow_mut().extend(sockets),
            Command::Serve(running, done) => {
                let began = clock::micros();
                shard.serve(running);
                let _ = done.send(clock::micros() - began);
            }
            Command::Drain { requests, tunnels, done } => {
                tokio::task::spawn_local(shard.clone().drain(requests, tunnels, done));
            }
        }
    }
}

/// Moves deadlines, and once a second all that is slower.
async fn tick(shard: Rc<Shard>, timer: Watched) {
    let mut slow = 0;
    loop {
        let read = |timer: BorrowedFd<'_>| rustix::io::read(timer, &mut [0; 8]);
        if poll_fn(|cx| timer.poll_call(cx, Way::Read, read)).await.is_err() {
            return;
        }
        may_break("shard::tick");
        let now = clock::millis();
        shard.move_time(now);
        shard.counters.stamp(now);
        shard.log.flush();
        if now >= slow {
            // On the second: what counts in seconds is late by no part of another one.
            slow = (now / 1000 + 1) * 1000;
            shard.every_second(now);
        }
    }
}

fn timer(events: &EventLoop) -> std::io::Result<Watched> {
    let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
    let timer = timerfd_create(TimerfdClockId::Monotonic, flags)?;
    let every = Timespec { tv_sec: 0, tv_nsec: TICK_MS as i64 * 1_000_000 };
    let times = Itimerspec { it_interval: every, it_value: every };
    timerfd_settime(&timer, TimerfdTimerFlags::empty(), &times)?;
    Ok(Watched::new(&events.servers, timer))
}

/// Makes tasks of parked connections that bytes have come for.
async fn wake_parked(shard: Rc<Shard>) {
    let mut woken = Vec::new();
    loop {
        if poll_fn(|cx| shard.parking.poll_woken(cx, &mut woken)).await.is_err() {
            return;
        }
        for parked in woken.drain(..) {
            shard.unpark(parked);
        }
        // Many may wake at once, and begin like all others: a handful at a time.
        give_way().await;
    }
}

impl Shard {
    fn new(
        id: u32,
        memory: SharedMemory,
        common: Common,
        events: &EventLoop,
    ) -> Result<Shard, String> {
        let counters = Counters::create(memory)?;
        let worker = counters.worker();
        worker.set(WorkerGauge::Shards, 1);
        let deadlines = Rc::new(Deadlines::default());
        deadlines.set_now(clock::millis());
        Ok(Shard {
            number: id as usize,
            deadlines,
            timers: events.timers.clone(),
            worker,
            log: ShardLog::new(common.log.clone(), worker, common.seed ^ u64::from(id)),
            ids: Ids::new(common.seed, id),
            room: Rc::default(),
            counters,
            date: DateLine::new(),
            common,
            parking: Parking::new(&events.clients).map_err(|why| format!("shard {id}: {why}"))?,
            clients: events.clients.clone(),
            servers: events.servers.clone(),
            works: Spare::new(),
            tools: Rc::default(),
            view: RefCell::default(),
            slots: RefCell::default(),
            left: RefCell::default(),
            acceptors: RefCell::default(),
            spare_sockets: RefCell::default(),
            generations: RefCell::default(),
            connections: Rc::default(),
            tunnels: Rc::default(),
            descriptors: Cell::new(0),
            parked: Cell::new(0),
            draining: Cell::new(false),
            cuts: RefCell::default(),
            warned: Cell::new((0, 0)),
            turned_away: Cell::new(0),
            trimmed: Cell::new((0, 0)),
        })
    }

    /// Milliseconds on the worker's clock, as of the last exchange or tick.
    #[inline]
    pub fn now(&self) -> u64 {
        self.deadlines.now()
    }

    /// Reads the clock: microseconds.
    #[inline]
    pub fn micros(&self) -> u64 {
        let micros = clock::micros();
        self.deadlines.set_now(micros / 1000);
        micros
    }

    /// Lends what an exchange works with.
    #[inline]
    pub fn lend_work(&self) -> Box<Work> {
        self.works.take().unwrap_or_else(|| Box::new(Work::new(&self.tools)))
    }

    /// Takes it back.
    #[inline]
    pub fn return_work(&self, mut work: Box<Work>) {
        work.clear();
        self.works.give(work);
    }

    /// Whether connections end as they come to rest.
    pub fn is_draining(&self) -> bool {
        self.draining.get()
    }

    /// A listener that connections may belong to from now on.
    fn new_slot(&self, view: &Rc<ListenerView>) -> Rc<Slot> {
        let counts = slot::Counts {
            listener: view.running().open.clone(),
            worker: self.common.connections.clone(),
            shard: self.connections.clone(),
            tunnels: self.tunnels.clone(),
            counters: view.counters,
            own: self.worker,
        };
        Rc::new(Slot::new(view.clone(), counts))
    }

    /// Most client connections of the worker.
    pub fn limit(&self) -> u64 {
        self.common.limit.load(Ordering::Relaxed)
    }

    /// Whether nearly as many descriptors are open as the system allows.
    pub fn lacks_descriptors(&self) -> bool {
        self.descriptors.get() > scarce(PAUSE_AT_PERCENT)
    }

    /// Parks an idle connection.
    pub fn park(&self, client: Client) {
        let view = client.open.view();
        let idle = view.spec().timeouts.idle;
        let until = (self.now() + idle.saturating_sub(1000)).div_ceil(1000);
        if let Some(parked) = Parked::of(client) {
            // What cannot be watched is closed: the kernel is out of memory then.
            let _ = self.parking.park(parked, until);
        }
    }

    fn unpark(self: &Rc<Self>, parked: Parked) {
        let client = parked.into_client(&self.clients, self.deadlines.slot());
        tokio::task::spawn_local(client::serve(self.clone(), client));
    }

    /// A server's state has changed.
    pub fn tell_change(&self, pool: &PoolView, index: usize, change: &Transition) {
        if change.after == State::Ejected {
            pool.server_counters(self, index).add(ServerCounter::Ejections, 1);
        }
        self.common.events.send(Event::health(pool.spec(), pool.group(), index, Some(change)));
    }

    /// A word for people.
    #[cold]
    pub fn say(&self, level: &'static str, text: String) {
        self.common.events.send(Event::Log { level, text });
    }

    /// A word about a server, for people; at most a few a second.
    pub fn warn_server(&self, pool: &PoolView, index: usize, words: &str) {
        let second = self.now() / 1000;
        let (at, count) = self.warned.get();
        let count = if at == second { count + 1 } else { 1 };
        self.warned.set((second, count));
        if count > WARNINGS {
            self.worker.add(WorkerCounter::EventLinesLost, 1);
            return;
        }
        let server = pool.server_id(index).unwrap_or("?").to_owned();
        let (pool, text) = (pool.spec().name.clone(), words.trim_end().to_owned());
        self.common.events.send(Event::Warning { pool, server, text });
    }

    /// Closes what is kept for later only: descriptors are scarce.
    pub fn free_descriptors(&self) {
        let Some(view) = self.view.borrow().clone() else { return };
        for pool in view.pools.iter() {
            let kept = pool.kept() as u64;
            pool.sweep(self, self.now(), true);
            self.worker.add(WorkerCounter::IdleServersClosed, kept);
        }
    }

    /// Swaps a generation in.
    fn serve(self: &Rc<Self>, running: Arc<Running>) {
        let before = self.view.borrow().clone();
        let generation = running.plan.generation;
        self.log.obey(&running.plan.access_log);
        let view = Rc::new(View::new(self, running, before.as_deref()));
        let mut slots = self.slots.borrow_mut();
        let mut by_address = HashMap::new();
        let mut named = HashMap::new();
        for listener in &view.listeners {
            let name = listener.spec().name.clone();
            let slot = match slots.remove(&name) {
                Some(slot) => {
                    slot.set(listener.clone());
                    slot
                }
                None => self.new_slot(listener),
            };
            for address in &listener.spec().bind {
                by_address.insert(address.clone(), slot.clone());
            }
            named.insert(name, slot);
        }
        self.leave(slots.values(), &view.running.plan.drain);
        *slots = named;
        drop(slots);
        self.generations.borrow_mut().push((generation, Arc::downgrade(&view.running)));
        self.counters.retire(&view.running, self.oldest_generation(generation));
        *self.view.borrow_mut() = Some(view);
        self.listen(&by_address);
    }

    /// These listeners are gone: what they have in hand has as long as the plan says.
    fn leave<'s>(&self, removed: impl Iterator<Item = &'s Rc<Slot>>, drain: &Drain) {
        let now = clock::millis();
        let (requests, tunnels) = (now + drain.requests, now + drain.tunnels);
        let mut some = false;
        let mut left = self.left.borrow_mut();
        left.retain(|slot| slot.strong_count() > 0);
        for slot in removed {
            left.push(Rc::downgrade(slot));
            slot.remove();
            slot.cut_requests_at(requests);
            slot.cut_tunnels_at(tunnels);
            some = true;
        }
        if some {
            self.cuts.borrow_mut().push(requests);
            self.deadlines.wake_all();
        }
    }

    /// Moves deadlines, and wakes requests that must end.
    fn move_time(&self, now: u64) {
        self.deadlines.tick(now);
        self.date.tick();
        let mut cuts = self.cuts.borrow_mut();
        let before = cuts.len();
        cuts.retain(|at| *at > now);
        if cuts.len() < before {
            self.deadlines.wake_all();
        }
    }

    /// The oldest generation that an exchange or a session may still be pinned to: their counters
    /// must not become somebody else's.
    fn oldest_generation(&self, newest: u64) -> u64 {
        let mut generations = self.generations.borrow_mut();
        generations.retain(|(_, running)| running.strong_count() > 0);
        generations.first().map_or(newest, |(oldest, _)| *oldest)
    }

    /// Accepts on the addresses of the plan, and on no others.
    fn listen(self: &Rc<Self>, by_address: &HashMap<String, Rc<Slot>>) {
        let mut kept = Vec::new();
        for acceptor in self.acceptors.take() {
            match by_address.get(&acceptor.address) {
                Some(slot) => {
                    acceptor.serve(slot.clone());
                    kept.push(acceptor);
                }
                None => acceptor.finish(self),
            }
        }
        for (address, descriptor) in self.spare_sockets.take() {
            let Some(slot) = by_address.get(&address) else { continue };
            match Acceptor::start(self, address.clone(), descriptor, slot.clone()) {
                Ok(acceptor) => kept.push(acceptor),
                Err(why) => {
                    let text = format!("cannot accept on {address}: {why}");
                    self.common.events.send(Event::Log { level: "error", text });
                }
            }
        }
        *self.acceptors.borrow_mut() = kept;
    }

    /// Lets work in hand end; tells when nothing is left. While a tunnel may go on, so may requests.
    async fn drain(self: Rc<Self>, requests: u64, tunnels: u64, done: Sender<u64>) {
        for acceptor in self.acceptors.take() {
            acceptor.finish(&self);
        }
        self.draining.set(true);
        let before = self.worker.counted(WorkerCounter::DrainCut);
        let (requests, tunnels) = (clock::millis() + requests, clock::millis() + tunnels);
        for slot in self.slots.borrow().values() {
            slot.cut_tunnels_at(tunnels);
        }
        for slot in self.left.borrow().iter().filter_map(std::rc::Weak::upgrade) {
            slot.cut_tunnels_by(tunnels);
        }
        self.deadlines.wake_all();
        let wait = self.deadlines.slot();
        // Whom time cuts is told so by the tick, and has one more to write its line.
        let goes_on = |now| {
            (self.open() > 0 && now < requests)
                || (self.tunnels.get() > 0 && now < tunnels + 2 * TICK_MS)
        };
        while goes_on(clock::millis()) {
            drop(self.parking.expired(0, |_| true));
            poll_fn(|cx| wait.poll_wait(cx, TICK_MS)).await;
            wait.disarm();
        }
        self.worker.add(WorkerCounter::DrainCut, self.open());
        self.log.flush();
        // Tunnels count themselves when their time cuts them.
        let _ = done.send(self.worker.counted(WorkerCounter::DrainCut) - before);
    }

    /// Client connections of this shard, parked ones included.
    fn open(&self) -> u64 {
        self.connections.get()
    }

    /// After a wave of connections has come to rest, the memory of their tasks goes back.
    fn give_memory_back(&self, now: u64) {
        /// Connections that make a wave.
        const WAVE: usize = 256;
        let parked = self.parking.count();
        let (at, then) = self.trimmed.get();
        if parked > at + WAVE && now >= then + 5000 {
            crate::sys::heap::trim();
            self.trimmed.set((parked, now));
        } else if parked < at {
            self.trimmed.set((parked, then));
        }
    }

    /// Closes what only waits while descriptors are scarce: kept server connections first, then
    /// idle clients, longest idle first.
    fn watch_descriptors(&self) {
        let before = self.descriptors.replace(lowest_free());
        if self.descriptors.get() <= scarce(CLOSE_AT_PERCENT) {
            return;
        }
        self.free_descriptors();
        if before > scarce(CLOSE_AT_PERCENT) {
            let many = (self.descriptors.get() - scarce(CLOSE_AT_PERCENT)) as usize;
            let closed = self.parking.longest(many).len() as u64;
            self.worker.add(WorkerCounter::IdleClientsClosed, closed);
        }
    }

    fn every_second(self: &Rc<Self>, now: u64) {
        self.watch_descriptors();
        for acceptor in self.acceptors.borrow_mut().iter_mut() {
            acceptor.revive(self);
        }
        for parked in self.parking.expired(now / 1000, |parked| !parked.is_listening()) {
            drop(parked);
        }
        if let Some(view) = self.view.borrow().as_ref() {
            for pool in view.pools.iter() {
                pool.sweep(self, now, false);
            }
        }
        buffers::trim();
        self.works.trim();
        self.tools.trim();
        self.give_memory_back(now);
        let parked = self.parking.count() as u64;
        let more = parked.wrapping_sub(self.parked.replace(parked));
        self.common.parked.fetch_add(more, Ordering::Relaxed);
        self.worker.set(WorkerGauge::Parked, parked);
        self.worker.set(WorkerGauge::BuffersKept, buffers::unused() as u64);
        self.worker.set(WorkerGauge::BuffersInUse, buffers::lent() as u64);
    }
}

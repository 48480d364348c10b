//! A listener as its connections know it, across generations; and the count of those connections.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use evener_balance::clients::Held;

use super::view::ListenerView;
use crate::counters::{ListenerCounters, WorkerBlock, WorkerCounter};

/// A listener by name: what it is now, or what it was last once a reload removed it: requests that
/// were on their way are answered by that.
pub struct Slot {
    view: RefCell<Rc<ListenerView>>,
    listening: Cell<bool>,
    /// When tunnels and sessions that still go on are cut; `u64::MAX` while nobody wants them to end.
    cut_tunnels_at: Cell<u64>,
    /// The same for requests.
    cut_requests_at: Cell<u64>,
    counts: Counts,
}

/// An open client connection: counted until it is dropped. As small as can be, since parked
/// connections consist of little else.
pub struct Open {
    slot: Rc<Slot>,
    /// Its place among those of its client, where these are limited.
    _held: Option<Box<Held>>,
}

/// A connection that became a tunnel, or was a TCP session from the start.
pub struct Tunnel {
    slot: Rc<Slot>,
}

/// Where connections are counted: of the listener and the worker over all shards, of the shard.
pub struct Counts {
    /// Of the listener.
    pub listener: Arc<AtomicU64>,
    /// Of the worker.
    pub worker: Arc<AtomicU64>,
    /// Of the shard.
    pub shard: Rc<Cell<u64>>,
    /// Those of the shard that are tunnels or sessions.
    pub tunnels: Rc<Cell<u64>>,
    /// The listener's counters.
    pub counters: ListenerCounters,
    /// The shard's counters of itself.
    pub own: WorkerBlock<'static>,
}

impl Slot {
    /// A listener of this generation.
    pub fn new(view: Rc<ListenerView>, counts: Counts) -> Slot {
        let [cut_tunnels_at, cut_requests_at] = [u64::MAX; 2].map(Cell::new);
        let (view, listening) = (RefCell::new(view), Cell::new(true));
        Slot { view, listening, cut_tunnels_at, cut_requests_at, counts }
    }

    /// What it is now, or was last.
    pub fn view(&self) -> Rc<ListenerView> {
        self.view.borrow().clone()
    }

    /// A new generation serves.
    pub fn set(&self, view: Rc<ListenerView>) {
        *self.view.borrow_mut() = view;
    }

    /// A new generation serves and has it no more.
    pub fn remove(&self) {
        self.listening.set(false);
    }

    /// Tunnels and sessions have until then, in milliseconds on the worker's clock. They find out when
    /// they are woken.
    pub fn cut_tunnels_at(&self, at: u64) {
        self.cut_tunnels_at.set(at);
    }

    /// Requests in hand have until then, in milliseconds on the worker's clock. They find out when
    /// they are woken.
    pub fn cut_requests_at(&self, at: u64) {
        self.cut_requests_at.set(at);
    }
}

impl Open {
    /// Counts a connection.
    pub fn new(slot: Rc<Slot>, held: Option<Box<Held>>) -> Open {
        let counts = &slot.counts;
        counts.listener.fetch_add(1, Ordering::Relaxed);
        counts.worker.fetch_add(1, Ordering::Relaxed);
        counts.shard.set(counts.shard.get() + 1);
        counts.counters.opened();
        Open { slot, _held: held }
    }

    /// The listener as it is now, or was last.
    pub fn view(&self) -> Rc<ListenerView> {
        self.slot.view()
    }

    /// The connection is a tunnel or a session while the result lives.
    pub fn tunnel(&self) -> Tunnel {
        let tunnels = &self.slot.counts.tunnels;
        tunnels.set(tunnels.get() + 1);
        Tunnel { slot: self.slot.clone() }
    }

    /// Whether a request that is still in hand at this time is to end, whatever it waits for.
    #[inline]
    pub fn is_cut(&self, now: u64) -> bool {
        now >= self.slot.cut_requests_at.get()
    }

    /// Whether the listener still exists.
    pub fn is_listening(&self) -> bool {
        self.slot.listening.get()
    }
}

impl Tunnel {
    /// When it is to be cut; `u64::MAX` while nobody wants it to end.
    pub fn cut_at(&self) -> u64 {
        self.slot.cut_tunnels_at.get()
    }
}

impl Drop for Tunnel {
    fn drop(&mut self) {
        let tunnels = &self.slot.counts.tunnels;
        tunnels.set(tunnels.get() - 1);
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let counts = &self.slot.counts;
        counts.listener.fetch_sub(1, Ordering::Relaxed);
        counts.worker.fetch_sub(1, Ordering::Relaxed);
        counts.shard.set(counts.shard.get() - 1);
        counts.counters.closed();
        if std::thread::panicking() {
            counts.own.add(WorkerCounter::Panics, 1);
        }
    }
}

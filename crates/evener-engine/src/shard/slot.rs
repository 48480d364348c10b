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
    place: Place,
    /// Its place among those of its client, where these are limited.
    _held: Option<Box<Held>>,
}

/// A connection's place among those that its listener and the worker may have; free again when dropped.
pub struct Place {
    slot: Rc<Slot>,
}

/// Why there is no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Full {
    /// The listener has as many connections as it may.
    Listener,
    /// The worker has.
    Worker,
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

    /// They have until then at most.
    pub fn cut_tunnels_by(&self, at: u64) {
        self.cut_tunnels_at.set(self.cut_tunnels_at.get().min(at));
    }

    /// Requests in hand have until then, in milliseconds on the worker's clock. They find out when
    /// they are woken.
    pub fn cut_requests_at(&self, at: u64) {
        self.cut_requests_at.set(at);
    }
}

impl Place {
    /// One of these limits, whatever other shards do meanwhile.
    ///
    /// # Errors
    /// The limit that is reached.
    pub fn take(slot: &Rc<Slot>, listener: Option<u64>, worker: u64) -> Result<Place, Full> {
        let counts = &slot.counts;
        if !raise(&counts.worker, worker) {
            return Err(Full::Worker);
        }
        if !raise(&counts.listener, listener.unwrap_or(u64::MAX)) {
            counts.worker.fetch_sub(1, Ordering::Relaxed);
            return Err(Full::Listener);
        }
        Ok(Place { slot: slot.clone() })
    }

    /// One whatever the limits are: the connection is there already.
    pub fn beyond(slot: Rc<Slot>) -> Place {
        slot.counts.worker.fetch_add(1, Ordering::Relaxed);
        slot.counts.listener.fetch_add(1, Ordering::Relaxed);
        Place { slot }
    }
}

/// Counts one more if fewer than so many are counted.
fn raise(count: &AtomicU64, limit: u64) -> bool {
    let more = |count| if count < limit { Some(count + 1) } else { None };
    count.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok()
}

impl Drop for Place {
    fn drop(&mut self) {
        self.slot.counts.listener.fetch_sub(1, Ordering::Relaxed);
        self.slot.counts.worker.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Open {
    /// A connection that has come.
    pub fn new(place: Place, held: Option<Box<Held>>) -> Open {
        let counts = &place.slot.counts;
        counts.shard.set(counts.shard.get() + 1);
        counts.counters.opened();
        Open { place, _held: held }
    }

    /// The listener as it is now, or was last.
    pub fn view(&self) -> Rc<ListenerView> {
        self.place.slot.view()
    }

    /// The connection is a tunnel or a session while the result lives.
    pub fn tunnel(&self) -> Tunnel {
        let tunnels = &self.place.slot.counts.tunnels;
        tunnels.set(tunnels.get() + 1);
        Tunnel { slot: self.place.slot.clone() }
    }

    /// Whether a request that is still in hand at this time is to end, whatever it waits for.
    #[inline]
    pub fn is_cut(&self, now: u64) -> bool {
        now >= self.place.slot.cut_requests_at.get()
    }

    /// Whether the listener still exists.
    pub fn is_listening(&self) -> bool {
        self.place.slot.listening.get()
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
        let counts = &self.place.slot.counts;
        counts.shard.set(counts.shard.get() - 1);
        counts.counters.closed();
        if std::thread::panicking() {
            counts.own.add(WorkerCounter::Panics, 1);
        }
    }
}

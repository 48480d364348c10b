//! A listener as its connections know it, across generations; and the count of those connections.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::view::ListenerView;
use crate::counters::{ListenerCounters, WorkerBlock, WorkerCounter};

/// A listener by name: what it is now, or nothing once a reload removed it.
pub struct Slot {
    view: RefCell<Option<Rc<ListenerView>>>,
}

/// An open client connection: counted until it is dropped.
pub struct Open {
    slot: Rc<Slot>,
    counts: Counts,
    counters: ListenerCounters,
    worker: WorkerBlock<'static>,
}

/// Where connections are counted: of the listener and the worker over all shards, of the shard.
pub struct Counts {
    /// Of the listener.
    pub listener: Arc<AtomicU64>,
    /// Of the worker.
    pub worker: Arc<AtomicU64>,
    /// Of the shard.
    pub shard: Rc<Cell<u64>>,
}

impl Slot {
    /// A listener of this generation.
    pub fn new(view: Rc<ListenerView>) -> Slot {
        Slot { view: RefCell::new(Some(view)) }
    }

    /// What it is now.
    pub fn view(&self) -> Option<Rc<ListenerView>> {
        self.view.borrow().clone()
    }

    /// A new generation serves.
    pub fn set(&self, view: Option<Rc<ListenerView>>) {
        *self.view.borrow_mut() = view;
    }
}

impl Open {
    /// Counts a connection.
    pub fn new(
        slot: Rc<Slot>,
        view: &ListenerView,
        counts: Counts,
        worker: WorkerBlock<'static>,
    ) -> Open {
        counts.listener.fetch_add(1, Ordering::Relaxed);
        counts.worker.fetch_add(1, Ordering::Relaxed);
        counts.shard.set(counts.shard.get() + 1);
        view.counters.opened();
        Open { slot, counts, counters: view.counters, worker }
    }

    /// The listener as it is now; `None` once it was removed.
    pub fn view(&self) -> Option<Rc<ListenerView>> {
        self.slot.view()
    }

    /// Whether the listener still exists.
    pub fn is_listening(&self) -> bool {
        self.slot.view.borrow().is_some()
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.counts.listener.fetch_sub(1, Ordering::Relaxed);
        self.counts.worker.fetch_sub(1, Ordering::Relaxed);
        self.counts.shard.set(self.counts.shard.get() - 1);
        self.counters.closed();
        if std::thread::panicking() {
            self.worker.add(WorkerCounter::Panics, 1);
        }
    }
}

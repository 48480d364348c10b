//! What a simulation reaches of a shard: no thread, no timer, no socket.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::channel;

use super::{Common, Shard, Slot};
use crate::io::EventLoop;
use crate::running::Running;
use crate::sys::memory::SharedMemory;

impl Shard {
    /// A shard whose clock and tasks are the simulation's.
    pub fn simulated(memory: SharedMemory, common: Common) -> Rc<Shard> {
        let events = EventLoop::new(1, 1).expect("descriptors");
        Rc::new(Shard::new(0, memory, common, &events).expect("a shard"))
    }

    /// Swaps a generation in.
    pub fn swap(self: &Rc<Self>, running: Arc<Running>) {
        self.serve(running);
    }

    /// The listener of this name.
    pub fn slot(&self, name: &str) -> Option<Rc<Slot>> {
        self.slots.borrow().get(name).cloned()
    }

    /// A tick, and what is done every second.
    pub fn simulated_tick(self: &Rc<Self>, now: u64) {
        self.move_time(now);
        self.timers.fire(now * 1000);
        if now.is_multiple_of(1000) {
            self.every_second(now);
        }
    }

    /// Ends work in hand as a stopping worker does.
    pub async fn simulated_drain(self: Rc<Self>) {
        self.drain(30_000, 30_000, channel().0).await;
    }

    /// Server connections kept for later.
    pub fn kept(&self) -> usize {
        self.view
            .borrow()
            .as_ref()
            .map_or(0, |view| view.pools.iter().map(|pool| pool.kept()).sum())
    }

    /// Closes them.
    pub fn forget_kept(&self) {
        self.free_descriptors();
    }
}

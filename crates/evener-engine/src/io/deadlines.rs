//! Every wait has a deadline: one dense table per shard, scanned by a coarse tick.
//!
//! Rules kept here:
//! - Arming and disarming are single stores, since they happen several times in every exchange;
//!   expiry almost never happens. So there is no wheel and no heap: a tick compares all live
//!   deadlines in one pass over an array (20,000 of them are 160 KiB, about 10 µs).
//! - A deadline never fires early; it fires at most two ticks late.
//! - Connections that stand idle are parked and are not in this table.
//!
//! Not known here: what is waited for, and what happens then.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

/// Time between two scans, in milliseconds.
pub const TICK_MS: u64 = 50;

const NEVER: u64 = u64::MAX;

/// All deadlines of a shard.
#[derive(Default)]
pub struct Deadlines {
    now: Cell<u64>,
    at: RefCell<Vec<u64>>,
    wakers: RefCell<Vec<Option<Waker>>>,
    free: RefCell<Vec<u32>>,
}

/// A wait that may be bounded in time; released when dropped.
pub struct Deadline {
    table: Rc<Deadlines>,
    slot: u32,
}

impl Deadlines {
    /// A new wait, not yet bounded.
    pub fn slot(self: &Rc<Self>) -> Deadline {
        let reused = self.free.borrow_mut().pop();
        let slot = reused.unwrap_or_else(|| {
            self.at.borrow_mut().push(NEVER);
            self.wakers.borrow_mut().push(None);
            (self.at.borrow().len() - 1) as u32
        });
        Deadline { table: self.clone(), slot }
    }

    /// Milliseconds on the shard's clock as of the last tick or exchange.
    pub fn now(&self) -> u64 {
        self.now.get()
    }

    /// Tells the time, from any place that has just read the clock.
    pub fn set_now(&self, now: u64) {
        self.now.set(now);
    }

    /// Wakes all tasks whose deadline has passed.
    pub fn tick(&self, now: u64) {
        self.set_now(now);
        let at = self.at.borrow();
        let wakers = self.wakers.borrow();
        for (slot, deadline) in at.iter().enumerate() {
            if *deadline <= now
                && let Some(Some(waker)) = wakers.get(slot)
            {
                waker.wake_by_ref();
            }
        }
    }

    /// Wakes all tasks that wait with a bound: something else that they look at has changed.
    pub fn wake_all(&self) {
        for waker in self.wakers.borrow().iter().flatten() {
            waker.wake_by_ref();
        }
    }

    /// How many waits exist.
    #[cfg(any(test, feature = "simulation"))]
    pub fn len(&self) -> usize {
        self.at.borrow().len() - self.free.borrow().len()
    }
}

impl Deadline {
    /// Bounds the wait: it expires `after` milliseconds from now.
    #[inline]
    pub fn arm(&self, after: u64) {
        self.store(self.after(after));
    }

    /// The time, on the shard's clock, before which so many milliseconds have not passed.
    #[inline]
    pub fn after(&self, after: u64) -> u64 {
        // The shard's clock may be one tick behind.
        self.table.now.get().saturating_add(after).saturating_add(TICK_MS)
    }

    /// Bounds the wait: it expires at this time on the shard's clock.
    pub fn arm_at(&self, at: u64) {
        self.store(at);
    }

    /// Says that the task waits and may do so for `after` milliseconds since it began to: pending,
    /// or ready when they are over. [`Deadline::disarm`] ends the wait.
    #[inline]
    pub fn poll_wait(&self, cx: &mut Context<'_>, after: u64) -> Poll<()> {
        if !self.armed() {
            self.arm(after);
        }
        self.poll(cx)
    }

    /// Whether the wait is bounded.
    #[inline]
    pub fn armed(&self) -> bool {
        self.table.at.borrow().get(self.slot as usize).is_some_and(|at| *at != NEVER)
    }

    /// Lifts the bound.
    #[inline]
    pub fn disarm(&self) {
        self.store(NEVER);
    }

    /// Whether the time has passed.
    #[inline]
    pub fn expired(&self) -> bool {
        self.table.at.borrow().get(self.slot as usize).is_some_and(|at| *at <= self.table.now.get())
    }

    /// Ready once the time has passed; otherwise the task is woken then.
    #[inline]
    pub fn poll(&self, cx: &mut Context<'_>) -> Poll<()> {
        if self.expired() {
            return Poll::Ready(());
        }
        if let Some(waker) = self.table.wakers.borrow_mut().get_mut(self.slot as usize)
            && !waker.as_ref().is_some_and(|known| known.will_wake(cx.waker()))
        {
            *waker = Some(cx.waker().clone());
        }
        Poll::Pending
    }

    /// Lifts the bound of a wait that began with `after`; milliseconds since then.
    #[inline]
    pub fn disarm_waited(&self, after: u64) -> u64 {
        let at = self.table.at.borrow().get(self.slot as usize).copied().unwrap_or(NEVER);
        if at == NEVER {
            return 0;
        }
        self.disarm();
        self.table.now.get().saturating_sub(at.saturating_sub(after + TICK_MS))
    }

    #[inline]
    fn store(&self, value: u64) {
        if let Some(at) = self.table.at.borrow_mut().get_mut(self.slot as usize) {
            *at = value;
        }
    }
}

impl Drop for Deadline {
    fn drop(&mut self) {
        self.disarm();
        if let Some(waker) = self.table.wakers.borrow_mut().get_mut(self.slot as usize) {
            *waker = None;
        }
        self.table.free.borrow_mut().push(self.slot);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_never_fires_early_and_at_most_two_ticks_late() {
        let table = Rc::new(Deadlines::default());
        let wait = table.slot();
        wait.arm(1000);
        let mut fired = None;
        for now in (0..5000).step_by(TICK_MS as usize) {
            table.tick(now);
            if wait.expired() && fired.is_none() {
                fired = Some(now);
            }
        }
        assert_eq!(fired, Some(1000 + TICK_MS));
    }

    #[test]
    fn a_disarmed_or_dropped_deadline_never_fires_and_its_slot_is_used_again() {
        let table = Rc::new(Deadlines::default());
        let wait = table.slot();
        wait.arm(10);
        wait.disarm();
        table.tick(10_000);
        assert!(!wait.expired());
        drop(wait);
        let next = table.slot();
        assert_eq!(next.slot, 0);
        assert!(!next.expired());
        assert_eq!(table.len(), 1);
    }
}

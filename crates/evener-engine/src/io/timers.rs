//! Moments that tasks wait for, exact to the microsecond: for what is rare and must not be late.
//! Waits of connections are bounded by the coarse table of `deadlines` instead.
//!
//! Rules kept here:
//! - A moment never comes early.
//! - A wait that is dropped leaves nothing behind.
//!
//! Not known here: what is waited for.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use crate::clock;

/// All moments of a thread.
#[derive(Default)]
pub struct Timers {
    waits: RefCell<BTreeMap<Moment, Waker>>,
    number: Cell<u64>,
}

/// When, in microseconds on the worker's clock, and which.
type Moment = (u64, u64);

/// A wait for a moment.
pub struct Sleep {
    timers: Rc<Timers>,
    moment: Moment,
}

impl Timers {
    /// A wait that is over at this time, in microseconds on the worker's clock.
    pub fn at(self: &Rc<Self>, micros: u64) -> Sleep {
        self.number.set(self.number.get() + 1);
        Sleep { timers: self.clone(), moment: (micros, self.number.get()) }
    }

    /// What a future gives within so many microseconds.
    pub async fn within<T>(
        self: &Rc<Self>,
        micros: u64,
        future: impl Future<Output = T>,
    ) -> Option<T> {
        let mut sleep = self.at(clock::micros().saturating_add(micros));
        let mut future = pin!(future);
        poll_fn(|cx| match future.as_mut().poll(cx) {
            Poll::Ready(result) => Poll::Ready(Some(result)),
            Poll::Pending => sleep.poll(cx).map(|()| None),
        })
        .await
    }

    /// The next moment that somebody waits for.
    pub fn next(&self) -> Option<u64> {
        self.waits.borrow().first_key_value().map(|(moment, _)| moment.0)
    }

    /// Wakes all whose moment has come.
    pub fn fire(&self, now: u64) {
        while let Some(waker) = self.due(now) {
            waker.wake();
        }
    }

    fn due(&self, now: u64) -> Option<Waker> {
        let mut waits = self.waits.borrow_mut();
        let first = waits.first_entry()?;
        if first.key().0 <= now { Some(first.remove()) } else { None }
    }
}

impl Sleep {
    /// Ready once the moment has come.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if clock::micros() >= self.moment.0 {
            return Poll::Ready(());
        }
        self.timers.waits.borrow_mut().insert(self.moment, cx.waker().clone());
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        let waker = self.timers.waits.borrow_mut().remove(&self.moment);
        // Last: dropping a task's last waker may drop other waits.
        drop(waker);
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;
    use crate::io::EventLoop;

    #[test]
    fn moments_come_in_their_order_and_never_early() {
        let events = EventLoop::new(4, 4).unwrap();
        let timers = events.timers.clone();
        let began = Instant::now();
        let order = events.run(async {
            let order = Rc::new(RefCell::new(Vec::new()));
            let begin = clock::micros();
            let tasks = [9, 3, 6].map(|millis| {
                let mut sleep = timers.at(begin + millis * 1000);
                let order = order.clone();
                tokio::task::spawn_local(async move {
                    poll_fn(|cx| sleep.poll(cx)).await;
                    assert!(clock::micros() >= begin + millis * 1000);
                    order.borrow_mut().push(millis);
                })
            });
            for task in tasks {
                task.await.unwrap();
            }
            order.take()
        });
        assert_eq!(order.unwrap(), [3, 6, 9]);
        assert!(began.elapsed() >= Duration::from_millis(9));
        assert_eq!(timers.next(), None);
    }

    #[test]
    fn what_comes_in_time_is_given_and_what_does_not_leaves_nothing_behind() {
        let events = EventLoop::new(4, 4).unwrap();
        let timers = events.timers.clone();
        let (soon, never) = events
            .run(async {
                let soon = timers.within(1_000_000, async { 7 }).await;
                let never = timers.within(2_000, std::future::pending::<u8>()).await;
                (soon, never)
            })
            .unwrap();
        assert_eq!((soon, never, timers.next()), (Some(7), None, None));
    }
}

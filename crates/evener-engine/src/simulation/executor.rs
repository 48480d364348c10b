//! Runs tasks until none of them can go on: rest is exact, not guessed.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Wake, Waker};

/// Tasks of one thread.
#[derive(Default)]
pub struct Executor {
    tasks: RefCell<Vec<Task>>,
    /// Tasks begun and not ended.
    alive: Cell<usize>,
}

struct Task {
    /// `None` while it is polled, and once it has ended.
    future: Option<Pin<Box<dyn Future<Output = ()>>>>,
    woken: Arc<Woken>,
}

struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Executor {
    /// Begins a task.
    pub fn spawn(&self, future: impl Future<Output = ()> + 'static) {
        let woken = Arc::new(Woken(AtomicBool::new(true)));
        self.tasks.borrow_mut().push(Task { future: Some(Box::pin(future)), woken });
        self.alive.set(self.alive.get() + 1);
    }

    /// Polls what is woken until nothing is.
    pub fn run(&self) {
        let mut polled = true;
        while polled {
            polled = false;
            let count = self.tasks.borrow().len();
            for index in 0..count {
                polled |= self.poll(index);
            }
        }
    }

    /// Tasks begun and not ended.
    pub fn alive(&self) -> usize {
        self.alive.get()
    }

    /// Drops all tasks where they stand.
    pub fn clear(&self) {
        self.tasks.take();
        self.alive.set(0);
    }

    fn poll(&self, index: usize) -> bool {
        let (mut future, woken) = {
            let mut tasks = self.tasks.borrow_mut();
            let task = &mut tasks[index];
            if !task.woken.0.swap(false, Ordering::Relaxed) {
                return false;
            }
            let Some(future) = task.future.take() else { return false };
            (future, task.woken.clone())
        };
        let waker = Waker::from(woken);
        if future.as_mut().poll(&mut Context::from_waker(&waker)).is_ready() {
            self.alive.set(self.alive.get() - 1);
        } else {
            self.tasks.borrow_mut()[index].future = Some(future);
        }
        true
    }
}

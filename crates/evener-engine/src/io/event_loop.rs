//! A thread's event loop: runs tasks, and when none can go on asks the kernel what has happened.
//!
//! Rules kept here:
//! - What servers did is handed out at once, what clients did a handful at a time: a request that has
//!   begun goes on before many others begin. What it touches is still in the cache, few connections
//!   to servers are in use at once, and servers are not flooded when this thread is what everybody
//!   waits for.
//! - The kernel is asked once a turn, about both: one epoll descriptor behind another would cost each
//!   event of a client a second wake-up.
//! - Other threads reach tasks through their wakers alone: the bell, rung only for a loop that
//!   sleeps.
//! - Tasks are tokio's; nothing else of it runs here.
//!
//! Not known here: what tasks do. Deadlines are a table of their own, moved by a ticking descriptor.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::os::fd::OwnedFd;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use rustix::event::{EventfdFlags, Timespec, epoll, eventfd};
use rustix::io::fcntl_dupfd_cloexec;
use tokio::task::LocalSet;

use super::poller::{Poller, Watched, Way};
use super::timers::Timers;
use crate::clock;

/// An event loop and what it listens to.
pub struct EventLoop {
    /// Servers' sockets, and everything that is not a client's.
    pub servers: Rc<Poller>,
    /// Clients' sockets.
    pub clients: Rc<Poller>,
    /// Moments that tasks wait for.
    pub timers: Rc<Timers>,
    epoll: Rc<OwnedFd>,
    /// What the kernel has told last; its capacity is the most it tells at once.
    events: RefCell<Vec<epoll::Event>>,
    /// Places of clients that have not been woken yet, the first to come first.
    waiting: RefCell<VecDeque<u32>>,
    /// Clients woken in one turn.
    handful: usize,
    bell: Arc<Bell>,
    /// The bell's end in the loop; its events only end a sleep.
    _hears: Watched,
}

/// How other threads wake the loop.
struct Bell {
    /// A task can go on.
    rung: AtomicBool,
    /// The loop sleeps, or is about to.
    sleeps: AtomicBool,
    descriptor: OwnedFd,
}

/// The upper half of an event's data.
const SERVER: u32 = 0;
const CLIENT: u32 = 1;

const AT_ONCE: Timespec = Timespec { tv_sec: 0, tv_nsec: 0 };

impl EventLoop {
    /// A loop that takes so many events at once, and wakes so many clients in a turn.
    ///
    /// # Errors
    /// When the kernel has no descriptors left for us.
    pub fn new(most: usize, handful: usize) -> io::Result<EventLoop> {
        let epoll = Rc::new(epoll::create(epoll::CreateFlags::CLOEXEC)?);
        let servers = Poller::new(&epoll, SERVER);
        let clients = Poller::new(&epoll, CLIENT);
        let flags = EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK;
        let descriptor = eventfd(0, flags)?;
        let hears = Watched::not_ready(&servers, fcntl_dupfd_cloexec(&descriptor, 0)?);
        let (rung, sleeps) = (AtomicBool::new(false), AtomicBool::new(false));
        let bell = Arc::new(Bell { rung, sleeps, descriptor });
        let mut nobody = Context::from_waker(Waker::noop());
        if let Poll::Ready(refused) = hears.poll_ready(&mut nobody, Way::Read) {
            refused?;
        }
        let (events, waiting) = (RefCell::new(Vec::with_capacity(most)), RefCell::default());
        let timers = Rc::default();
        let _hears = hears;
        Ok(EventLoop { servers, clients, timers, epoll, events, waiting, handful, bell, _hears })
    }

    /// Runs until the future is ready; tasks begun meanwhile with `spawn_local` run beside it and
    /// are dropped then.
    ///
    /// # Errors
    /// Those of epoll_wait(2).
    pub fn run<T>(&self, body: impl Future<Output = T>) -> io::Result<T> {
        let tasks = LocalSet::new();
        let mut body = pin!(tasks.run_until(body));
        let waker = Waker::from(self.bell.clone());
        let mut cx = Context::from_waker(&waker);
        loop {
            self.bell.rung.store(false, Ordering::SeqCst);
            if let Poll::Ready(result) = body.as_mut().poll(&mut cx) {
                return Ok(result);
            }
            self.turn()?;
        }
    }

    /// Asks the kernel; sleeps if no task can go on.
    fn turn(&self) -> io::Result<()> {
        self.bell.sleeps.store(true, Ordering::SeqCst);
        let busy = !self.waiting.borrow().is_empty() || self.bell.rung.load(Ordering::SeqCst);
        let taken = self.take(if busy { Some(AT_ONCE) } else { self.longest_sleep() });
        // From here on only other threads would have to ring.
        self.bell.sleeps.store(false, Ordering::SeqCst);
        taken?;
        self.hand_out();
        if self.timers.next().is_some() {
            self.timers.fire(clock::micros());
        }
        let mut waiting = self.waiting.borrow_mut();
        for _ in 0..self.handful {
            let Some(index) = waiting.pop_front() else { break };
            self.clients.wake(index);
        }
        Ok(())
    }

    /// Takes what has happened, waiting for the first of it at most so long (`None`: as long as it
    /// takes).
    fn take(&self, timeout: Option<Timespec>) -> io::Result<()> {
        let mut events = self.events.borrow_mut();
        events.clear();
        let room = rustix::buffer::spare_capacity(&mut *events);
        match epoll::wait(&self.epoll, room, timeout.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(why) => Err(why.into()),
        }
    }

    /// Wakes whom servers' events are for, and has clients stand in line.
    fn hand_out(&self) {
        let mut waiting = self.waiting.borrow_mut();
        for event in self.events.borrow().iter() {
            let data = event.data.u64();
            let (kind, index) = ((data >> 32) as u32, data as u32);
            match kind {
                CLIENT if self.clients.note(index, event.flags) => waiting.push_back(index),
                CLIENT => {}
                _ => {
                    self.servers.note(index, event.flags);
                    self.servers.wake(index);
                }
            }
        }
    }

    /// Until the next moment that somebody waits for.
    fn longest_sleep(&self) -> Option<Timespec> {
        let left = self.timers.next()?.saturating_sub(clock::micros());
        let (seconds, micros) = (left / 1_000_000, left % 1_000_000);
        Some(Timespec { tv_sec: seconds as i64, tv_nsec: micros as i64 * 1000 })
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.rung.store(true, Ordering::SeqCst);
        if self.sleeps.swap(false, Ordering::SeqCst) {
            // Its counter is never read: it cannot overflow in the life of a machine.
            let _ = rustix::io::write(&self.descriptor, &1u64.to_ne_bytes());
        }
    }
}

/// Lets every other task that can go on do so first.
pub async fn give_way() {
    let mut done = false;
    std::future::poll_fn(|cx| {
        if std::mem::replace(&mut done, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::future::poll_fn;
    use std::io::Write;
    use std::os::unix::net::UnixStream;
    use std::time::Duration;

    use super::*;

    fn near(poller: &Rc<Poller>) -> (Watched, UnixStream) {
        let (near, far) = UnixStream::pair().unwrap();
        near.set_nonblocking(true).unwrap();
        (Watched::not_ready(poller, near.into()), far)
    }

    #[test]
    fn a_task_is_woken_by_another_thread_however_deep_the_loop_sleeps() {
        let events = EventLoop::new(4, 4).unwrap();
        let (sender, mut inbox) = tokio::sync::mpsc::unbounded_channel();
        let told = std::thread::spawn(move || {
            for number in 0..200 {
                if number % 20 == 0 {
                    std::thread::sleep(Duration::from_millis(5));
                }
                sender.send(number).unwrap();
            }
        });
        let sum = events.run(async {
            let mut sum = 0;
            while let Some(number) = inbox.recv().await {
                sum += number;
            }
            sum
        });
        assert_eq!(sum.unwrap(), 199 * 100);
        told.join().unwrap();
    }

    #[test]
    fn clients_and_servers_are_both_heard_while_tasks_never_rest() {
        let events = EventLoop::new(4, 2).unwrap();
        let mut clients: Vec<_> = (0..7).map(|_| near(&events.clients)).collect();
        let mut servers: Vec<_> = (0..7).map(|_| near(&events.servers)).collect();
        let heard = events.run(async {
            tokio::task::spawn_local(async {
                loop {
                    give_way().await;
                }
            });
            let mut heard = 0;
            for ((client, far), (server, away)) in clients.iter_mut().zip(&mut servers) {
                let mut cx = Context::from_waker(Waker::noop());
                assert!(client.poll_ready(&mut cx, Way::Read).is_pending());
                assert!(server.poll_ready(&mut cx, Way::Read).is_pending());
                far.write_all(b"x").unwrap();
                away.write_all(b"x").unwrap();
            }
            for ((client, _), (server, _)) in clients.iter().zip(&servers) {
                poll_fn(|cx| client.poll_ready(cx, Way::Read)).await.unwrap();
                poll_fn(|cx| server.poll_ready(cx, Way::Read)).await.unwrap();
                heard += 2;
            }
            heard
        });
        assert_eq!(heard.unwrap(), 14);
    }

    #[test]
    fn what_has_begun_goes_on_before_more_than_a_handful_begins() {
        const HANDFUL: usize = 2;
        let events = EventLoop::new(16, HANDFUL).unwrap();
        let (begun, done, most) = <(Rc<Cell<usize>>, Rc<Cell<usize>>, Rc<Cell<usize>>)>::default();
        let all = events.run(async {
            let mut fars = Vec::new();
            let tasks: Vec<_> = (0..7)
                .map(|_| {
                    let ((client, far), (server, mut away)) =
                        (near(&events.clients), near(&events.servers));
                    fars.push(far);
                    let (begun, done, most) = (begun.clone(), done.clone(), most.clone());
                    tokio::task::spawn_local(async move {
                        poll_fn(|cx| client.poll_ready(cx, Way::Read)).await.unwrap();
                        begun.set(begun.get() + 1);
                        most.set(most.get().max(begun.get() - done.get()));
                        away.write_all(b"x").unwrap();
                        poll_fn(|cx| server.poll_ready(cx, Way::Read)).await.unwrap();
                        done.set(done.get() + 1);
                    })
                })
                .collect();
            give_way().await;
            fars.iter_mut().for_each(|far| far.write_all(b"x").unwrap());
            for task in tasks {
                task.await.unwrap();
            }
        });
        all.unwrap();
        assert_eq!((done.get(), most.get()), (7, HANDFUL));
    }

    #[test]
    fn clients_who_stand_in_line_are_not_slept_over() {
        let (tell, told) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let events = EventLoop::new(16, 2).unwrap();
            let mut fars = Vec::new();
            // None of them wakes anybody when it has been heard.
            events.run(async {
                for _ in 0..7 {
                    let (near, mut far) = near(&events.clients);
                    far.write_all(b"x").unwrap();
                    fars.push(far);
                    let tell = tell.clone();
                    tokio::task::spawn_local(async move {
                        poll_fn(|cx| near.poll_ready(cx, Way::Read)).await.unwrap();
                        tell.send(()).unwrap();
                        std::future::pending::<()>().await;
                    });
                }
                std::future::pending::<()>().await;
            })
        });
        for _ in 0..7 {
            assert_eq!(told.recv_timeout(Duration::from_secs(10)), Ok(()));
        }
    }

    #[test]
    fn the_loop_does_not_ring_for_itself() {
        let events = EventLoop::new(4, 4).unwrap();
        let (near, mut far) = UnixStream::pair().unwrap();
        near.set_nonblocking(true).unwrap();
        let near = Watched::new(&events.servers, near.into());
        let writing = std::thread::spawn(move || {
            for _ in 0..10 {
                std::thread::sleep(Duration::from_millis(3));
                far.write_all(b"x").unwrap();
            }
            far
        });
        let read = |near: std::os::fd::BorrowedFd<'_>| rustix::io::read(near, &mut [0; 100]);
        events
            .run(async {
                let mut heard = 0;
                while heard < 10 {
                    heard += poll_fn(|cx| near.poll_call(cx, Way::Read, read)).await.unwrap();
                    near.drained(Way::Read);
                }
            })
            .unwrap();
        drop(writing.join());
        let rung = rustix::io::read(&events.bell.descriptor, &mut [0; 8]);
        assert!(rung.is_err(), "nobody rang");
    }

    #[test]
    fn tasks_end_with_the_loop() {
        let events = EventLoop::new(4, 4).unwrap();
        let alive = Rc::new(());
        let held = alive.clone();
        events
            .run(async move {
                tokio::task::spawn_local(async move {
                    std::future::pending::<()>().await;
                    drop(held);
                });
                give_way().await;
            })
            .unwrap();
        assert_eq!(Rc::strong_count(&alive), 1);
    }
}

//! Readiness of many sockets: those of one kind behind an epoll descriptor that kinds share.
//!
//! Rules kept here:
//! - A descriptor is registered when something has to be waited for and not before, for reading
//!   first, and is not taken out: closing it does that, unless another process holds it too. What a
//!   call says about readiness (it would wait, or it took less than there was room for) is believed.
//! - Who finds a descriptor ready again and again lets other tasks go on now and then.
//! - One task waits for a descriptor at a time, whichever way bytes go.
//!
//! Not known here: what the descriptors are, when events are asked for and who is woken when
//! (`event_loop`).

use std::cell::{Cell, RefCell};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};

use rustix::event::epoll;

/// What a descriptor can be ready for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// Bytes, the end, an error or a newcomer are there.
    Read = 1,
    /// There is room, or an error.
    Write = 2,
}

/// Calls on one descriptor before other tasks get their turn: two fast peers must not hold a shard.
const CALLS: u8 = 16;
/// The end or an error has come: reads find out about it without being told again.
const ENDED: u8 = 4;
/// It is an error.
const BROKEN: u8 = 16;
/// Urgent bytes have come (tcp(7)): reads stop short at them, with more behind.
const URGENT: u8 = 8;
const BOTH: u8 = Way::Read as u8 | Way::Write as u8;

/// Descriptors of one kind and who waits for them.
pub struct Poller {
    epoll: Rc<OwnedFd>,
    /// What an event of this kind has in its data beside the number of a place.
    kind: u64,
    places: RefCell<Places>,
}

#[derive(Default)]
struct Places {
    all: Vec<Place>,
    free: Vec<u32>,
}

#[derive(Default)]
struct Place {
    /// Bits of [`Way`], [`ENDED`], [`URGENT`] and [`BROKEN`].
    ready: u8,
    /// Its owner is to be woken, and has not been yet.
    due: bool,
    waker: Option<Waker>,
}

/// A descriptor of the event loop. Closed when dropped.
pub struct Watched {
    descriptor: OwnedFd,
    /// Bits of [`Way`] that the kernel tells about.
    told: Cell<u8>,
    /// Calls made without a wait between them.
    calls: Cell<u8>,
    seat: Seat,
}

/// A place that is given back when dropped.
struct Seat {
    poller: Rc<Poller>,
    index: u32,
}

impl Poller {
    /// One whose events have this in the upper half of their data.
    pub fn new(epoll: &Rc<OwnedFd>, kind: u32) -> Rc<Poller> {
        let kind = u64::from(kind) << 32;
        Rc::new(Poller { epoll: epoll.clone(), kind, places: RefCell::default() })
    }

    /// Keeps what an event says. Whether its owner is to be woken and nobody knew.
    pub fn note(&self, index: u32, flags: epoll::EventFlags) -> bool {
        let mut places = self.places.borrow_mut();
        let Some(place) = places.all.get_mut(index as usize) else { return false };
        place.ready |= bits(flags);
        !std::mem::replace(&mut place.due, true)
    }

    /// Wakes who waits at a place.
    pub fn wake(&self, index: u32) {
        let mut places = self.places.borrow_mut();
        let Some(place) = places.all.get_mut(index as usize) else { return };
        place.due = false;
        if let Some(waker) = &place.waker {
            waker.wake_by_ref();
        }
    }

    fn take_seat(self: &Rc<Self>, ready: u8) -> Seat {
        let mut places = self.places.borrow_mut();
        let place = Place { ready, due: false, waker: None };
        let index = match places.free.pop() {
            Some(index) => index,
            None => places.all.len() as u32,
        };
        match places.all.get_mut(index as usize) {
            Some(free) => *free = place,
            None => places.all.push(place),
        }
        Seat { poller: self.clone(), index }
    }
}

/// What an event says.
fn bits(flags: epoll::EventFlags) -> u8 {
    use epoll::EventFlags as Flags;
    let mut ready = 0;
    if flags.intersects(Flags::IN | Flags::RDHUP) {
        ready |= Way::Read as u8;
    }
    if flags.contains(Flags::OUT) {
        ready |= Way::Write as u8;
    }
    if flags.contains(Flags::RDHUP) {
        ready |= ENDED;
    }
    if flags.contains(Flags::PRI) {
        ready |= Way::Read as u8 | URGENT;
    }
    if flags.intersects(Flags::HUP | Flags::ERR) {
        ready |= BOTH | ENDED;
    }
    if flags.contains(Flags::ERR) {
        ready |= BROKEN;
    }
    ready
}

impl Watched {
    /// A descriptor about which nothing is known: the first call in either way finds out.
    pub fn new(poller: &Rc<Poller>, descriptor: OwnedFd) -> Watched {
        Watched::with(poller, descriptor, BOTH)
    }

    /// One that is known to be ready for nothing.
    pub fn not_ready(poller: &Rc<Poller>, descriptor: OwnedFd) -> Watched {
        Watched::with(poller, descriptor, 0)
    }

    fn with(poller: &Rc<Poller>, descriptor: OwnedFd, ready: u8) -> Watched {
        let (told, calls) = (Cell::new(0), Cell::new(0));
        Watched { descriptor, told, calls, seat: poller.take_seat(ready) }
    }

    /// Ready when a call in this way is worth trying.
    ///
    /// # Errors
    /// When the kernel refuses to watch the descriptor.
    #[inline]
    pub fn poll_ready(&self, cx: &mut Context<'_>, way: Way) -> Poll<io::Result<()>> {
        self.seat.with(|place| {
            if place.ready & way as u8 != 0 {
                return Poll::Ready(Ok(()));
            }
            if self.told.get() & way as u8 == 0 {
                self.listen(way as u8)?;
            }
            if !place.waker.as_ref().is_some_and(|known| known.will_wake(cx.waker())) {
                place.waker = Some(cx.waker().clone());
            }
            self.calls.set(0);
            Poll::Pending
        })
    }

    /// Ready when a connection under way is made or has failed. Whether bytes come is told with it:
    /// they are what is waited for next.
    ///
    /// # Errors
    /// When the kernel refuses to watch the descriptor.
    pub fn poll_made(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.told.get() == 0 {
            self.listen(BOTH)?;
        }
        self.poll_ready(cx, Way::Write)
    }

    /// Makes a call that may say that it would wait; then it is made again when that has changed.
    /// After so many without a wait the task lets others go on first.
    ///
    /// # Errors
    /// Those of the call.
    #[inline]
    pub fn poll_call<T>(
        &self,
        cx: &mut Context<'_>,
        way: Way,
        mut call: impl FnMut(BorrowedFd<'_>) -> rustix::io::Result<T>,
    ) -> Poll<io::Result<T>> {
        use rustix::io::Errno;
        if self.calls.get() >= CALLS {
            self.calls.set(0);
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        loop {
            ready!(self.poll_ready(cx, way))?;
            match call(self.descriptor.as_fd()) {
                Ok(result) => {
                    self.calls.set(self.calls.get() + 1);
                    return Poll::Ready(Ok(result));
                }
                Err(Errno::AGAIN) => self.seat.with(|place| place.ready &= !(way as u8)),
                Err(Errno::INTR) => {}
                Err(why) => return Poll::Ready(Err(why.into())),
            }
        }
    }

    /// A call took less than it might have: the next one would wait.
    #[inline]
    pub fn drained(&self, way: Way) {
        self.seat.with(|place| {
            if place.ready & (ENDED | URGENT) == 0 || way == Way::Write {
                place.ready &= !(way as u8);
            }
        });
    }

    /// Whether the end, or an error, is known to stand behind what is unread.
    #[inline]
    pub fn has_end(&self) -> bool {
        self.seat.with(|place| place.ready & ENDED != 0)
    }

    /// Whether all that will ever come has come, an orderly end behind it: a read that leaves room has
    /// met that end.
    #[inline]
    pub fn is_complete(&self) -> bool {
        self.seat.with(|place| place.ready & (ENDED | BROKEN | URGENT) == ENDED)
    }

    /// Nobody waits for it any more: a task that has ended need not be remembered.
    pub fn forget(&self) {
        let waker = self.seat.with(|place| place.waker.take());
        drop(waker);
    }

    /// Says that a call in this way is worth trying.
    pub fn set_ready(&self, way: Way) {
        self.seat.with(|place| place.ready |= way as u8);
    }

    /// Takes the descriptor out of the event loop.
    pub fn leave(self) -> OwnedFd {
        self.silence();
        self.descriptor
    }

    /// The kernel tells nothing more about it. For one that others hold too: closing our descriptor
    /// does not end that, and events would reach the next owner of this place.
    pub fn silence(&self) {
        if self.told.replace(0) != 0 {
            // It cannot fail for a descriptor that is registered.
            let _ = epoll::delete(&self.seat.poller.epoll, &self.descriptor);
        }
    }

    #[cold]
    fn listen(&self, ways: u8) -> io::Result<()> {
        let before = self.told.get();
        let told = before | ways;
        let mut flags = epoll::EventFlags::ET | epoll::EventFlags::RDHUP | epoll::EventFlags::PRI;
        if told & Way::Read as u8 != 0 {
            flags |= epoll::EventFlags::IN;
        }
        if told & Way::Write as u8 != 0 {
            flags |= epoll::EventFlags::OUT;
        }
        let poller = &self.seat.poller;
        let data = epoll::EventData::new_u64(poller.kind | u64::from(self.seat.index));
        match before {
            0 => epoll::add(&poller.epoll, &self.descriptor, data, flags)?,
            _ => epoll::modify(&poller.epoll, &self.descriptor, data, flags)?,
        }
        self.told.set(told);
        Ok(())
    }
}

impl AsFd for Watched {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

impl Seat {
    #[inline]
    fn with<T>(&self, body: impl FnOnce(&mut Place) -> T) -> T {
        let mut places = self.poller.places.borrow_mut();
        // A seat's index is that of a place for as long as it lives.
        match places.all.get_mut(self.index as usize) {
            Some(place) => body(place),
            None => body(&mut Place::default()),
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut places = self.poller.places.borrow_mut();
        let waker = places.all.get_mut(self.index as usize).and_then(|place| place.waker.take());
        places.free.push(self.index);
        drop(places);
        // Last: dropping the last waker of a task may drop what it owned, sockets included.
        drop(waker);
    }
}

/// Runs a test in an event loop and gives it a poller that takes so many events at once.
#[cfg(test)]
pub fn within<T>(most: usize, test: impl AsyncFnOnce(Rc<Poller>) -> T) -> T {
    let events = super::EventLoop::new(most, most).unwrap();
    let poller = events.clients.clone();
    events.run(test(poller)).unwrap()
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    use super::*;
    use crate::io::event_loop::give_way;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn pair(poller: &Rc<Poller>) -> (Watched, UnixStream) {
        let (near, far) = UnixStream::pair().unwrap();
        near.set_nonblocking(true).unwrap();
        (Watched::new(poller, near.into()), far)
    }

    fn read(descriptor: BorrowedFd<'_>) -> rustix::io::Result<usize> {
        rustix::io::read(descriptor, &mut [0; 100])
    }

    #[test]
    fn a_call_that_would_wait_is_made_again_when_bytes_have_come() {
        within(4, async |poller| {
            let (near, mut far) = pair(&poller);
            let mut cx = Context::from_waker(Waker::noop());
            assert!(near.poll_call(&mut cx, Way::Read, read).is_pending());
            far.write_all(b"hello").unwrap();
            let count = poll_fn(|cx| near.poll_call(cx, Way::Read, read)).await.unwrap();
            assert_eq!(count, 5);
            near.drained(Way::Read);
            assert!(near.poll_ready(&mut cx, Way::Read).is_pending());
            drop(far);
            let count = poll_fn(|cx| near.poll_call(cx, Way::Read, read)).await.unwrap();
            assert_eq!(count, 0);
        });
    }

    #[test]
    fn behind_the_end_nothing_is_waited_for() {
        within(4, async |poller| {
            let (near, mut far) = pair(&poller);
            let mut cx = Context::from_waker(Waker::noop());
            assert!(near.poll_call(&mut cx, Way::Read, read).is_pending());
            assert!(!near.has_end());
            far.write_all(b"last words").unwrap();
            drop(far);
            poll_fn(|cx| near.poll_ready(cx, Way::Read)).await.unwrap();
            assert!(near.has_end());
            assert!(matches!(near.poll_call(&mut cx, Way::Read, read), Poll::Ready(Ok(10))));
            near.drained(Way::Read);
            assert!(matches!(near.poll_call(&mut cx, Way::Read, read), Poll::Ready(Ok(0))));
        });
    }

    #[test]
    fn room_is_told_of_when_the_peer_has_taken_some() {
        within(4, async |poller| {
            let (near, mut far) = pair(&poller);
            let write = |descriptor: BorrowedFd<'_>| rustix::io::write(descriptor, &[b'x'; 4096]);
            let mut cx = Context::from_waker(Waker::noop());
            let mut sent = 0;
            while let Poll::Ready(count) = near.poll_call(&mut cx, Way::Write, write) {
                sent += count.unwrap();
            }
            let reading = std::thread::spawn(move || {
                far.read_exact(&mut vec![0; sent]).unwrap();
                far
            });
            poll_fn(|cx| near.poll_call(cx, Way::Write, write)).await.unwrap();
            reading.join().unwrap();
        });
    }

    #[test]
    fn more_events_than_are_taken_at_once_reach_everybody() {
        within(2, async |poller| {
            let mut pairs: Vec<_> = (0..9).map(|_| pair(&poller)).collect();
            let mut cx = Context::from_waker(Waker::noop());
            for (near, far) in &mut pairs {
                assert!(near.poll_call(&mut cx, Way::Read, read).is_pending());
                far.write_all(b"x").unwrap();
            }
            for (near, _) in pairs.iter().rev() {
                poll_fn(|cx| near.poll_ready(cx, Way::Read)).await.unwrap();
            }
        });
    }

    #[test]
    fn a_place_that_was_left_is_used_again_and_its_old_owner_wakes_nobody() {
        within(4, async |poller| {
            let (old, mut left) = pair(&poller);
            let woken = Arc::new(Count::default());
            let waker = Waker::from(woken.clone());
            let mut cx = Context::from_waker(&waker);
            assert!(old.poll_call(&mut cx, Way::Read, read).is_pending());
            let old = old.leave();
            let (new, mut far) = pair(&poller);
            assert_eq!(poller.places.borrow().all.len(), 1);
            assert!(new.poll_call(&mut cx, Way::Read, read).is_pending());
            left.write_all(b"x").unwrap();
            assert!(new.poll_call(&mut cx, Way::Read, read).is_pending());
            give_way().await;
            give_way().await;
            assert_eq!(woken.0.load(Ordering::Relaxed), 0);
            far.write_all(b"x").unwrap();
            poll_fn(|cx| new.poll_ready(cx, Way::Read)).await.unwrap();
            drop(old);
        });
    }

    #[test]
    fn what_lives_on_elsewhere_tells_nobody_once_it_is_silenced() {
        within(4, async |poller| {
            let (old, left) = pair(&poller);
            let elsewhere = rustix::io::dup(&old).unwrap();
            let mut cx = Context::from_waker(Waker::noop());
            assert!(old.poll_call(&mut cx, Way::Read, read).is_pending());
            old.silence();
            drop(old);
            let (new, _far) = pair(&poller);
            assert_eq!(poller.places.borrow().all.len(), 1);
            assert!(new.poll_call(&mut cx, Way::Read, read).is_pending());
            drop(left);
            give_way().await;
            give_way().await;
            assert!(!new.has_end(), "the end of another connection");
            drop(elsewhere);
        });
    }

    #[test]
    fn who_is_always_ready_lets_others_go_on() {
        within(4, async |poller| {
            let (near, mut far) = pair(&poller);
            far.write_all(&[b'x'; 1000]).unwrap();
            let woken = Arc::new(Count::default());
            let waker = Waker::from(woken.clone());
            let mut cx = Context::from_waker(&waker);
            let byte = |descriptor: BorrowedFd<'_>| rustix::io::read(descriptor, &mut [0; 1]);
            for _ in 0..3 {
                for _ in 0..CALLS {
                    assert!(near.poll_call(&mut cx, Way::Read, byte).is_ready());
                }
                assert!(near.poll_call(&mut cx, Way::Read, byte).is_pending());
            }
            assert_eq!(woken.0.load(Ordering::Relaxed), 3, "it goes on behind the others");
        });
    }

    #[test]
    fn what_cannot_be_watched_is_an_error_and_not_a_wait() {
        within(4, async |poller| {
            let file = std::fs::File::open("/proc/self/exe").unwrap();
            let watched = Watched::not_ready(&poller, file.into());
            let mut cx = Context::from_waker(Waker::noop());
            assert!(matches!(watched.poll_ready(&mut cx, Way::Read), Poll::Ready(Err(_))));
        });
    }
}

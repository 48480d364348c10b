//! A connection that stands idle is no task any more: a descriptor, a deadline and a few bytes in a
//! slab behind one nested epoll descriptor. It becomes a task again when bytes come.
//!
//! Rules kept here:
//! - The event loop sees one descriptor, however many connections are parked.
//! - Registered once, for one event (EPOLLONESHOT is not needed: a woken entry is taken out).
//! - Deadlines are seconds, looked at once a second in one pass.
//!
//! Not known here: what a parked connection is; it is whatever the caller put in.

use std::cell::RefCell;
use std::io;
use std::os::fd::AsFd;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use rustix::event::{Timespec, epoll};
use rustix::io::Errno;

use super::poller::{Poller, Watched, Way};

/// Connections that wait without a task. `T` is what is needed to go on with one.
pub struct Parking<T> {
    epoll: Watched,
    events: RefCell<Vec<epoll::Event>>,
    lot: RefCell<Lot<T>>,
}

struct Lot<T> {
    places: Vec<Option<Parked<T>>>,
    free: Vec<u32>,
    count: usize,
}

struct Parked<T> {
    /// Seconds on the shard's clock.
    deadline: u32,
    connection: T,
}

/// Most events taken from the nested descriptor at once.
const EVENTS: usize = 32;

impl<T> Lot<T> {
    /// One more place. An eighth in reserve instead of as many again: memory is the point here.
    fn grow(&mut self, parked: Parked<T>) {
        if self.places.len() == self.places.capacity() {
            self.places.reserve_exact(self.places.len() / 8 + 64);
        }
        self.places.push(Some(parked));
    }
}

impl<T: AsFd> Parking<T> {
    /// An empty lot whose descriptor this poller watches.
    ///
    /// # Errors
    /// When the kernel has no epoll descriptor left for us.
    pub fn new(poller: &Rc<Poller>) -> io::Result<Parking<T>> {
        let epoll = Watched::new(poller, epoll::create(epoll::CreateFlags::CLOEXEC)?);
        let lot = Lot { places: Vec::new(), free: Vec::new(), count: 0 };
        Ok(Parking { epoll, lot: RefCell::new(lot), events: RefCell::default() })
    }

    /// Parks a connection until bytes come or the deadline (seconds) passes.
    ///
    /// # Errors
    /// When the kernel refuses to watch it; the connection is lost then.
    pub fn park(&self, connection: T, deadline: u64) -> io::Result<()> {
        let mut lot = self.lot.borrow_mut();
        let place = lot.free.last().copied().unwrap_or(lot.places.len() as u32);
        epoll::add(
            &self.epoll,
            &connection,
            epoll::EventData::new_u64(u64::from(place)),
            epoll::EventFlags::IN | epoll::EventFlags::RDHUP,
        )?;
        lot.free.pop();
        let parked = Parked { deadline: u32::try_from(deadline).unwrap_or(u32::MAX), connection };
        match lot.places.get_mut(place as usize) {
            Some(free) => *free = Some(parked),
            None => lot.grow(parked),
        }
        lot.count += 1;
        Ok(())
    }

    /// Connections that bytes (or their end) have come for.
    ///
    /// # Errors
    /// Those of the nested descriptor.
    pub fn poll_woken(&self, cx: &mut Context<'_>, woken: &mut Vec<T>) -> Poll<io::Result<()>> {
        let mut events = self.events.borrow_mut();
        ready!(self.epoll.poll_call(cx, Way::Read, |epoll| {
            events.clear();
            events.reserve(EVENTS);
            let room = rustix::buffer::spare_capacity(&mut *events);
            match epoll::wait(epoll, room, Some(&Timespec::default()))? {
                0 => Err(Errno::AGAIN),
                _ => Ok(()),
            }
        }))?;
        woken.extend(events.iter().filter_map(|event| self.take(event.data.u64() as u32)));
        Poll::Ready(Ok(()))
    }

    /// Takes out those whose deadline has passed, or that `also` names.
    pub fn expired(&self, now: u64, mut also: impl FnMut(&T) -> bool) -> Vec<T> {
        let mut due = Vec::new();
        for (place, parked) in self.lot.borrow().places.iter().enumerate() {
            if parked
                .as_ref()
                .is_some_and(|parked| u64::from(parked.deadline) <= now || also(&parked.connection))
            {
                due.push(place as u32);
            }
        }
        due.into_iter().filter_map(|place| self.take(place)).collect()
    }

    /// Takes out so many of those that have stood longest.
    pub fn longest(&self, count: usize) -> Vec<T> {
        let mut by_deadline: Vec<(u32, u32)> = {
            let lot = self.lot.borrow();
            let places = lot.places.iter().enumerate();
            places.filter_map(|(at, parked)| Some((parked.as_ref()?.deadline, at as u32))).collect()
        };
        by_deadline.sort_unstable();
        by_deadline.into_iter().take(count).filter_map(|(_, place)| self.take(place)).collect()
    }

    /// How many are parked.
    pub fn count(&self) -> usize {
        self.lot.borrow().count
    }

    fn take(&self, place: u32) -> Option<T> {
        let mut lot = self.lot.borrow_mut();
        let parked = lot.places.get_mut(place as usize)?.take()?;
        lot.free.push(place);
        lot.count -= 1;
        // It cannot fail for a descriptor that we watch and own.
        let _ = epoll::delete(&self.epoll, &parked.connection);
        Some(parked.connection)
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::io::Write;
    use std::os::unix::net::UnixStream;
    use std::task::Waker;

    use super::super::poller::within;
    use super::*;

    fn parked(parking: &Parking<UnixStream>, deadline: u64) -> UnixStream {
        let (near, far) = UnixStream::pair().unwrap();
        parking.park(near, deadline).unwrap();
        far
    }

    async fn woken(parking: &Parking<UnixStream>) -> Vec<UnixStream> {
        let mut woken = Vec::new();
        poll_fn(|cx| parking.poll_woken(cx, &mut woken)).await.unwrap();
        woken
    }

    #[test]
    fn who_is_sent_bytes_or_an_end_is_woken_and_nobody_else() {
        within(EVENTS, async |poller| {
            let parking = Parking::new(&poller).unwrap();
            let mut fars: Vec<_> = (0..10).map(|_| parked(&parking, 100)).collect();
            let mut cx = Context::from_waker(Waker::noop());
            assert!(parking.poll_woken(&mut cx, &mut Vec::new()).is_pending());
            fars[3].write_all(b"x").unwrap();
            drop(fars.remove(7));
            let mut all = woken(&parking).await;
            while all.len() < 2 {
                all.extend(woken(&parking).await);
            }
            assert_eq!((all.len(), parking.count()), (2, 8));
            assert!(parking.poll_woken(&mut cx, &mut Vec::new()).is_pending());
        });
    }

    #[test]
    fn more_than_one_call_can_tell_of_are_all_woken() {
        within(EVENTS, async |poller| {
            let parking = Parking::new(&poller).unwrap();
            let fars: Vec<_> = (0..3 * EVENTS).map(|_| parked(&parking, 100)).collect();
            for mut far in &fars {
                far.write_all(b"x").unwrap();
            }
            let mut all = Vec::new();
            while all.len() < fars.len() {
                all.extend(woken(&parking).await);
            }
            assert_eq!((all.len(), parking.count()), (fars.len(), 0));
        });
    }

    #[test]
    fn a_deadline_takes_out_those_whose_time_is_over_and_those_who_are_named() {
        within(EVENTS, async |poller| {
            let parking = Parking::new(&poller).unwrap();
            let fars: Vec<_> = [5, 10, 15, u64::MAX].map(|at| parked(&parking, at)).into();
            assert_eq!(parking.expired(4, |_| false).len(), 0);
            assert_eq!(parking.expired(10, |_| false).len(), 2);
            assert_eq!(parking.count(), 2);
            assert_eq!(parking.expired(0, |_| true).len(), 2);
            assert_eq!((parking.count(), fars.len()), (0, 4));
        });
    }

    #[test]
    fn a_place_that_was_left_is_used_again_and_wakes_its_new_owner_only() {
        within(EVENTS, async |poller| {
            let parking = Parking::new(&poller).unwrap();
            let mut first = parked(&parking, 1);
            let old = parking.expired(1, |_| false);
            let mut second = parked(&parking, 100);
            assert_eq!(parking.lot.borrow().places.len(), 1);
            first.write_all(b"late").unwrap();
            let mut cx = Context::from_waker(Waker::noop());
            assert!(parking.poll_woken(&mut cx, &mut Vec::new()).is_pending());
            second.write_all(b"x").unwrap();
            assert_eq!((woken(&parking).await.len(), old.len()), (1, 1));
        });
    }
}

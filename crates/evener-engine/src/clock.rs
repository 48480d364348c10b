//! The worker's clock: monotonic time since the machine started, and the wall's.
//!
//! All threads count from the same moment, so that health, deadlines and counters agree; so do
//! successive workers, so that a new one knows since when a server is as the last one found it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::time::{ClockId, clock_gettime};

/// Monotonic microseconds. Begins at one second, so that 0 can mean never.
#[inline]
pub fn micros() -> u64 {
    #[cfg(any(test, feature = "simulation"))]
    if let Some(now) = VIRTUAL.get() {
        return now;
    }
    let uptime = clock_gettime(ClockId::Monotonic);
    uptime.tv_sec as u64 * 1_000_000 + uptime.tv_nsec as u64 / 1000 + 1_000_000
}

#[cfg(any(test, feature = "simulation"))]
thread_local! {
    /// The time of the simulation that runs in this thread.
    static VIRTUAL: std::cell::Cell<Option<u64>> = const { std::cell::Cell::new(None) };
}

/// Seconds since 1970 at zero of virtual time: Sun, 06 Nov 1994 08:49:37 GMT, RFC 9110's example.
#[cfg(test)]
const VIRTUAL_BEGIN: u64 = 784_111_777;

/// Sets this thread's time in microseconds, or lets it flow again.
#[cfg(any(test, feature = "simulation"))]
pub fn set_virtual(now: Option<u64>) {
    VIRTUAL.set(now);
}

/// Monotonic milliseconds on the same clock.
#[inline]
pub fn millis() -> u64 {
    micros() / 1000
}

/// Milliseconds since 1970.
pub fn unix_millis() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}

/// Seconds since 1970.
pub fn unix_seconds() -> u64 {
    #[cfg(test)]
    if let Some(now) = VIRTUAL.get() {
        return VIRTUAL_BEGIN + now / 1_000_000;
    }
    unix_millis() / 1000
}

/// A monotonic time of this worker as milliseconds since 1970: the same one each time it is asked,
/// unless the wall clock was set meanwhile.
pub fn to_unix(at: u64) -> u64 {
    at.saturating_add(offset())
}

/// Milliseconds since 1970 as a monotonic time of this worker; never before the machine started.
pub fn from_unix(at: u64) -> u64 {
    at.saturating_sub(offset())
}

/// 1970's distance from our own zero. Two clocks that are read one after the other differ by a
/// millisecond now and then: what is known stands until the wall clock was visibly set.
fn offset() -> u64 {
    let known = OFFSET.load(Ordering::Relaxed);
    loop {
        let began = millis();
        let now = unix_millis().saturating_sub(began);
        if now.abs_diff(known) <= SET {
            return known;
        }
        // Whoever was put aside between the two reads sees a difference that is none.
        if millis() <= began + 1 {
            OFFSET.store(now, Ordering::Relaxed);
            return now;
        }
    }
}

static OFFSET: AtomicU64 = AtomicU64::new(0);

/// Milliseconds between the clocks that mean that the wall clock was set: more than slewing makes
/// in a second, less than anybody reads off a page.
const SET: u64 = 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_has_one_date_however_often_it_is_asked_for() {
        let at = millis();
        let dates = (0..200_000).map(|_| to_unix(at));
        assert_eq!(dates.collect::<std::collections::BTreeSet<_>>().len(), 1);
        assert_eq!(from_unix(to_unix(at)), at);
        assert!(to_unix(at).abs_diff(unix_millis()) < 1000);
    }
}

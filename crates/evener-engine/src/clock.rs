//! The worker's clock: monotonic time since the machine started, and the wall's.
//!
//! All threads count from the same moment, so that health, deadlines and counters agree; so do
//! successive workers, so that a new one knows since when a server is as the last one found it.

use std::sync::OnceLock;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use rustix::time::{ClockId, clock_gettime};

/// A moment, and its microseconds since the machine started.
fn start() -> &'static (Instant, u64) {
    static START: OnceLock<(Instant, u64)> = OnceLock::new();
    START.get_or_init(|| {
        let uptime = clock_gettime(ClockId::Monotonic);
        (Instant::now(), uptime.tv_sec as u64 * 1_000_000 + uptime.tv_nsec as u64 / 1000)
    })
}

/// Monotonic microseconds. Begins at one second, so that 0 can mean never.
#[inline]
pub fn micros() -> u64 {
    #[cfg(test)]
    if let Some(now) = VIRTUAL.get() {
        return now;
    }
    let (start, uptime) = start();
    start.elapsed().as_micros() as u64 + uptime + 1_000_000
}

#[cfg(test)]
thread_local! {
    /// The time of the simulation that runs in this thread.
    static VIRTUAL: std::cell::Cell<Option<u64>> = const { std::cell::Cell::new(None) };
}

/// Sets this thread's time in microseconds, or lets it flow again.
#[cfg(test)]
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

/// A monotonic time of this worker as milliseconds since 1970.
pub fn to_unix(at: u64) -> u64 {
    (unix_millis() + at).saturating_sub(millis())
}

/// Milliseconds since 1970 as a monotonic time of this worker; never before the machine started.
pub fn from_unix(at: u64) -> u64 {
    (millis() + at).saturating_sub(unix_millis())
}

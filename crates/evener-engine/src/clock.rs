//! The worker's clock: monotonic time since the process first asked, and the wall's.
//!
//! All threads count from the same moment, so that health, deadlines and counters agree.

use std::sync::OnceLock;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

fn start() -> Instant {
    static START: OnceLock<Instant> = OnceLock::new();
    *START.get_or_init(Instant::now)
}

/// Monotonic microseconds. Begins at one second, so that 0 can mean never.
#[inline]
pub fn micros() -> u64 {
    #[cfg(test)]
    if let Some(now) = VIRTUAL.get() {
        return now;
    }
    start().elapsed().as_micros() as u64 + 1_000_000
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

/// Milliseconds since 1970 as a monotonic time of this worker; never before it began.
pub fn from_unix(at: u64) -> u64 {
    (millis() + at).saturating_sub(unix_millis())
}

//! The steps that one request passes, as ARCHITECTURE.md lists them.
//!
//! With the feature `steps` each call is remembered, so that a test can compare the list with what
//! really happens. Without it a call is nothing.

/// A request passes this step.
#[cfg(not(feature = "steps"))]
#[inline(always)]
pub fn step(_name: &'static str) {}

#[cfg(feature = "steps")]
mod remembered {
    use std::sync::{Mutex, PoisonError};

    static PASSED: Mutex<Vec<&str>> = Mutex::new(Vec::new());

    /// A request passes this step.
    pub fn step(name: &'static str) {
        PASSED.lock().unwrap_or_else(PoisonError::into_inner).push(name);
    }

    /// The steps passed since the last call.
    pub fn passed() -> Vec<&'static str> {
        std::mem::take(&mut PASSED.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(feature = "steps")]
pub use remembered::{passed, step};

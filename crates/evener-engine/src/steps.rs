//! The steps that one request passes, as ARCHITECTURE.md lists them.
//!
//! Tests remember each call, so that one of them can compare the list with what really happens.
//! Elsewhere a call is nothing.

/// A request passes this step.
#[cfg(not(test))]
#[inline(always)]
pub fn step(_name: &'static str) {}

#[cfg(test)]
mod remembered {
    use std::cell::RefCell;

    thread_local! {
        static PASSED: RefCell<Vec<&'static str>> = const { RefCell::new(Vec::new()) };
    }

    /// A request passes this step.
    pub fn step(name: &'static str) {
        PASSED.with_borrow_mut(|passed| passed.push(name));
    }

    /// The steps passed in this thread since the last call.
    pub fn passed() -> Vec<&'static str> {
        PASSED.take()
    }
}

#[cfg(test)]
pub use remembered::{passed, step};

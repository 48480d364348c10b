//! The steps that one request passes, as ARCHITECTURE.md lists them.
//!
//! Tests remember each call, so that one of them can compare the list with what really happens.
//! Elsewhere a call is nothing.

/// A request passes this step.
#[inline(always)]
pub fn step(_name: &'static str) {
    #[cfg(test)]
    PASSED.with_borrow_mut(|passed| passed.push(_name));
}

/// The steps passed in this thread since the last call.
#[cfg(test)]
pub fn passed() -> Vec<&'static str> {
    PASSED.take()
}

#[cfg(test)]
thread_local! {
    static PASSED: std::cell::RefCell<Vec<&'static str>> = const { std::cell::RefCell::new(Vec::new()) };
}

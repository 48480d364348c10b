//! The steps that one request passes, as ARCHITECTURE.md lists them.
//!
//! Tests remember each call, so that one of them can compare the list with what really happens, and
//! can have one of them fail as a mistake of ours would.
//! Elsewhere a call is nothing.

/// A request passes this step.
#[inline(always)]
pub fn step(_name: &'static str) {
    #[cfg(any(test, feature = "simulation"))]
    PASSED.with_borrow_mut(|passed| passed.push(_name));
    may_break(_name);
}

/// A place that is no step of a request, and that a test may have fail, too.
#[inline(always)]
pub fn may_break(_name: &'static str) {
    #[cfg(any(test, feature = "simulation"))]
    if BROKEN.get() == Some(_name) {
        BROKEN.set(None);
        panic!("{_name} is broken for once");
    }
}

/// The next time that this thread passes the place is a fault of our own.
#[cfg(test)]
pub fn break_once(name: &'static str) {
    BROKEN.set(Some(name));
}

/// The steps passed in this thread since the last call.
#[cfg(any(test, feature = "simulation"))]
pub fn passed() -> Vec<&'static str> {
    PASSED.take()
}

#[cfg(any(test, feature = "simulation"))]
thread_local! {
    static PASSED: std::cell::RefCell<Vec<&'static str>> = const { std::cell::RefCell::new(Vec::new()) };
    static BROKEN: std::cell::Cell<Option<&'static str>> = const { std::cell::Cell::new(None) };
}

//! Why a server is in its state, in words for people.
//!
//! Rules kept here:
//! - A reason carries its facts; clocks are formatted by who shows it (the time it changed is
//!   beside it).

use std::fmt;
use std::sync::Arc;

use evener_plan::{Admin, Millis};

use crate::outcome::Cause;

/// Why a server is in its state.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// Its pool has no checks.
    NoChecks,
    /// No check has decided yet.
    NotChecked,
    /// So many checks in a row passed.
    Passed(u32),
    /// A check said this, so many times in a row.
    CheckFailed(Arc<str>, u32),
    /// Live requests failed.
    LiveFailures {
        /// How the last one did.
        cause: Cause,
        /// Where.
        address: Arc<str>,
        /// Failures counted.
        failures: u32,
        /// Failures that eject.
        allowed: u32,
        /// The window they are counted in.
        within: Millis,
    },
    /// The TCP check after an ejection failed like this.
    StillUnreachable(Arc<str>),
    /// The TCP check after an ejection passed.
    Reachable,
    /// A live request answered after an ejection.
    Answered,
    /// People want it so.
    Asked(Admin),
    /// An earlier worker found it so and said this.
    Told(Arc<str>),
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::NoChecks => f.write_str("its pool has no checks"),
            Reason::NotChecked => f.write_str("not checked yet"),
            Reason::Passed(1) => f.write_str("check passed"),
            Reason::Passed(n) => write!(f, "{n} checks in a row passed"),
            Reason::CheckFailed(text, 1) => write!(f, "check failed: {text}"),
            Reason::CheckFailed(text, n) => write!(f, "{n} checks in a row failed: {text}"),
            Reason::LiveFailures { cause, address, failures, allowed, within } => write!(
                f,
                "{cause} at {address}, {failures} of {allowed} failures within {}",
                Span(*within)
            ),
            Reason::StillUnreachable(text) => write!(f, "TCP check after ejection failed: {text}"),
            Reason::Reachable => f.write_str("TCP check after ejection passed"),
            Reason::Answered => f.write_str("answered a request after ejection"),
            Reason::Asked(Admin::Ready) => f.write_str("asked to take traffic"),
            Reason::Asked(Admin::Drain) => f.write_str("asked to drain"),
            Reason::Asked(Admin::Maint) => f.write_str("asked to be in maintenance"),
            Reason::Told(text) => f.write_str(text),
        }
    }
}

/// A span as the configuration writes it: whole seconds where they are whole.
struct Span(Millis);

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            ms if ms % 1000 == 0 => write!(f, "{} s", ms / 1000),
            ms => write!(f, "{ms} ms"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_live_failure_reads_as_a_sentence() {
        let reason = Reason::LiveFailures {
            cause: Cause::ConnectTimeout,
            address: "10.0.0.3:8000".into(),
            failures: 1,
            allowed: 1,
            within: 10_000,
        };
        assert_eq!(
            reason.to_string(),
            "connect time-out at 10.0.0.3:8000, 1 of 1 failures within 10 s"
        );
    }

    #[test]
    fn odd_windows_are_said_in_milliseconds() {
        assert_eq!(Span(1500).to_string(), "1500 ms");
    }
}

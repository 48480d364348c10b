//! Fuzz targets: functions of bytes that panic when an invariant breaks.
//!
//! Rules kept here: a target's file begins with its invariant in words; a target has no state, no
//! clock and no randomness, so that a file replays for ever.

mod fcgi_answer;
mod h1_exchange;
mod naive;
mod wire;

pub use fcgi_answer::fcgi_answer;
pub use h1_exchange::h1_exchange;

/// A target: panics on input that breaks its invariant.
pub type Target = fn(&[u8]);

/// Every target by its name, which is also its folder under `seeds` and `regressions`.
pub const TARGETS: &[(&str, Target)] =
    &[("h1_exchange", h1_exchange), ("fcgi_answer", fcgi_answer)];

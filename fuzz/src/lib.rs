//! Fuzz targets: functions of bytes that panic when an invariant breaks.
//!
//! Rules kept here: a target's file begins with its invariant in words; a target has no state, no
//! clock and no randomness, so that a file replays for ever.

mod answers;
mod chunks;
mod engine;
mod fcgi_answer;
mod h1_answer;
mod h1_exchange;
mod h1_request;
mod naive;
mod strict;
mod wire;

pub use chunks::chunks;
pub use engine::engine;
pub use fcgi_answer::fcgi_answer;
pub use h1_answer::h1_answer;
pub use h1_exchange::h1_exchange;
pub use h1_request::h1_request;

/// A target: panics on input that breaks its invariant.
pub type Target = fn(&[u8]);

/// Every target by its name, which is also its folder under `seeds` and `regressions`.
pub const TARGETS: &[(&str, Target)] = &[
    ("h1_request", h1_request),
    ("h1_answer", h1_answer),
    ("chunks", chunks),
    ("h1_exchange", h1_exchange),
    ("fcgi_answer", fcgi_answer),
    ("engine", engine),
];

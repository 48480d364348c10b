//! The few places where the engine maps memory or passes descriptors.
//!
//! Everything unsafe in this crate stands in this room, each block with its reason.

pub mod descriptors;
#[allow(unsafe_code, reason = "a call of the C library that has no safe wrapper")]
pub mod heap;
#[allow(unsafe_code, reason = "mapping shared memory needs it")]
pub mod memory;
#[allow(unsafe_code, reason = "an ioctl without a safe wrapper")]
pub mod queue;

//! What schedulers find their server with, faster than by looking at all.

mod circle;
mod heights;
mod ratio;
mod shares;
mod tournament;

pub(crate) use circle::Circle;
pub(crate) use heights::Heights;
pub(crate) use ratio::{Ratio, common_divisor};
pub(crate) use shares::Shares;
pub(crate) use tournament::Tournament;

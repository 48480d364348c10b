//! How long a server works on a request.

use serde::{Deserialize, Serialize};

use crate::draw::Draw;
use crate::scenario::{Micros, SECOND};

/// In microseconds.
const DAY: f64 = (24 * 3_600 * SECOND) as f64;

/// How long a server works on a request, in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Service {
    /// Always as long.
    Fixed(Micros),
    /// Memoryless.
    Exponential {
        /// Mean.
        mean: f64,
    },
    /// Around a mean; never below 0.
    Normal {
        /// Mean.
        mean: f64,
        /// Standard deviation.
        deviation: f64,
    },
    /// With a long tail.
    LogNormal {
        /// Half take longer.
        median: f64,
        /// Standard deviation of the logarithm.
        spread: f64,
    },
    /// So many times what the log says of the request.
    OfRequest {
        /// How many times.
        times: f64,
    },
}

impl Service {
    /// One time; `own` is what the log says of the request. None is drawn that is more than a day:
    /// with a wide spread there are some that no clock can hold.
    pub(crate) fn draw(&self, own: Micros, draw: &mut Draw) -> f64 {
        let drawn = match *self {
            Service::Fixed(span) => return span as f64,
            Service::OfRequest { times } => return own as f64 * times,
            Service::Exponential { mean } => mean * draw.exponential(),
            Service::Normal { mean, deviation } => (mean + deviation * draw.normal()).max(0.0),
            Service::LogNormal { median, spread } => median * (spread * draw.normal()).exp(),
        };
        drawn.min(DAY)
    }

    /// The number that must be above 0.
    pub(crate) fn scale(&self) -> f64 {
        match *self {
            Service::Fixed(span) => span.max(1) as f64,
            Service::Exponential { mean } | Service::Normal { mean, .. } => mean,
            Service::LogNormal { median, .. } => median,
            Service::OfRequest { times } => times,
        }
    }
}

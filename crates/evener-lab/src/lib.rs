//! The laboratory: the shipped schedulers and health, under simulated load, in virtual time.
//!
//! Rules kept here:
//! - What picks is `evener-balance` itself, through [`Group`](evener_balance::Group); only clients,
//!   servers and the wire are models.
//! - No IO, no clock, no chance but the seed's: equal scenarios give equal reports.
//! - Times are microseconds from the start of the run; balancers see whole milliseconds, as the
//!   engine does, and times of exchanges in microseconds.
//!
//! Not known here: how a scenario is written down, and how a report is shown.

#![forbid(unsafe_code)]

mod arrivals;
mod draw;
mod error;
mod report;
mod scenario;
mod server;
mod service;
mod world;

pub use arrivals::Arrivals;
pub use draw::Draw;
pub use error::LabError;
pub use report::{Ending, Report, Sample};
pub use scenario::{Deadline, Micros, SECOND, Scenario, pool};
pub use server::{Fault, Pace, ServerModel, What};
pub use service::Service;
pub use world::run;

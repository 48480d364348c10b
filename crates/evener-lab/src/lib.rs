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
mod at_work;
mod clients;
mod draw;
mod error;
mod json;
mod probes;
pub mod quality;
mod report;
mod scenario;
mod server;
mod service;
mod sketch;
mod summary;
mod world;

pub use arrivals::{Arrivals, Recorded};
pub use clients::Clients;
pub use draw::Draw;
pub use error::LabError;
pub use json::{run_json, study_json};
pub use report::{Ending, Report, Sample};
pub use scenario::{Deadline, Micros, SECOND, Scenario, pool};
pub use server::{Fault, Flap, Pace, Room, ServerModel, What};
pub use service::Service;
pub use sketch::sketch;
pub use summary::{Share, Slice, Summary, Times};
pub use world::run;

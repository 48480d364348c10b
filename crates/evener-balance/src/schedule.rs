//! What a scheduler is, and the one place that makes one from the plan.
//!
//! Rules kept here:
//! - A scheduler sees one tier: places 0, 1, … in the plan's order. It is told who is active and
//!   how many leases each has; it never looks for itself.
//! - It is called under its tier's lock, so it needs no atomics and must be quick.
//! - A new scheduler is a file beside this one, a variant in `evener-plan` and a line in [`make`].

use evener_plan::Scheduler;

use crate::schedulers::{NginxLeastConn, NginxRoundRobin};

/// An algorithm that picks a server among the active ones of a tier.
pub(crate) trait Schedule: Send {
    /// Picks among the active places that are not `tried`. Entries of `tried` are distinct places
    /// of this tier, active or not. For those who count leases, [`Schedule::set_in_flight`] of
    /// the picked place follows.
    fn pick(&mut self, tried: &[u32]) -> Option<usize>;

    /// The place may be picked from now on, or no longer.
    fn set_active(&mut self, place: usize, active: bool);

    /// The place's number of leases that have not ended.
    fn set_in_flight(&mut self, place: usize, leases: u32);

    /// Whether [`Schedule::set_in_flight`] must be called when a lease ends.
    fn counts_leases(&self) -> bool;

    /// A live request failed at the place; `allowed` failures eject.
    fn on_failure(&mut self, place: usize, allowed: u32);

    /// Where the place stands, for a successor's [`Schedule::resume`].
    fn position(&self, place: usize) -> Position;

    /// Takes over where a place stood under the plan before. Called before the first pick.
    fn resume(&mut self, place: usize, position: Position);
}

/// What a place takes along to the next plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Position {
    /// Smooth weighted round robin: picks it is owed, in units of weight.
    pub(crate) owed: i64,
    /// Weight it has lost by failures.
    pub(crate) lost: u32,
}

/// The scheduler of a tier with these weights. All places begin inactive.
pub(crate) fn make(scheduler: &Scheduler, weights: &[u32]) -> Box<dyn Schedule> {
    match scheduler {
        Scheduler::NginxRoundRobin {} => Box::new(NginxRoundRobin::new(weights)),
        Scheduler::NginxLeastConn {} => Box::new(NginxLeastConn::new(weights)),
    }
}

//! Active checks and the TCP checks that let ejected servers back, as the engine's prober makes
//! them, on virtual time.
//!
//! Rules kept here:
//! - Looked for ten times a second, while there is something that can become due. Each balancer has
//!   checks of its own, at moments of its own.
//! - What a check finds is what goes wrong with the server then: a refusal and silence fail, a
//!   fault's status is judged by `expect`; slowness by load alone does not fail one, as checks are
//!   light.

use std::sync::Arc;

use evener_balance::Group;
use evener_plan::{Check, CheckKind, HealthState, Pool};

use crate::draw::Draw;
use crate::scenario::{Micros, SECOND};
use crate::server::What;

/// The checks of a run.
#[derive(Debug)]
pub(crate) struct Probes {
    checks: Vec<Check>,
    /// When each is due, in milliseconds: by balancer, server, check.
    due: Vec<u64>,
    servers: usize,
    draw: Draw,
}

/// How often is looked.
pub(crate) const LOOK: Micros = SECOND / 10;

impl Probes {
    pub(crate) fn new(pool: &Pool, balancers: usize, draw: &mut Draw) -> Probes {
        let mut draw = draw.fork();
        let servers = pool.servers.len();
        let rows = (0..balancers * servers).flat_map(|_| &pool.checks);
        let due = rows.map(|check| draw.below(check.every)).collect();
        Probes { checks: pool.checks.clone(), due, servers, draw }
    }

    /// Makes what is due. Gives when to look again; `None` is when a server has been ejected.
    pub(crate) fn look(
        &mut self,
        groups: &[Group],
        now: Micros,
        fault: impl Fn(usize) -> Option<What>,
    ) -> Option<Micros> {
        let millis = now / 1_000;
        let mut waits = !self.checks.is_empty();
        for (balancer, group) in groups.iter().enumerate() {
            for index in 0..self.servers {
                if group.readmit_at(index).is_some_and(|due| due <= millis) {
                    group.on_readmit(index, connects(fault(index)), millis);
                }
                waits |= group.readmit_at(index).is_some();
                let row = (balancer * self.servers + index) * self.checks.len();
                for (at, check) in self.checks.iter().enumerate() {
                    if self.due[row + at] <= millis {
                        let before = group.verdict(index, at);
                        let result = found(check, fault(index));
                        let passes = result.is_ok();
                        group.on_check(index, at, result, millis);
                        let wait = pause(check, before, passes);
                        let jitter = 1.0 + check.jitter * (2.0 * self.draw.unit() - 1.0);
                        self.due[row + at] = millis + (wait as f64 * jitter) as u64;
                    }
                }
            }
        }
        waits.then_some(LOOK)
    }
}

/// Time to the next check: `fast` while what is found is not what is known.
fn pause(check: &Check, before: HealthState, passes: bool) -> u64 {
    let every = match before {
        HealthState::Down => check.down.unwrap_or(check.every),
        _ => check.every,
    };
    let changes = match before {
        HealthState::Up => !passes,
        HealthState::Down => passes,
        HealthState::Unchecked => true,
    };
    if changes { check.fast.unwrap_or(every) } else { every }
}

fn connects(fault: Option<What>) -> Result<(), Arc<str>> {
    match fault {
        Some(What::Refuses) => Err("connection refused".into()),
        _ => Ok(()),
    }
}

fn found(check: &Check, fault: Option<What>) -> Result<(), Arc<str>> {
    connects(fault)?;
    let CheckKind::Http { expect, .. } = &check.kind else {
        return Ok(());
    };
    let is_late = |after: Micros| after > check.timeout * 1_000;
    match fault {
        Some(What::Silent) => Err("no answer in time".into()),
        Some(What::Answers { after, .. }) if is_late(after) => Err("no answer in time".into()),
        Some(What::Answers { status, .. }) => {
            let mut ranges = expect.status.iter();
            match ranges.any(|(first, last)| (*first..=*last).contains(&status)) {
                true => Ok(()),
                false => Err(format!("answered {status}").into()),
            }
        }
        _ => Ok(()),
    }
}

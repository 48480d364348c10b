//! A policy's side of its letter-box: what its thread does.
//!
//! Rules kept here:
//! - A letter whose answer would be late is not read.
//! - Servers are shown as they are when the policy gets to the question, not when it was asked.
//! - A panic ends the policy and nothing else.
//!
//! Not known here: the policy's language.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Weak};
use std::thread;

use evener_balance::{State, Tried};

use super::policy::Life;
use super::{Free, LIVING, Letter, Mind, Seat, Spec, Standing};
use crate::running::RunningPool;

/// Where a policy sits.
pub struct Desk {
    spec: Spec,
    inbox: Receiver<Letter>,
    life: Arc<Life>,
    /// The pool whose servers the policy knows by index.
    seated: Weak<RunningPool>,
}

impl Desk {
    pub(super) fn new(spec: Spec, inbox: Receiver<Letter>, life: Arc<Life>) -> Desk {
        Desk { spec, inbox, life, seated: Weak::new() }
    }

    /// Which policy it is for.
    pub fn spec(&self) -> &Spec {
        &self.spec
    }

    /// Runs the policy's life on a thread of its own.
    ///
    /// # Errors
    /// When there is no thread.
    pub fn on_thread(
        mut self,
        body: impl FnOnce(&mut Desk) -> Result<(), String> + Send + 'static,
    ) -> Result<(), String> {
        let builder = thread::Builder::new().name(format!("policy-{}", self.spec.pool));
        LIVING.fetch_add(1, Ordering::AcqRel);
        let life = move || {
            let end = catch_unwind(AssertUnwindSafe(|| body(&mut self)));
            let why = match end {
                Ok(Ok(())) => String::new(),
                Ok(Err(why)) => why,
                Err(_) => "it panicked".to_owned(),
            };
            let _ = self.life.end.set(why);
            drop(self);
            LIVING.fetch_sub(1, Ordering::AcqRel);
        };
        builder.spawn(life).map(drop).map_err(|why| {
            LIVING.fetch_sub(1, Ordering::AcqRel);
            format!("no thread for it: {why}")
        })
    }

    /// The policy is ready to be asked.
    pub fn ready(&self, mind: &dyn Mind) {
        let _ = self.life.wants.set(mind.wants());
    }

    /// The next letter, waited for; none when nobody will write any more.
    pub fn read(&mut self) -> Option<Letter> {
        self.inbox.recv().ok()
    }

    /// The next letter that is there.
    #[cfg(any(test, feature = "simulation"))]
    pub fn read_if_there(&mut self) -> Option<Letter> {
        self.inbox.try_recv().ok()
    }

    /// Has the policy answer a letter.
    pub fn answer(&mut self, letter: Letter, mind: &mut dyn Mind) {
        match letter {
            Letter::Pick { reply, .. } if reply.is_closed() => {}
            Letter::Pick { pool, question, tried, reply } => {
                let servers = standings(&pool, &tried);
                let free = servers.iter().any(|server| server.free == Free::Yes);
                let picked = match self.seat(&pool, mind) {
                    Ok(()) if free => mind.pick(&question, &servers),
                    other => other.map(|()| None),
                };
                // Whoever asked may have left; then nobody misses the answer.
                let _ = reply.send(picked.and_then(|index| checked(index, &servers)));
            }
            Letter::Ended { pool, ending } => {
                // What goes wrong in hearing is met again in picking, which is told.
                if self.seat(&pool, mind).is_ok() {
                    let _ = mind.ended(&ending);
                }
            }
        }
    }

    /// Makes sure that indexes mean this pool's servers.
    fn seat(&mut self, pool: &Arc<RunningPool>, mind: &mut dyn Mind) -> Result<(), String> {
        let now = Arc::downgrade(pool);
        if Weak::ptr_eq(&self.seated, &now) {
            return Ok(());
        }
        let seats = pool.spec.servers.iter().map(|server| Seat {
            id: server.id.clone(),
            address: server.address.clone(),
            weight: server.weight,
            tier: server.tier,
        });
        mind.seat(&seats.collect::<Vec<_>>())?;
        self.seated = now;
        Ok(())
    }
}

fn standings(pool: &RunningPool, tried: &Tried) -> Vec<Standing> {
    let servers = (0..pool.group.len()).map(|index| Standing {
        free: Free::No,
        state: pool.group.state(index).unwrap_or(State::Down),
        in_flight: pool.group.server(index).map_or(0, |server| server.in_flight()),
        latency: pool.post.as_ref().and_then(|post| post.latency(index)),
    });
    let mut servers: Vec<_> = servers.collect();
    for index in pool.group.free(tried) {
        if let Some(server) = servers.get_mut(index) {
            server.free = Free::Yes;
        }
    }
    servers
}

/// A server that is free, or none.
fn checked(index: Option<usize>, servers: &[Standing]) -> Result<Option<usize>, String> {
    let Some(index) = index else { return Ok(None) };
    match servers.get(index) {
        Some(server) if server.free == Free::Yes => Ok(Some(index)),
        _ => Err("it picked a server that may not be picked now".to_owned()),
    }
}

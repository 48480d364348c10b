//! A picked server and a fresh connection to it, bounded in time; and how tries at it ended.
//!
//! Rules kept here: every failure is counted and told by cause; what an outcome says of a server
//! goes to health through here and nowhere else.

use std::future::{Future, poll_fn};
use std::rc::Rc;
use std::task::Poll;

use evener_balance::{Lease, Outcome, Timing};

use super::connect::{ConnectError, connect};
use crate::counters::ServerCounter;
use crate::io::Stream;
use crate::shard::{PoolView, Shard};

/// Connects to a server within `timeouts.connect`, and not beyond `until`, which says nothing against
/// the server. `speaks`: bytes for it are at hand.
///
/// # Errors
/// [`ConnectError`]; counted and told already.
pub async fn dial(
    shard: &Rc<Shard>,
    pool: &Rc<PoolView>,
    index: usize,
    until: u64,
    speaks: bool,
) -> Result<Stream, ConnectError> {
    let target = pool.target(index).ok_or_else(ConnectError::nowhere)?;
    let own = pool.spec().timeouts.connect;
    let left = until.saturating_sub(shard.now()).max(1);
    // Who had half of its time at least is late by itself.
    let late = if left < own / 2 { ConnectError::out_of_time } else { ConnectError::late };
    let wait = shard.deadlines.slot();
    wait.arm(own.min(left));
    let mut connecting = std::pin::pin!(connect(&shard.servers, target, pool.tls(), speaks));
    let result = poll_fn(|cx| match connecting.as_mut().poll(cx) {
        Poll::Ready(result) => Poll::Ready(result),
        Poll::Pending => wait.poll(cx).map(|()| Err(late())),
    })
    .await;
    let counters = pool.server_counters(shard, index);
    match &result {
        Ok(_) => counters.add(ServerCounter::Connects, 1),
        Err(why) => {
            counters.connect_failed(why.blame);
            shard.warn_server(pool, index, &why.words);
        }
    }
    result
}

/// Tells counters and health how a try ended; the lease itself ends when it is dropped.
/// `timing` is for schedulers that go by time.
pub fn report(
    shard: &Shard,
    pool: &PoolView,
    lease: &Lease,
    outcome: Outcome,
    timing: Option<Timing>,
) {
    #[cfg(any(test, feature = "simulation"))]
    crate::simulation::heard(lease, outcome);
    if outcome != Outcome::SessionEnded {
        pool.server_counters(shard, lease.index()).outcome(outcome);
    }
    let now = shard.now();
    let change = match timing {
        Some(timing) => {
            if let Some(post) = pool.post() {
                post.ended(pool.running_pool(), lease.index(), outcome, timing);
            }
            pool.group().report_timed(lease, outcome, timing, now)
        }
        None => pool.group().report(lease, outcome, now),
    };
    if let Some(change) = change {
        shard.tell_change(pool, lease.index(), &change);
    }
}

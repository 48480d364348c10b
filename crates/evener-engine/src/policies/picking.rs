//! A pick in a pool that has a policy: the policy's, in time, or the fallback scheduler's.
//!
//! Rules kept here:
//! - Asked for at one place, counted at one place, and whoever picked has a word of its own.
//! - A server whose trial is due comes first, as with any scheduler.
//! - What is the policy's fault counts against it: no answer in time, a failure, a full box. That a
//!   server went out or filled up while it thought is not.

use std::rc::Rc;

use evener_balance::{Lease, NoServer, Request, Tried};
use tokio::sync::oneshot;

use super::{Post, Question};
use crate::counters::PoolCounter;
use crate::shard::{PoolView, Shard};

/// A request or session that a policy may be asked about.
pub trait Subject: Request {
    /// What the policy is told of it, with these headers.
    fn question(&self, headers: &[String]) -> Question;
}

/// An answer to come.
pub(super) type Waiting = oneshot::Receiver<Result<Option<usize>, String>>;

/// Who picked: the policy, or the fallback and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// The policy.
    Policy,
    /// Nobody: the server's time out was over, and one request decides.
    Trial,
    /// It is not loaded yet, or its life has ended.
    NotReady,
    /// It failed too often and is not asked for a while.
    Open,
    /// Its box is full.
    Busy,
    /// It did not answer in time.
    Timeout,
    /// It failed, or named what is no server to be picked.
    Error,
    /// The server it named went out or became full meanwhile.
    Unfit,
    /// It left it to the fallback.
    Declined,
}

impl By {
    /// The word in the access log.
    pub fn word(self) -> &'static str {
        match self {
            By::Policy => "policy",
            By::Trial => "trial",
            By::NotReady => "fallback: not_ready",
            By::Open => "fallback: open",
            By::Busy => "fallback: busy",
            By::Timeout => "fallback: timeout",
            By::Error => "fallback: error",
            By::Unfit => "fallback: unfit",
            By::Declined => "fallback: declined",
        }
    }

    fn counter(self) -> PoolCounter {
        match self {
            By::Policy => PoolCounter::PicksPolicy,
            By::Trial => PoolCounter::PicksTrial,
            By::NotReady => PoolCounter::PicksNotReady,
            By::Open => PoolCounter::PicksOpen,
            By::Busy => PoolCounter::PicksBusy,
            By::Timeout => PoolCounter::PicksTimeout,
            By::Error => PoolCounter::PicksError,
            By::Unfit => PoolCounter::PicksUnfit,
            By::Declined => PoolCounter::PicksDeclined,
        }
    }
}

/// A server for the request, and who picked it.
///
/// # Errors
/// [`NoServer`] says why there is none.
pub async fn pick(
    shard: &Rc<Shard>,
    pool: &PoolView,
    post: &Post,
    subject: &dyn Subject,
    tried: &Tried,
) -> (Result<Lease, NoServer>, By) {
    let group = pool.group();
    if let Some(lease) = group.trial(tried, shard.number, shard.now()) {
        pool.counters.add(By::Trial.counter());
        return (Ok(lease), By::Trial);
    }
    let (chosen, by) = match ask(shard, pool, post, subject, tried).await {
        Ok(index) => (group.choose(index, tried, shard.number, shard.now()), By::Unfit),
        Err(by) => (None, by),
    };
    let (lease, by) = match chosen {
        Some(lease) => (Ok(lease), By::Policy),
        None => (group.pick_for(subject, tried, shard.now()), by),
    };
    pool.counters.add(by.counter());
    (lease, by)
}

/// The server that the policy names, in time.
async fn ask(
    shard: &Rc<Shard>,
    pool: &PoolView,
    post: &Post,
    subject: &dyn Subject,
    tried: &Tried,
) -> Result<usize, By> {
    let failed = |by: By, why: String| {
        if let Some(words) = post.failed(why, shard.now()) {
            shard.say("warning", words);
        }
        by
    };
    let waiting = match post.ask(pool.running_pool(), subject, tried, shard.now()) {
        Ok(waiting) => waiting,
        Err(By::Busy) => return Err(failed(By::Busy, "it cannot keep up".to_owned())),
        Err(by) => return Err(by),
    };
    let answer = shard.timers.within(post.timeout(), waiting).await;
    // The clock of the shard stood still for as long as it waited.
    let _ = shard.micros();
    let picked = match answer {
        None => {
            let millis = post.timeout() as f64 / 1000.0;
            return Err(failed(By::Timeout, format!("no answer within {millis} ms")));
        }
        // Its thread has ended with the question in hand.
        Some(Err(_)) => return Err(failed(By::Error, "its thread has ended".to_owned())),
        Some(Ok(Err(why))) => return Err(failed(By::Error, why)),
        Some(Ok(Ok(picked))) => picked,
    };
    if let Some(words) = post.succeeded() {
        shard.say("info", words);
    }
    picked.ok_or(By::Declined)
}

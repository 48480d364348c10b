//! A policy's post in a pool of one generation: how long it is waited for, who stands in for it,
//! and what is measured for it.
//!
//! Rules kept here:
//! - The policy of the generation before stays in office where nothing of it changed.
//! - Latencies move on with their servers.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use evener_balance::{Outcome, Timing, Tried};
use evener_plan::{Pool, Scheduler};
use serde::Serialize;
use tokio::sync::oneshot;

use super::picking::Waiting;
use super::{By, Ending, Host, Letter, Policy, Spec, Subject};
use crate::running::{RunningPool, name_of};

/// A policy in a pool of a generation.
pub struct Post {
    policy: Arc<Policy>,
    /// Microseconds.
    timeout: u64,
    /// The scheduler that stands in, as it is shown.
    fallback: Box<str>,
    /// Decayed means in microseconds, by server; 0 is unknown.
    latencies: Box<[AtomicU64]>,
}

/// How it is with a pool's policy, for people.
#[derive(Debug, Clone, Serialize)]
pub struct Condition {
    pool: String,
    policy: String,
    fallback: String,
    /// `loading`, `asked`, `open` (not asked for a while) or `ended`.
    state: &'static str,
    /// Its last trouble.
    trouble: String,
}

/// Of a new time so much goes into the mean, as a shift: an eighth.
const SHARE: u32 = 3;

impl Post {
    /// The post that a pool has, if its scheduler is a policy.
    ///
    /// # Errors
    /// In words, when the policy has nowhere to live.
    pub fn of(
        pool: &Pool,
        before: Option<&RunningPool>,
        host: &dyn Host,
    ) -> Result<Option<Post>, String> {
        let Scheduler::Python { policy, version, timeout, fallback } = &pool.scheduler else {
            return Ok(None);
        };
        let (policy, version) = (policy.clone(), version.clone());
        let spec = Spec { pool: pool.name.clone(), policy, version };
        let old = before.and_then(|before| Some((before, before.post.as_ref()?)));
        let kept = old.map(|(_, post)| &post.policy);
        let kept = kept.filter(|policy| *policy.spec() == spec && !policy.has_ended());
        let policy = match kept {
            Some(policy) => policy.clone(),
            None => Policy::begin(spec, host)?,
        };
        let latency = |id: &str| {
            let (pool, post) = old?;
            post.latencies.get(pool.group.index_of(id)?).map(|known| known.load(Ordering::Relaxed))
        };
        let latencies = pool.servers.iter().map(|server| latency(&server.id).unwrap_or(0));
        Ok(Some(Post {
            policy,
            timeout: timeout.saturating_mul(1000),
            fallback: name_of(fallback).into(),
            latencies: latencies.map(AtomicU64::new).collect(),
        }))
    }

    /// Microseconds that an answer is waited for.
    pub fn timeout(&self) -> u64 {
        self.timeout
    }

    /// Seconds that a server takes; none while that is unknown.
    pub fn latency(&self, index: usize) -> Option<f64> {
        let micros = self.latencies.get(index)?.load(Ordering::Relaxed);
        (micros > 0).then_some(micros as f64 / 1e6)
    }

    /// How it is with the policy.
    pub fn condition(&self) -> Condition {
        let Spec { pool, policy, .. } = self.policy.spec().clone();
        let (state, trouble) = self.policy.condition();
        Condition { pool, policy, fallback: self.fallback.to_string(), state, trouble }
    }

    /// Asks the policy.
    ///
    /// # Errors
    /// Who picks instead, and why.
    pub(super) fn ask(
        &self,
        pool: &Arc<RunningPool>,
        subject: &dyn Subject,
        tried: &Tried,
        now: u64,
    ) -> Result<Waiting, By> {
        let (reply, answer) = oneshot::channel();
        self.policy.ask(now, |wants| Letter::Pick {
            pool: pool.clone(),
            question: subject.question(&wants.headers),
            tried: tried.clone(),
            reply,
        })?;
        Ok(answer)
    }

    /// The policy answered in time; a word for people, if there is one.
    pub(super) fn succeeded(&self) -> Option<String> {
        self.policy.succeeded()
    }

    /// The policy failed; a word for people, if there is one.
    pub(super) fn failed(&self, why: String, now: u64) -> Option<String> {
        self.policy.failed(why, &self.fallback, now)
    }

    /// A try at a server has ended.
    pub fn ended(&self, pool: &Arc<RunningPool>, server: usize, outcome: Outcome, timing: Timing) {
        let (status, failure) = match outcome {
            Outcome::Answered { status } => (Some(status), ""),
            Outcome::SessionEnded => (None, ""),
            Outcome::Failed(cause) => (None, crate::http::fault::Fault::Server(cause).cause()),
            Outcome::AnswerCut => (None, "answer_cut"),
            Outcome::AnswerStalled => (None, "answer_stalled"),
            // The rest says nothing of the server.
            _ => return,
        };
        if let (true, Some(head)) = (failure.is_empty(), timing.head) {
            self.note(server, head.max(1));
        }
        let seconds = timing.whole as f64 / 1e6;
        let ending = Ending { server, status, failure, seconds };
        self.policy.tell(|| Letter::Ended { pool: pool.clone(), ending });
    }

    /// Two shards that write at once lose one of two times: a mean can bear that.
    fn note(&self, server: usize, micros: u64) {
        let Some(place) = self.latencies.get(server) else { return };
        let mean = match place.load(Ordering::Relaxed) {
            0 => micros,
            old => (old - (old >> SHARE) + (micros >> SHARE)).max(1),
        };
        place.store(mean, Ordering::Relaxed);
    }
}

/// The policies of a generation.
pub fn conditions(pools: &[Arc<RunningPool>]) -> Vec<Condition> {
    pools.iter().filter_map(|pool| Some(pool.post.as_ref()?.condition())).collect()
}

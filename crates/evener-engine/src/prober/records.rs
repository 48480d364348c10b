//! The last check of each server, for people.
//!
//! Rules kept here: written by the prober, read by the control thread; neither waits longer than a
//! look-up takes.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

/// A check that was made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LastCheck {
    /// When it ended, in milliseconds since 1970.
    pub at: u64,
    /// How long it took, in milliseconds.
    pub took_ms: f64,
    /// Whether it passed.
    pub ok: bool,
    /// What was found, in words.
    pub text: String,
}

/// The last check of each server, by pool and id.
#[derive(Debug, Default)]
pub struct Records {
    by_pool: Mutex<HashMap<String, HashMap<String, LastCheck>>>,
}

impl Records {
    /// A check was made.
    pub fn set(&self, pool: &str, server: &str, check: LastCheck) {
        let mut pools = self.lock();
        match pools.get_mut(pool).and_then(|servers| servers.get_mut(server)) {
            Some(place) => *place = check,
            None => {
                pools.entry(pool.to_owned()).or_default().insert(server.to_owned(), check);
            }
        }
    }

    /// The last check of a server.
    pub fn of(&self, pool: &str, server: &str) -> Option<LastCheck> {
        self.lock().get(pool)?.get(server).cloned()
    }

    /// Forgets servers that no plan has any more.
    pub fn keep_only(&self, stays: impl Fn(&str, &str) -> bool) {
        self.lock().retain(|pool, servers| {
            servers.retain(|server, _| stays(pool, server));
            !servers.is_empty()
        });
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, HashMap<String, LastCheck>>> {
        self.by_pool.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

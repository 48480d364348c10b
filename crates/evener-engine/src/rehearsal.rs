//! What a worker would say to a plan and its parts, without one that serves.
//!
//! Rules kept here:
//! - Everything is judged by the code that a worker runs, so that `evener check` and a reload
//!   cannot be of two minds.
//! - Nothing is opened, kept or begun: a policy of the user's has a place, and no life.
//!
//! Not known here: places in files, sockets.

use std::collections::BTreeMap;

use evener_plan::{Answer, Match, PathPattern, Plan, Route, RouteBuffer};

use crate::clock;
use crate::http::routes::Routes;
use crate::policies::{Desk, Host};
use crate::running::{Running, Workshop};
use crate::tls;

/// Builds a plan as the first one of a worker with so many shards.
///
/// # Errors
/// A sentence for everything that is wrong, all at once.
pub fn plan(
    text: &str,
    secrets: &BTreeMap<String, String>,
    shards: usize,
) -> Result<(), Vec<String>> {
    let plan = Plan::from_json(text.as_bytes()).map_err(|why| vec![why.to_string()])?;
    let shop = Workshop {
        secrets,
        tickets: &std::sync::Arc::default(),
        previous: None,
        now: clock::millis(),
        seed: 0,
        shards: shards.max(1),
        host: &NoLife,
    };
    Running::build(plan, &shop).map(drop)
}

/// Compiles a regular expression of a route.
///
/// # Errors
/// What is wrong with it, in a few words.
pub fn pattern(text: &str) -> Result<(), String> {
    let matches = Match {
        host: Vec::new(),
        path: vec![PathPattern::Regex(text.to_owned())],
        method: Vec::new(),
        header: Vec::new(),
        not: None,
    };
    let route = Route {
        name: String::new(),
        matches,
        answer: Answer::Pool(String::new()),
        request_headers: None,
        response_headers: None,
        buffer: RouteBuffer::default(),
    };
    Routes::compile(&[route]).map(drop).map_err(|why| in_short(&why).to_owned())
}

/// Reads a certificate chain and its key.
///
/// # Errors
/// A sentence.
pub fn key(pem: &str) -> Result<(), String> {
    tls::refuse_key(pem)
}

/// Reads the authorities that servers are verified against.
///
/// # Errors
/// A sentence.
pub fn authorities(pem: &str) -> Result<(), String> {
    tls::refuse_authorities(pem)
}

/// The last words of what the library says, which draws some errors over several lines.
fn in_short(why: &str) -> &str {
    let last = why.rsplit_once("error: ").or_else(|| why.rsplit_once("is not valid: "));
    last.map_or(why, |(_, last)| last).trim()
}

/// A host whose policies are never asked.
struct NoLife;

impl Host for NoLife {
    fn begin(&self, _: Desk) -> Result<(), String> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALLEST: &str = include_str!("../../../tests/golden/smallest.plan.json");

    #[test]
    fn a_plan_that_a_worker_takes_is_not_refused() {
        assert_eq!(plan(SMALLEST, &BTreeMap::new(), 2), Ok(()));
    }

    #[test]
    fn everything_that_a_worker_refuses_is_told() {
        let mut wrong = Plan::from_json(SMALLEST.as_bytes()).unwrap();
        for listener in &mut wrong.listeners {
            listener.pool = Some("nobody".into());
        }
        for pool in &mut wrong.pools {
            pool.key = Some("{".into());
        }
        let told = plan(&wrong.to_json(), &BTreeMap::new(), 2).unwrap_err();
        assert_eq!(told.len(), 2, "{told:?}");
        assert!(plan("{}", &BTreeMap::new(), 2).is_err());
    }

    #[test]
    fn a_pattern_that_does_not_compile_is_told_in_a_few_words() {
        assert_eq!(pattern("^/[a-z]+$"), Ok(()));
        assert_eq!(pattern("("), Err("unclosed group".to_owned()));
        let long = pattern("(a{1000}){1000}").unwrap_err();
        assert!(long.starts_with("Compiled regex exceeds size limit"), "{long}");
    }
}

//! Which answer a request gets: the first route that matches, in order.
//!
//! Rules kept here:
//! - All matching reads one canonical value of each thing: the host in lower case without port,
//!   the canonical path, field values without surrounding blanks.
//! - Order decides and nothing else; the index below only skips routes that cannot match.
//! - Regular expressions and globs are compiled with the plan and run in linear time.
//!
//! Not known here: what an answer does.

use std::collections::HashMap;

use evener_plan::{HeaderMatch, HeaderValue, Match, PathPattern, Route};
use regex::bytes::Regex;

/// What routes look at.
pub struct Facts<'a> {
    /// Host in lower case, without port; empty when there is none.
    pub host: &'a str,
    /// Canonical path.
    pub path: &'a [u8],
    /// Method as sent.
    pub method: &'a [u8],
    /// Values of the field with this name (lower case), in order.
    pub field: &'a EachValue<'a>,
}

/// Calls back with each value of the field with a name.
pub type EachValue<'a> = dyn Fn(&str, &mut dyn FnMut(&[u8])) + 'a;

/// The routes of a listener, compiled.
#[derive(Debug, Default)]
pub struct Routes {
    conditions: Vec<Condition>,
    /// Routes that only match a path whose first segment is this, by index.
    by_segment: HashMap<Vec<u8>, Vec<u32>>,
    /// Routes that may match any path.
    anywhere: Vec<u32>,
}

#[derive(Debug)]
struct Condition {
    hosts: Vec<Host>,
    paths: Vec<Path>,
    methods: Vec<Vec<u8>>,
    headers: Vec<(String, Value)>,
    not: Option<Box<Condition>>,
}

#[derive(Debug)]
enum Host {
    Exact(String),
    /// The part behind the star, with its dot.
    Below(String),
}

#[derive(Debug)]
enum Path {
    Exact(Vec<u8>),
    Within(Vec<u8>),
    Below(Vec<u8>),
    Regex(Regex),
}

#[derive(Debug)]
enum Value {
    AnyOf(Vec<Vec<u8>>),
    Prefix(Vec<u8>),
    Regex(Regex),
    Present(bool),
}

impl Routes {
    /// Compiles the routes of a plan.
    ///
    /// # Errors
    /// A sentence naming the route and the pattern that does not compile.
    pub fn compile(routes: &[Route]) -> Result<Routes, String> {
        let mut compiled = Routes::default();
        for (index, route) in routes.iter().enumerate() {
            let condition = Condition::compile(&route.matches)
                .map_err(|why| format!("route {}: {why}", route.name))?;
            compiled.index(index as u32, &condition);
            compiled.conditions.push(condition);
        }
        Ok(compiled)
    }

    /// Index of the first route that matches.
    #[inline]
    pub fn find(&self, facts: &Facts<'_>) -> Option<usize> {
        if self.conditions.is_empty() {
            return None;
        }
        let here = self.by_segment.get(first_segment(facts.path)).map_or(&[][..], Vec::as_slice);
        merged(here, &self.anywhere)
            .find(|index| {
                self.conditions.get(*index as usize).is_some_and(|route| route.holds(facts))
            })
            .map(|index| index as usize)
    }

    fn index(&mut self, index: u32, condition: &Condition) {
        let segments: Option<Vec<_>> = condition.paths.iter().map(Path::only_segment).collect();
        match segments {
            Some(segments) if !segments.is_empty() => {
                for segment in segments {
                    let list = self.by_segment.entry(segment.to_vec()).or_default();
                    if list.last() != Some(&index) {
                        list.push(index);
                    }
                }
            }
            _ => self.anywhere.push(index),
        }
    }
}

/// Two ascending lists as one.
fn merged<'a>(one: &'a [u32], other: &'a [u32]) -> impl Iterator<Item = u32> + 'a {
    let (mut one, mut other) = (one.iter().peekable(), other.iter().peekable());
    std::iter::from_fn(move || match (one.peek(), other.peek()) {
        (Some(a), Some(b)) if a <= b => one.next().copied(),
        (Some(_), None) => one.next().copied(),
        _ => other.next().copied(),
    })
}

/// `/a/b` → `a`; `/a` → `a`.
fn first_segment(path: &[u8]) -> &[u8] {
    let path = path.strip_prefix(b"/").unwrap_or(path);
    path.split(|byte| *byte == b'/').next().unwrap_or(path)
}

impl Condition {
    fn compile(matches: &Match) -> Result<Condition, String> {
        Ok(Condition {
            hosts: matches.host.iter().map(|host| Host::compile(host)).collect(),
            paths: matches.path.iter().map(Path::compile).collect::<Result<_, _>>()?,
            methods: matches.method.iter().map(|method| method.clone().into_bytes()).collect(),
            headers: matches.header.iter().map(value).collect::<Result<_, _>>()?,
            not: match &matches.not {
                Some(not) => Some(Box::new(Condition::compile(not)?)),
                None => None,
            },
        })
    }

    fn holds(&self, facts: &Facts<'_>) -> bool {
        any_or_none(&self.hosts, |host| host.holds(facts.host))
            && any_or_none(&self.paths, |path| path.holds(facts.path))
            && any_or_none(&self.methods, |method| method == facts.method)
            && self.headers.iter().all(|(name, value)| value.holds(name, facts))
            && !self.not.as_ref().is_some_and(|not| not.holds(facts))
    }
}

fn any_or_none<T>(list: &[T], holds: impl Fn(&T) -> bool) -> bool {
    list.is_empty() || list.iter().any(holds)
}

impl Host {
    fn compile(host: &str) -> Host {
        match host.strip_prefix('*') {
            Some(rest) => Host::Below(rest.to_ascii_lowercase()),
            None => Host::Exact(host.to_ascii_lowercase()),
        }
    }

    fn holds(&self, host: &str) -> bool {
        match self {
            Host::Exact(name) => host == name,
            Host::Below(rest) => host.len() > rest.len() && host.ends_with(rest.as_str()),
        }
    }
}

impl Path {
    fn compile(pattern: &PathPattern) -> Result<Path, String> {
        Ok(match pattern {
            PathPattern::Exact(path) => Path::Exact(path.clone().into_bytes()),
            PathPattern::Within(path) => Path::Within(path.clone().into_bytes()),
            PathPattern::Below(path) => Path::Below(path.clone().into_bytes()),
            PathPattern::Regex(text) => Path::Regex(regex(text)?),
            PathPattern::Glob(text) => Path::Regex(regex(&glob(text))?),
        })
    }

    fn holds(&self, path: &[u8]) -> bool {
        match self {
            Path::Exact(exact) => path == exact.as_slice(),
            Path::Within(base) => path
                .strip_prefix(base.as_slice())
                .is_some_and(|rest| rest.is_empty() || rest.first() == Some(&b'/')),
            Path::Below(base) => path.starts_with(base),
            Path::Regex(regex) => regex.is_match(path),
        }
    }

    /// The first segment that a matching path must have, if there is only one.
    fn only_segment(&self) -> Option<&[u8]> {
        match self {
            Path::Exact(path) => Some(first_segment(path)),
            Path::Within(base) if !base.is_empty() => Some(first_segment(base)),
            Path::Below(base) if base.len() > 1 => Some(first_segment(base)),
            _ => None,
        }
    }
}

fn value(header: &HeaderMatch) -> Result<(String, Value), String> {
    let value = match &header.value {
        HeaderValue::AnyOf(values) => {
            Value::AnyOf(values.iter().map(|value| value.clone().into_bytes()).collect())
        }
        HeaderValue::Prefix(prefix) => Value::Prefix(prefix.clone().into_bytes()),
        HeaderValue::Regex(text) => Value::Regex(regex(text)?),
        HeaderValue::Present(present) => Value::Present(*present),
    };
    Ok((header.name.to_ascii_lowercase(), value))
}

impl Value {
    fn holds(&self, name: &str, facts: &Facts<'_>) -> bool {
        let mut seen = false;
        let mut found = false;
        (facts.field)(name, &mut |value| {
            seen = true;
            found |= match self {
                Value::AnyOf(values) => values.iter().any(|wanted| wanted == value),
                Value::Prefix(prefix) => value.starts_with(prefix),
                Value::Regex(regex) => regex.is_match(value),
                Value::Present(_) => true,
            };
        });
        match self {
            Value::Present(wanted) => seen == *wanted,
            _ => found,
        }
    }
}

fn regex(text: &str) -> Result<Regex, String> {
    Regex::new(text).map_err(|why| format!("the regular expression {text:?} is not valid: {why}"))
}

/// A glob as a regular expression over the whole path.
fn glob(text: &str) -> String {
    let mut regex = String::from("^");
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let (piece, taken) = match first {
            '*' if rest.starts_with("**") => (".*".to_owned(), 2),
            '*' => ("[^/]*".to_owned(), 1),
            '?' => ("[^/]".to_owned(), 1),
            other => (regex::escape(other.encode_utf8(&mut [0; 4])), other.len_utf8()),
        };
        regex.push_str(&piece);
        rest = rest.get(taken..).unwrap_or("");
    }
    regex.push('$');
    regex
}

#[cfg(test)]
mod tests {
    use super::*;
    use evener_plan::Answer;

    fn route(matches: Match) -> Route {
        Route {
            name: "r".into(),
            matches,
            answer: Answer::Pool("p".into()),
            request_headers: None,
            response_headers: None,
        }
    }

    fn any() -> Match {
        Match { host: vec![], path: vec![], method: vec![], header: vec![], not: None }
    }

    fn path(pattern: PathPattern) -> Match {
        Match { path: vec![pattern], ..any() }
    }

    fn find(routes: &[Route], host: &str, target: &str) -> Option<usize> {
        let field = |name: &str, found: &mut dyn FnMut(&[u8])| {
            if name == "x-team" {
                found(b"blue");
            }
        };
        let facts = Facts { host, path: target.as_bytes(), method: b"GET", field: &field };
        Routes::compile(routes).unwrap().find(&facts)
    }

    #[test]
    fn the_first_route_that_matches_wins_whatever_the_index_says() {
        let routes = [
            route(path(PathPattern::Exact("/a".into()))),
            route(path(PathPattern::Regex("^/b".into()))),
            route(path(PathPattern::Within("/b".into()))),
            route(any()),
        ];
        assert_eq!(find(&routes, "", "/a"), Some(0));
        assert_eq!(find(&routes, "", "/b/c"), Some(1));
        assert_eq!(find(&routes, "", "/z"), Some(3));
    }

    #[test]
    fn paths_are_compared_at_segments() {
        let within = [route(path(PathPattern::Within("/x".into())))];
        assert_eq!(find(&within, "", "/x"), Some(0));
        assert_eq!(find(&within, "", "/x/y"), Some(0));
        assert_eq!(find(&within, "", "/xy"), None);
        let below = [route(path(PathPattern::Below("/x/".into())))];
        assert_eq!(find(&below, "", "/x"), None);
        assert_eq!(find(&below, "", "/x/"), Some(0));
        let root = [route(path(PathPattern::Within(String::new())))];
        assert_eq!(find(&root, "", "/anything"), Some(0));
    }

    #[test]
    fn a_star_in_a_host_stands_for_at_least_one_label() {
        let routes = [route(Match { host: vec!["*.a.example".into()], ..any() })];
        assert_eq!(find(&routes, "b.a.example", "/"), Some(0));
        assert_eq!(find(&routes, "a.example", "/"), None);
        assert_eq!(find(&routes, "xa.example", "/"), None);
    }

    #[test]
    fn fields_and_not_are_part_of_the_match() {
        let team = |value| HeaderMatch { name: "X-Team".into(), value };
        let blue = Match { header: vec![team(HeaderValue::AnyOf(vec!["blue".into()]))], ..any() };
        assert_eq!(find(&[route(blue.clone())], "", "/"), Some(0));
        let not_blue = Match { not: Some(Box::new(blue)), ..any() };
        assert_eq!(find(&[route(not_blue)], "", "/"), None);
        let absent = Match { header: vec![team(HeaderValue::Present(false))], ..any() };
        assert_eq!(find(&[route(absent)], "", "/"), None);
    }

    #[test]
    fn globs_stay_within_a_segment_unless_doubled() {
        let one = [route(path(PathPattern::Glob("/img/*.png".into())))];
        assert_eq!(find(&one, "", "/img/a.png"), Some(0));
        assert_eq!(find(&one, "", "/img/a/b.png"), None);
        let deep = [route(path(PathPattern::Glob("/img/**.png".into())))];
        assert_eq!(find(&deep, "", "/img/a/b.png"), Some(0));
    }
}

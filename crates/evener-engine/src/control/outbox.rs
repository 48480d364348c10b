//! What the worker says by itself, until the supervisor takes it.
//!
//! Rules kept here:
//! - Memory is bounded whatever the supervisor does: of a server only the newest state waits, of
//!   words only so many; the rest is counted and the count is told.
//! - Of two changes that overtook each other on the way from two threads, the older is dropped, and
//!   so is one of a server that had the name before: the last word about a server is true.
//! - Without a supervisor states are dropped: the next one asks for all.

use std::collections::{BTreeMap, HashMap, VecDeque};

use evener_balance::Facts;
use serde::Serialize;

use super::commands::text;
use super::facts::Form;
use super::link::Link;

/// Bytes a link may owe its peer before events wait here.
const BACKLOG: usize = 1 << 20;
/// Words that wait.
const WORDS: usize = 1000;

/// What waits.
#[derive(Default)]
pub struct Outbox {
    states: BTreeMap<(String, String), String>,
    words: VecDeque<String>,
    lost: u64,
    /// When each server last changed, of what was told.
    told: HashMap<(String, String), u64>,
}

#[derive(Serialize)]
struct HealthEvent<'a> {
    event: &'static str,
    #[serde(flatten)]
    facts: &'a Form,
}

#[derive(Serialize)]
struct LogEvent<'a> {
    event: &'static str,
    level: &'a str,
    text: &'a str,
}

#[derive(Serialize)]
struct WarningEvent<'a> {
    event: &'static str,
    level: &'static str,
    pool: &'a str,
    server: &'a str,
    text: &'a str,
}

#[derive(Serialize)]
struct DrainedEvent {
    event: &'static str,
    cut: u64,
}

impl Outbox {
    /// Whether this change is news. `now` is the server's state at this moment.
    pub fn is_news(&mut self, pool: &str, heard: &Facts, now: &Facts) -> bool {
        // Of one server nothing that was heard is later than how it is now.
        if heard.address != now.address || heard.changed > now.changed {
            return false;
        }
        let told = self.told.entry((pool.to_owned(), heard.id.clone())).or_insert(0);
        // How it is now is news, however far the clocks of threads are apart.
        let overtaken = now.state != heard.state || now.changed != heard.changed;
        if overtaken && heard.changed <= *told {
            return false;
        }
        *told = heard.changed;
        true
    }

    /// Forgets servers that no plan has any more.
    pub fn keep_only(&mut self, stays: impl Fn(&str, &str) -> bool) {
        self.told.retain(|(pool, server), _| stays(pool, server));
    }

    /// A server's state has changed.
    pub fn health(&mut self, pool: &str, server: &str, form: &Form) {
        let event = text(&HealthEvent { event: "health", facts: form });
        self.states.insert((pool.to_owned(), server.to_owned()), event);
    }

    /// A word for people.
    pub fn log(&mut self, level: &str, words: &str) {
        self.keep(text(&LogEvent { event: "log", level, text: words }));
    }

    /// A warning about a server.
    pub fn warn(&mut self, pool: &str, server: &str, words: &str) {
        let level = "warning";
        self.keep(text(&WarningEvent { event: "log", level, pool, server, text: words }));
    }

    fn keep(&mut self, event: String) {
        if self.words.len() >= WORDS {
            self.words.pop_front();
            self.lost += 1;
        }
        self.words.push_back(event);
    }

    /// The drain is over.
    pub fn drained(&mut self, cut: u64) {
        self.words.push_back(text(&DrainedEvent { event: "drained", cut }));
    }

    /// A supervisor has come, who will ask for all states.
    pub fn greet(&mut self) {
        self.states.clear();
    }

    /// Gives the link what it has room for; words before states, which then are the newer.
    pub fn pour(&mut self, link: Option<&mut Link>) {
        let Some(link) = link else {
            self.states.clear();
            return;
        };
        if self.lost > 0 && link.backlog() < BACKLOG {
            let words = format!("{} messages to the supervisor were lost", self.lost);
            link.say(&text(&LogEvent { event: "log", level: "warning", text: &words }));
            self.lost = 0;
        }
        while link.backlog() < BACKLOG {
            let state = |states: &mut BTreeMap<_, _>| states.pop_first().map(|(_, event)| event);
            match self.words.pop_front().or_else(|| state(&mut self.states)) {
                Some(event) => link.say(&event),
                None => return,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use evener_balance::{Reason, State};
    use evener_plan::{Admin, HealthState};
    use std::os::unix::net::UnixStream;

    fn facts(state: State, changed: u64) -> Facts {
        Facts {
            id: "a".to_owned(),
            address: "127.0.0.1:1".to_owned(),
            weight: 1,
            tier: 0,
            admin: Admin::Ready,
            health: HealthState::Up,
            ejected_until: 0,
            changed,
            state,
            reason: Reason::NoChecks,
            in_flight: 0,
        }
    }

    #[test]
    fn a_change_that_was_overtaken_is_no_news() {
        let mut outbox = Outbox::default();
        let (up, out) = (facts(State::Up, 20), facts(State::Ejected, 10));
        assert!(outbox.is_news("web", &up, &up));
        assert!(!outbox.is_news("web", &out, &up));
    }

    #[test]
    fn two_changes_of_one_moment_are_told_in_their_order_only() {
        let (up, out) = (facts(State::Up, 20), facts(State::Ejected, 20));
        let mut right = Outbox::default();
        assert!(right.is_news("web", &out, &up) && right.is_news("web", &up, &up));
        let mut wrong = Outbox::default();
        assert!(wrong.is_news("web", &up, &up) && !wrong.is_news("web", &out, &up));
    }

    #[test]
    fn what_is_said_of_a_server_that_another_took_the_name_of_is_no_news() {
        let mut outbox = Outbox::default();
        let (old, new) = (facts(State::Ejected, 20), facts(State::Up, 10));
        assert!(outbox.is_news("web", &new, &new));
        assert!(!outbox.is_news("web", &old, &new));
        let moved = Facts { address: "127.0.0.1:2".to_owned(), ..facts(State::Up, 30) };
        assert!(!outbox.is_news("web", &old, &moved));
    }

    #[test]
    fn how_a_server_is_now_is_news_whatever_the_clock_of_who_says_so() {
        let mut outbox = Outbox::default();
        let (up, out) = (facts(State::Up, 20), facts(State::Ejected, 19));
        assert!(outbox.is_news("web", &up, &up));
        assert!(outbox.is_news("web", &out, &out));
    }

    #[test]
    fn for_a_slow_supervisor_only_the_newest_state_of_a_server_waits() {
        let (_ours, theirs) = UnixStream::pair().unwrap();
        let mut link = Link::new(theirs.into());
        link.say(&"x".repeat(BACKLOG));
        let before = link.backlog();
        let mut outbox = Outbox::default();
        for turn in 0..10_000 {
            outbox.health("web", "a", &Form::of("web", facts(State::Up, turn), None));
            outbox.log("warning", "w");
            outbox.pour(Some(&mut link));
        }
        assert_eq!(link.backlog(), before);
        assert_eq!((outbox.states.len(), outbox.words.len(), outbox.lost), (1, WORDS, 9_000));
    }

    #[test]
    fn without_a_supervisor_words_wait_and_states_do_not() {
        let mut outbox = Outbox::default();
        outbox.health("web", "a", &Form::of("web", facts(State::Up, 1), None));
        outbox.log("error", "words");
        outbox.pour(None);
        assert_eq!((outbox.states.len(), outbox.words.len()), (0, 1));
    }
}

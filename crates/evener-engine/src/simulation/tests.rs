//! Simulated tests of the exchange, by subject.
#![cfg(test)]

mod admitted;
mod bodies;
mod clients;
mod edits;
mod endings;
mod fastcgi;
mod habits;
mod identity;
mod interim;
mod plain;
mod policies;
mod removed;
mod retries;
mod rules;
mod schedulers;
mod seams;
mod sessions;
mod steps;
mod taking;
mod timeouts;
mod times;

/// A request.
const GET: &str = "GET / HTTP/1.1\r\nHost: h.test\r\n\r\n";
/// The same for a client that wants no further one.
const LAST_GET: &str = "GET / HTTP/1.1\r\nHost: h.test\r\nConnection: close\r\n\r\n";
/// An answer.
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
/// What we say to a server of a client.
const OURS: &str = "X-Forwarded-For: 192.0.2.200\r\nX-Forwarded-Proto: http\r\n\
     X-Forwarded-Host: h.test\r\n\r\n";

/// The head that a server gets for one that has nothing to cut.
fn forwarded(head: &str) -> String {
    format!("{}{OURS}", head.strip_suffix("\r\n").expect("the empty line"))
}

/// An answer that lets us hope it was ours.
fn answered(status: u16) -> evener_balance::Outcome {
    evener_balance::Outcome::Answered { status }
}

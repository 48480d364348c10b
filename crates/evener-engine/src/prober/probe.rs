//! One check over a fresh connection.
//!
//! Rules kept here:
//! - The connection ends by a reset: thousands of checks a second must leave no ports in TIME_WAIT.
//! - Running out of something of our own says nothing against the server.
//! - Time is bounded as a whole, and the words of a time-out say how far it came.

use std::cell::Cell;
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;

use rustls::ClientConfig;

use super::judge::{Ask, Judge};
use crate::io::{Buffer, Poller, Stream, Timers};
use crate::pool::connect::{Blame, connect};
use crate::pool::target::Target;

/// What is checked, and how.
#[derive(Debug)]
pub struct Probe {
    /// Where.
    pub target: Target,
    /// TLS first.
    pub tls: Option<Arc<ClientConfig>>,
    /// What is asked then; `None`: the connection is all.
    pub ask: Option<Ask>,
    /// Milliseconds for all of it.
    pub timeout: u64,
}

/// What was found, in words.
#[derive(Debug, PartialEq, Eq)]
pub enum Finding {
    /// The server passed.
    Passed(String),
    /// It failed.
    Failed(String),
    /// The check could not be made, and the fault is ours.
    Ours(String),
}

impl Probe {
    /// Makes the check.
    pub async fn make(&self, poller: &Rc<Poller>, timers: &Rc<Timers>) -> Finding {
        let reached = Cell::new("no connection");
        let made = self.converse(poller, &reached);
        match timers.within(self.timeout.saturating_mul(1000), made).await {
            Some(finding) => finding,
            None => Finding::Failed(format!("{} within {} ms", reached.get(), self.timeout)),
        }
    }

    async fn converse(&self, poller: &Rc<Poller>, reached: &Cell<&'static str>) -> Finding {
        let mut stream =
            match connect(poller, &self.target, self.tls.as_ref(), self.ask.is_some()).await {
                Ok(stream) => stream,
                Err(why) if matches!(why.blame, Blame::Ours | Blame::Ports) => {
                    return Finding::Ours(why.words);
                }
                Err(why) => return Finding::Failed(why.words),
            };
        stream.reset_on_close();
        let Some(ask) = &self.ask else { return Finding::Passed("connected".to_owned()) };
        reached.set("connected, but the request was not taken");
        let verdict = match send(&mut stream, &ask.request).await {
            Ok(()) => {
                reached.set("connected, but no whole answer");
                answer(&mut stream, ask).await
            }
            Err(why) => Err(format!("the request could not be sent: {why}")),
        };
        match verdict {
            Ok(words) => Finding::Passed(words),
            Err(words) => Finding::Failed(words),
        }
    }
}

async fn send(stream: &mut Stream, mut bytes: &[u8]) -> std::io::Result<()> {
    while !bytes.is_empty() {
        let taken = poll_fn(|cx| stream.poll_write(cx, bytes)).await?;
        bytes = bytes.get(taken..).unwrap_or(&[]);
    }
    poll_fn(|cx| stream.poll_flush(cx)).await
}

async fn answer(stream: &mut Stream, ask: &Ask) -> Result<String, String> {
    let mut judge = Judge::new(ask);
    let mut buffer = Buffer::empty();
    loop {
        let read = poll_fn(|cx| stream.poll_read(cx, &mut buffer)).await;
        match read {
            Ok(0) => return judge.end(),
            Ok(count) => {
                if let Some(verdict) = judge.take(buffer.bytes()) {
                    return verdict;
                }
                buffer.consume(count);
            }
            Err(why) => return Err(format!("the answer could not be read: {why}")),
        }
    }
}

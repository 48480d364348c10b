//! The control thread: listens for supervisors, obeys the newest, tells it what happens.
//!
//! Rules kept here (docs/design/control-protocol.md):
//! - Only our own user and root are listened to.
//! - It never waits for a supervisor: one that is slow, stopped or dead costs no traffic, and
//!   commands of one that does not read its answers are left in the socket.
//! - A newer connection that says hello supersedes the older one.
//!
//! Not known here: what a command does (`worker`), how frames look (`frames`).

mod commands;
mod crew;
mod door;
mod facts;
mod frames;
mod hello;
mod interruption;
mod link;
mod outbox;
mod worker;

use std::io;
use std::os::fd::AsFd;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use crate::error::EngineError;
use crate::events::{Events, Heard};
use crate::policies::Host;
use commands::{Greeting, text};
use door::Door;
pub use hello::{Hello, hello};
use interruption::is_interruption;
use link::{Link, Lost};
use worker::{Next, Worker};

/// Bytes a supervisor may owe us reading before its next command is looked at.
const UNREAD: usize = 4 << 20;
/// Connections that have not said hello yet.
const STRANGERS: usize = 8;
const AT_ONCE: Timespec = Timespec { tv_sec: 0, tv_nsec: 0 };
/// How long the last words may take to leave.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// Runs a worker that listens for its supervisor at `path`, until it is told to end. `host` runs
/// policies.
///
/// # Errors
/// When it cannot begin, or cannot serve on.
pub fn serve(path: &Path, host: Box<dyn Host>) -> Result<(), EngineError> {
    let (events, heard) = Events::new().map_err(EngineError::Wait)?;
    let door = Door::open(path)?;
    let mut desk = Desk {
        worker: Worker::new(events, host)?,
        door,
        heard,
        strangers: Vec::new(),
        supervisor: None,
        ours: text(&Greeting { hello: hello() }),
    };
    let end = desk.run();
    if let Err(why) = &end {
        desk.worker.outbox.log("error", &format!("the worker ends: {why}"));
    }
    desk.say_last_words();
    desk.worker.end();
    end
}

/// The thread's state.
struct Desk {
    worker: Worker,
    door: Door,
    heard: Heard,
    /// Connected, without a hello yet.
    strangers: Vec<Link>,
    supervisor: Option<Link>,
    /// Our hello, as text.
    ours: String,
}

/// What is ready to be looked at.
#[derive(Default)]
struct Ready {
    bell: bool,
    door: bool,
    supervisor: bool,
    strangers: Vec<bool>,
}

impl Desk {
    fn run(&mut self) -> Result<(), EngineError> {
        loop {
            let ready = self.wait(self.patience())?;
            if ready.bell && self.hear()? == Next::End {
                return Ok(());
            }
            if ready.door {
                self.admit();
            }
            self.greet(&ready.strangers);
            if self.attend(ready.supervisor)? == Next::End {
                return Ok(());
            }
            self.send();
        }
    }

    /// How long to wait: not at all while a command is here that may be obeyed.
    fn patience(&self) -> Option<&'static Timespec> {
        let waits = |link: &Link| link.has_frame() && link.backlog() < UNREAD;
        self.supervisor.as_ref().is_some_and(waits).then_some(&AT_ONCE)
    }

    fn wait(&self, timeout: Option<&Timespec>) -> Result<Ready, EngineError> {
        let reads = PollFlags::IN;
        let mut fds = vec![
            PollFd::from_borrowed_fd(self.heard.bell.as_fd(), reads),
            PollFd::from_borrowed_fd(self.door.socket(), reads),
        ];
        for link in self.supervisor.iter().chain(&self.strangers) {
            let mut flags = PollFlags::empty();
            flags.set(PollFlags::IN, link.backlog() < UNREAD);
            flags.set(PollFlags::OUT, link.backlog() > 0);
            fds.push(PollFd::from_borrowed_fd(link.socket(), flags));
        }
        if !has_waited(poll(&mut fds, timeout))? {
            return Ok(Ready::default());
        }
        let mut ready = fds.iter().map(|fd| !fd.revents().is_empty());
        Ok(Ready {
            bell: ready.next().unwrap_or(false),
            door: ready.next().unwrap_or(false),
            supervisor: self.supervisor.is_some() && ready.next().unwrap_or(false),
            strangers: ready.collect(),
        })
    }

    /// Takes what the threads say.
    fn hear(&mut self) -> Result<Next, EngineError> {
        self.heard.silence();
        let mut end = Next::GoOn;
        while let Ok(event) = self.heard.inbox.try_recv() {
            if self.worker.hear(event)? == Next::End {
                end = Next::End;
            }
        }
        Ok(end)
    }

    fn admit(&mut self) {
        while let Some(socket) = self.door.next() {
            let mut link = Link::new(socket);
            link.say(&self.ours);
            if self.strangers.len() >= STRANGERS {
                self.strangers.remove(0);
            }
            self.strangers.push(link);
        }
    }

    /// Looks at who has not said hello; whoever does becomes the supervisor.
    fn greet(&mut self, ready: &[bool]) {
        let mut ready = ready.iter().copied().chain(std::iter::repeat(true));
        for mut link in std::mem::take(&mut self.strangers) {
            let mut look = || link.flush().and_then(|()| link.receive());
            if ready.next() == Some(true)
                && let Err(why) = look()
            {
                self.lost(&why);
                continue;
            }
            match said_hello(&mut link) {
                Ok(true) => {
                    self.supervisor = Some(link);
                    self.worker.outbox.greet();
                }
                Ok(false) => self.strangers.push(link),
                Err(why) => self.lost(&why),
            }
        }
    }

    /// Obeys the supervisor's commands, one by one.
    fn attend(&mut self, readable: bool) -> Result<Next, EngineError> {
        let Some(mut link) = self.supervisor.take() else { return Ok(Next::GoOn) };
        let same = link.greeted == Some(true);
        if readable
            && link.backlog() < UNREAD
            && let Err(why) = link.receive()
        {
            self.lost(&why);
            return Ok(Next::GoOn);
        }
        match self.obey_all(&mut link, same) {
            Ok(Ok(next)) => {
                self.supervisor = Some(link);
                Ok(next)
            }
            Ok(Err(why)) => {
                self.lost(&why);
                Ok(Next::GoOn)
            }
            Err(why) => {
                // It is still to hear why the worker ends.
                self.supervisor = Some(link);
                Err(why)
            }
        }
    }

    fn obey_all(&mut self, link: &mut Link, same: bool) -> Result<Result<Next, Lost>, EngineError> {
        while link.backlog() < UNREAD {
            let (text, descriptors) = match link.next_frame() {
                Ok(Some(message)) => message,
                Ok(None) => break,
                Err(why) => return Ok(Err(why)),
            };
            match self.worker.obey(&text, descriptors, same)? {
                Next::Answer(answer) => link.say(&answer),
                Next::GoOn => {}
                Next::End => return Ok(Ok(Next::End)),
            }
        }
        Ok(Ok(Next::GoOn))
    }

    fn send(&mut self) {
        // What threads said because of a command belongs behind its answer, and is there already.
        self.worker.outbox.pour(self.supervisor.as_mut());
        if let Some(Err(why)) = self.supervisor.as_mut().map(Link::flush) {
            self.supervisor = None;
            self.lost(&why);
        }
        self.strangers.retain_mut(|link| link.flush().is_ok());
    }

    /// A connection has ended; that a supervisor closed it is nothing to speak of.
    fn lost(&mut self, why: &Lost) {
        if !matches!(why, Lost::Closed) {
            self.worker.outbox.log("warning", &why.to_string());
        }
    }

    fn say_last_words(&mut self) {
        let until = Instant::now() + LAST_WORDS;
        self.send();
        while self.supervisor.as_ref().is_some_and(|link| link.backlog() > 0) {
            let left = until.saturating_duration_since(Instant::now());
            let left = Timespec { tv_sec: 0, tv_nsec: i64::from(left.subsec_nanos()) };
            if Instant::now() >= until || self.wait(Some(&left)).is_err() {
                return;
            }
            self.send();
        }
    }
}

/// Whether the wait came to its end; false when it was interrupted and shows nothing.
fn has_waited(outcome: Result<usize, Errno>) -> Result<bool, EngineError> {
    match outcome.map_err(io::Error::from) {
        Ok(_) => Ok(true),
        Err(why) if is_interruption(&why) => Ok(false),
        Err(why) => Err(EngineError::Wait(why)),
    }
}

/// Whether the peer's hello has come, as its first frame.
fn said_hello(link: &mut Link) -> Result<bool, Lost> {
    let Some((text, _)) = link.next_frame()? else { return Ok(false) };
    let theirs: Greeting =
        serde_json::from_slice(&text).map_err(|why| Lost::NoHello(why.to_string()))?;
    if theirs.hello.protocol != hello::PROTOCOL {
        return Err(Lost::Protocol(theirs.hello.protocol));
    }
    link.greeted = Some(theirs.hello == hello());
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_that_a_debugger_interrupts_does_not_end_the_worker() {
        assert!(has_waited(Ok(0)).unwrap());
        for code in [4, 514] {
            assert!(!has_waited(Err(Errno::from_raw_os_error(code))).unwrap());
        }
        assert!(matches!(has_waited(Err(Errno::BADF)), Err(EngineError::Wait(_))));
    }
}

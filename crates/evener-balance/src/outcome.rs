//! How one try at one server ended.
//!
//! Rules kept here:
//! - One value per try, made at one place of the engine; counters, log, health and scheduler all
//!   read that one.
//! - Whether it counts against the server is said here and nowhere else.
//!
//! Not known here: what is done about it (see `health`), and whether a retry is allowed.

use std::fmt;

use crate::schedule::How;

/// How one try at one server ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// The head of an answer came, with this status, and the exchange went on to its end.
    Answered {
        /// Status code of the answer.
        status: u16,
    },
    /// A TCP session that had its connection ended, from whichever side.
    SessionEnded,
    /// The server is to blame, in this way.
    Failed(Cause),
    /// The answer broke off after its head was passed on. nginx does not count it either.
    AnswerCut,
    /// The server stopped sending after its head was passed on (`timeouts.receive`).
    AnswerStalled,
    /// A kept connection turned out to be closed before a byte of the request was answered.
    StaleReuse,
    /// The client went away before an answer came.
    ClientGone,
    /// Something of our own failed: no descriptor, no memory, a limit. Says nothing of the server.
    Local,
}

/// What a server did wrong before the head of its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Cause {
    /// It refused the connection.
    ConnectRefused,
    /// The network said that it cannot be reached.
    ConnectUnreachable,
    /// No connection within `timeouts.connect`.
    ConnectTimeout,
    /// The connection failed in another way.
    ConnectFailed,
    /// TLS: no handshake, or a certificate that does not hold.
    TlsFailed,
    /// The connection ended before the head of an answer.
    Reset,
    /// What came was no answer.
    Junk,
    /// The server did not take the request within `timeouts.send`.
    SendTimeout,
    /// No head of an answer within `timeouts.response`.
    ResponseTimeout,
}

/// What an outcome says of the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Works,
    Nothing,
    Fails(Cause),
}

impl Outcome {
    /// What it says of the server. Everything after the head, and everything that is not the
    /// server's doing, says nothing against it (nginx: only what `proxy_next_upstream` could retry
    /// counts).
    pub(crate) fn verdict(self) -> Verdict {
        match self {
            Outcome::Answered { .. } | Outcome::SessionEnded => Verdict::Works,
            Outcome::Failed(cause) => Verdict::Fails(cause),
            Outcome::AnswerCut
            | Outcome::AnswerStalled
            | Outcome::StaleReuse
            | Outcome::ClientGone
            | Outcome::Local => Verdict::Nothing,
        }
    }
}

impl Outcome {
    /// What it says of the server's speed: an answer that says it cannot is none, else a server
    /// that fails fast would be the fastest.
    pub(crate) fn how(self) -> How {
        match (self, self.verdict()) {
            (Outcome::Answered { status: 500.. }, _) => How::Refuses,
            (_, Verdict::Fails(_)) => How::Fails,
            (_, Verdict::Works) => How::Works,
            (Outcome::AnswerCut | Outcome::AnswerStalled, _) => How::Fails,
            _ => How::Nothing,
        }
    }
}

impl Cause {
    /// All of them, in the order of their declaration.
    pub const ALL: [Cause; 9] = [
        Cause::ConnectRefused,
        Cause::ConnectUnreachable,
        Cause::ConnectTimeout,
        Cause::ConnectFailed,
        Cause::TlsFailed,
        Cause::Reset,
        Cause::Junk,
        Cause::SendTimeout,
        Cause::ResponseTimeout,
    ];
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Cause::ConnectRefused => "connection refused",
            Cause::ConnectUnreachable => "unreachable",
            Cause::ConnectTimeout => "connect time-out",
            Cause::ConnectFailed => "connection failed",
            Cause::TlsFailed => "TLS failed",
            Cause::Reset => "connection closed before an answer",
            Cause::Junk => "no valid answer",
            Cause::SendTimeout => "request not taken in time",
            Cause::ResponseTimeout => "no answer in time",
        })
    }
}

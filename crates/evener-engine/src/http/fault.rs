//! Why a try did not come to a whole answer, and what each cause means: for the server, for another
//! try, for the log and the counters.
//!
//! Not known here: what the client is told.

use evener_balance::{Cause, Outcome};
use evener_plan::RetryOn;
use evener_proto::Malformed;

use super::answers;
use crate::counters::ListenerCounter;
use crate::pool::connect::Blame;

/// Why a try did not come to a whole answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The server, before the head of its answer.
    Server(Cause),
    /// Something of our own: no descriptor, no memory.
    Local,
    /// No local port is left towards this server; towards another there may be.
    Ports,
    /// Time for connections was over before this one had had its own.
    OutOfTime,
    /// A kept connection ended before anything came.
    Stale,
    /// The answer has a status that the configuration retries.
    Status(u16),
    /// The answer broke off after its head had gone to the client.
    Cut,
    /// The server stopped sending after that.
    Stalled,
    /// The listener was removed, and the time for what it had in hand is over.
    DrainCut,
    /// The client left.
    ClientGone,
    /// The client stopped sending its body.
    ClientLate,
    /// The client sends or takes more slowly than allowed.
    ClientSlow,
    /// The client stopped taking the answer.
    ClientStuck,
    /// The client's body is not well-formed.
    ClientMalformed(Malformed),
    /// The client's body is larger than allowed.
    TooLarge,
    /// A field that the route sets would have a value that cannot be sent.
    Unsafe,
}

impl Fault {
    /// What it says of the server.
    pub fn outcome(self) -> Outcome {
        match self {
            Fault::Server(cause) => Outcome::Failed(cause),
            Fault::Stale => Outcome::StaleReuse,
            Fault::Status(status) => Outcome::Answered { status },
            Fault::Cut => Outcome::AnswerCut,
            Fault::Stalled => Outcome::AnswerStalled,
            Fault::Local | Fault::Ports | Fault::OutOfTime | Fault::Unsafe => Outcome::Local,
            _ => Outcome::ClientGone,
        }
    }

    /// The word of `retry.on` that allows another try; `None` if nothing does.
    pub fn retry_key(self) -> Option<RetryOn> {
        match self {
            Fault::Server(cause) => Some(match cause {
                Cause::Reset => RetryOn::Reset,
                Cause::Junk => RetryOn::Junk,
                Cause::ResponseTimeout => RetryOn::Timeout,
                Cause::SendTimeout => RetryOn::Timeout,
                _ => RetryOn::Connect,
            }),
            Fault::Ports => Some(RetryOn::Connect),
            Fault::Stale => Some(RetryOn::Reset),
            Fault::Status(status) => Some(RetryOn::Status(status)),
            _ => None,
        }
    }

    /// Name of the cause in the log.
    pub fn cause(self) -> &'static str {
        match self {
            Fault::Server(Cause::ConnectRefused) => "connect_refused",
            Fault::Server(Cause::ConnectUnreachable) => "connect_unreachable",
            Fault::Server(Cause::ConnectTimeout) | Fault::OutOfTime => "connect_timeout",
            Fault::Server(Cause::TlsFailed) => "server_tls_failed",
            Fault::Server(Cause::Reset) | Fault::Stale => "server_reset",
            Fault::Server(Cause::Junk) => "server_junk",
            Fault::Server(Cause::ResponseTimeout) => "response_timeout",
            Fault::Server(Cause::SendTimeout) => "server_send_timeout",
            Fault::Server(_) => "connect_failed",
            Fault::Local | Fault::Ports => "local_limit",
            Fault::Status(_) => "server_status",
            Fault::Cut => "answer_cut",
            Fault::Stalled => "answer_stalled",
            Fault::DrainCut => answers::DRAIN_CUT,
            Fault::ClientGone => "client_gone",
            Fault::ClientLate => "body_timeout",
            Fault::ClientSlow => "client_slow",
            Fault::ClientStuck => "send_timeout",
            Fault::ClientMalformed(what) => what.cause(),
            Fault::TooLarge => "body_too_large",
            Fault::Unsafe => answers::UNSAFE_VALUE,
        }
    }

    /// What the listener counts for a fault of the client.
    pub fn counter(self) -> Option<ListenerCounter> {
        Some(match self {
            Fault::ClientLate => ListenerCounter::BodyTimeout,
            Fault::ClientStuck => ListenerCounter::SendTimeout,
            Fault::ClientSlow => ListenerCounter::LimitRate,
            Fault::TooLarge => ListenerCounter::LimitBody,
            Fault::Unsafe => ListenerCounter::UnsafeValue,
            _ => return None,
        })
    }
}

impl From<Blame> for Fault {
    fn from(blame: Blame) -> Fault {
        match blame {
            Blame::Server(cause) => Fault::Server(cause),
            Blame::Ours => Fault::Local,
            Blame::Ports => Fault::Ports,
            Blame::Time => Fault::OutOfTime,
        }
    }
}

impl From<Malformed> for Fault {
    fn from(what: Malformed) -> Fault {
        Fault::ClientMalformed(what)
    }
}

//! What an exchange will have been, for counters and log: gathered on the way, told once.
//!
//! Rules kept here:
//! - Two clock reads time an exchange: when its head was read and when its answer came; a third
//!   only where the answer did not leave in one piece, one for each further try and connection made,
//!   and one where the request did not leave in one piece.
//! - A server's time is its own: it runs from the last byte of the request that went to it.
//! - A log line is formatted only if someone wants it.

use std::borrow::Cow;
use std::cell::Cell;
use std::rc::Rc;

use evener_balance::Timing;

use super::exchange::Exchange;
use super::forwarded;
use crate::counters::{
    ListenerCounter, PoolHistogram, RouteCounter, RouteHistogram, ServerCounter, ServerHistogram,
};
use crate::log::line::Line;
use crate::policies::By;
use crate::shard::ids::{self, Id};
use crate::shard::{PoolView, Shard};

/// What an exchange will have been.
pub struct Record {
    /// Microseconds on the shard's clock when the request's head was read.
    pub started: u64,
    /// When the server had the request, or when it could have been given it where it answered before
    /// that; what left at once over a kept connection had left by the time its head was read.
    pub asked: u64,
    /// When the server was picked, where its scheduler goes by time; else 0.
    pub picked: u64,
    /// When the head of the answer came; 0 while it has not.
    pub answered: u64,
    /// Whether the log is to have a line of it: drawn once, so that who must keep what the line needs
    /// knows it from the start.
    pub logged: bool,
    /// Status of the answer; 499 when the client left before one.
    pub status: u16,
    /// Whether the answer's head has gone out.
    pub head_sent: bool,
    /// Whether the answer left in one piece with its head.
    pub at_once: bool,
    /// Whether the client's connection is closed after the answer.
    pub close: bool,
    /// Whether the answer lasts until the client's connection ends.
    pub until_close: bool,
    /// Bytes of the answer's payload named for the client.
    pub sent: u64,
    /// Bytes written to the client.
    pub out: u64,
    /// Bytes read from the client behind head and first piece of the body.
    pub received: u64,
    /// Bytes read from servers.
    pub from_server: u64,
    /// Requests sent.
    pub tries: u8,
    /// The pool that answered.
    pub pool: Option<Rc<PoolView>>,
    /// Index of the server picked last.
    pub server: Option<usize>,
    /// Who picked it, where a policy might have.
    pub by: Option<By>,
    /// The request's id; 0 while nobody has asked for it.
    pub id: Cell<u128>,
    /// Name of what went wrong.
    pub cause: Option<&'static str>,
    /// What of it exactly: a name, or the words of a connection that could not be made.
    pub detail: Option<Cow<'static, str>>,
}

impl Record {
    /// Of an exchange that begins now.
    #[inline]
    pub fn begin(shard: &Shard) -> Record {
        let started = shard.micros();
        Record {
            started,
            asked: started,
            picked: 0,
            answered: 0,
            logged: shard.log.wants(),
            status: 0,
            head_sent: false,
            at_once: true,
            close: false,
            until_close: false,
            sent: 0,
            out: 0,
            received: 0,
            from_server: 0,
            tries: 0,
            pool: None,
            server: None,
            by: None,
            id: Cell::new(0),
            cause: None,
            detail: None,
        }
    }

    /// The request's id: made when it is first asked for, the same from then on.
    pub fn id(&self, shard: &Shard) -> Id {
        if self.id.get() == 0 {
            self.id.set(shard.ids.next());
        }
        ids::written(self.id.get())
    }

    /// All of the request has gone to the server, or as much as will go.
    #[cold]
    pub fn on_sent(&mut self, shard: &Shard) {
        if self.answered == 0 {
            self.asked = shard.micros();
        }
    }

    /// The head of an answer has come.
    #[inline]
    pub fn on_head(&mut self, shard: &Shard, status: u16) {
        self.status = status;
        self.answered = shard.micros();
    }

    /// How long the try in hand took, for schedulers that go by it.
    pub fn timing(&self, shard: &Shard) -> Timing {
        let head = self.answered.checked_sub(self.picked).filter(|_| self.answered > 0);
        Timing { head, whole: shard.micros().saturating_sub(self.picked) }
    }

    /// Tells counters and log.
    #[inline]
    pub fn end(&self, exchange: &Exchange<'_>) {
        let ended = match self.at_once && self.answered > 0 {
            true => self.answered,
            false => exchange.shard.micros(),
        };
        let took = ended.saturating_sub(self.started);
        self.count(exchange, took);
        if self.logged {
            self.log(exchange, took);
        }
    }

    fn count(&self, exchange: &Exchange<'_>, took: u64) {
        let Exchange { shard, view, asked, .. } = exchange;
        let received = (asked.head + exchange.body.prefix.consumed) as u64 + self.received;
        view.counters.add(ListenerCounter::Requests);
        view.counters.add_n(ListenerCounter::BytesIn, received);
        view.counters.add_n(ListenerCounter::BytesOut, self.out);
        let route = view.route_counters(shard, asked.route);
        route.add_status(self.status);
        route.record(RouteHistogram::Duration, took);
        if self.status == 499 || self.cause == Some("client_gone") {
            route.add(RouteCounter::Aborted, 1);
        }
        if self.cause == Some("answer_cut") || self.cause == Some("answer_stalled") {
            route.add(RouteCounter::AnswersCut, 1);
        }
        let (Some(pool), Some(index)) = (&self.pool, self.server) else { return };
        let server = pool.server_counters(shard, index);
        server.add(ServerCounter::BytesIn, self.from_server);
        if self.answered > 0 {
            let response = self.answered.saturating_sub(self.asked);
            pool.counters.record(PoolHistogram::Response, response);
            server.record(ServerHistogram::Response, response);
        }
    }

    #[cold]
    fn log(&self, exchange: &Exchange<'_>, took: u64) {
        let bytes = exchange.client.inbox.bytes();
        let head = exchange.work.request.head();
        let route = exchange.view.running().route_name(exchange.asked.route);
        let pool = self.pool.as_ref();
        let server = pool.zip(self.server).and_then(|(pool, index)| pool.server_id(index));
        let keyed = server.and(pool).is_some_and(|pool| pool.key().is_some());
        let line = Line {
            client: forwarded::client_address(exchange.client, &exchange.view, exchange.work),
            method: head.method_text.of(bytes),
            target: head.target.of(bytes),
            version: exchange.asked.version.text(),
            host: head.authority.host.of(bytes),
            port: head.authority.port,
            status: self.status,
            sent: self.sent,
            took,
            listener: &exchange.view.spec().name,
            route,
            pool: pool.map(|pool| pool.spec().name.as_str()),
            scheduler: server.and(pool).map(|pool| pool.scheduler()),
            key: keyed.then_some(&exchange.work.key),
            server,
            by: server.and(self.by).map(By::word),
            tries: self.tries,
            id: Some(self.id.get()).filter(|id| *id > 0).map(ids::written),
            cause: self.cause,
            detail: self.detail.as_deref(),
            referer: head.fields.value(evener_proto::h1::Name::Referer, bytes),
            agent: head.fields.value(evener_proto::h1::Name::UserAgent, bytes),
        };
        exchange.shard.log.write(&line);
    }
}

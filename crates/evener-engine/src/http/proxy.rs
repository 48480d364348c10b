//! A request and the servers of its pool: pick, connect, try, and another one where that is safe.
//!
//! Rules kept here:
//! - A pick gives a lease, and the lease ends with the try, or with the server's part in it: before
//!   the last of an answer leaves, so that whoever has the answer finds the server free. One outcome
//!   is made per try.
//! - A connection that could not be made tries every eligible server once, within twice
//!   `timeouts.connect` in all; requests sent are counted against `retry.attempts`. What a server
//!   that was sent one took is no time of the next one's.
//! - A request is sent again only if nothing of an answer went to the client, its body lies whole
//!   in memory, and it is idempotent (or the configuration says otherwise).
//! - A kept connection that turns out to be closed says nothing against its server: the same
//!   server is tried once more on a fresh one. After one of those only fresh ones are used: what
//!   closes them may be the request.
//!
//! Not known here: what is written and read (`upload`, `download`).

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use evener_balance::{Cause, Lease, NoServer, Outcome, Tried};
use evener_plan::{PoolProtocol, PoolTimeouts, RetryOn};

use super::answers::{self, Local};
use super::asking::Asking;
use super::codec::{self, Codec, FastCgi, H1};
use super::download::{Download, DownloadState};
use super::exchange::{After, Exchange};
use super::fault::Fault;
use super::forwarded;
use super::taking::Rest;
use super::tunnel;
use super::upload::{Upload, UploadState};
use crate::counters::{PoolCounter, ServerCounter, WorkerCounter};
use crate::io::buffers::Size;
use crate::io::{Buffer, Stream};
use crate::policies::{self, Post};
use crate::pool::dial;
use crate::pool::idle::Returned;
use crate::shard::PoolView;
use crate::steps::step;

/// A connection to a server, in use.
pub struct ServerConnection {
    /// The connection itself.
    pub stream: Stream,
    /// Bytes read and not yet used up.
    pub inbox: Buffer,
    /// When it was made.
    pub born: u64,
    /// Whether it has carried a request before.
    pub reused: bool,
    /// Whether it is the client's alone.
    pub owned: bool,
}

/// One try at one server.
pub struct Attempt {
    /// The right to it, until the server has done its part.
    pub lease: Option<Lease>,
    /// The connection.
    pub server: ServerConnection,
    /// What is spoken on it.
    pub codec: Codec,
    /// The request's way.
    pub up: UploadState,
    /// The answer's way.
    pub down: DownloadState,
    /// The pool's time-outs.
    pub timeouts: PoolTimeouts,
    /// Bytes of the answer that are taken in for a slow client.
    pub take_in: u64,
    /// No further try can follow: the answer stands, whatever its status.
    pub last: bool,
}

/// How a try ended.
pub enum Ended {
    /// The answer is delivered.
    Done,
    /// The connection becomes a tunnel.
    Tunnel(Box<Attempt>),
    /// The answer is whole, and the client takes its time.
    TakenIn(Box<Rest>),
    /// It failed.
    Failed(Fault),
}

/// Lets the pool answer.
pub async fn run(exchange: &mut Exchange<'_>, pool: Rc<PoolView>) -> After {
    step("proxy::run");
    exchange.record.pool = Some(pool.clone());
    pool.counters.add(PoolCounter::Requests);
    if let Some(key) = pool.key() {
        exchange.note_key(key);
    }
    let buffer = exchange.buffer(&pool);
    if let Err(fault) = exchange.take_in(buffer.request).await {
        return refuse(exchange, fault).await;
    }
    if buffer.request > 0 {
        codec::learn_length(pool.spec().protocol, &mut exchange.asked, &exchange.body);
    }
    if let Err(what) = codec::takes(pool.spec().protocol, &exchange.asked) {
        return refuse(exchange, Fault::ClientMalformed(what)).await;
    }
    let mut tries = Tries::new(exchange, &pool, buffer.response);
    loop {
        let picked = match pool.post() {
            None => tries.pick(exchange),
            Some(post) => tries.ask(exchange, post).await,
        };
        let lease = match picked {
            Ok(lease) => lease,
            Err(why) => return tries.give_up(exchange, why).await,
        };
        step("pool::pick");
        if pool.group().times() {
            exchange.record.picked = exchange.shard.micros();
        }
        match tries.one(exchange, lease).await {
            Verdict::Over(after) => return after,
            Verdict::Next => {}
            Verdict::Refuse(fault) => return refuse(exchange, fault).await,
        }
    }
}

/// What is tried, and how often.
struct Tries<'p> {
    pool: &'p Rc<PoolView>,
    tried: Tried,
    sent: u32,
    /// A kept connection has turned out to be closed.
    stale: bool,
    /// No further connection is tried after this.
    connect_until: u64,
    /// Bytes of the answer that are taken in for a slow client.
    take_in: u64,
    last: Option<Fault>,
}

/// What follows from a try.
enum Verdict {
    Over(After),
    Next,
    Refuse(Fault),
}

impl<'p> Tries<'p> {
    fn new(exchange: &Exchange<'_>, pool: &'p Rc<PoolView>, take_in: u64) -> Tries<'p> {
        let (tried, connect_until, last) = (Tried::new(), 0, None);
        let mut tries = Tries { pool, tried, sent: 0, stale: false, connect_until, take_in, last };
        tries.begin_to_connect(exchange.shard.now());
        tries
    }

    /// From now on time for connections runs.
    fn begin_to_connect(&mut self, now: u64) {
        let within = self.pool.spec().timeouts.connect.saturating_mul(2);
        self.connect_until = now.saturating_add(within);
    }

    /// The server that the client belongs to, else one that the scheduler picks.
    #[inline]
    fn pick(&self, exchange: &mut Exchange<'_>) -> Result<Lease, NoServer> {
        let now = exchange.shard.now();
        if !exchange.client.owned.is_empty()
            && let Some(lease) = self.pinned(exchange, now)
        {
            return Ok(lease);
        }
        self.pool.group().pick_for(&Asking(exchange), &self.tried, now)
    }

    /// The same where a policy of the user's picks; boxed, since it is rare and large.
    #[cold]
    fn ask<'t>(
        &'t self,
        exchange: &'t mut Exchange<'_>,
        post: &'t Post,
    ) -> Pin<Box<dyn Future<Output = Result<Lease, NoServer>> + 't>> {
        Box::pin(async move {
            let now = exchange.shard.now();
            if let Some(lease) = self.pinned(exchange, now) {
                return Ok(lease);
            }
            let asking = Asking(exchange);
            let picking =
                policies::pick(exchange.shard, self.pool, post, &asking, &self.tried).await;
            exchange.record.by = Some(picking.1);
            picking.0
        })
    }

    /// A client that has shown a server who it is stays there while the server takes traffic.
    #[cold]
    fn pinned(&self, exchange: &mut Exchange<'_>, now: u64) -> Option<Lease> {
        let owned = &mut exchange.client.owned;
        let index = owned.server(self.pool).filter(|index| !self.tried.contains(*index));
        let lease =
            index.and_then(|index| self.pool.group().pin(index, exchange.shard.number, now));
        if lease.is_none() {
            owned.forget(self.pool);
        }
        lease
    }

    /// One server: perhaps a stale connection first, then a fresh one.
    async fn one(&mut self, exchange: &mut Exchange<'_>, mut lease: Lease) -> Verdict {
        let index = lease.index();
        if let Some(fault) = self.last {
            self.pool.counters.retry(fault);
            exchange.record.asked = exchange.shard.micros();
            // What the try before met is not what this one will.
            exchange.record.detail = None;
        }
        self.tried.insert(index);
        exchange.record.server = Some(index);
        loop {
            let connection = match self.connection(exchange, &lease).await {
                Ok(connection) => connection,
                Err(fault) => return self.judge(exchange, Some(&lease), fault),
            };
            self.sent += 1;
            exchange.record.tries = exchange.record.tries.saturating_add(1);
            let (ended, held) = exchange.attempt(self, lease, connection).await;
            if matches!(ended, Ended::Failed(_)) {
                self.begin_to_connect(exchange.shard.now());
            }
            match (ended, held) {
                (Ended::Done, _) => return Verdict::Over(exchange.after_answer()),
                (Ended::Tunnel(attempt), held) => {
                    if let Some(held) = &held {
                        exchange.report(self.pool, held, Outcome::Answered { status: 101 });
                    }
                    tunnel::upgraded(exchange, *attempt).await;
                    drop(held);
                    return Verdict::Over(After::Gone);
                }
                (Ended::TakenIn(rest), _) => {
                    self.pool.counters.add(PoolCounter::AnswersTakenIn);
                    return match exchange.deliver(*rest).await {
                        Ok(()) => Verdict::Over(exchange.after_answer()),
                        Err(fault) => Verdict::Refuse(fault),
                    };
                }
                (Ended::Failed(Fault::Stale), Some(held)) if exchange.may_send_again() => {
                    exchange.report(self.pool, &held, Outcome::StaleReuse);
                    self.pool.counters.add(PoolCounter::RetriesStale);
                    self.sent -= 1;
                    self.stale = true;
                    lease = held;
                }
                (Ended::Failed(fault), held) => return self.judge(exchange, held.as_ref(), fault),
            }
        }
    }

    /// A kept connection, or a new one.
    async fn connection(
        &mut self,
        exchange: &mut Exchange<'_>,
        lease: &Lease,
    ) -> Result<ServerConnection, Fault> {
        step("pool::connection");
        let now = exchange.shard.now();
        let inbox = Buffer::sized(Size::Large);
        if !self.stale {
            let owned = &mut exchange.client.owned;
            let owns = !owned.is_empty();
            let kept = poll_fn(|cx| {
                let own = if owns { owned.take(self.pool, lease.index(), now, cx) } else { None };
                let owned = own.is_some();
                let kept = own.or_else(|| self.pool.take_idle(lease.index(), now, cx));
                Poll::Ready(kept.map(|(stream, born)| (stream, born, owned)))
            });
            if let Some((stream, born, owned)) = kept.await {
                return Ok(ServerConnection { stream, inbox, born, reused: true, owned });
            }
        }
        let dialing =
            dial::dial(exchange.shard, self.pool, lease.index(), self.connect_until, true);
        let mut dialing = pin!(dialing);
        let dialed = poll_fn(|cx| match dialing.as_mut().poll(cx) {
            Poll::Ready(dialed) => Poll::Ready(Ok(dialed)),
            Poll::Pending if exchange.is_cut() => Poll::Ready(Err(Fault::DrainCut)),
            Poll::Pending => Poll::Pending,
        });
        let stream = dialed.await?.map_err(|why| {
            exchange.record.detail = Some(why.words.into());
            Fault::from(why.blame)
        })?;
        exchange.record.asked = exchange.shard.micros();
        Ok(ServerConnection { stream, inbox, born: now, reused: false, owned: false })
    }

    /// A try has failed: whose fault is it, and may another follow? Without a lease the server has
    /// done its part, and that was told.
    fn judge(
        &mut self,
        exchange: &mut Exchange<'_>,
        lease: Option<&Lease>,
        fault: Fault,
    ) -> Verdict {
        if let Some(lease) = lease {
            exchange.report(self.pool, lease, fault.outcome());
        }
        self.last = Some(fault);
        let allowed = match fault.retry_key() {
            None => false,
            Some(RetryOn::Connect) => {
                self.allows(RetryOn::Connect) && exchange.shard.now() < self.connect_until
            }
            Some(key) => {
                self.allows(key)
                    && self.sent < self.pool.spec().retry.attempts
                    && (exchange.may_send_again() || self.may_repeat_all(exchange))
            }
        };
        if !allowed || exchange.record.head_sent {
            return Verdict::Refuse(fault);
        }
        Verdict::Next
    }

    /// Whether no try can follow on an answer of the one in hand. Asked only where the status of
    /// an answer could make one follow.
    #[inline]
    fn is_last(&self) -> bool {
        let retry = &self.pool.spec().retry;
        retry.on.iter().any(|key| matches!(key, RetryOn::Status(_)))
            && (self.sent >= retry.attempts || !self.pool.group().has_untried(&self.tried))
    }

    fn allows(&self, key: RetryOn) -> bool {
        self.pool.spec().retry.on.contains(&key)
    }

    fn may_repeat_all(&self, exchange: &Exchange<'_>) -> bool {
        self.allows(RetryOn::NonIdempotent) && !exchange.body.streamed
    }

    /// Nobody is left to try.
    async fn give_up(&self, exchange: &mut Exchange<'_>, why: NoServer) -> After {
        self.pool.counters.no_server(why);
        match self.last {
            Some(fault) => refuse(exchange, fault).await,
            None => answers::local(exchange, &Local::new(503, cause(why))).await,
        }
    }
}

impl Exchange<'_> {
    /// One try on a connection: how it ended, and the lease unless the server has done its part.
    async fn attempt(
        &mut self,
        tries: &Tries<'_>,
        lease: Lease,
        server: ServerConnection,
    ) -> (Ended, Option<Lease>) {
        step("exchange::attempt");
        let pool = tries.pool;
        let index = lease.index();
        let Some(target) = pool.target(index) else {
            return (Ended::Failed(Fault::Server(Cause::ConnectFailed)), Some(lease));
        };
        let codec = match self.codec(pool, index) {
            Ok(codec) => codec,
            Err(fault) => return (Ended::Failed(fault), Some(lease)),
        };
        let deadlines = &self.shard.deadlines;
        let mut attempt = Attempt {
            lease: Some(lease),
            server,
            codec,
            up: UploadState::new(deadlines.slot()),
            down: DownloadState::new(deadlines.slot()),
            timeouts: pool.spec().timeouts.clone(),
            take_in: tries.take_in,
            last: tries.is_last(),
        };
        self.work.desk.answer.clear();
        self.work.desk.down.clear();
        self.work.desk.up.clear();
        let own = forwarded::own(self.client, &self.view, &self.asked, &target.authority);
        let read = self.client.inbox.bytes();
        if let Err(what) = attempt.codec.request_head(&self.asked, self.work, read, &own) {
            return (Ended::Failed(Fault::ClientMalformed(what)), attempt.lease);
        }
        let data = &self.body.prefix.data;
        let data = self.asked.head + data.start..self.asked.head + data.end;
        let whole = self.body.decoder.is_done() && self.body.stored.is_empty();
        attempt.codec.request_body(data, whole, &mut self.work.desk.up);
        let result = poll_fn(|cx| match self.poll_attempt(&mut attempt, cx) {
            Poll::Pending if self.is_cut() => Poll::Ready(Err(Fault::DrainCut)),
            other => other,
        })
        .await;
        self.settle(pool, index, attempt, result)
    }

    /// What the server speaks, with what the route changes of the request made ready.
    #[inline]
    fn codec(&mut self, pool: &Rc<PoolView>, index: usize) -> Result<Codec, Fault> {
        match pool.spec().protocol {
            PoolProtocol::Http => {
                self.expand_request_edits()?;
                Ok(Codec::H1(H1::new(pool.accept())))
            }
            PoolProtocol::Fastcgi => {
                let fastcgi = FastCgi::new(self, pool, index).map_err(|_| Fault::Unsafe)?;
                Ok(Codec::FastCgi(Box::new(fastcgi)))
            }
        }
    }

    /// Both directions, until the answer has gone or the try has failed.
    #[inline]
    fn poll_attempt(
        &mut self,
        attempt: &mut Attempt,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Fault>> {
        let mut awaited = self.awaits_word();
        loop {
            if !attempt.up.is_over() {
                self.poll_up(attempt, cx)?;
            }
            if attempt.down.at == Download::Done {
                return Poll::Ready(Ok(()));
            }
            let down = self.poll_download(attempt, cx);
            if down.is_ready() {
                return down;
            }
            // The client has got its word: from now on its time runs.
            if !std::mem::take(&mut awaited) || self.awaits_word() {
                break;
            }
        }
        if attempt.up.is_over() {
            if attempt.down.awaits_server() {
                if !attempt.down.has_begun() && attempt.server.inbox.is_empty() {
                    self.work.desk.leave();
                }
                ready!(self.poll_client_gone(attempt, cx));
                return Poll::Ready(Err(Fault::ClientGone));
            }
            if attempt.is_taken_in() {
                return Poll::Ready(Ok(()));
            }
        }
        Poll::Pending
    }

    /// The request's way. Whatever ends it, an answer that is already under way counts.
    #[inline]
    fn poll_up(&mut self, attempt: &mut Attempt, cx: &mut Context<'_>) -> Result<(), Fault> {
        if let Poll::Ready(Err(fault)) = self.poll_upload(attempt, cx) {
            if !attempt.down.has_begun() {
                return Err(fault);
            }
            attempt.up.at = Upload::Broken;
            attempt.up.wait.disarm();
        }
        attempt.up.at_once &= attempt.up.is_over();
        Ok(())
    }

    /// A try is over: keep its connection, make a tunnel of it, or let it go.
    fn settle(
        &mut self,
        pool: &Rc<PoolView>,
        index: usize,
        mut attempt: Attempt,
        result: Result<(), Fault>,
    ) -> (Ended, Option<Lease>) {
        let held = attempt.lease.take();
        if let Upload::Piece(used) = attempt.up.at {
            // Of the body, sent or not: as the start of the next request it would be smuggled.
            self.body.later.consume(used);
        }
        if let Some(words) = attempt.codec.take_stderr() {
            self.shard.warn_server(pool, index, &String::from_utf8_lossy(&words));
        }
        let counters = pool.server_counters(self.shard, index);
        counters.add(ServerCounter::BytesOut, attempt.up.sent);
        if attempt.server.reused {
            counters.add(ServerCounter::Reuses, 1);
        }
        if let Err(fault) = result {
            // Whatever came behind half an interim answer would be read as a part of it.
            self.record.head_sent |= self.work.desk.down.is_cut();
            return (Ended::Failed(fault), held);
        }
        if attempt.down.is_tunnel() {
            return (Ended::Tunnel(Box::new(attempt)), held);
        }
        let used = match attempt.down.at {
            Download::Write(used, _) => used,
            _ => 0,
        };
        let whole = attempt.up.at == Upload::Done && attempt.server.inbox.len() == used;
        let ServerConnection { stream, inbox, born, owned, .. } = attempt.server;
        if whole && attempt.codec.reusable() {
            let identified = attempt.codec.identifies();
            let returned = Returned { stream, born, lasts: attempt.codec.lasts() };
            let now = self.shard.now();
            match owned || identified {
                true => self.client.owned.keep(pool, index, returned, now),
                false => pool.keep_idle(index, returned, now),
            }
        }
        let ended = match attempt.down.at {
            Download::Done => Ended::Done,
            _ => Ended::TakenIn(Box::new(Rest { inbox, down: attempt.down })),
        };
        (ended, held)
    }

    /// The server has sent all of its answer: it is free before the last of that leaves.
    #[inline]
    pub(super) fn on_whole(&self, attempt: &mut Attempt) {
        if let (Some(pool), Some(lease)) = (&self.record.pool, attempt.lease.take()) {
            self.report(pool, &lease, Outcome::Answered { status: self.record.status });
        }
    }

    fn report(&self, pool: &PoolView, lease: &Lease, outcome: Outcome) {
        step("dial::report");
        let timing = pool.group().times().then(|| self.record.timing(self.shard));
        dial::report(self.shard, pool, lease, outcome, timing);
    }

    /// How much is taken in for its client: the route's word, else the pool's.
    fn buffer(&self, pool: &PoolView) -> evener_plan::Buffer {
        let own = self.asked.route.and_then(|index| self.view.spec().routes.get(index));
        let of_pool = &pool.spec().buffer;
        let (request, response) =
            own.map_or((None, None), |own| (own.buffer.request, own.buffer.response));
        evener_plan::Buffer {
            request: request.unwrap_or(of_pool.request),
            response: response.unwrap_or(of_pool.response),
        }
    }

    /// Whether the client waits for a word before it sends its body, and the server owes it: the
    /// client's time does not run meanwhile.
    #[inline]
    pub(super) fn awaits_word(&self) -> bool {
        self.asked.expects && self.interims.awaits() && self.body.bytes == 0
    }

    /// Whether it must end now, whatever it waits for.
    #[inline]
    pub(super) fn is_cut(&self) -> bool {
        self.client.open.is_cut(self.shard.now())
    }

    /// Whether the request may be sent a second time, as far as the request decides.
    fn may_send_again(&self) -> bool {
        self.asked.method.is_idempotent() && !self.body.streamed
    }

    /// What becomes of the client's connection after a delivered answer.
    pub(super) fn after_answer(&self) -> After {
        if self.record.close { After::Close } else { After::Next }
    }
}

/// Name in the log of why nobody was picked.
pub fn cause(why: NoServer) -> &'static str {
    if why == NoServer::NoRoom { "no_room" } else { "no_server" }
}

/// The last try has failed: the client gets an honest answer, or the visible end of one that was
/// cut.
async fn refuse(exchange: &mut Exchange<'_>, fault: Fault) -> After {
    exchange.record.cause = Some(fault.cause());
    match (fault, fault.counter()) {
        (Fault::ClientMalformed(what), _) => exchange.view.counters.refused(what),
        (_, Some(counter)) => exchange.view.counters.add(counter),
        (_, None) => {}
    }
    if fault == Fault::DrainCut {
        exchange.shard.worker.add(WorkerCounter::DrainCut, 1);
    }
    if exchange.record.head_sent {
        if exchange.record.status == 0 {
            exchange.record.status = 499;
        }
        if exchange.record.until_close && !exchange.client.stream.is_tls() {
            // A clean end would say that the answer is whole; TLS has a word for that.
            exchange.client.stream.reset_on_close();
        }
        return After::Gone;
    }
    let status = match fault {
        Fault::Server(Cause::ConnectTimeout | Cause::ResponseTimeout | Cause::SendTimeout)
        | Fault::OutOfTime => 504,
        // Our limit, not the server's doing: later, or elsewhere, it may be answered.
        Fault::Local | Fault::Ports | Fault::DrainCut => 503,
        Fault::ClientGone | Fault::ClientStuck => {
            exchange.record.status = 499;
            return After::Gone;
        }
        Fault::ClientLate | Fault::ClientSlow => 408,
        Fault::ClientMalformed(what) => return answers::local(exchange, &Local::from(what)).await,
        // Its server's word, where nobody else could be asked after all.
        Fault::Status(status) => status,
        Fault::TooLarge => 413,
        Fault::Unsafe => 500,
        _ => 502,
    };
    answers::local(exchange, &Local::new(status, fault.cause())).await
}

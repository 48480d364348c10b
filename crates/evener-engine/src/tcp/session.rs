//! A TCP session: one client connection carried to one server of the pool.
//!
//! Rules kept here:
//! - A server that cannot be connected to is left for the next one; nothing was sent, so this is
//!   always safe. All of it takes at most twice `timeouts.connect`.
//! - The lease lasts as long as the session.
//! - Whoever finds no server is closed at once.
//! - Where clients use to speak first, a server is connected to once this one has: its bytes travel
//!   with the end of the handshake, and who says nothing costs a server nothing for a moment.
//! - Its line in the access log is written at one place, when it is over, however it ended.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::rc::Rc;
use std::task::Poll;

use evener_balance::{Lease, NoServer, Outcome, Timing, Tried};
use evener_plan::Scheduler;

use super::asking::{Asking, is_whole, key_of};
use super::relay::{Bounds, Cut, End, RESET, Relay};
use super::speakers::Side;
use crate::counters::{ListenerCounter, PoolCounter, RouteHistogram, ServerCounter};
use crate::http::fault::Fault;
use crate::http::proxy::cause as no_server;
use crate::io::{Buffer, Stream};
use crate::log::session::SessionLine;
use crate::policies::{self, By};
use crate::pool::dial;
use crate::running::RunningAnswer;
use crate::shard::{ListenerView, Open, PoolView, Shard};
use crate::steps::may_break;

/// A session in hand, and what the log will be told of it.
struct Session<'s> {
    shard: &'s Rc<Shard>,
    view: &'s ListenerView,
    pool: &'s Rc<PoolView>,
    /// Who connected; `None` on a unix socket.
    client: Option<SocketAddr>,
    /// Microseconds on the shard's clock.
    started: u64,
    /// What the pool's hash is of.
    key: Vec<u8>,
    /// The server tried last.
    server: Option<usize>,
    /// Who picked it, where a policy might have.
    by: Option<By>,
    tries: u8,
    /// Bytes both ways, once a server was connected to.
    carried: Option<End>,
    /// What ended it, where it was not both sides.
    cause: Option<&'static str>,
    detail: Option<String>,
}

/// How long a client's first bytes are waited for where clients use to speak first, in milliseconds;
/// a coarse wait may take three times as long.
const HOLD_MS: u64 = 50;

/// Carries a session to its end.
pub async fn serve(
    shard: Rc<Shard>,
    view: Rc<ListenerView>,
    mut stream: Stream,
    client: Option<SocketAddr>,
    open: Open,
) {
    let RunningAnswer::Pool(index) = view.running().answer(None) else { return };
    let Some(pool) = view.pool(*index) else { return };
    let mut session = Session::begin(&shard, &view, &pool, client);
    session.carry(&mut stream, &open).await;
    session.end();
}

/// A client may not have a session: it is closed, counted and logged.
#[cold]
pub fn turn_away(
    shard: &Rc<Shard>,
    view: &ListenerView,
    client: Option<SocketAddr>,
    cause: &'static str,
) {
    view.counters.add(ListenerCounter::SessionsRefused);
    let RunningAnswer::Pool(index) = view.running().answer(None) else { return };
    let Some(pool) = view.pool(*index) else { return };
    let session = Session::begin(shard, view, &pool, client);
    Session { cause: Some(cause), ..session }.end();
}

impl<'s> Session<'s> {
    fn begin(
        shard: &'s Rc<Shard>,
        view: &'s ListenerView,
        pool: &'s Rc<PoolView>,
        client: Option<SocketAddr>,
    ) -> Session<'s> {
        Session {
            shard,
            view,
            pool,
            client,
            started: shard.micros(),
            key: Vec::new(),
            server: None,
            by: None,
            tries: 0,
            carried: None,
            cause: None,
            detail: None,
        }
    }

    async fn carry(&mut self, client: &mut Stream, open: &Open) {
        let counters = &self.view.counters;
        let Ok(mut first) = self.first_bytes(client).await else {
            // Sockets tell an error once.
            self.cause = Some(RESET);
            return counters.add(ListenerCounter::Reset);
        };
        if let Scheduler::HaproxyRdpCookie { wait, .. } = &self.pool.spec().scheduler {
            self.wait_for_packet(client, &mut first, *wait).await;
        }
        self.pool.counters.add(PoolCounter::Requests);
        first.release();
        let key = key_of(self.client, self.pool.key());
        let (shard, peer) = (self.shard.number, self.client);
        let asking = Asking { shard, peer, stream: client, first: first.bytes(), key: &key };
        let connected = self.connect(&asking).await;
        self.key = key;
        let Some((lease, mut server)) = connected else {
            return counters.add(ListenerCounter::SessionsRefused);
        };
        counters.add(ListenerCounter::SessionsServed);
        let mut relay = Relay::new(self.shard, Bounds::of(self.view.spec()));
        relay.client_first(first);
        let end = relay.run(client, &mut server, open.tunnel()).await;
        self.view.speakers.heard(end.first);
        self.count(&lease, end);
    }

    /// What the client has said by now, or says soon where its like speak first.
    async fn first_bytes(&self, client: &mut Stream) -> std::io::Result<Buffer> {
        let speakers = &self.view.speakers;
        let mut first = Buffer::empty();
        let hold = speakers.are_clients().then(|| self.shard.deadlines.slot());
        let heard = poll_fn(|cx| {
            if let Poll::Ready(read) = client.poll_read(cx, &mut first) {
                return Poll::Ready(read.map(drop));
            }
            first.release();
            let waited = hold.as_ref().map_or(Poll::Ready(()), |hold| hold.poll_wait(cx, HOLD_MS));
            if waited.is_ready() && hold.is_some() {
                speakers.heard(Side::Neither);
            }
            waited.map(Ok)
        });
        heard.await.map(|()| first)
    }

    /// Reads until the first packet is whole, the client has no more to say, or time is over.
    async fn wait_for_packet(&self, client: &mut Stream, first: &mut Buffer, millis: u64) {
        let wait = self.shard.deadlines.slot();
        wait.arm(millis);
        poll_fn(|cx| {
            while !is_whole(first.bytes()) && !first.is_full() {
                match client.poll_read(cx, first) {
                    Poll::Ready(Ok(count)) if count > 0 => {}
                    // What went wrong is met again by the relay.
                    Poll::Ready(_) => return Poll::Ready(()),
                    Poll::Pending => return wait.poll(cx),
                }
            }
            Poll::Ready(())
        })
        .await;
    }

    async fn connect(&mut self, asking: &Asking<'_>) -> Option<(Lease, Stream)> {
        let (shard, pool) = (self.shard, self.pool);
        let speaks = !asking.first.is_empty();
        let mut tried = Tried::new();
        let until = shard.now().saturating_add(pool.spec().timeouts.connect.saturating_mul(2));
        loop {
            let picked = match pool.post() {
                None => pool.group().pick_for(asking, &tried, shard.now()),
                Some(post) => {
                    let picking = Box::pin(policies::pick(shard, pool, post, asking, &tried)).await;
                    self.by = Some(picking.1);
                    picking.0
                }
            };
            let lease = match picked {
                Ok(lease) => lease,
                Err(why) => return self.give_up(why),
            };
            may_break("session::pick");
            let picked = if pool.group().times() { shard.micros() } else { 0 };
            tried.insert(lease.index());
            self.server = Some(lease.index());
            if self.tries > 0 {
                pool.counters.add(PoolCounter::RetriesConnect);
            }
            self.tries = self.tries.saturating_add(1);
            let dialed = dial::dial(shard, pool, lease.index(), until, speaks).await;
            // Of a session that is the time to a connection: what follows is people's pace.
            let timing = pool.group().times().then(|| {
                let took = shard.micros().saturating_sub(picked);
                Timing { head: dialed.is_ok().then_some(took), whole: took }
            });
            match dialed {
                Ok(stream) => {
                    (self.cause, self.detail) = (None, None);
                    dial::report(shard, pool, &lease, Outcome::SessionEnded, timing);
                    return Some((lease, stream));
                }
                Err(why) => {
                    let fault = Fault::from(why.blame);
                    (self.cause, self.detail) = (Some(fault.cause()), Some(why.words));
                    dial::report(shard, pool, &lease, fault.outcome(), timing);
                    let again =
                        fault.retry_key().is_some_and(|key| pool.spec().retry.on.contains(&key));
                    if !again || shard.now() >= until {
                        return None;
                    }
                }
            }
        }
    }

    /// Nobody is left to try: the cause is that of the last try, if there was one.
    fn give_up<T>(&mut self, why: NoServer) -> Option<T> {
        self.pool.counters.no_server(why);
        self.cause = self.cause.or(Some(no_server(why)));
        None
    }

    fn count(&mut self, lease: &Lease, end: End) {
        let view = self.view;
        let counters = self.pool.server_counters(self.shard, lease.index());
        counters.add(ServerCounter::BytesOut, end.up);
        counters.add(ServerCounter::BytesIn, end.down);
        counters.outcome(Outcome::SessionEnded);
        view.counters.add_n(ListenerCounter::BytesIn, end.up);
        view.counters.add_n(ListenerCounter::BytesOut, end.down);
        if let Some(cut) = end.cut {
            cut.count(self.shard, view);
        }
        self.cause = end.cut.map(Cut::cause);
        self.carried = Some(end);
    }

    fn end(self) {
        let took = self.shard.micros().saturating_sub(self.started);
        if self.carried.is_some() {
            self.view.route_counters(self.shard, None).record(RouteHistogram::Duration, took);
        }
        if self.shard.log.wants() {
            self.log(took);
        }
    }

    #[cold]
    fn log(&self, took: u64) {
        self.shard.log.write(&SessionLine {
            client: self.client,
            listener: &self.view.spec().name,
            pool: &self.pool.spec().name,
            scheduler: self.pool.scheduler(),
            key: self.pool.key().map(|_| &*self.key),
            server: self.server.and_then(|index| self.pool.server_id(index)),
            by: self.server.and(self.by).map(By::word),
            tries: self.tries,
            served: self.carried.is_some(),
            received: self.carried.map_or(0, |end| end.up),
            sent: self.carried.map_or(0, |end| end.down),
            took,
            cause: self.cause,
            detail: self.detail.as_deref(),
        });
    }
}

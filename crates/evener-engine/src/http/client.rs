//! A client's connection: request after request, then parked or closed.
//!
//! Rules kept here:
//! - Answers leave in the order in which requests came; a pipelined request waits in the inbox.
//! - Between requests the connection holds no buffer, and after about a second it is parked.
//! - A connection that never sent a byte is closed silently; 408 only after a first one.
//! - Where a request was not read to its end, or more has come behind it, the answer is delivered
//!   before the close: what still comes is read and dropped for a while, so that a reset does not
//!   destroy it (RFC 9112 §9.6).
//!
//! Not known here: what a request means, servers, routes.

use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use evener_proto::Malformed;
use evener_proto::h1::Policy;

use super::answers::{self, Local};
use super::exchange::{self, After};
use super::work::Work;
use crate::counters::{ListenerCounter, WorkerCounter};
use crate::io::{Buffer, Deadline, Stream};
use crate::pool::owned::Owned;
use crate::shard::{Open, Shard};
use crate::steps::step;

/// A client's connection.
pub struct Client {
    /// The connection itself.
    pub stream: Stream,
    /// Bytes read and not yet used up.
    pub inbox: Buffer,
    /// The socket's other end; `None` on a unix socket.
    pub peer: Option<SocketAddr>,
    /// Counts it while it is open, and knows its listener.
    pub open: Open,
    /// Bounds waits for requests.
    pub wait: Deadline,
    /// Server connections that serve nobody else.
    pub owned: Owned,
}

/// What waiting for a request came to.
enum Next {
    /// Its first bytes are in the inbox.
    Bytes,
    /// Nothing for about a second.
    Park,
    /// The client has ended the connection, or must not go on with it.
    Close,
}

/// Why there is no head.
enum HeadFault {
    Malformed(Malformed),
    /// `timeouts.head` passed.
    Late,
    /// The connection ended in the middle.
    Gone,
    /// Its listener was removed, and time is over.
    Cut,
}

/// Idle for so long, a connection is parked, in milliseconds.
const PARK_AFTER: u64 = 1000;
/// How long and how much is read and dropped before a close.
const LINGER_MS: u64 = 2000;
const LINGER_BYTES: usize = 1 << 20;

/// Serves a connection until it is parked or closed.
pub async fn serve(shard: Rc<Shard>, mut client: Client) {
    loop {
        match client.next(&shard).await {
            Next::Bytes => {}
            Next::Park => return shard.park(client),
            Next::Close => return,
        }
        let mut work = shard.lend_work();
        let after = client.request(&shard, &mut work).await;
        shard.return_work(work);
        match after {
            After::Next => client.inbox.release(),
            After::Close => return client.close().await,
            After::Linger => return client.linger().await,
            After::Gone => return,
        }
    }
}

/// Tells a client that it may not stay, and closes.
pub async fn turn_away(shard: &Rc<Shard>, mut client: Client, why: &Local) {
    let view = client.open.view();
    let mut work = shard.lend_work();
    let after = answers::refuse(shard, &mut client, &mut work, &view, why).await;
    shard.return_work(work);
    if after == After::Linger {
        client.linger().await;
    }
}

impl Client {
    /// Address of the socket's other end.
    pub fn peer_ip(&self) -> Option<IpAddr> {
        self.peer.map(|peer| peer.ip())
    }

    /// Waits for a request's first byte, holding nothing.
    async fn next(&mut self, shard: &Shard) -> Next {
        if !self.inbox.is_empty() {
            return Next::Bytes;
        }
        self.inbox.release();
        let readable = poll_fn(|cx| self.poll_first(cx)).await;
        self.wait.disarm();
        match readable {
            None if shard.is_draining() || !self.open.is_listening() => Next::Close,
            None => Next::Park,
            Some(Ok(0) | Err(_)) => Next::Close,
            Some(Ok(_)) => Next::Bytes,
        }
    }

    fn poll_first(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<usize>>> {
        match self.stream.poll_readable(cx) {
            Poll::Ready(Ok(())) => {}
            Poll::Ready(Err(why)) => return Poll::Ready(Some(Err(why))),
            Poll::Pending => return self.wait.poll_wait(cx, PARK_AFTER).map(|()| None),
        }
        match self.stream.poll_read(cx, &mut self.inbox) {
            Poll::Ready(result) => Poll::Ready(Some(result)),
            Poll::Pending => {
                self.inbox.release();
                self.wait.poll_wait(cx, PARK_AFTER).map(|()| None)
            }
        }
    }

    /// Reads one request's head and lets an exchange answer it.
    async fn request(&mut self, shard: &Rc<Shard>, work: &mut Work) -> After {
        step("client::request");
        let view = self.open.view();
        let policy = &view.running().policy;
        let late = view.spec().timeouts.head;
        let read = poll_fn(|cx| self.poll_head(cx, shard, work, policy, late)).await;
        self.wait.disarm();
        match read {
            Ok(()) => exchange::run(shard, self, work, view).await,
            Err(HeadFault::Gone) => After::Gone,
            Err(HeadFault::Cut) => {
                shard.worker.add(WorkerCounter::DrainCut, 1);
                After::Gone
            }
            // An empty line behind a body is no request that has begun (RFC 9112 §2.2).
            Err(HeadFault::Late) if self.inbox.bytes().iter().all(|b| b"\r\n".contains(b)) => {
                After::Close
            }
            Err(HeadFault::Late) => {
                view.counters.add(ListenerCounter::HeadTimeout);
                answers::refuse(shard, self, work, &view, &Local::new(408, answers::LATE)).await
            }
            Err(HeadFault::Malformed(what)) => {
                view.counters.refused(what);
                answers::refuse(shard, self, work, &view, &Local::from(what)).await
            }
        }
    }

    fn poll_head(
        &mut self,
        cx: &mut Context<'_>,
        shard: &Shard,
        work: &mut Work,
        policy: &Policy,
        late: u64,
    ) -> Poll<Result<(), HeadFault>> {
        loop {
            let parsed = match policy.accept.is_empty() {
                true => work.request.parse(self.inbox.bytes(), &policy.limits),
                false => {
                    let bytes = self.inbox.bytes_mut();
                    work.request.parse_accepting(bytes, &policy.limits, policy.accept)
                }
            };
            match parsed {
                Ok(Some(_)) => return Poll::Ready(Ok(())),
                Ok(None) => {}
                Err(what) => return Poll::Ready(Err(HeadFault::Malformed(what))),
            }
            if self.inbox.is_full() {
                // One byte beyond the limit is enough for the parser to see that it is passed.
                self.inbox.reserve((self.inbox.len() * 4).min(policy.limits.max_head + 1));
            }
            match self.stream.poll_read(cx, &mut self.inbox) {
                Poll::Ready(Ok(count)) if count > 0 => {}
                Poll::Ready(_) => return Poll::Ready(Err(HeadFault::Gone)),
                Poll::Pending if self.open.is_cut(shard.now()) => {
                    return Poll::Ready(Err(HeadFault::Cut));
                }
                Poll::Pending => {
                    ready!(self.wait.poll_wait(cx, late));
                    return Poll::Ready(Err(HeadFault::Late));
                }
            }
        }
    }

    /// Ends our direction, and the connection unless the client has sent more than was asked for.
    async fn close(&mut self) {
        self.wait.arm(LINGER_MS);
        self.shut().await;
        let more = poll_fn(|cx| Poll::Ready(self.stream.poll_readable(cx).is_ready()));
        if !self.inbox.is_empty() || more.await {
            self.drop_rest().await;
        }
    }

    /// Ends our direction, then reads and drops for a while.
    async fn linger(&mut self) {
        self.wait.arm(LINGER_MS);
        self.shut().await;
        self.drop_rest().await;
    }

    async fn shut(&mut self) {
        let _ = poll_fn(|cx| match self.stream.poll_shutdown(cx) {
            Poll::Ready(result) => Poll::Ready(result),
            Poll::Pending => self.wait.poll(cx).map(Ok),
        })
        .await;
    }

    async fn drop_rest(&mut self) {
        let mut dropped = self.inbox.len();
        while dropped < LINGER_BYTES {
            self.inbox = Buffer::empty();
            match poll_fn(|cx| self.poll_drop(cx)).await {
                Some(count) if count > 0 => dropped += count,
                _ => break,
            }
        }
    }

    fn poll_drop(&mut self, cx: &mut Context<'_>) -> Poll<Option<usize>> {
        if self.wait.poll(cx).is_ready() {
            return Poll::Ready(None);
        }
        ready!(self.stream.poll_readable(cx)).ok();
        self.stream.poll_read(cx, &mut self.inbox).map(Result::ok)
    }
}

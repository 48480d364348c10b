//! What is taken in so that slow clients hold no server: request bodies before one is picked, answers
//! ahead of a client that reads slowly (`buffer` of pools and routes).
//!
//! Rules kept here:
//! - In memory only, and never more than `buffer` says, save what one read brings.
//! - A request's body grows with the bytes that came, whatever length was announced.
//! - Once the whole answer is there, its server is free: lease and connection end, and the rest is
//!   between us and the client.
//! - Whoever takes nothing, or too little, meets the same time-outs as ever; what a server sends
//!   meanwhile is no progress.
//!
//! Not known here: retries, what is named for the server (`upload`).

use std::future::poll_fn;
use std::task::{Context, Poll, ready};

use super::answers;
use super::codec::body_pieces;
use super::download::{Download, DownloadState, Then};
use super::exchange::Exchange;
use super::fault::Fault;
use super::proxy::Attempt;
use super::slow::Slow;
use super::upload::{CONTINUE, is_too_slow};
use crate::counters::PoolCounter;
use crate::io::Buffer;
use crate::io::buffers::Size;

/// An answer that is whole and has not gone to the client yet.
pub struct Rest {
    /// The bytes that are named.
    pub inbox: Buffer,
    /// How far it has gone.
    pub down: DownloadState,
}

impl Exchange<'_> {
    /// Takes in the request's body before a server is picked: all of it, or the first `most` bytes.
    ///
    /// # Errors
    /// What the client did instead.
    pub(super) async fn take_in(&mut self, most: u64) -> Result<(), Fault> {
        if most == 0 || self.body.decoder.is_done() {
            return Ok(());
        }
        if self.asked.expects {
            self.say_continue().await?;
        }
        let wait = self.shard.deadlines.slot();
        let mut waited = 0;
        loop {
            let read = poll_fn(|cx| match self.poll_piece(&wait, &mut waited, cx) {
                Poll::Pending if self.is_cut() => Poll::Ready(Err(Fault::DrainCut)),
                other => other,
            });
            let progress = read.await?;
            self.body.stored.extend_from_slice(self.body.later.part(progress.data));
            self.body.later.consume(progress.consumed);
            if progress.done || self.body.stored.len() as u64 >= most {
                break;
            }
        }
        self.record.asked = self.shard.micros();
        if let Some(pool) = &self.record.pool {
            pool.counters.add(match self.body.decoder.is_done() {
                true => PoolCounter::RequestsTakenIn,
                false => PoolCounter::RequestsTooLong,
            });
        }
        Ok(())
    }

    /// A client that waits for a word before it sends its body gets ours.
    async fn say_continue(&mut self) -> Result<(), Fault> {
        self.asked.expects = false;
        self.interims.continued();
        self.work.desk.down.clear();
        self.work.desk.down.own(|out| out.extend_from_slice(CONTINUE));
        let limit = self.view.spec().timeouts.send;
        match answers::write_out(self.shard, self.client, self.work, limit, true).await {
            true => Ok(()),
            false if self.is_cut() => Err(Fault::DrainCut),
            false => Err(Fault::ClientStuck),
        }
    }

    /// The client does not take what is written: how long that may last.
    pub(super) fn poll_slow_client(
        &self,
        down: &mut DownloadState,
        cx: &mut Context<'_>,
    ) -> Poll<Fault> {
        let left = self.work.desk.down.left();
        let now = self.shard.now();
        let slow = down.slow.get_or_insert_with(|| Box::new(Slow::new(&self.shard.room, now)));
        if !down.wait.armed() {
            slow.since = now;
        }
        if std::mem::replace(&mut slow.left, left) != left
            && let Err(fault) = self.on_taken(down)
        {
            return Poll::Ready(fault);
        }
        loop {
            let most = self.view.spec().timeouts.send;
            let Some(slow) = down.slow.as_mut() else { return Poll::Pending };
            if !down.wait.armed() {
                down.wait.arm(slow.next_look(self.shard.now(), most));
            }
            ready!(down.wait.poll(cx));
            if let Err(fault) = self.look(down) {
                return Poll::Ready(fault);
            }
        }
    }

    /// The client has taken something of what is written, as far as we see.
    pub(super) fn on_taken(&self, down: &mut DownloadState) -> Result<(), Fault> {
        let Some(slow) = down.slow.as_mut() else { return Ok(()) };
        slow.since = self.shard.now();
        down.waited += down.wait.disarm_waited(slow.look);
        let taken = self.record.sent.saturating_sub(self.work.desk.down.left() as u64);
        match is_too_slow(taken, down.waited, self.view.spec().timeouts.min_rate) {
            true => Err(Fault::ClientSlow),
            false => Ok(()),
        }
    }

    /// It has been waited for for a while: what has it taken by the kernel's word?
    fn look(&self, down: &mut DownloadState) -> Result<(), Fault> {
        let Some(slow) = down.slow.as_mut() else { return Ok(()) };
        let timeouts = &self.view.spec().timeouts;
        let now = self.shard.now();
        down.waited += down.wait.disarm_waited(slow.look);
        let stream = &self.client.stream;
        let handed = self.record.sent.saturating_sub(self.work.desk.down.left() as u64);
        let reached = stream.acknowledged(handed);
        let before = || handed.saturating_sub(stream.unacknowledged() + stream.held_back());
        let taken = slow.looks(reached, before, now);
        match () {
            () if is_too_slow(taken, down.waited, timeouts.min_rate) => Err(Fault::ClientSlow),
            () if now >= slow.since.saturating_add(timeouts.send) => Err(Fault::ClientStuck),
            () => Ok(()),
        }
    }

    /// More may be read for a slow client: there is room to hold it again, or the client has some.
    pub(super) fn poll_room(
        &mut self,
        attempt: &mut Attempt,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Fault>> {
        let roomy = match attempt.down.slow {
            Some(_) => attempt.down.asks(Size::Large.bytes()),
            None => !self.shard.room.is_full(),
        };
        let inbox = &mut attempt.server.inbox;
        match inbox.is_empty() {
            true => *inbox = Buffer::sized(if roomy { Size::Large } else { Size::Small }),
            false if !roomy => inbox.shrink(),
            false => {}
        }
        if !roomy {
            match self.client.stream.poll_writable(cx) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(_)) => return Poll::Ready(Err(Fault::ClientGone)),
                Poll::Pending => return self.poll_slow_client(&mut attempt.down, cx).map(Err),
            }
        }
        Poll::Ready(self.on_taken(&mut attempt.down))
    }

    /// The client is slow: reads on from the server, and names what came behind what is being written,
    /// as long as there is room to hold it.
    pub(super) fn read_ahead(&mut self, attempt: &mut Attempt, cx: &mut Context<'_>) {
        let apart = self.work.desk.down.held();
        let needed = match attempt.server.inbox.block_bytes() {
            // What was read stands apart, if anything: a buffer would come to it.
            0 => apart + Size::Large.bytes(),
            block => apart + block,
        };
        if !attempt.down.asks(needed) {
            return self.hold_back(attempt);
        }
        while let Download::Write(used, Then::Body) = attempt.down.at {
            let server = &mut attempt.server;
            if server.inbox.len() as u64 >= attempt.take_in || attempt.down.spoilt {
                break;
            }
            if server.inbox.is_full() {
                let most = usize::try_from(attempt.take_in).unwrap_or(usize::MAX);
                let more = (server.inbox.len() * 2).min(most);
                if !attempt.down.asks(self.work.desk.down.held() + more) {
                    break;
                }
                server.inbox.reserve(more);
            }
            let read = match server.stream.poll_readable(cx) {
                Poll::Ready(_) => server.stream.poll_read(cx, &mut server.inbox),
                Poll::Pending => break,
            };
            match read {
                Poll::Ready(Ok(count)) if count > 0 => {
                    self.record.from_server += count as u64;
                }
                Poll::Ready(Ok(_)) if !attempt.up.reset && attempt.codec.on_end() => {}
                Poll::Ready(_) => {
                    attempt.down.spoilt = true;
                    break;
                }
                Poll::Pending => break,
            }
            self.name_more(attempt, used);
        }
        if let Some(slow) = attempt.down.slow.as_mut() {
            slow.left = self.work.desk.down.left();
        }
    }

    /// There is no room: what was read already is kept to the byte, the buffer goes back.
    fn hold_back(&mut self, attempt: &mut Attempt) {
        let Download::Write(used, then) = attempt.down.at else { return };
        let inbox = &mut attempt.server.inbox;
        if used > 0 {
            self.work.desk.down.keep(inbox.bytes());
            inbox.consume(used);
            attempt.down.at = Download::Write(0, then);
            if let Some(pool) = &self.record.pool {
                pool.counters.add(PoolCounter::AnswersHeldBack);
            }
        }
        inbox.shrink();
        inbox.release();
        if let Some(slow) = attempt.down.slow.as_mut() {
            slow.left = self.work.desk.down.left();
            slow.held.set(self.work.desk.down.held() + inbox.block_bytes());
        }
    }

    fn name_more(&mut self, attempt: &mut Attempt, used: usize) {
        let inbox = &mut attempt.server.inbox;
        let progress = match attempt.codec.answer_body(inbox, used) {
            Ok(progress) => progress,
            Err(what) => {
                self.junk(what);
                attempt.down.spoilt = true;
                return;
            }
        };
        let done = attempt.codec.is_done();
        self.record.sent += progress.data.len() as u64;
        let data = used + progress.data.start..used + progress.data.end;
        body_pieces(attempt.down.chunked, data, done, &mut self.work.desk.down);
        let then = if done { Then::Done } else { Then::Body };
        attempt.down.at = Download::Write(used + progress.consumed, then);
        if done {
            self.on_whole(attempt);
        }
    }

    /// Writes the rest of an answer that has no server any more.
    ///
    /// # Errors
    /// What the client did instead of taking it.
    pub(super) async fn deliver(&mut self, mut rest: Rest) -> Result<(), Fault> {
        rest.inbox.shrink();
        if let Some(slow) = rest.down.slow.as_mut() {
            slow.held.set(rest.inbox.block_bytes() + self.work.desk.down.held());
        }
        poll_fn(|cx| match self.poll_write_down(&mut rest.down, rest.inbox.bytes(), cx) {
            Poll::Pending if self.is_cut() => Poll::Ready(Err(Fault::DrainCut)),
            other => other,
        })
        .await
    }
}

impl DownloadState {
    /// Whether so many bytes may be held for the client, which is slow.
    fn asks(&mut self, bytes: usize) -> bool {
        let Some(slow) = self.slow.as_mut() else { return true };
        let granted = slow.held.asks(bytes);
        slow.cramped = !granted;
        granted
    }

    /// What was held for the client has gone. Whether nothing more is to be held: there was no room.
    #[inline]
    pub(super) fn holds_nothing(&mut self) -> bool {
        self.slow.as_mut().is_some_and(|slow| {
            slow.held.set(0);
            slow.cramped
        })
    }
}

impl Attempt {
    /// Whether the answer is whole and only the client is waited for.
    pub(super) fn is_taken_in(&self) -> bool {
        self.take_in > 0
            && self.up.is_over()
            && self.down.has_begun()
            && !self.down.is_tunnel()
            && matches!(self.down.at, Download::Write(_, Then::Done))
    }
}

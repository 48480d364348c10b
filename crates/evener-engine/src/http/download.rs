//! The answer on its way to the client: head, then body as it comes, in the framing that the
//! client understands.
//!
//! Rules kept here:
//! - No more is read from the server than the client has taken (back-pressure); one buffer, given
//!   back while nothing is in flight.
//! - Framing is judged before anything is sent: what is wrong with a head is a 502. What goes wrong
//!   after it is a visible cut: the connection ends without the end of the message.
//! - What becomes of an interim answer (1xx), the codec's `Interims` says; a tunnel begins behind a
//!   whole request that asked for it, or not at all.
//! - A client that has ended its side still gets an answer that comes within a second; after that
//!   it counts as gone.
//!
//! Not known here: which server, and whether another try follows.

use std::task::{Context, Poll, ready};

use evener_balance::Cause;
use evener_plan::RetryOn;
use evener_proto::Malformed;
use evener_proto::h1::edit::Edits;
use evener_proto::h1::{BodyLength, Fate, Method, Version, Violations};

use super::codec::{AnswerHead, HeadPolicy, is_delimited};
use super::exchange::Exchange;
use super::fault::Fault;
use super::forwarded;
use super::proxy::Attempt;
use super::slow::Slow;
use super::upload::Upload;
use super::work::Tools;
use crate::io::Deadline;
use crate::steps::step;

/// Where the download stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Download {
    /// The head is awaited.
    Head,
    /// Pieces are being written; so many of the server's bytes are used up then, and this follows.
    Write(usize, Then),
    /// More of the body is awaited.
    Body,
    /// There is no room to hold more for a slow client: it is awaited before more is read.
    Room,
    /// All went to the client.
    Done,
}

/// What follows when pieces are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    /// Another head.
    Head,
    /// The rest of the body.
    Body,
    /// Nothing.
    Done,
}

/// Progress of a download with what bounds it.
pub struct DownloadState {
    /// Where it stands.
    pub at: Download,
    /// Bounds the wait for either side.
    pub wait: Deadline,
    pub(super) waited: u64,
    /// What is known of a client that did not take all at once.
    pub(super) slow: Option<Box<Slow>>,
    /// What was read ahead of a slow client ends in the middle, or in what is no body: told when all
    /// before it has gone.
    pub(super) spoilt: bool,
    /// An interim answer has come.
    hinted: bool,
    begun: bool,
    tunnel: bool,
    /// The body goes to the client in chunks.
    pub(super) chunked: bool,
    client_ended: Option<u64>,
}

/// How long a client that has ended its side may still wait for its answer, in milliseconds.
const HALF_CLOSED_MS: u64 = 1000;

impl DownloadState {
    /// Before the head.
    pub fn new(wait: Deadline) -> DownloadState {
        DownloadState {
            at: Download::Head,
            wait,
            waited: 0,
            slow: None,
            spoilt: false,
            hinted: false,
            begun: false,
            tunnel: false,
            chunked: false,
            client_ended: None,
        }
    }

    /// Whether the head of the answer proper has come.
    pub fn has_begun(&self) -> bool {
        self.begun
    }

    /// Whether the connection becomes a tunnel.
    pub fn is_tunnel(&self) -> bool {
        self.tunnel
    }

    /// Whether it is the server that is waited for.
    pub fn awaits_server(&self) -> bool {
        matches!(self.at, Download::Head | Download::Body)
    }
}

impl Exchange<'_> {
    /// Takes the download as far as it goes. Ready when the answer has gone to the client.
    #[inline]
    pub(super) fn poll_download(
        &mut self,
        attempt: &mut Attempt,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Fault>> {
        loop {
            match attempt.down.at {
                Download::Head => match self.read_head(attempt)? {
                    Some(head) => self.on_head(attempt, head)?,
                    None => ready!(self.poll_read_down(attempt, cx))?,
                },
                Download::Write(used, then) => {
                    let read = attempt.server.inbox.bytes();
                    if self.poll_write_down(&mut attempt.down, read, cx)?.is_pending() {
                        self.read_ahead(attempt, cx);
                        return Poll::Pending;
                    }
                    attempt.server.inbox.consume(used);
                    let cramped = attempt.down.holds_nothing();
                    attempt.down.at = match then {
                        Then::Head => Download::Head,
                        Then::Body if cramped || self.shard.room.is_full() => Download::Room,
                        Then::Body => Download::Body,
                        Then::Done => Download::Done,
                    };
                }
                Download::Room => {
                    ready!(self.poll_room(attempt, cx))?;
                    attempt.down.at = Download::Body;
                }
                Download::Body if attempt.down.spoilt => return Poll::Ready(Err(Fault::Cut)),
                Download::Body => {
                    if attempt.server.inbox.is_empty() {
                        ready!(self.poll_read_down(attempt, cx))?;
                    }
                    self.name_body(attempt, 0)?;
                }
                Download::Done => return Poll::Ready(Ok(())),
            }
        }
    }

    /// Reads what the server has sent; its end where that ends the answer.
    #[inline]
    fn poll_read_down(
        &mut self,
        attempt: &mut Attempt,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Fault>> {
        let server = &mut attempt.server;
        if server.inbox.is_full() {
            server.inbox.reserve((server.inbox.len() * 4).min(MAX_HEAD + 1));
        }
        let result = match server.stream.poll_readable(cx) {
            Poll::Ready(_) => server.stream.poll_read(cx, &mut server.inbox),
            Poll::Pending => Poll::Pending,
        };
        match result {
            Poll::Ready(Ok(count)) if count > 0 => {
                // Before the answer's head only an interim answer stops the clock, not half of one.
                if attempt.down.begun {
                    attempt.down.wait.disarm();
                }
                self.record.from_server += count as u64;
                Poll::Ready(Ok(()))
            }
            Poll::Ready(result) => Poll::Ready(self.on_server_end(attempt, result.is_ok())),
            Poll::Pending => {
                server.inbox.release();
                self.poll_server_late(attempt, cx).map(Err)
            }
        }
    }

    /// The server's time runs from the request's end, or from its head where the client waits for a
    /// word before it sends the rest: who is still sent a request may wait for it.
    fn poll_server_late(&self, attempt: &mut Attempt, cx: &mut Context<'_>) -> Poll<Fault> {
        if !attempt.up.is_over() && !self.awaits_word() {
            attempt.down.wait.disarm();
            return Poll::Pending;
        }
        let (after, fault) = match attempt.down.begun {
            true => (attempt.timeouts.receive, Fault::Stalled),
            false => (attempt.timeouts.response, Fault::Server(Cause::ResponseTimeout)),
        };
        attempt.down.wait.poll_wait(cx, after).map(|()| fault)
    }

    /// The server has ended the connection.
    fn on_server_end(&mut self, attempt: &mut Attempt, clean: bool) -> Result<(), Fault> {
        let nothing_came = attempt.server.inbox.is_empty() && !attempt.down.hinted;
        if !attempt.down.begun {
            return Err(match attempt.server.reused && nothing_came {
                true => Fault::Stale,
                false => Fault::Server(Cause::Reset),
            });
        }
        let whole = clean && !attempt.up.reset && attempt.codec.on_end();
        if whole { Ok(()) } else { Err(Fault::Cut) }
    }

    fn read_head(&mut self, attempt: &mut Attempt) -> Result<Option<AnswerHead>, Fault> {
        let inbox = &mut attempt.server.inbox;
        if inbox.is_empty() {
            return Ok(None);
        }
        let head = attempt.codec.answer_head(self.asked.method, self.work, inbox);
        head.map_err(|what| self.junk(what))
    }

    /// What the server sent is no answer, and why.
    #[cold]
    pub(super) fn junk(&mut self, what: Malformed) -> Fault {
        self.record.detail = Some(what.cause().into());
        if let Some(pool) = &self.record.pool {
            pool.counters.refused(what);
        }
        Fault::Server(Cause::Junk)
    }

    /// A head has come: interim, a tunnel's, or that of the answer proper.
    #[inline]
    fn on_head(&mut self, attempt: &mut Attempt, head: AnswerHead) -> Result<(), Fault> {
        step("exchange::on_head");
        attempt.down.wait.disarm();
        if !head.borne.is_empty() {
            self.let_in(head.borne);
        }
        if head.status < 200 {
            let fate = self.interims.judge(head.status).map_err(|what| self.junk(what))?;
            if fate != Fate::Switch {
                self.on_interim(attempt, head, fate == Fate::Pass);
                return Ok(());
            }
            if attempt.up.at != Upload::Done {
                // Asked for, but the server has not heard all of it.
                return Err(self.junk(Malformed::SwitchUnasked));
            }
        }
        let tunnel = head.status == 101;
        if self.retries(attempt, head.status) {
            return Err(Fault::Status(head.status));
        }
        self.expand_answer_edits()?;
        attempt.down.begun = true;
        attempt.down.tunnel = tunnel;
        self.record.on_head(self.shard, head.status);
        if let (Some(pool), Some(lease)) = (&self.record.pool, &attempt.lease)
            && pool.group().times()
        {
            let took = self.record.answered.saturating_sub(self.record.picked);
            pool.group().on_head(lease, took, self.shard.now());
        }
        self.name_head(attempt, head, tunnel);
        if tunnel {
            attempt.down.at = Download::Write(head.taken, Then::Done);
            return Ok(());
        }
        self.name_body(attempt, head.taken)
    }

    /// The server's head has violations that were let in.
    #[cold]
    fn let_in(&self, borne: Violations) {
        if let (Some(pool), Some(index)) = (&self.record.pool, self.record.server) {
            pool.server_counters(self.shard, index).let_in(borne);
        }
    }

    /// What the server spoke, where that is to be told in Via.
    fn via(&self) -> Option<Version> {
        self.view.running().policy.via.then(|| self.work.desk.answer.head().version)
    }

    /// Whether the status is one that is tried again, where that is possible.
    fn retries(&self, attempt: &Attempt, status: u16) -> bool {
        let Some(pool) = &self.record.pool else { return false };
        let rules = &pool.spec().retry;
        status >= 400
            && rules.on.contains(&RetryOn::Status(status))
            && !attempt.last
            && attempt.up.is_over()
            && !self.body.streamed
            && (self.asked.method.is_idempotent() || rules.on.contains(&RetryOn::NonIdempotent))
    }

    /// An interim answer goes on or ends here; another head follows.
    fn on_interim(&mut self, attempt: &mut Attempt, head: AnswerHead, passes: bool) {
        attempt.down.hinted = true;
        self.work.desk.down.clear();
        if passes {
            let read = attempt.server.inbox.bytes();
            let policy = HeadPolicy { reframed: false, http10: false, tunnel: false, edited: None };
            let via = self.via();
            attempt.codec.write_head(policy, self.work, read);
            self.work.desk.down.own(|out| {
                if let Some(version) = via {
                    forwarded::via(version, out);
                }
                out.extend_from_slice(b"\r\n");
            });
        }
        self.work.desk.answer.clear();
        attempt.down.at = Download::Write(head.taken, Then::Head);
    }

    /// Names the head's pieces, with what of it is ours.
    fn name_head(&mut self, attempt: &mut Attempt, head: AnswerHead, tunnel: bool) {
        let bodiless = self.asked.method == Method::Head || head.length == BodyLength::None;
        let delimited = bodiless || is_delimited(head.length, self.asked.version);
        let http11 = self.asked.version == Version::Http11;
        attempt.down.chunked = !bodiless && http11 && !matches!(head.length, BodyLength::Exact(_));
        // What is left of a request's body may never be read, and then no further request is.
        self.record.until_close = !tunnel && !delimited && !attempt.down.chunked;
        self.record.close |= !self.asked.keep_alive
            || attempt.up.at != Upload::Done
            || (!tunnel && self.has_early_bytes())
            || self.record.until_close
            || self.shard.is_draining()
            || !self.client.open.is_listening();
        let read = attempt.server.inbox.bytes();
        let edits = self.view.running().edits.of_answers(self.asked.route);
        let edited = edits.and_then(Edits::cut);
        let policy = HeadPolicy { reframed: !delimited, http10: !http11, tunnel, edited };
        self.work.desk.down.clear();
        attempt.codec.write_head(policy, self.work, read);
        let chunked = attempt.down.chunked && !delimited;
        let close = self.record.close;
        let is_edited = |name: &[u8]| edited.is_some_and(|names| names.has(name));
        let via = self.via().filter(|_| !is_edited(b"Via"));
        // An interim answer, and a 101 is one, has none.
        let dated = head.dated || tunnel || is_edited(b"Date");
        let date = (!dated).then(|| self.shard.date.line());
        let Tools { down, edited: made, .. } = &mut *self.work.desk;
        let lines = if edits.is_some() { made.as_slice() } else { b"" };
        down.own(|out| {
            if let Some(date) = date {
                out.extend_from_slice(&date);
            }
            if let Some(version) = via {
                forwarded::via(version, out);
            }
            out.extend_from_slice(lines);
            if chunked {
                out.extend_from_slice(b"Transfer-Encoding: chunked\r\n");
            }
            match (tunnel, close, http11) {
                (true, ..) => out.extend_from_slice(b"Connection: upgrade\r\n"),
                (_, true, _) => out.extend_from_slice(b"Connection: close\r\n"),
                (_, false, false) => out.extend_from_slice(b"Connection: keep-alive\r\n"),
                (_, false, true) => {}
            }
            out.extend_from_slice(b"\r\n");
        });
    }

    /// Names the pieces of the payload that has come, behind `skip` bytes that are named already.
    #[inline]
    fn name_body(&mut self, attempt: &mut Attempt, skip: usize) -> Result<(), Fault> {
        if skip == 0 {
            self.work.desk.down.clear();
        }
        let progress = attempt.codec.answer_body(&mut attempt.server.inbox, skip);
        let progress = progress.map_err(|what| match (self.junk(what), skip) {
            // Something of the answer went out.
            (_, 0) => Fault::Cut,
            (junk, _) => junk,
        })?;
        let done = attempt.codec.is_done();
        self.record.sent += progress.data.len() as u64;
        let data = skip + progress.data.start..skip + progress.data.end;
        let chunked = attempt.down.chunked;
        super::codec::body_pieces(chunked, data, done, &mut self.work.desk.down);
        let then = if done { Then::Done } else { Then::Body };
        self.record.at_once &= done;
        attempt.down.at = Download::Write(skip + progress.consumed, then);
        if done {
            self.on_whole(attempt);
        }
        Ok(())
    }

    /// Writes what is named to the client.
    #[inline]
    pub(super) fn poll_write_down(
        &mut self,
        down: &mut DownloadState,
        read: &[u8],
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Fault>> {
        let stream = &mut self.client.stream;
        self.record.head_sent |= down.begun;
        let result = match self.work.desk.down.poll_write(cx, stream, read) {
            Poll::Ready(Ok(())) => stream.poll_flush(cx),
            other => other,
        };
        match result {
            Poll::Ready(Ok(())) => {
                self.record.out += self.work.desk.down.total() as u64;
                Poll::Ready(if down.slow.is_some() { self.on_taken(down) } else { Ok(()) })
            }
            Poll::Ready(Err(_)) => Poll::Ready(Err(Fault::ClientGone)),
            Poll::Pending => {
                self.record.at_once = false;
                self.poll_slow_client(down, cx).map(Err)
            }
        }
    }

    /// Ready once the client has left while the server is waited for. What else it sends meanwhile
    /// is the next request, as far as there is room for it.
    #[inline]
    pub(super) fn poll_client_gone(
        &mut self,
        attempt: &mut Attempt,
        cx: &mut Context<'_>,
    ) -> Poll<()> {
        if let Some(ended) = attempt.down.client_ended {
            return self.poll_half_closed(attempt, ended, cx);
        }
        loop {
            let inbox = match self.body.beyond_prefix {
                true => &mut self.body.later,
                false => &mut self.client.inbox,
            };
            if inbox.is_full() || ready!(self.client.stream.poll_readable(cx)).is_err() {
                return if inbox.is_full() { Poll::Pending } else { Poll::Ready(()) };
            }
            match ready!(self.client.stream.poll_read(cx, inbox)) {
                Ok(0) => break,
                Ok(_) => {}
                Err(_) => return Poll::Ready(()),
            }
        }
        self.record.close = true;
        attempt.down.client_ended = Some(self.shard.now());
        self.poll_half_closed(attempt, self.shard.now(), cx)
    }

    fn poll_half_closed(&self, attempt: &Attempt, ended: u64, cx: &mut Context<'_>) -> Poll<()> {
        if self.shard.now() >= ended + HALF_CLOSED_MS {
            return Poll::Ready(());
        }
        // The upload is over, so its deadline is free for this.
        attempt.up.wait.poll_wait(cx, HALF_CLOSED_MS)
    }
}

/// Most bytes of an answer's head.
const MAX_HEAD: usize = 64 << 10;

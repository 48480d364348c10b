//! The request on its way to the server: head and first bytes in one write, then the body as it
//! comes.
//!
//! Rules kept here:
//! - No more is read from the client than the server has taken (back-pressure); one buffer.
//! - A server that no longer takes the request may have answered already: its answer decides.
//!
//! Not known here: the answer.

use std::io;
use std::task::{Context, Poll, ready};

use evener_balance::Cause;
use evener_proto::Progress;

use super::download::{Download, Then};
use super::exchange::Exchange;
use super::fault::Fault;
use super::proxy::Attempt;
use crate::io::Deadline;

/// Where the upload stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Upload {
    /// Head and prefix are being written; they lie in the client's inbox.
    Head,
    /// What was taken in before is being written.
    Stored,
    /// A later piece is being written: so many bytes are used up then.
    Piece(usize),
    /// The next piece is awaited from the client.
    Client,
    /// All was written.
    Done,
    /// The server takes no more.
    Broken,
}

/// Progress of an upload with what bounds it.
pub struct UploadState {
    /// Where it stands.
    pub at: Upload,
    /// Bounds the wait for either side.
    pub wait: Deadline,
    /// Milliseconds spent waiting for the client.
    pub waited: u64,
    /// Bytes that the server took.
    pub sent: u64,
    /// Bytes that were left to write when the server was last waited for.
    left: usize,
    /// Nothing had to be waited for.
    pub at_once: bool,
    /// The server has reset the connection: sockets tell that once, and afterwards an end like any.
    pub reset: bool,
}

impl UploadState {
    /// Before the head.
    pub fn new(wait: Deadline) -> UploadState {
        let at = Upload::Head;
        UploadState { at, wait, waited: 0, sent: 0, left: 0, at_once: true, reset: false }
    }

    /// Whether nothing more is to be written.
    pub fn is_over(&self) -> bool {
        matches!(self.at, Upload::Done | Upload::Broken)
    }
}

impl Exchange<'_> {
    /// Takes the upload as far as it goes. Ready when it is over.
    #[inline]
    pub(super) fn poll_upload(
        &mut self,
        attempt: &mut Attempt,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Fault>> {
        loop {
            match attempt.up.at {
                Upload::Head => {
                    let wrote = ready!(self.poll_write_up(attempt, cx, Source::Inbox))?;
                    attempt.up.at = match wrote && !self.body.stored.is_empty() {
                        true => self.name_stored(attempt),
                        false => self.after_piece(wrote),
                    };
                    if attempt.up.at == Upload::Client {
                        self.go_ahead(attempt);
                    }
                }
                Upload::Stored => {
                    let wrote = ready!(self.poll_write_up(attempt, cx, Source::Stored))?;
                    attempt.up.at = self.after_piece(wrote);
                }
                Upload::Piece(used) => {
                    let wrote = ready!(self.poll_write_up(attempt, cx, Source::Later))?;
                    self.body.later.consume(used);
                    attempt.up.at = self.after_piece(wrote);
                }
                Upload::Client => {
                    ready!(self.poll_read_up(attempt, cx))?;
                }
                Upload::Done | Upload::Broken => {
                    if !attempt.up.at_once {
                        self.record.on_sent(self.shard);
                    }
                    return Poll::Ready(Ok(()));
                }
            }
        }
    }

    fn name_stored(&mut self, attempt: &mut Attempt) -> Upload {
        self.work.desk.up.clear();
        let (all, done) = (0..self.body.stored.len(), self.body.decoder.is_done());
        attempt.codec.request_body(all, done, &mut self.work.desk.up);
        Upload::Stored
    }

    fn after_piece(&self, wrote: bool) -> Upload {
        match (wrote, self.body.decoder.is_done()) {
            (false, _) => Upload::Broken,
            (true, true) => Upload::Done,
            (true, false) => Upload::Client,
        }
    }

    /// A client that waits for a word before it sends its body gets ours, where servers say none.
    fn go_ahead(&mut self, attempt: &mut Attempt) {
        let silent = attempt.codec.continues_itself() && attempt.down.at == Download::Head;
        if self.asked.expects && silent {
            // Once, also if another try follows.
            self.asked.expects = false;
            self.interims.continued();
            self.work.desk.down.clear();
            self.work.desk.down.own(|out| out.extend_from_slice(CONTINUE));
            attempt.down.at = Download::Write(0, Then::Head);
        }
    }

    /// Writes what is named; false when the server takes no more.
    #[inline]
    fn poll_write_up(
        &mut self,
        attempt: &mut Attempt,
        cx: &mut Context<'_>,
        source: Source,
    ) -> Poll<Result<bool, Fault>> {
        let read = match source {
            Source::Inbox => self.client.inbox.bytes(),
            Source::Stored => &self.body.stored,
            Source::Later => self.body.later.bytes(),
        };
        let stream = &mut attempt.server.stream;
        let result = match self.work.desk.up.poll_write(cx, stream, read) {
            Poll::Ready(Ok(())) => stream.poll_flush(cx),
            other => other,
        };
        match result {
            Poll::Ready(result) => {
                attempt.up.wait.disarm();
                match &result {
                    Ok(()) => attempt.up.sent += self.work.desk.up.total() as u64,
                    Err(why) => attempt.up.reset = why.kind() == io::ErrorKind::ConnectionReset,
                }
                Poll::Ready(Ok(result.is_ok()))
            }
            Poll::Pending => {
                let left = self.work.desk.up.left();
                if std::mem::replace(&mut attempt.up.left, left) != left {
                    // It has taken some: its time begins anew.
                    attempt.up.wait.disarm();
                }
                ready!(attempt.up.wait.poll_wait(cx, attempt.timeouts.send));
                Poll::Ready(Err(Fault::Server(Cause::SendTimeout)))
            }
        }
    }

    /// Reads the next piece of the body and names it.
    fn poll_read_up(
        &mut self,
        attempt: &mut Attempt,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Fault>> {
        let progress = ready!(self.poll_piece(&attempt.up.wait, &mut attempt.up.waited, cx))?;
        self.body.streamed = true;
        attempt.up.at = Upload::Piece(progress.consumed);
        self.work.desk.up.clear();
        attempt.codec.request_body(progress.data, progress.done, &mut self.work.desk.up);
        Poll::Ready(Ok(()))
    }

    /// Reads the next piece of the body into `later`. `waited` are the milliseconds that were spent
    /// waiting for the client.
    pub(super) fn poll_piece(
        &mut self,
        wait: &Deadline,
        waited: &mut u64,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Progress, Fault>> {
        let timeouts = &self.view.spec().timeouts;
        let readable = match self.client.stream.poll_readable(cx) {
            Poll::Ready(_) => self.client.stream.poll_read(cx, &mut self.body.later),
            Poll::Pending => Poll::Pending,
        };
        let count = match readable {
            Poll::Ready(Ok(count)) if count > 0 => count,
            Poll::Ready(_) => return Poll::Ready(Err(Fault::ClientGone)),
            Poll::Pending => {
                self.body.later.release();
                if self.awaits_word() {
                    return Poll::Pending;
                }
                ready!(wait.poll_wait(cx, timeouts.body));
                return Poll::Ready(Err(Fault::ClientLate));
            }
        };
        *waited += wait.disarm_waited(timeouts.body);
        self.body.beyond_prefix = true;
        let progress = self.body.decoder.decode(self.body.later.bytes_mut())?;
        self.body.bytes += progress.data.len() as u64;
        self.record.received += count as u64;
        let fault = match () {
            () if self.is_too_large() => Fault::TooLarge,
            () if progress.done => return Poll::Ready(Ok(progress)),
            () if is_too_slow(self.body.bytes, *waited, timeouts.min_rate) => Fault::ClientSlow,
            () => return Poll::Ready(Ok(progress)),
        };
        // Of the body, sent or not: as the start of the next request it would be smuggled.
        self.body.later.consume(progress.consumed);
        Poll::Ready(Err(fault))
    }
}

/// What goes on lies there.
#[derive(Clone, Copy)]
enum Source {
    Inbox,
    Stored,
    Later,
}

/// The word for a client that waits for one before it sends its body.
pub const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// Whether a peer that was waited for so long (milliseconds) has moved too few bytes.
pub fn is_too_slow(bytes: u64, waited: u64, min_rate: u64) -> bool {
    /// The first ten seconds are free.
    const FREE_MS: u64 = 10_000;
    min_rate > 0 && waited > FREE_MS && bytes.saturating_mul(1000) / waited < min_rate
}

#[cfg(test)]
mod tests {
    use super::is_too_slow;

    #[test]
    fn a_rate_is_judged_after_ten_seconds_of_waiting_and_not_at_all_when_off() {
        assert!(!is_too_slow(0, 10_000, 500));
        assert!(is_too_slow(5_000, 11_000, 500));
        assert!(!is_too_slow(6_000, 11_000, 500));
        assert!(!is_too_slow(0, 60_000, 0));
    }
}

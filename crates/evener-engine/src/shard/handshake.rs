//! TLS handshakes with clients.
//!
//! Rules kept here:
//! - The first bytes are looked at before TLS gets them: plain HTTP on a TLS port is answered with
//!   a word about it, in plain HTTP, instead of an alert nobody can read.
//! - The handshake as a whole has a deadline.

use std::future::{Future, poll_fn};
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;

use evener_proto::h1::answer;
use rustls::{HandshakeKind, ProtocolVersion, ServerConfig};
use tokio::io::AsyncWrite;
use tokio_rustls::TlsAcceptor;

use super::Shard;
use super::view::ListenerView;
use crate::counters::ListenerCounter;
use crate::io::stream::{Plain, Tls};
use crate::io::{Buffer, Stream};

/// First byte of a TLS handshake record (RFC 8446 §5.1).
const HANDSHAKE: u8 = 0x16;

/// Makes the handshake; `None` when the connection is over.
pub async fn accept(
    shard: &Rc<Shard>,
    view: &ListenerView,
    config: &Arc<ServerConfig>,
    mut plain: Plain,
) -> Option<Stream> {
    let wait = shard.deadlines.slot();
    wait.arm(view.spec().timeouts.tls);
    let bounded = async |future: &mut (dyn Future<Output = io::Result<()>> + Unpin)| {
        poll_fn(|cx| match std::pin::Pin::new(&mut *future).poll(cx) {
            Poll::Ready(result) => Poll::Ready(Some(result)),
            Poll::Pending => wait.poll(cx).map(|()| None),
        })
        .await
    };
    let mut first = Buffer::empty();
    let mut peek = poll_fn(|cx| {
        std::task::ready!(plain.poll_readable(cx))?;
        plain.poll_fill(cx, &mut first).map_ok(|_| ())
    });
    match bounded(&mut peek).await {
        // Browsers connect ahead and leave without a word.
        Some(Ok(())) if first.is_empty() => return None,
        Some(Ok(())) => {}
        Some(Err(_)) => return count(view, ListenerCounter::Reset),
        None => return count(view, ListenerCounter::TlsTimeout),
    }
    if first.bytes().first() != Some(&HANDSHAKE) {
        if first.bytes().first().is_some_and(u8::is_ascii_uppercase) {
            plain_http(&mut plain).await;
        }
        return count(view, ListenerCounter::PlainOnTls);
    }
    plain.unread(first);
    let mut done = None;
    let mut accepting = Box::pin(TlsAcceptor::from(config.clone()).accept(plain));
    let mut handshake = poll_fn(|cx| {
        accepting.as_mut().poll(cx).map(|result| {
            done = Some(result?);
            Ok(())
        })
    });
    match bounded(&mut handshake).await {
        Some(Ok(())) => {}
        Some(Err(_)) => return count(view, ListenerCounter::TlsFailed),
        None => return count(view, ListenerCounter::TlsTimeout),
    }
    let mut stream = done?;
    let session = stream.get_mut().1;
    session.set_buffer_limit(Some(SEND_BUFFER));
    let resumed = session.handshake_kind() == Some(HandshakeKind::Resumed);
    let tls13 = session.protocol_version() == Some(ProtocolVersion::TLSv1_3);
    view.counters.add(match (tls13, resumed) {
        (true, true) => ListenerCounter::Tls13Resumed,
        (true, false) => ListenerCounter::Tls13Full,
        (false, true) => ListenerCounter::Tls12Resumed,
        (false, false) => ListenerCounter::Tls12Full,
    });
    Some(Stream::ServerTls(Box::new(Tls::new(stream))))
}

/// Bytes that TLS may hold back for a client that does not take them.
const SEND_BUFFER: usize = 96 * 1024;

fn count(view: &ListenerView, counter: ListenerCounter) -> Option<Stream> {
    view.counters.add(counter);
    None
}

/// One answer, as far as the socket takes it at once.
async fn plain_http(plain: &mut Plain) {
    const BODY: &[u8] = b"400 Bad Request: this port speaks HTTPS\n";
    let mut out = Vec::new();
    answer::status_line(400, &mut out);
    out.extend_from_slice(b"Content-Type: text/plain; charset=utf-8\r\nConnection: close\r\n");
    answer::content_length(BODY.len() as u64, &mut out);
    answer::end(&mut out);
    out.extend_from_slice(BODY);
    poll_fn(|cx| {
        let _ = std::pin::Pin::new(&mut *plain).poll_write(cx, &out);
        let _ = std::pin::Pin::new(&mut *plain).poll_shutdown(cx);
        Poll::Ready(())
    })
    .await;
}

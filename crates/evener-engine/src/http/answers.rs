//! Answers of our own: refusals, redirects, fixed answers.
//!
//! Rules kept here:
//! - Short and honest, in plain text, or in JSON for who prefers it; they name no internals. Log
//!   and counters have the exact cause.
//! - A request that was not read to its end closes its connection.
//! - What a template expands to cannot break out of its field.

use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;

use evener_plan::Respond;
use evener_proto::Malformed;
use evener_proto::h1::{Method, Version, answer};

use super::client::Client;
use super::edits::FieldEdits;
use super::exchange::{After, Exchange};
use super::forwarded;
use super::template::Template;
use super::upload::is_too_slow;
use super::words::ExchangeWords;
use super::work::{Tools, Work};
use crate::counters::{ListenerCounter, WorkerCounter};
use crate::date;
use crate::log::line::Line;
use crate::shard::{ListenerView, Shard};

/// A refusal: its status, and the cause that log and counters know.
pub struct Local {
    /// Status code.
    pub status: u16,
    /// Name of the cause.
    pub cause: &'static str,
    /// The methods that Allow names, where the status asks for it (RFC 9110 §15.5.6).
    allow: Option<&'static str>,
    /// Seconds after which it is worth asking again.
    retry_after: Option<u64>,
}

/// An answer with a body of our own.
struct Whole<'a> {
    status: u16,
    media_type: &'a str,
    body: &'a [u8],
    /// Further fields, each with its line's end.
    fields: &'a [u8],
}

/// The cause of a refusal of a head that did not come in time.
pub const LATE: &str = "head_timeout";
/// The cause of an end that a drain brought.
pub const DRAIN_CUT: &str = "drain_cut";
/// The cause of a refusal to send a value that could break out of its field.
pub const UNSAFE_VALUE: &str = "unsafe_value";
/// How long a client may take to hear of that, in milliseconds.
const LAST_WORD_MS: u64 = 1000;

impl Local {
    /// A refusal.
    pub fn new(status: u16, cause: &'static str) -> Local {
        Local { status, cause, allow: None, retry_after: None }
    }

    /// The same, with seconds after which it is worth asking again (RFC 9110 §10.2.3).
    pub fn retry_after(self, seconds: u64) -> Local {
        Local { retry_after: Some(seconds.max(1)), ..self }
    }

    /// Fields that the refusal needs, each with its line's end.
    fn fields(&self) -> Vec<u8> {
        let mut lines = allow(self.allow);
        if let Some(seconds) = self.retry_after {
            lines.extend_from_slice(format!("Retry-After: {seconds}\r\n").as_bytes());
        }
        lines
    }
}

impl From<Malformed> for Local {
    fn from(what: Malformed) -> Local {
        Local { allow: what.allow(), ..Local::new(what.status(), what.cause()) }
    }
}

/// The field that names these methods.
fn allow(methods: Option<&str>) -> Vec<u8> {
    let line = methods.map(|methods| format!("Allow: {methods}\r\n").into_bytes());
    line.unwrap_or_default()
}

/// Refuses something that never became an exchange, and closes.
pub async fn refuse(
    shard: &Rc<Shard>,
    client: &mut Client,
    work: &mut Work,
    view: &ListenerView,
    local: &Local,
) -> After {
    let started = shard.micros();
    let bytes = client.inbox.bytes();
    let accept = work.request.head().fields.value(evener_proto::h1::Name::Accept, bytes);
    let json = accept.is_some_and(prefers_json);
    let body = words(local.status, json);
    let whole = Whole {
        status: local.status,
        media_type: media_type(json),
        body: body.as_bytes(),
        fields: &local.fields(),
    };
    work.desk.down.clear();
    let head_only = work.request.head().method == Method::Head && !client.inbox.is_empty();
    let date = shard.date.line();
    work.desk.down.own(|out| write(&whole, &date, None, Some("close"), head_only, out));
    view.counters.add_n(ListenerCounter::BytesIn, client.inbox.bytes().len() as u64);
    view.counters.add_n(ListenerCounter::BytesOut, work.desk.down.total() as u64);
    let send = view.spec().timeouts.send;
    let sent = write_out(shard, client, work, send, true).await;
    if !sent && client.open.is_cut(shard.now()) {
        shard.worker.add(WorkerCounter::DrainCut, 1);
    }
    view.counters.add(ListenerCounter::Requests);
    let route = view.route_counters(shard, None);
    route.add_status(local.status);
    if shard.log.wants() {
        // Of a head that did not come the time that it had counts.
        let waited = if local.cause == LATE { view.spec().timeouts.head * 1000 } else { 0 };
        let took = shard.micros().saturating_sub(started) + waited;
        let payload = if head_only { 0 } else { body.len() as u64 };
        log_refused(shard, client, work, view, local, (took, payload));
    }
    if sent { After::Linger } else { After::Gone }
}

/// Refuses a request.
pub async fn local(exchange: &mut Exchange<'_>, local: &Local) -> After {
    exchange.record.cause = Some(local.cause);
    let json = exchange.wants_json();
    let body = words(local.status, json);
    let whole = Whole {
        status: local.status,
        media_type: media_type(json),
        body: body.as_bytes(),
        fields: &local.fields(),
    };
    send(exchange, &whole).await
}

/// Gives a fixed answer; 503 where its condition does not hold.
pub async fn respond(
    exchange: &mut Exchange<'_>,
    respond: &Respond,
    needs: Option<(usize, u64)>,
) -> After {
    if let Some((pool, up)) = needs {
        let pools = &exchange.view.running_pools();
        let there = pools.get(pool).map_or(0, |pool| pool.group.counts_up());
        if (there as u64) < up {
            return local(exchange, &Local::new(503, "needs_not_met")).await;
        }
    }
    let whole = Whole {
        status: respond.status,
        media_type: &respond.media_type,
        body: respond.body.as_bytes(),
        fields: b"",
    };
    send(exchange, &whole).await
}

/// Answers a request that may go no further as its recipient: 200 without content (RFC 9110
/// §7.6.2, §9.3.7).
pub async fn last_hop(exchange: &mut Exchange<'_>) -> After {
    let fields = allow(Malformed::TraceRefused.allow());
    send(exchange, &Whole { status: 200, media_type: "", body: b"", fields: &fields }).await
}

/// Redirects; 301 for GET and HEAD, else 308, unless a status is given.
pub async fn redirect(exchange: &mut Exchange<'_>, to: &Template, status: Option<u16>) -> After {
    let default = match exchange.asked.method {
        Method::Get | Method::Head => 301,
        _ => 308,
    };
    if exchange.work.request.head().is_of_server() {
        // It is about us, not about what is to be found elsewhere.
        return last_hop(exchange).await;
    }
    let mut location = Vec::new();
    to.expand(&ExchangeWords(exchange), &mut location);
    if !names_host(&location) {
        exchange.view.counters.refused(Malformed::HostMissing);
        return local(exchange, &Local::from(Malformed::HostMissing)).await;
    }
    let mut fields = Vec::new();
    if answer::field(b"Location", &location, &mut fields).is_err() {
        exchange.view.counters.add(ListenerCounter::UnsafeValue);
        return local(exchange, &Local::new(500, UNSAFE_VALUE)).await;
    }
    let status = status.unwrap_or(default);
    let body = words(status, exchange.wants_json());
    let whole = Whole {
        status,
        media_type: media_type(exchange.wants_json()),
        body: body.as_bytes(),
        fields: &fields,
    };
    send(exchange, &whole).await
}

/// Whether a place that begins with a scheme has a host (RFC 9110 §4.2.2): a client of 1.0 need not
/// have named one.
fn names_host(location: &[u8]) -> bool {
    let behind = location.windows(3).position(|part| part == b"://").map(|at| at + 3);
    let host = behind.and_then(|at| location.get(at..)).map(<[u8]>::first);
    !matches!(host, Some(None | Some(b'/' | b'?' | b'#' | b':')))
}

async fn send(exchange: &mut Exchange<'_>, whole: &Whole<'_>) -> After {
    let unread = !exchange.body.decoder.is_done();
    let close = unread
        || exchange.has_early_bytes()
        || !exchange.asked.keep_alive
        || exchange.shard.is_draining()
        || !exchange.client.open.is_listening();
    let connection = match (close, exchange.asked.version) {
        (true, _) => Some("close"),
        (false, Version::Http10) => Some("keep-alive"),
        (false, Version::Http11) => None,
    };
    let head_only = exchange.asked.method == Method::Head;
    let unsafe_ = unsafe_answer();
    let expanded = exchange.expand_answer_edits().is_ok();
    let whole = if expanded { whole } else { &unsafe_ };
    // Where it was what went wrong before, it is counted.
    if !expanded && exchange.record.cause.replace(UNSAFE_VALUE) != Some(UNSAFE_VALUE) {
        exchange.view.counters.add(ListenerCounter::UnsafeValue);
    }
    let edits = exchange.view.running().edits.of_answers(exchange.asked.route);
    let date = exchange.shard.date.line();
    let Tools { down, edited, .. } = &mut *exchange.work.desk;
    let edits = edits.filter(|_| expanded).map(|edits| (edits, edited.as_slice()));
    down.clear();
    down.own(|out| write(whole, &date, edits, connection, head_only, out));
    exchange.record.status = whole.status;
    exchange.record.head_sent = true;
    exchange.record.sent = if head_only { 0 } else { whole.body.len() as u64 };
    exchange.record.out = exchange.work.desk.down.total() as u64;
    let limit = exchange.view.spec().timeouts.send;
    let last_word = exchange.record.cause == Some(DRAIN_CUT);
    let limit = if last_word { limit.min(LAST_WORD_MS) } else { limit };
    let sent = write_out(exchange.shard, exchange.client, exchange.work, limit, !last_word).await;
    if !sent && !last_word && exchange.client.open.is_cut(exchange.shard.now()) {
        exchange.record.cause = Some(DRAIN_CUT);
        exchange.shard.worker.add(WorkerCounter::DrainCut, 1);
    }
    match (sent, close) {
        (false, _) => After::Gone,
        (true, true) => After::Close,
        (true, false) => After::Next,
    }
}

/// What is sent where the route's edits cannot be: an answer without them.
fn unsafe_answer() -> Whole<'static> {
    let (status, fields) = (500, &b""[..]);
    Whole { status, media_type: media_type(false), body: b"500 Internal Server Error\n", fields }
}

fn write(
    whole: &Whole<'_>,
    date: &date::Line,
    edits: Option<(&FieldEdits, &[u8])>,
    connection: Option<&str>,
    head_only: bool,
    out: &mut Vec<u8>,
) {
    answer::status_line(whole.status, out);
    if !edits.is_some_and(|(edits, _)| edits.replaces(b"Date")) {
        out.extend_from_slice(date);
    }
    match edits {
        None => {
            content_type(whole, out);
            out.extend_from_slice(whole.fields);
        }
        Some((edits, lines)) => {
            if !edits.replaces(b"Content-Type") {
                content_type(whole, out);
            }
            write_kept(whole.fields, edits, out);
            out.extend_from_slice(lines);
        }
    }
    if let Some(connection) = connection {
        let _ = answer::field(b"Connection", connection.as_bytes(), out);
    }
    let bodiless = evener_proto::h1::framing::is_bodiless(whole.status);
    if !bodiless {
        answer::content_length(whole.body.len() as u64, out);
    }
    answer::end(out);
    if !head_only && !bodiless {
        out.extend_from_slice(whole.body);
    }
}

fn content_type(whole: &Whole<'_>, out: &mut Vec<u8>) {
    if whole.media_type.is_empty() {
        return;
    }
    // The configuration's words were checked when it was read: a bad one is left out, not sent.
    let _ = answer::field(b"Content-Type", whole.media_type.as_bytes(), out);
}

/// Those of our lines that the route neither sets nor removes.
fn write_kept(lines: &[u8], edits: &FieldEdits, out: &mut Vec<u8>) {
    for line in lines.split_inclusive(|byte| *byte == b'\n') {
        let name = line.split(|byte| *byte == b':').next().unwrap_or(line);
        if !edits.replaces(name) {
            out.extend_from_slice(line);
        }
    }
}

/// Writes what is named; false when the client does not take it in time, which begins anew with
/// each piece that it takes, or takes it too slowly. A removed listener's time may be shorter, if
/// `cuts`; if not, it is a last word, and the client has so long for all of it.
pub(super) async fn write_out(
    shard: &Shard,
    client: &mut Client,
    work: &mut Work,
    limit: u64,
    cuts: bool,
) -> bool {
    let wait = shard.deadlines.slot();
    let (mut left, mut waited) = (0, 0);
    poll_fn(|cx| {
        let result = match work.desk.down.poll_write(cx, &mut client.stream, &[]) {
            Poll::Ready(Ok(())) => client.stream.poll_flush(cx),
            other => other,
        };
        match result {
            Poll::Ready(result) => Poll::Ready(result.is_ok()),
            Poll::Pending if cuts && client.open.is_cut(shard.now()) => Poll::Ready(false),
            Poll::Pending => {
                let rest = work.desk.down.left();
                if cuts && std::mem::replace(&mut left, rest) != rest {
                    waited += wait.disarm_waited(limit);
                    let taken = work.desk.down.total().saturating_sub(rest) as u64;
                    let min_rate = client.open.view().spec().timeouts.min_rate;
                    if is_too_slow(taken, waited, min_rate) {
                        return Poll::Ready(false);
                    }
                }
                wait.poll_wait(cx, limit).map(|()| false)
            }
        }
    })
    .await
}

/// Whether a client names JSON and does not name plain text or a page before it.
pub fn prefers_json(accept: &[u8]) -> bool {
    let position = |word: &[u8]| memchr::memmem::find(accept, word);
    let text = position(b"text/html").or_else(|| position(b"text/plain"));
    match (position(b"application/json"), text) {
        (Some(json), Some(text)) => json < text,
        (json, _) => json.is_some(),
    }
}

fn media_type(json: bool) -> &'static str {
    if json { "application/json" } else { "text/plain; charset=utf-8" }
}

/// A refusal in words.
fn words(status: u16, json: bool) -> String {
    let reason = answer::reason(status);
    let what = match status {
        502 => "the server for this request could not be reached or gave no valid answer",
        503 => "this request cannot be served right now",
        504 => "the server for this request did not answer in time",
        _ => reason,
    };
    match json {
        true => format!("{{\"status\":{status},\"error\":\"{what}\"}}\n"),
        false if what == reason => format!("{status} {reason}\n"),
        false => format!("{status} {reason}: {what}\n"),
    }
}

/// Somebody is turned away without a word: the log has it all the same.
pub fn log_unsaid(shard: &Shard, client: &Client, view: &ListenerView, local: &Local) {
    if shard.log.wants() {
        log_refused(shard, client, &Work::default(), view, local, (0, 0));
    }
}

fn log_refused(
    shard: &Shard,
    client: &Client,
    work: &Work,
    view: &ListenerView,
    local: &Local,
    (took, sent): (u64, u64),
) {
    let bytes = client.inbox.bytes();
    let head = work.request.head();
    shard.log.write(&Line {
        client: forwarded::client_address(client, view, work),
        method: head.method_text.of(bytes),
        target: head.target.of(bytes),
        version: match local.status {
            505 => "",
            _ => head.version.text(),
        },
        host: head.authority.host.of(bytes),
        port: head.authority.port,
        status: local.status,
        sent,
        took,
        listener: &view.spec().name,
        route: "default",
        pool: None,
        scheduler: None,
        key: None,
        server: None,
        by: None,
        tries: 0,
        id: None,
        cause: Some(local.cause),
        detail: None,
        referer: None,
        agent: None,
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_for_who_names_it_first() {
        assert!(prefers_json(b"application/json"));
        assert!(prefers_json(b"application/json, text/plain"));
        assert!(!prefers_json(b"text/html,application/json"));
        assert!(!prefers_json(b"*/*"));
    }

    #[test]
    fn refusals_are_short_and_name_no_internals() {
        assert_eq!(words(404, false), "404 Not Found\n");
        assert!(words(502, true).starts_with("{\"status\":502,\"error\":"));
    }
}

//! One request and its answer: what it asks for, which route takes it, who answers.
//!
//! Rules kept here:
//! - A request is decided about once, by the codec's `admit`: what it refuses is answered and ends
//!   the connection, what it says of length, expectation, upgrade, hops and path is all that is used.
//! - An exchange pins its generation: a reload in between changes nothing for it.
//! - Its record is finished here, at one place, whatever happened.
//!
//! Not known here: how servers are spoken to (`proxy`, `codec`), what bytes go where.

use std::rc::Rc;

use evener_balance::clients::Held;
use evener_proto::h1::forward::is_heard;
use evener_proto::h1::{
    self, BodyDecoder, BodyLength, Interims, Method, Name, RequestHead, Sender, Version,
};
use evener_proto::{Malformed, Progress};

use super::answers::{self, Local};
use super::client::Client;
use super::forwarded;
use super::proxy;
use super::record::Record;
use super::routes::Facts;
use super::work::Work;
use crate::counters::ListenerCounter;
use crate::io::Buffer;
use crate::running::RunningAnswer;
use crate::shard::clients::{self, Refusal};
use crate::shard::{ListenerView, Shard};
use crate::steps::step;

/// What becomes of the client's connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum After {
    /// It takes another request.
    Next,
    /// It is closed.
    Close,
    /// It is closed once the client has stopped sending what nobody reads.
    Linger,
    /// The client has left.
    Gone,
}

/// A request in hand.
pub struct Exchange<'a> {
    /// The shard it runs on.
    pub shard: &'a Rc<Shard>,
    /// Who asked.
    pub client: &'a mut Client,
    /// Parsers and pieces.
    pub work: &'a mut Work,
    /// The listener, as of the generation it began with.
    pub view: Rc<ListenerView>,
    /// What was asked.
    pub asked: Asked,
    /// What comes after the head.
    pub body: RequestBody,
    /// Interim answers so far, of all tries.
    pub interims: Interims,
    /// What the log and the counters will be told.
    pub record: Record,
}

/// What was asked, as far as decisions need it.
#[derive(Debug, Clone, Copy)]
pub struct Asked {
    /// Method.
    pub method: Method,
    /// Version of HTTP.
    pub version: Version,
    /// Whether the client wants the connection to go on.
    pub keep_alive: bool,
    /// Length of the request's body.
    pub length: BodyLength,
    /// Whether it asks for another protocol that we can carry.
    pub upgrade: bool,
    /// Whether it waits for a 100 before it sends the body.
    pub expects: bool,
    /// Whether it may go no further: it is answered here (RFC 9110 §7.6.2).
    pub last_hop: bool,
    /// Bytes of the head in the client's inbox.
    pub head: usize,
    /// Index of the route that took it.
    pub route: Option<usize>,
}

/// A request's body on its way in.
pub struct RequestBody {
    /// Walks it to its end.
    pub decoder: BodyDecoder,
    /// What of it came with the head: `consumed` and `data` count from the end of the head.
    pub prefix: Progress,
    /// Later pieces.
    pub later: Buffer,
    /// Bytes of payload taken in.
    pub bytes: u64,
    /// What was taken in behind the prefix before a server was picked: payload only.
    pub stored: Vec<u8>,
    /// Whether anything beyond the prefix was read.
    pub beyond_prefix: bool,
    /// Whether some of it went to a server without being kept: then it can't be sent twice.
    pub streamed: bool,
}

/// Answers the request whose head is in the client's inbox.
pub async fn run(
    shard: &Rc<Shard>,
    client: &mut Client,
    work: &mut Work,
    view: Rc<ListenerView>,
) -> After {
    step("exchange::run");
    let record = Record::begin(shard);
    let asked = match Asked::of(client, work, &view) {
        Ok(asked) => asked,
        Err(what) => {
            view.counters.refused(what);
            return answers::refuse(shard, client, work, &view, &Local::from(what)).await;
        }
    };
    let interim = view.running().policy.interim;
    let interims = Interims::new(interim, asked.version, asked.expects, asked.upgrade);
    let body = RequestBody::of(&asked);
    let mut exchange = Exchange { shard, client, work, view, asked, body, interims, record };
    let after = exchange.answer().await;
    exchange.finish(after)
}

impl Asked {
    #[inline]
    fn of(client: &Client, work: &mut Work, view: &ListenerView) -> Result<Asked, Malformed> {
        let head = work.request.head();
        let bytes = client.inbox.bytes();
        let listener = view.running();
        let admitted = h1::admit(head, bytes, &listener.policy, &mut work.path)?;
        if !head.fields.borne().is_empty() {
            view.counters.let_in(head.fields.borne());
        }
        work.host.clear();
        let host = head.authority.host.of(bytes);
        let host = host.strip_suffix(b".").unwrap_or(host);
        // Hosts are ASCII once they are read.
        work.host.push_str(str::from_utf8(host).unwrap_or_default());
        work.host.make_ascii_lowercase();
        Ok(Asked {
            method: head.method,
            version: head.version,
            keep_alive: head.keep_alive(),
            length: admitted.body,
            upgrade: admitted.upgrade,
            expects: admitted.awaits_continue,
            last_hop: admitted.last_hop,
            head: head.len,
            route: route(client, view, head, &work.host, admitted.path),
        })
    }
}

/// Index of the route that takes the request. Fields are looked at as servers are told of them.
#[inline]
fn route(
    client: &Client,
    view: &ListenerView,
    head: &RequestHead,
    host: &str,
    path: &[u8],
) -> Option<usize> {
    step("exchange::route");
    let (bytes, listener) = (client.inbox.bytes(), view.running());
    let field = |name: &str, found: &mut dyn FnMut(&[u8])| {
        if name.eq_ignore_ascii_case("host") {
            // The one that goes on: an absolute target's stands over the field.
            let authority = head.authority.text.of(bytes);
            if !authority.is_empty() {
                found(authority);
            }
            return;
        }
        let trusted = listener.trusted.believe(client.peer_ip());
        for field in head.fields.iter() {
            if field.name.of(bytes).eq_ignore_ascii_case(name.as_bytes())
                && is_heard(field, head, bytes, trusted, listener.policy.underscores)
            {
                found(field.value.of(bytes));
            }
        }
    };
    listener.routes.find(&Facts { host, path, method: head.method_text.of(bytes), field: &field })
}

impl RequestBody {
    fn of(asked: &Asked) -> RequestBody {
        RequestBody {
            decoder: BodyDecoder::new(asked.length, Sender::Client),
            prefix: Progress::default(),
            later: Buffer::empty(),
            bytes: 0,
            stored: Vec::new(),
            beyond_prefix: false,
            streamed: false,
        }
    }
}

impl Exchange<'_> {
    async fn answer(&mut self) -> After {
        if let Err(what) = self.take_prefix() {
            self.view.counters.refused(what);
            return answers::local(self, &Local::from(what)).await;
        }
        if self.is_too_large() {
            self.view.counters.add(ListenerCounter::LimitBody);
            return answers::local(self, &Local::new(413, "body_too_large")).await;
        }
        let _held = match self.admit() {
            Ok(held) => held,
            Err(why) => return answers::local(self, &why.local()).await,
        };
        if self.asked.last_hop {
            return answers::last_hop(self).await;
        }
        let view = self.view.clone();
        match view.running().answer(self.asked.route) {
            RunningAnswer::Pool(index) => match view.pool(*index) {
                Some(pool) => proxy::run(self, pool).await,
                None => answers::local(self, &Local::new(500, "no_pool")).await,
            },
            RunningAnswer::Respond(respond, needs) => answers::respond(self, respond, *needs).await,
            RunningAnswer::Redirect(to, status) => answers::redirect(self, to, *status).await,
            RunningAnswer::Nothing => answers::local(self, &Local::new(404, "no_route")).await,
        }
    }

    /// Whether the client may ask now; what it holds meanwhile. Who may not is to make another
    /// connection for another try, unless the connection is a proxy's and others use it, too.
    #[inline]
    fn admit(&mut self) -> Result<Option<Held>, Refusal> {
        match self.view.running().clients.are_off() {
            true => Ok(None),
            false => self.admit_client(),
        }
    }

    fn admit_client(&mut self) -> Result<Option<Held>, Refusal> {
        let client = forwarded::client_address(self.client, &self.view, self.work).ip();
        let peer = self.client.peer_ip();
        clients::asks(self.shard, &self.view, peer, client).inspect_err(|_| {
            self.asked.keep_alive &= self.view.running().trusted.believe(peer);
        })
    }

    /// Takes in what of the body came with the head.
    fn take_prefix(&mut self) -> Result<(), Malformed> {
        if self.asked.length.is_empty() {
            return Ok(());
        }
        let rest = self.client.inbox.bytes_mut().get_mut(self.asked.head..).unwrap_or(&mut []);
        self.body.prefix = self.body.decoder.decode(rest)?;
        self.body.bytes = self.body.prefix.data.len() as u64;
        Ok(())
    }

    /// Whether the body is, or says that it will be, larger than allowed.
    pub fn is_too_large(&self) -> bool {
        let declared = match self.asked.length {
            BodyLength::Exact(length) => length,
            _ => self.body.bytes,
        };
        self.view.spec().http.max_body.is_some_and(|max| declared > max)
    }

    /// Whether bytes came behind a request for another protocol before that was granted: of that
    /// protocol, or a request; whoever is between us and the client may have taken them for the other.
    pub fn has_early_bytes(&self) -> bool {
        self.asked.upgrade && self.client.inbox.len() > self.asked.head
    }

    /// Whether the client would prefer JSON to plain words.
    pub fn wants_json(&self) -> bool {
        let bytes = self.client.inbox.bytes();
        let accept = self.work.request.head().fields.value(Name::Accept, bytes);
        accept.is_some_and(answers::prefers_json)
    }

    /// The end, at one place: counters and log are told, the inbox stands at the next request.
    fn finish(mut self, after: After) -> After {
        step("exchange::finish");
        self.record.end(&self);
        let whole = self.body.decoder.is_done();
        let early = self.has_early_bytes();
        self.client.inbox.consume(self.asked.head + self.body.prefix.consumed);
        if self.body.beyond_prefix {
            self.client.inbox = std::mem::take(&mut self.body.later);
        }
        match after {
            After::Next | After::Close if !whole => After::Linger,
            After::Next if early => After::Linger,
            other => other,
        }
    }
}

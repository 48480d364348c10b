//! The engine itself between hostile clients and hostile servers, in sequences of operations and
//! time.
//!
//! Invariant, in words:
//! 1. *Every answer belongs to its request.* A client that behaves gets at most one answer for each
//!    request, in their order, each a message that reads in one way; a server's word about a
//!    request is never the answer to another.
//! 2. *No byte of one client reaches another*: neither in a request that a server reads, nor in
//!    what a server said to somebody else, nor what it said unasked.
//! 3. *Nothing hangs.* Once the peers fall still, every connection ends within the sum of its
//!    time-outs; then every lease, buffer and deadline has been given back, and each try had one
//!    outcome (the simulation sees to that as it ends).
//! 4. *No panic*, whatever comes in whatever order and however it is cut.
//!
//! Input: a byte that says how bytes are cut on their way, then operations: a byte each, which with
//! the next ones says who does what. Bytes from 0xF0 up are marks of who sent them: whatever an
//! input says, they are the sender's own.

use evener_engine::simulation::{Peer, Sim, Wire};

use crate::answers::{Answer, answers};

/// Operations that one input may have, so that it is short to look at.
const MOST: usize = 80;
const CLIENTS: usize = 4;
const SERVERS: [&str; 2] = ["a", "b"];
/// Milliseconds that may pass: some beside each time-out of the plan.
const TIMES: [u64; 8] = [10, 500, 1_500, 5_000, 10_000, 30_000, 60_000, 76_000];
/// How long an answer may let itself be waited for, by the simulation's plan.
const RESPONSE: u64 = 60_000;
/// Marks from here up.
const MARK: u8 = 0xF0;

/// What a client that does not behave says; `@` is its target.
const ATTACKS: &[&str] = &[
    "POST @ HTTP/1.1\r\nHost: h\r\nContent-Length: 40\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "POST @ HTTP/1.1\r\nHost: h\r\nContent-Length: 40\r\n\r\nGET /",
    "POST @ HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel",
    "POST @ HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhelloGET",
    "POST @ HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n",
    "GET @ HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
    "GET @ HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\nGET / HTTP/1.1\r\n",
    "HEAD @ HTTP/1.1\r\nHost: h\r\n\r\n",
    "OPTIONS @ HTTP/1.1\r\nHost: h\r\nMax-Forwards: 1\r\n\r\n",
    "GET @ HTTP/1.0\r\n\r\n",
    "GET @ HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET @ HTTP/1.1\r\nHost: h\r\n\r\n",
    "GET @ HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\nGET @ HTTP/1.1\r\nHost: h\r\n\r\n",
    "GET @ HTTP/1.1\r\nHost: h\r\n",
    "hello",
    "0\r\n\r\n",
    "\r\n",
];

/// What a server says that does not behave.
const TRICKS: &[&str] = &[
    "HTTP/1.1 100 Continue\r\n\r\n",
    "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n",
    "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
    "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nhello",
    "HTTP/1.1 304 Not Modified\r\n\r\nhello",
    "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhelloHTTP/1.1 200 OK\r\n\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhe",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n",
    "HTTP/1.1 200 OK\r\n\r\nuntil the end",
    "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\nx",
    "HTTP/1.1 401 No\r\nWWW-Authenticate: NTLM\r\nContent-Length: 0\r\n\r\n",
    "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
    "hello",
    "0\r\n\r\n",
    "\r\n",
];

/// Runs the target.
pub fn engine(data: &[u8]) {
    let mut input = Input(data);
    let Some(wire) = input.byte() else { return };
    cut(wire).install();
    let sim = Sim::new(&SERVERS);
    let mut world = World { sim: &sim, clients: Vec::new(), servers: Vec::new() };
    for _ in 0..MOST {
        let Some(what) = input.byte() else { break };
        world.act(what, &mut input);
        world.look();
    }
    // One client may have as many requests waiting as there were operations.
    sim.falls_still(MOST as u64 * RESPONSE);
    drop(sim);
}

fn cut(byte: u8) -> Wire {
    match byte % 4 {
        0 => Wire::Whole,
        1 => Wire::Bytewise,
        2 => Wire::Random(u64::from(byte)),
        _ => Wire::Pieces(usize::from(byte / 4) + 1),
    }
}

/// What is left of the input.
struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn byte(&mut self) -> Option<u8> {
        let (&first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(first)
    }

    /// One of so many.
    fn one_of(&mut self, count: usize) -> usize {
        usize::from(self.byte().unwrap_or(0)) % count.max(1)
    }

    /// Some bytes, with a length before them.
    fn bytes(&mut self) -> &'a [u8] {
        let length = self.one_of(48).min(self.0.len());
        let (bytes, rest) = self.0.split_at(length);
        self.0 = rest;
        bytes
    }
}

struct World<'a> {
    sim: &'a Sim,
    clients: Vec<Client>,
    servers: Vec<Server>,
}

/// A client, what it asked for, and what it got.
struct Client {
    peer: Peer,
    number: u8,
    behaves: bool,
    asked: usize,
    got: Vec<u8>,
}

/// A server's end of a connection.
struct Server {
    peer: Peer,
    name: &'static str,
    got: Vec<u8>,
    /// Bytes of `got` in front of the request that it reads now.
    read: usize,
    /// Whose that is, and what it is about.
    owner: Option<u8>,
    target: Vec<u8>,
    /// It takes nothing any more, and so does not know what it is asked.
    stuck: bool,
    /// That asks for another protocol.
    upgrade: bool,
    /// It speaks something else than HTTP from here on.
    tunnel: bool,
}

impl World<'_> {
    fn act(&mut self, what: u8, input: &mut Input<'_>) {
        match what % 16 {
            0 => self.comes(),
            1..=5 => self.client_says(what % 16, input),
            6 => self.client_ends(input),
            7..=10 | 15 => self.server_says(what % 16, input),
            11 => self.server_ends(input),
            12 | 13 => self.sim.run_for(TIMES[input.one_of(TIMES.len())]),
            _ => self.server_changes(input),
        }
    }

    fn comes(&mut self) {
        if self.clients.len() < CLIENTS {
            let number = self.clients.len() as u8;
            let peer = self.sim.client();
            self.clients.push(Client { peer, number, behaves: true, asked: 0, got: Vec::new() });
        }
    }

    fn client_says(&mut self, what: u8, input: &mut Input<'_>) {
        if self.clients.is_empty() {
            self.comes();
        }
        let count = self.clients.len();
        let client = &mut self.clients[input.one_of(count)];
        if !client.peer.may_send() {
            return;
        }
        let target = format!("/{}/{}", client.number, client.asked);
        let mark = MARK + client.number;
        let mut say = match what {
            1 => format!("GET {target} HTTP/1.1\r\nHost: h\r\n\r\n").into_bytes(),
            2 => {
                let head =
                    format!("POST {target} HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\n");
                [head.as_bytes(), &[mark; 3]].concat()
            }
            3 => {
                let head =
                    format!("PUT {target} HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n");
                [head.as_bytes(), b"\r\n3\r\n", &[mark; 3], b"\r\n0\r\n\r\n"].concat()
            }
            // A target begins with a slash, and each client has its own targets.
            4 => input
                .bytes()
                .iter()
                .map(|&b| if matches!(b, b'/' | b'*') { b'-' } else { b })
                .collect(),
            _ => ATTACKS[input.one_of(ATTACKS.len())].replace('@', &target).into_bytes(),
        };
        client.behaves &= what <= 3;
        client.asked += usize::from(client.behaves);
        own(&mut say, mark);
        client.peer.sends(say);
    }

    fn client_ends(&mut self, input: &mut Input<'_>) {
        let count = self.clients.len();
        let Some(client) = self.clients.get(input.one_of(count)) else { return };
        match input.one_of(6) {
            0 => client.peer.ends(),
            1 => client.peer.closes(),
            2 => client.peer.resets(),
            3 => client.peer.stops_reading(),
            4 => client.peer.reads(7),
            _ => client.peer.reads_again(),
        };
    }

    fn server_says(&mut self, what: u8, input: &mut Input<'_>) {
        let count = self.servers.len();
        let Some(server) = self.servers.get_mut(input.one_of(count)) else { return };
        // Who speaks without having read answers whatever was sent meanwhile: nobody can tell.
        if !server.peer.may_send() || server.stuck {
            return;
        }
        // Marked for whom it is; what comes before any request is nobody's.
        let mark = MARK + server.owner.unwrap_or(0xF);
        let target = String::from_utf8_lossy(&server.target).into_owned();
        let head = format!("HTTP/1.1 200 OK\r\nT: {target}\r\n");
        let mut say = match what {
            7 | 15 => [head.as_bytes(), b"Content-Length: 2\r\n\r\n", &[mark; 2]].concat(),
            8 => {
                let chunked = b"Transfer-Encoding: chunked\r\n\r\n2\r\n";
                [head.as_bytes(), chunked, &[mark; 2], b"\r\n0\r\n\r\n"].concat()
            }
            // Only what is said of a request names one.
            9 if !server.upgrade => {
                input.bytes().iter().map(|&b| if b == b'T' { b't' } else { b }).collect()
            }
            _ => TRICKS[input.one_of(TRICKS.len())].as_bytes().to_vec(),
        };
        own(&mut say, mark);
        server.tunnel |= server.upgrade && say.starts_with(b"HTTP/1.1 101 ");
        server.peer.sends(say);
    }

    fn server_ends(&mut self, input: &mut Input<'_>) {
        let count = self.servers.len();
        let Some(server) = self.servers.get_mut(input.one_of(count)) else { return };
        match input.one_of(4) {
            0 => server.peer.ends(),
            1 => server.peer.closes(),
            2 => server.peer.resets(),
            _ => {
                server.stuck = true;
                server.peer.stops_reading()
            }
        };
    }

    fn server_changes(&mut self, input: &mut Input<'_>) {
        let name = SERVERS[input.one_of(SERVERS.len())];
        let server = self.sim.server(name);
        match input.one_of(6) {
            0 => drop(server.refuses()),
            1 => drop(server.hangs()),
            2 => self.sim.kill(name),
            3 => self.sim.reload(|_| {}),
            _ => drop(server.accepts()),
        }
    }

    /// What has come to whom must be theirs.
    fn look(&mut self) {
        for name in SERVERS {
            let server = self.sim.server(name);
            let known = self.servers.iter().filter(|one| one.name == name).count();
            for index in known..server.connections() {
                self.servers.push(Server {
                    peer: server.connection(index),
                    name,
                    got: Vec::new(),
                    read: 0,
                    owner: None,
                    target: Vec::new(),
                    stuck: false,
                    upgrade: false,
                    tunnel: false,
                });
            }
        }
        self.servers.iter_mut().for_each(Server::look);
        self.clients.iter_mut().for_each(Client::look);
    }
}

impl Server {
    /// Reads requests as they come, strictly.
    fn look(&mut self) {
        self.got.extend(self.peer.received());
        while !self.tunnel && self.read < self.got.len() {
            let rest = &self.got[self.read..];
            let Some(end) = memchr::memmem::find(rest, b"\r\n\r\n") else { break };
            let head = String::from_utf8_lossy(&rest[..end]).into_owned();
            self.target = head.split(' ').nth(1).expect("a target").as_bytes().to_vec();
            self.owner = self.target.get(1).filter(|b| b.is_ascii_digit()).map(|b| b - b'0');
            self.upgrade = head.contains("\r\nUpgrade: ");
            let body = &rest[end + 4..];
            let Some(length) = body_length(&head, body) else { break };
            only(&rest[..end + 4 + length], self.owner);
            self.read += end + 4 + length;
        }
        only(&self.got[self.read..], self.owner.filter(|_| self.tunnel));
    }
}

/// Length of the body of a request that has come whole.
fn body_length(head: &str, body: &[u8]) -> Option<usize> {
    let field = |name| {
        let mut values = head.lines().filter_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim_matches([' ', '\t']))
        });
        (values.next(), values.next().is_none())
    };
    let (length, coding) = (field("content-length"), field("transfer-encoding"));
    assert!(length.1 && coding.1 && !(length.0.is_some() && coding.0.is_some()), "{head}");
    if coding.0.is_some() {
        return crate::answers::chunks(body);
    }
    let length = length.0.map_or(0, |text| text.parse().expect("a length in digits"));
    (body.len() as u64 >= length).then_some(length as usize)
}

impl Client {
    fn look(&mut self) {
        self.got.extend(self.peer.received());
        only(&self.got, Some(self.number));
        if !self.behaves {
            return;
        }
        for (at, Answer { head, .. }) in answers(&self.got).enumerate() {
            assert!(at < self.asked, "an answer that nobody asked for: {head}");
            let said = head.lines().find_map(|line| line.strip_prefix("T: "));
            let asked = format!("/{}/{at}", self.number);
            assert!(said.is_none_or(|said| said == asked), "{asked} is answered with {head}");
        }
    }
}

/// Marks are those of one sender: of this one, if one is named.
#[track_caller]
fn only(bytes: &[u8], owner: Option<u8>) {
    let mut marks = bytes.iter().filter(|&&byte| byte >= MARK).map(|byte| byte - MARK);
    let Some(first) = marks.next() else { return };
    let owner = owner.unwrap_or(first);
    assert!(first == owner && marks.all(|mark| mark == owner), "{owner}: {}", bytes.escape_ascii());
}

/// Whoever says it, the marks in it are the speaker's.
fn own(bytes: &mut [u8], mark: u8) {
    bytes.iter_mut().filter(|byte| **byte >= MARK).for_each(|byte| *byte = mark);
}

//! Scripted servers by address, and the connections that the engine makes to them.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::task::{Poll, Waker};

use super::message;
use super::stream::{self, Pipe};
use super::wire::Wire;
use crate::io::Stream;
use crate::pool::target::Place;

thread_local! {
    /// The network of the simulation that runs in this thread.
    static CURRENT: RefCell<Option<Rc<Network>>> = const { RefCell::new(None) };
}

/// All servers of a simulation.
#[derive(Default)]
pub struct Network {
    servers: RefCell<HashMap<String, Rc<ScriptedServer>>>,
}

/// A server: how it takes connections, and what it answers.
#[derive(Default)]
pub struct ScriptedServer {
    /// How it takes a new connection.
    pub manner: Cell<Manner>,
    /// Whether requests are FastCGI's.
    pub fastcgi: Cell<bool>,
    /// Answers to come; the last one is given again and again.
    pub script: RefCell<VecDeque<Answer>>,
    /// Whole requests that came, in their order.
    pub requests: RefCell<Vec<Vec<u8>>>,
    /// Who waits to be connected.
    pub waiting: RefCell<Vec<Waker>>,
    /// Connections that were made.
    pub connections: RefCell<Vec<ServerPipe>>,
}

/// How a server takes a new connection.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Manner {
    /// It accepts.
    #[default]
    Accepts,
    /// It refuses.
    Refuses,
    /// It says nothing.
    Hangs,
    /// It is never asked: we have no descriptor left to ask it with.
    OutOfReach,
    /// It is never asked: no local port is left towards it.
    OutOfPorts,
}

/// What is said to a request.
#[derive(Clone)]
pub struct Answer {
    /// The bytes.
    pub bytes: Vec<u8>,
    /// Whether the connection ends behind them.
    pub ends: bool,
}

/// A server's end of a connection.
pub struct ServerPipe {
    /// The connection.
    pub pipe: Rc<RefCell<Pipe>>,
    /// Bytes of requests that were answered.
    answered: usize,
    /// Bytes that were looked at in vain.
    looked: usize,
}

/// The connection to a server of this thread's simulation; `None` when none runs.
pub async fn connect(place: &Place) -> Option<io::Result<Stream>> {
    let network = CURRENT.with_borrow(Clone::clone)?;
    let address = match place {
        Place::Tcp(address) => address.to_string(),
        Place::Unix(path) => format!("unix:{}", path.display()),
    };
    let server = network.server(&address);
    poll_fn(|cx| server.poll_meets(cx.waker())).await;
    match server.manner.get() {
        Manner::Hangs | Manner::Accepts => Some(Ok(server.accept())),
        Manner::Refuses => Some(Err(io::ErrorKind::ConnectionRefused.into())),
        Manner::OutOfReach => Some(Err(rustix::io::Errno::MFILE.into())),
        Manner::OutOfPorts => Some(Err(rustix::io::Errno::ADDRNOTAVAIL.into())),
    }
}

impl Network {
    /// Becomes the network of this thread, or ends to be it.
    pub fn install(network: Option<Rc<Network>>) {
        CURRENT.set(network);
    }

    /// The server at this address; it is there from the first question on.
    pub fn server(&self, address: &str) -> Rc<ScriptedServer> {
        self.servers.borrow_mut().entry(address.to_owned()).or_default().clone()
    }

    /// One step of every connection; false when nothing moved.
    pub fn step(&self) -> bool {
        let mut moved = false;
        for server in self.servers.borrow().values() {
            for connection in server.connections.borrow_mut().iter_mut() {
                moved |= connection.pipe.borrow_mut().step();
                moved |= server.reply(connection);
            }
        }
        moved
    }
}

impl ScriptedServer {
    /// Ready once it says anything to who connects.
    fn poll_meets(&self, who: &Waker) -> Poll<()> {
        if self.manner.get() != Manner::Hangs {
            return Poll::Ready(());
        }
        self.waiting.borrow_mut().push(who.clone());
        Poll::Pending
    }

    fn accept(&self) -> Stream {
        let (stream, pipe) = stream::pair(Wire::current());
        self.connections.borrow_mut().push(ServerPipe { pipe, answered: 0, looked: 0 });
        Stream::Scripted(Box::new(stream))
    }

    /// Answers the next whole request, if there is one and a script.
    fn reply(&self, connection: &mut ServerPipe) -> bool {
        let mut pipe = connection.pipe.borrow_mut();
        let mut script = self.script.borrow_mut();
        let Some(answer) = script.front().cloned() else { return false };
        if !pipe.may_send() || pipe.received.len() == connection.looked {
            return false;
        }
        connection.looked = pipe.received.len();
        let rest = &pipe.received[connection.answered..];
        let whole = match self.fastcgi.get() {
            true => message::fastcgi_length(rest),
            false => message::length(rest),
        };
        let Some(length) = whole else { return false };
        connection.looked = 0;
        self.requests.borrow_mut().push(rest[..length].to_vec());
        connection.answered += length;
        if script.len() > 1 {
            script.pop_front();
        }
        pipe.send(&answer.bytes);
        if answer.ends {
            pipe.end();
        }
        true
    }
}

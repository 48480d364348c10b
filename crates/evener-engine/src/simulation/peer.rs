//! The far ends of connections, with verbs that tests read as sentences.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use super::message;
use super::network::{Answer, Manner, ScriptedServer};
use super::sim::World;
use super::stream::Pipe;

/// A client, or a server's end of one connection. Whatever it does, everything comes to rest after.
pub struct Peer {
    world: Rc<World>,
    pipe: Rc<RefCell<Pipe>>,
    /// Bytes received that a test has looked at.
    seen: Cell<usize>,
}

/// A server by name.
pub struct Server {
    world: Rc<World>,
    server: Rc<ScriptedServer>,
}

impl Peer {
    pub(super) fn new(world: Rc<World>, pipe: Rc<RefCell<Pipe>>) -> Peer {
        Peer { world, pipe, seen: Cell::new(0) }
    }

    /// Sends bytes.
    pub fn sends(&self, bytes: impl AsRef<[u8]>) -> &Peer {
        self.with(|pipe| pipe.send(bytes.as_ref()))
    }

    /// Whether it has neither ended nor broken its direction.
    pub fn may_send(&self) -> bool {
        self.pipe.borrow().may_send()
    }

    /// Ends its direction; what comes is still read.
    pub fn ends(&self) -> &Peer {
        self.with(Pipe::end)
    }

    /// Ends both directions.
    pub fn closes(&self) -> &Peer {
        self.with(|pipe| {
            pipe.end();
            pipe.deaf = true;
            pipe.wake();
        })
    }

    /// Breaks the connection.
    pub fn resets(&self) -> &Peer {
        self.with(Pipe::break_off)
    }

    /// Takes nothing from now on.
    pub fn stops_reading(&self) -> &Peer {
        self.with(|pipe| pipe.stuck = true)
    }

    /// Takes so many bytes of what has come and no more.
    pub fn reads(&self, count: usize) -> &Peer {
        self.with(|pipe| pipe.take_some(count))
    }

    /// Bytes it has taken so far.
    pub fn taken(&self) -> usize {
        self.pipe.borrow().received.len()
    }

    /// Bytes it has sent that the engine has not read.
    pub fn unread(&self) -> usize {
        self.pipe.borrow().unread()
    }

    /// Takes what comes.
    pub fn reads_again(&self) -> &Peer {
        self.with(|pipe| pipe.stuck = false)
    }

    /// What has come since the last look, less the Date fields of ours.
    pub fn received(&self) -> Vec<u8> {
        let received = self.received_with_dates();
        let mut kept = Vec::with_capacity(received.len());
        let mut rest = received.as_slice();
        while let Some(at) = memchr::memmem::find(rest, OUR_DATE) {
            kept.extend_from_slice(&rest[..at]);
            rest = rest.get(at + DATE_LEN..).unwrap_or_default();
        }
        kept.extend_from_slice(rest);
        kept
    }

    /// What has come since the last look, byte for byte.
    pub fn received_with_dates(&self) -> Vec<u8> {
        let pipe = self.pipe.borrow();
        pipe.received[self.seen.replace(pipe.received.len())..].to_vec()
    }

    /// Exactly this has come since the last look.
    #[track_caller]
    pub fn receives(&self, expected: impl AsRef<[u8]>) -> &Peer {
        let received = self.received();
        assert_eq!(text(&received), text(expected.as_ref()));
        self
    }

    /// Nothing has come since the last look.
    #[track_caller]
    pub fn receives_nothing(&self) -> &Peer {
        self.receives("")
    }

    /// Head and payload of the one message that has come since the last look.
    #[track_caller]
    pub fn receives_message(&self) -> (String, Vec<u8>) {
        message::parts(&self.received())
    }

    /// An answer with this status has come since the last look; its bytes.
    #[track_caller]
    pub fn receives_status(&self, status: u16) -> String {
        let received = text(&self.received());
        let line = format!("HTTP/1.1 {status} ");
        assert!(received.starts_with(&line), "{line:?} is not the start of {received:?}");
        received
    }

    /// The engine has ended this connection, after all that came.
    #[track_caller]
    pub fn sees_the_end(&self) -> &Peer {
        assert!(self.is_ended(), "the connection is still open");
        self
    }

    /// The engine has not ended this connection.
    #[track_caller]
    pub fn stays_connected(&self) -> &Peer {
        assert!(!self.is_ended(), "the connection was ended");
        self
    }

    /// Whether the engine has ended this connection.
    pub fn is_ended(&self) -> bool {
        let pipe = self.pipe.borrow();
        pipe.ended || pipe.gone
    }

    /// Whether the engine has let go of it.
    pub fn is_dropped(&self) -> bool {
        self.pipe.borrow().gone
    }

    /// Whether it did so with bytes unread, or meant to, so that a kernel resets the connection.
    pub fn was_reset(&self) -> bool {
        self.pipe.borrow().reset
    }

    fn with(&self, act: impl FnOnce(&mut Pipe)) -> &Peer {
        act(&mut self.pipe.borrow_mut());
        self.world.settle();
        self
    }
}

impl Server {
    pub(super) fn new(world: Rc<World>, server: Rc<ScriptedServer>) -> Server {
        Server { world, server }
    }

    /// Answers a whole request with this; several calls answer in turn, the last for ever.
    pub fn answers(&self, bytes: impl AsRef<[u8]>) -> &Server {
        self.says(bytes.as_ref(), false)
    }

    /// The same, and ends the connection behind it.
    pub fn answers_and_ends(&self, bytes: impl AsRef<[u8]>) -> &Server {
        self.says(bytes.as_ref(), true)
    }

    /// Forgets what it was told to answer.
    pub fn falls_silent(&self) -> &Server {
        self.server.script.borrow_mut().clear();
        self
    }

    /// Refuses new connections.
    pub fn refuses(&self) -> &Server {
        self.server.manner.set(Manner::Refuses);
        self
    }

    /// Cannot be connected to, since there is no descriptor left for it.
    pub fn is_out_of_reach(&self) -> &Server {
        self.server.manner.set(Manner::OutOfReach);
        self
    }

    /// Cannot be connected to, since there is no local port left towards it.
    pub fn is_out_of_ports(&self) -> &Server {
        self.server.manner.set(Manner::OutOfPorts);
        self
    }

    /// Lets new connections wait.
    pub fn hangs(&self) -> &Server {
        self.server.manner.set(Manner::Hangs);
        self
    }

    /// Takes new connections, and those that it let wait.
    pub fn accepts(&self) -> &Server {
        self.server.manner.set(Manner::Accepts);
        self.wakes()
    }

    /// Those that it let wait hear what it says now.
    pub fn wakes(&self) -> &Server {
        for waiting in self.server.waiting.take() {
            waiting.wake();
        }
        self.world.settle();
        self
    }

    /// Speaks FastCGI.
    pub fn speaks_fastcgi(&self) -> &Server {
        self.server.fastcgi.set(true);
        self
    }

    /// Its whole requests so far.
    pub fn requests(&self) -> Vec<Vec<u8>> {
        self.server.requests.borrow().clone()
    }

    /// Exactly this was its last whole request.
    #[track_caller]
    pub fn received(&self, expected: impl AsRef<[u8]>) -> &Server {
        let requests = self.requests();
        let last = requests.last().expect("a whole request");
        assert_eq!(text(last), text(expected.as_ref()));
        self
    }

    /// Connections made to it so far.
    pub fn connections(&self) -> usize {
        self.server.connections.borrow().len()
    }

    /// One of them, the first being 0.
    #[track_caller]
    pub fn connection(&self, index: usize) -> Peer {
        let pipe = self.server.connections.borrow()[index].pipe.clone();
        Peer::new(self.world.clone(), pipe)
    }

    fn says(&self, bytes: &[u8], ends: bool) -> &Server {
        self.server.script.borrow_mut().push_back(Answer { bytes: bytes.to_vec(), ends });
        self
    }
}

/// How Date fields of ours begin: no server of a test dates an answer to a day of the simulation.
const OUR_DATE: &[u8] = b"Date: Sun, 06 Nov 1994 ";
const DATE_LEN: usize = "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n".len();

fn text(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string().replace("\\r\\n", "\r\n").replace("\\\"", "\"")
}

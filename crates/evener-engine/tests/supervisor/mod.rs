//! A supervisor by script, and servers that it has a worker balance.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use evener_engine::EngineError;
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use serde_json::{Value, json};

/// Nothing here takes longer; who waits so long has failed.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A worker in a thread of this process, and the link to it.
pub struct Supervisor {
    pub path: PathBuf,
    worker: Option<JoinHandle<Result<(), EngineError>>>,
    pub link: UnixStream,
    pub segments: Vec<OwnedFd>,
    heard: VecDeque<Value>,
    events: Vec<Value>,
    next_id: u64,
}

impl Supervisor {
    /// Starts a worker and greets it.
    pub fn start(name: &str) -> Supervisor {
        let file = format!("evener-control-{}-{name}.sock", std::process::id());
        let path = std::env::temp_dir().join(file);
        let at = path.clone();
        let worker = thread::spawn(move || {
            evener_engine::control::serve(&at, Box::new(evener_engine::policies::NoHost))
        });
        let link = connect(&path);
        let mut supervisor = Supervisor {
            path,
            worker: Some(worker),
            link,
            segments: Vec::new(),
            heard: VecDeque::new(),
            events: Vec::new(),
            next_id: 0,
        };
        supervisor.greet(&evener_engine::control::hello());
        supervisor
    }

    /// Connects anew, as a later supervisor does.
    pub fn reconnect(&mut self, hello: &evener_engine::control::Hello) {
        self.link = connect(&self.path);
        self.heard.clear();
        self.greet(hello);
    }

    fn greet(&mut self, hello: &evener_engine::control::Hello) {
        self.send(&json!({ "hello": hello }), &[]);
        let theirs = self.hear();
        assert_eq!(theirs["hello"]["protocol"], 1, "{theirs}");
    }

    /// Gives a command; its answer.
    pub fn tell(&mut self, verb: &str, fields: Value, descriptors: &[BorrowedFd<'_>]) -> Value {
        let id = self.begin(verb, fields, descriptors);
        loop {
            let message = self.hear();
            match message["re"] == id {
                true => return message,
                false => self.events.push(message),
            }
        }
    }

    /// Gives a command without waiting for its answer.
    pub fn begin(&mut self, verb: &str, fields: Value, descriptors: &[BorrowedFd<'_>]) -> u64 {
        self.next_id += 1;
        let mut command = json!({"id": self.next_id, "do": verb});
        command.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        self.send(&command, descriptors);
        self.next_id
    }

    /// Gives a command that must be obeyed; its `ok`.
    pub fn must(&mut self, verb: &str, fields: Value, descriptors: &[BorrowedFd<'_>]) -> Value {
        let answer = self.tell(verb, fields, descriptors);
        assert!(answer.get("errors").is_none(), "{verb}: {answer}");
        answer["ok"].clone()
    }

    /// Starts shards.
    pub fn shards(&mut self, count: usize) {
        let memory = || rustix::fs::memfd_create("counters", rustix::fs::MemfdFlags::CLOEXEC);
        self.segments = (0..=count).map(|_| memory().unwrap()).collect();
        let segments: Vec<OwnedFd> =
            self.segments.iter().map(|segment| segment.try_clone().unwrap()).collect();
        let borrowed: Vec<_> = segments.iter().map(AsFd::as_fd).collect();
        self.must("shards", json!({ "count": count }), &borrowed);
    }

    /// Opens a listening socket and hands it over; its address.
    pub fn listen(&mut self) -> SocketAddr {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        let rows = json!([{"address": address.to_string(), "shard": 0}]);
        self.must("sockets", json!({ "sockets": rows }), &[socket.as_fd()]);
        address
    }

    /// The next event that is asked for; others are passed over.
    pub fn event(&mut self, wanted: impl Fn(&Value) -> bool) -> Value {
        if let Some(found) = self.events.iter().position(&wanted) {
            return self.events.remove(found);
        }
        loop {
            let message = self.hear();
            if wanted(&message) {
                return message;
            }
        }
    }

    /// The next event about a server's health with this state.
    pub fn health(&mut self, server: &str, state: &str) -> Value {
        self.event(|event| {
            event["event"] == "health" && event["server"] == server && event["state"] == state
        })
    }

    /// How the worker's thread ended.
    pub fn end(mut self) -> Result<(), EngineError> {
        let worker = self.worker.take().unwrap();
        let until = Instant::now() + PATIENCE;
        while !worker.is_finished() {
            assert!(Instant::now() < until, "the worker does not end");
            thread::sleep(Duration::from_millis(1));
        }
        worker.join().unwrap()
    }

    fn send(&self, message: &Value, descriptors: &[BorrowedFd<'_>]) {
        let text = message.to_string();
        let mut frame = (text.len() as u32).to_le_bytes().to_vec();
        frame.extend((descriptors.len() as u32).to_le_bytes());
        frame.extend(text.as_bytes());
        let mut space = [std::mem::MaybeUninit::uninit(); 256];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !descriptors.is_empty() {
            assert!(control.push(SendAncillaryMessage::ScmRights(descriptors)));
        }
        let pieces = [std::io::IoSlice::new(&frame)];
        let sent = sendmsg(&self.link, &pieces, &mut control, SendFlags::NOSIGNAL).unwrap();
        (&self.link).write_all(&frame[sent..]).unwrap();
    }

    fn hear(&mut self) -> Value {
        if let Some(message) = self.heard.pop_front() {
            return message;
        }
        let mut head = [0; 8];
        self.link.read_exact(&mut head).expect("the worker says something in time");
        let length = u32::from_le_bytes(head[..4].try_into().unwrap());
        let mut text = vec![0; length as usize];
        self.link.read_exact(&mut text).unwrap();
        serde_json::from_slice(&text).unwrap()
    }
}

fn connect(path: &PathBuf) -> UnixStream {
    let until = Instant::now() + PATIENCE;
    loop {
        match UnixStream::connect(path) {
            Ok(link) => {
                link.set_read_timeout(Some(PATIENCE)).unwrap();
                return link;
            }
            Err(why) => assert!(Instant::now() < until, "{why}"),
        }
        thread::sleep(Duration::from_millis(1));
    }
}

/// A web server in a thread; it answers every request with its name.
pub struct Server {
    pub address: SocketAddr,
    going: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Starts one at a port of the system's choice.
    pub fn start(name: &'static str) -> Server {
        Server::at("127.0.0.1:0".parse().unwrap(), name)
    }

    /// Starts one here.
    pub fn at(address: SocketAddr, name: &'static str) -> Server {
        let listener = TcpListener::bind(address).unwrap();
        let address = listener.local_addr().unwrap();
        let going = Arc::new(AtomicBool::new(true));
        let goes = going.clone();
        let thread = thread::spawn(move || {
            for client in listener.incoming() {
                if !goes.load(Ordering::SeqCst) {
                    return;
                }
                // A check may have gone again.
                let _ = client.and_then(|client| answer(client, name));
            }
        });
        Server { address, going, thread: Some(thread) }
    }

    /// Ends it: from now on connections are refused.
    pub fn kill(&mut self) {
        if let Some(thread) = self.thread.take() {
            self.going.store(false, Ordering::SeqCst);
            drop(TcpStream::connect(self.address));
            thread.join().unwrap();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

fn answer(mut client: TcpStream, name: &str) -> std::io::Result<()> {
    client.set_read_timeout(Some(PATIENCE))?;
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        if client.read(&mut byte)? == 0 {
            return Ok(());
        }
        head.push(byte[0]);
    }
    let length = name.len();
    let answer =
        format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{name}");
    client.write_all(answer.as_bytes())
}

/// Asks for `/`; status and body.
pub fn get(address: SocketAddr) -> (u16, String) {
    let mut client = TcpStream::connect(address).unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    client.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    let status = answer[9..12].parse().unwrap();
    (status, answer.split_once("\r\n\r\n").unwrap().1.to_owned())
}

/// A plan: one HTTP listener, one pool of these servers.
pub fn plan(generation: u64, bind: &[SocketAddr], servers: &[(&str, SocketAddr)]) -> Value {
    let listeners: Vec<_> = bind.iter().map(|address| listener(*address)).collect();
    json!({
        "generation": generation,
        "drain": {"requests": 2000, "tunnels": 2000},
        "connections": 1000,
        "access_log": {"format": "combined", "sample": 1.0},
        "listeners": listeners,
        "pools": [pool(servers)],
    })
}

fn listener(address: SocketAddr) -> Value {
    json!({
        "name": address.to_string(), "bind": [address.to_string()], "protocol": "http",
        "tls": null, "trusted_proxies": [], "connections": null, "per_client": null, "rate_per_client": null, "redirect": null, "routes": [],
        "pool": "app",
        "http": {
            "max_head": 65536, "max_fields": 100, "max_body": null,
            "underscores": "drop", "via": false, "interim": "pass", "accept": [],
        },
        "timeouts": {
            "tls": 5000, "head": 5000, "body": 5000, "send": 5000, "idle": 5000,
            "tunnel_idle": 5000, "tunnel_max": null, "min_rate": 0,
        },
    })
}

fn pool(servers: &[(&str, SocketAddr)]) -> Value {
    let server = |(id, address): &(&str, SocketAddr)| {
        json!({
            "id": id, "address": address.to_string(), "host": address.ip().to_string(),
            "weight": 1, "tier": 0, "admin": "ready", "params": {},
        })
    };
    json!({
        "name": "app", "protocol": "http", "tls": null,
        "scheduler": {"name": "nginx/round_robin"}, "key": null,
        "servers": servers.iter().map(server).collect::<Vec<_>>(),
        "checks": [check(json!({"tcp": {}}))],
        "passive": {"fails": 1, "within": 10000, "out": 300, "readmit": "tcp"},
        "initial": "up",
        "retry": {"attempts": 3, "on": ["connect", "reset"]},
        "buffer": {"request": 0, "response": 65536},
        "keepalive": {"idle": 1000, "per_shard": 4, "max_age": 60000},
        "timeouts": timeouts(),
        "http": {"accept": []}, "params": {},
    })
}

/// A check of this kind, every 50 ms.
pub fn check(kind: Value) -> Value {
    json!({
        "kind": kind, "every": 50, "timeout": 1000, "rise": 1, "fall": 1, "fast": null,
        "down": null, "jitter": 0.1, "port": null,
    })
}

fn timeouts() -> Value {
    json!({"connect": 1000, "send": 5000, "response": 5000, "receive": 5000})
}

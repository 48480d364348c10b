//! What a fault of our own ends: tests in an event loop as it really runs, over real sockets.

use std::io::ErrorKind::WouldBlock;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use tokio::sync::oneshot;

use super::slot::Place;
use super::*;
use crate::io::{Buffer, Stream, socket::Socket};
use crate::simulation::{build, common, plan};
use crate::steps::break_once;
use crate::tcp::session;

/// A shard in its event loop, with one server that answers everything.
struct Scene {
    shard: Rc<Shard>,
    running: Arc<Running>,
}

const OK: &str =
    "HTTP/1.1 200 OK\r\nDate: Tue, 15 Nov 1994 08:12:31 GMT\r\nContent-Length: 5\r\n\r\nhello";
const GET: &str = "GET / HTTP/1.1\r\nHost: h.test\r\n\r\n";

impl Scene {
    /// The server's threads wait until the test's process ends.
    fn new(events: &EventLoop, protocol: evener_plan::ListenerProtocol) -> Scene {
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let scene = Scene::before(events, protocol, &server);
        std::thread::spawn(move || {
            while let Ok((mut stream, _)) = server.accept() {
                std::thread::spawn(move || {
                    while stream.read(&mut [0; 1000]).is_ok_and(|count| count > 0) {
                        stream.write_all(OK.as_bytes()).unwrap();
                    }
                });
            }
        });
        scene
    }

    /// In front of a server that the test plays itself.
    fn before(
        events: &EventLoop,
        protocol: evener_plan::ListenerProtocol,
        server: &TcpListener,
    ) -> Scene {
        let mut plan = plan(&["a"]);
        plan.listeners[0].protocol = protocol;
        plan.pools[0].servers[0].address = server.local_addr().unwrap().to_string();
        let common = common(&plan).0;
        let shard = Rc::new(Shard::new(0, SharedMemory::of_thread(), common, events).unwrap());
        let running = build(plan, None);
        shard.serve(running.clone());
        Scene { shard, running }
    }

    /// A client of the listener.
    fn client(&self) -> UnixStream {
        let (near, far) = UnixStream::pair().unwrap();
        near.set_nonblocking(true).unwrap();
        far.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let (shard, open) =
            (self.shard.clone(), Open::new(Place::beyond(self.shard.slot("web").unwrap()), None));
        let stream = Stream::plain(Socket::new(&shard.clients, near.into()));
        if open.view().spec().protocol == evener_plan::ListenerProtocol::Tcp {
            tokio::task::spawn_local(session::serve(shard, open.view(), stream, None, open));
        } else {
            let (inbox, wait) = (Buffer::empty(), shard.deadlines.slot());
            let owned = Default::default();
            let client = Client { stream, inbox, peer: None, open, wait, owned };
            tokio::task::spawn_local(client::serve(shard, client));
        }
        far
    }

    fn panics(&self) -> u64 {
        self.shard.worker.counted(WorkerCounter::Panics)
    }

    fn in_flight(&self) -> u32 {
        self.running.pools[0].group.server(0).unwrap().in_flight()
    }
}

/// Looks again after every turn of the shard until there is something.
async fn soon<T>(mut look: impl FnMut() -> Option<T>) -> T {
    let until = std::time::Instant::now() + Duration::from_secs(10);
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(std::time::Instant::now() < until, "it never came");
        crate::io::event_loop::give_way().await;
    }
}

/// What is answered to a request; nothing if the connection is closed.
async fn ask(client: &UnixStream) -> String {
    let (told, answer) = oneshot::channel();
    let mut client = client.try_clone().unwrap();
    std::thread::spawn(move || {
        let mut room = [0; 1000];
        let count = match client.write_all(GET.as_bytes()).and_then(|()| client.read(&mut room)) {
            Ok(count) => count,
            Err(why) if why.kind() == WouldBlock => panic!("neither an answer nor the end"),
            Err(_) => 0,
        };
        told.send(String::from_utf8(room[..count].to_vec()).unwrap()).unwrap();
    });
    answer.await.unwrap()
}

#[test]
fn a_fault_in_a_request_ends_its_connection_alone_and_is_counted() {
    for step in ["client::request", "pool::pick", "exchange::attempt", "exchange::on_head"] {
        let events = EventLoop::new(4, 4).unwrap();
        let scene = Scene::new(&events, evener_plan::ListenerProtocol::Http);
        let body = async {
            let (stays, ends) = (scene.client(), scene.client());
            assert_eq!((ask(&stays).await, ask(&ends).await), (OK.to_owned(), OK.to_owned()));
            let (deadlines, lent) = (scene.shard.deadlines.len(), buffers::lent());
            break_once(step);
            assert_eq!(ask(&ends).await, "", "{step}");
            assert_eq!((scene.panics(), scene.in_flight(), scene.shard.open()), (1, 0, 1));
            assert_eq!(scene.running.listeners[0].open.load(Ordering::Relaxed), 1);
            assert_eq!((scene.shard.deadlines.len(), buffers::lent()), (deadlines - 1, lent));
            assert_eq!((ask(&stays).await, ask(&scene.client()).await), (OK.into(), OK.into()));
            assert_eq!(scene.panics(), 1);
        };
        events.run(body).unwrap();
    }
}

#[test]
fn a_fault_in_a_session_ends_it_alone_and_is_counted() {
    let events = EventLoop::new(4, 4).unwrap();
    let scene = Scene::new(&events, evener_plan::ListenerProtocol::Tcp);
    let body = async {
        let stays = scene.client();
        assert_eq!((ask(&stays).await, scene.in_flight()), (OK.to_owned(), 1));
        break_once("session::pick");
        assert_eq!(ask(&scene.client()).await, "");
        assert_eq!((scene.panics(), scene.in_flight(), scene.shard.open()), (1, 1, 1));
        assert_eq!(scene.shard.tunnels.get(), 1);
        assert_eq!((ask(&stays).await, ask(&scene.client()).await), (OK.into(), OK.into()));
    };
    events.run(body).unwrap();
}

#[test]
fn a_fault_in_what_a_shard_does_for_all_ends_the_shard_and_is_told() {
    let events = EventLoop::new(4, 4).unwrap();
    let scene = Scene::new(&events, evener_plan::ListenerProtocol::Http);
    let timer = timer(&events).unwrap();
    let (_commands, told) = tokio::sync::mpsc::unbounded_channel();
    break_once("shard::tick");
    let ended = events.run(work(scene.shard.clone(), timer, told)).unwrap();
    assert!(ended.unwrap_err().contains("the tick has ended"));
}

#[test]
fn a_reset_that_the_upload_hears_of_is_no_end_of_an_answer() {
    let events = EventLoop::new(4, 4).unwrap();
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let scene = Scene::before(&events, evener_plan::ListenerProtocol::Http, &server);
    let body = async {
        let mut client = scene.client();
        client.set_nonblocking(true).unwrap();
        let head = "POST / HTTP/1.1\r\nHost: h.test\r\nTransfer-Encoding: chunked\r\n\r\n";
        client.write_all(head.as_bytes()).unwrap();
        server.set_nonblocking(true).unwrap();
        let mut far = soon(|| server.accept().ok()).await.0;
        far.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
        let mut received = String::new();
        soon(|| {
            let _ = client.read_to_string(&mut received);
            received.ends_with("\r\n\r\n").then_some(())
        })
        .await;
        // This thread is the shard's: it sees nothing of what follows before all of it is there.
        client.write_all(b"1\r\nx\r\n").unwrap();
        far.write_all(b"half").unwrap();
        socket2::SockRef::from(&far).set_linger(Some(Duration::ZERO)).unwrap();
        drop(far);
        soon(|| client.read_to_string(&mut received).ok()).await;
        assert!(received.contains("200 OK") && !received.contains("0\r\n\r\n"), "{received}");
    };
    events.run(body).unwrap();
}

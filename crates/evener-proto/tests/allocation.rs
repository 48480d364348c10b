//! Nothing allocates once storage has grown: the promise of DESIGN.md §5, rule 2, for the codecs.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use evener_proto::h1::answer::{date, via};
use evener_proto::h1::edit::Edits;
use evener_proto::h1::forward::{
    RequestPolicy, ResponsePolicy, request_segments, response_segments,
};
use evener_proto::h1::framing::response_body;
use evener_proto::h1::{
    BodyDecoder, Limits, Method, Policy, RequestParser, ResponseParser, Segments, Sender, Version,
    Violations, admit,
};

struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: every call goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.with(|n| n.set(n.get() + 1));
        // SAFETY: the caller's promise is the system allocator's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise is the system allocator's.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const REQUEST: &[u8] =
    b"POST //a%41?b HTTP/1.0\r\nHost: a\r\nConnection: keep-alive, x\r\nX: y\r\n\
X-Forwarded-For: 1\r\nTransfer_Encoding: z\r\nContent-Length: 5\r\n\r\n";
const LENIENT: &[u8] = b"GET / HTTP/1.1\nHost: a\nX: y\n z\nA B: c\nD: e\n\n";
const ANSWER: &[u8] = b"HTTP/1.1 200\r\nConnection: close\r\nX: a\r\n b\r\n\
Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";

#[test]
fn the_second_exchange_allocates_nothing() {
    let (mut requests, mut answers) = (RequestParser::new(), ResponseParser::new());
    let (mut segments, mut scratch) = (Segments::new(), Vec::new());
    let mut buf = Vec::with_capacity(ANSWER.len());
    let mut edits = Edits::new();
    edits.set(b"X", "z").unwrap();
    let mut own = Vec::new();
    for round in 0..3 {
        let before = ALLOCATIONS.with(Cell::get);
        requests.clear();
        let len = requests.parse(REQUEST, &Limits::default()).unwrap();
        assert_eq!(len, Some(REQUEST.len()));
        let head = requests.head();
        let admitted = admit(head, REQUEST, &Policy::default(), &mut scratch).unwrap();
        assert_eq!(admitted.path, b"/aA");
        let policy = RequestPolicy { edited: edits.cut(), ..RequestPolicy::default() };
        request_segments(head, REQUEST, &policy, &mut segments).unwrap();
        assert!(segments.as_slice().len() > 3);
        own.clear();
        edits.write(&mut own, |value, out| out.extend_from_slice(value.as_bytes())).unwrap();
        date(1, &mut own);
        via(Version::Http10, b"evener", &mut own).unwrap();
        requests.clear();
        buf.clear();
        buf.extend_from_slice(LENIENT);
        let every = Violations::LF.with(Violations::OBS_FOLD).with(Violations::BAD_NAMES);
        let len = requests.parse_accepting(&mut buf, &Limits::default(), every).unwrap();
        assert_eq!(len, Some(LENIENT.len()));
        request_segments(requests.head(), &buf, &RequestPolicy::default(), &mut segments).unwrap();

        answers.clear();
        buf.clear();
        buf.extend_from_slice(ANSWER);
        let len = answers.parse(&mut buf, &Limits::default()).unwrap().unwrap();
        let length = response_body(Method::Get, answers.head(), &buf).unwrap();
        response_segments(answers.head(), &buf, &ResponsePolicy::default(), &mut segments);
        let mut decoder = BodyDecoder::new(length, Sender::Server);
        assert_eq!(decoder.decode(&mut buf[len..]).unwrap().data.len(), 5);
        let made = ALLOCATIONS.with(Cell::get) - before;
        assert!(round == 0 || made == 0, "round {round} allocated {made} times");
        assert!(round > 0 || made > 0, "the counter counts");
    }
}

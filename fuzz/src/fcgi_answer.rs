//! A hostile FastCGI responder.
//!
//! Invariant, in words:
//! 1. *Any split, one outcome*: payload, complaints, end, head and offence.
//! 2. *Bounded*: the payload is made of the records' bytes, complaints are kept to their bound, and
//!    nothing after the end record is taken.
//! 3. *No injection*: a head that is accepted, written as HTTP/1.1, is one head of that status to a
//!    strict reader and to every careless one, with at most one framing field and none of one
//!    connection.
//!
//! Input: the responder's bytes. What is not FastCGI is also read as a bare CGI head.

use evener_proto::Malformed;
use evener_proto::fastcgi::{CgiParser, Decoder, ProtocolStatus};
use evener_proto::h1::{Limits, ResponseParser};

use crate::naive::readers;
use crate::wire::{Pieces, Wire};

/// Small, so that inputs reach them.
const LIMITS: Limits = Limits { max_head: 512, max_fields: 8 };
/// The decoder's own bound on complaints.
const MAX_STDERR: usize = 8 << 10;

/// Runs the target.
pub fn fcgi_answer(data: &[u8]) {
    let whole = run(data, Pieces::Whole);
    let seed = data.iter().fold(7u32, |n, &b| n.wrapping_mul(31) ^ u32::from(b));
    for pieces in [Pieces::Bytes, Pieces::Mixed(seed)] {
        assert_eq!(run(data, pieces), whole, "{pieces:?}");
    }
    if let Ok(answer) = &whole {
        assert!(answer.payload.len() + answer.stderr.len() <= data.len());
        assert!(answer.stderr.len() <= MAX_STDERR);
        check_head(&answer.payload);
    }
    check_head(data);
}

#[derive(Debug, PartialEq, Eq)]
struct Answer {
    payload: Vec<u8>,
    stderr: Vec<u8>,
    end: Option<ProtocolStatus>,
    taken: usize,
}

fn run(data: &[u8], pieces: Pieces) -> Result<Answer, Malformed> {
    let mut wire = Wire::new(data, pieces);
    let (mut decoder, mut payload, mut taken) = (Decoder::new(), Vec::new(), 0);
    while wire.fill() {
        let progress = decoder.decode(&mut wire.buf)?;
        payload.extend_from_slice(&wire.buf[progress.data]);
        taken += progress.consumed;
        if progress.done {
            break;
        }
        assert_eq!(progress.consumed, wire.buf.len());
        wire.buf.clear();
    }
    Ok(Answer { payload, stderr: decoder.stderr().to_vec(), end: decoder.end(), taken })
}

fn check_head(payload: &[u8]) {
    let whole = head(payload, Pieces::Whole);
    assert_eq!(head(payload, Pieces::Bytes), whole);
    let Ok(Some((status, http))) = whole else { return };
    let mut buf = http.clone();
    let mut parser = ResponseParser::new();
    // `Content-Type:x` is written with a space, and a status line is added.
    let limits = Limits { max_head: LIMITS.max_head * 2, max_fields: LIMITS.max_fields + 1 };
    assert_eq!(parser.parse(&mut buf, &limits), Ok(Some(http.len())));
    assert_eq!(parser.head().status, status);
    for reader in readers() {
        assert_eq!(reader.message(&http, true), Some(http.len()), "{reader:?}");
        let head = reader.head(&http).expect("a message has a head");
        assert!(head.values("content-length").len() <= 1);
        for name in ["transfer-encoding", "connection", "upgrade", "keep-alive"] {
            assert!(head.values(name).is_empty(), "{name}");
        }
    }
}

fn head(payload: &[u8], pieces: Pieces) -> Result<Option<(u16, Vec<u8>)>, Malformed> {
    let mut parser = CgiParser::new();
    let buf = Wire::new(payload, pieces).head(|buf| parser.parse(buf, &LIMITS))?;
    Ok(buf.map(|buf| {
        let mut http = Vec::new();
        parser.head().write(&buf, None, &mut http);
        http.extend_from_slice(b"\r\n");
        (parser.head().status, http)
    }))
}

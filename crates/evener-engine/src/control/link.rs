//! One connection of a supervisor: frames in with their descriptors, texts out.
//!
//! Rules kept here:
//! - Nothing blocks: what the peer does not take waits here, and who writes looks at
//!   [`Link::backlog`] first.
//! - A frame gets the descriptors that came next in order; one that lacks some ends the link.
//!
//! Not known here: what is said.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use super::frames::{Decoder, FrameError, MAX_DESCRIPTORS, encode};
use super::interruption::is_interruption;
use crate::sys::descriptors::{receive, send};

/// A connection.
pub struct Link {
    socket: OwnedFd,
    decoder: Decoder,
    descriptors: VecDeque<OwnedFd>,
    outgoing: Vec<u8>,
    sent: usize,
    /// The peer's hello has come: whether it equals ours.
    pub greeted: Option<bool>,
}

/// A frame's text and its descriptors.
pub type Message = (Vec<u8>, Vec<OwnedFd>);

/// Why a link cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum Lost {
    /// The peer has closed.
    #[error("the supervisor closed the control connection")]
    Closed,
    /// The kernel says so.
    #[error("the control connection failed: {0}")]
    Io(#[from] io::Error),
    /// What comes is not the protocol.
    #[error("{0}")]
    Frame(#[from] FrameError),
    /// Descriptors that belong to a frame did not come with it.
    #[error("a frame has {wanted} descriptors of which {came} came")]
    Descriptors {
        /// What the frame says.
        wanted: usize,
        /// What there is.
        came: usize,
    },
    /// More came than any frame may have.
    #[error("descriptors came that no frame asked for")]
    TooMany,
    /// The first frame is no hello.
    #[error("no hello: {0}")]
    NoHello(String),
    /// It speaks another version.
    #[error("the supervisor speaks protocol {0}")]
    Protocol(u32),
}

/// Bytes read at once.
const PIECE: usize = 64 * 1024;

impl Link {
    /// A link over a connected, non-blocking socket.
    pub fn new(socket: OwnedFd) -> Link {
        Link {
            socket,
            decoder: Decoder::default(),
            descriptors: VecDeque::new(),
            outgoing: Vec::new(),
            sent: 0,
            greeted: None,
        }
    }

    /// The socket, to be waited for.
    pub fn socket(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// Takes what has arrived.
    ///
    /// # Errors
    /// [`Lost`].
    pub fn receive(&mut self) -> Result<(), Lost> {
        let mut piece = vec![0; PIECE];
        match receive(&self.socket, &mut piece, &mut self.descriptors) {
            Ok(0) => return Err(Lost::Closed),
            Ok(count) => self.decoder.feed(piece.get(..count).unwrap_or(&[])),
            Err(why) if is_later(&why) => {}
            Err(why) => return Err(Lost::Io(why)),
        }
        // Those of a whole frame that waits behind one that is obeyed now, and of the next.
        if self.descriptors.len() > 2 * MAX_DESCRIPTORS {
            return Err(Lost::TooMany);
        }
        Ok(())
    }

    /// Whether a frame is here.
    pub fn has_frame(&self) -> bool {
        self.decoder.has_frame()
    }

    /// The next whole frame.
    ///
    /// # Errors
    /// [`Lost`].
    pub fn next_frame(&mut self) -> Result<Option<Message>, Lost> {
        let Some(frame) = self.decoder.next_frame()? else { return Ok(None) };
        let (wanted, came) = (frame.descriptors, self.descriptors.len());
        if came < wanted {
            return Err(Lost::Descriptors { wanted, came });
        }
        Ok(Some((frame.text, self.descriptors.drain(..wanted).collect())))
    }

    /// Says something; it leaves with the next [`Link::flush`].
    pub fn say(&mut self, text: &str) {
        encode(text, &mut self.outgoing);
    }

    /// Bytes that the peer has not taken yet.
    pub fn backlog(&self) -> usize {
        self.outgoing.len() - self.sent
    }

    /// Gives the peer what it takes.
    ///
    /// # Errors
    /// [`Lost`].
    pub fn flush(&mut self) -> Result<(), Lost> {
        while self.backlog() > 0 {
            let rest = self.outgoing.get(self.sent..).unwrap_or(&[]);
            match send(&self.socket, rest, &[] as &[BorrowedFd<'_>]) {
                Ok(count) => self.sent += count,
                Err(why) if is_later(&why) => return Ok(()),
                Err(why) => return Err(Lost::Io(why)),
            }
        }
        self.outgoing = Vec::new();
        self.sent = 0;
        Ok(())
    }
}

fn is_later(why: &io::Error) -> bool {
    why.kind() == io::ErrorKind::WouldBlock || is_interruption(why)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::os::unix::fs::MetadataExt;
    use std::os::unix::net::UnixStream;

    fn pair() -> (UnixStream, Link) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        theirs.set_nonblocking(true).unwrap();
        (ours, Link::new(theirs.into()))
    }

    fn frame(text: &str, descriptors: u32) -> Vec<u8> {
        let mut bytes = Vec::new();
        encode(text, &mut bytes);
        bytes[4..8].copy_from_slice(&descriptors.to_le_bytes());
        bytes
    }

    #[test]
    fn descriptors_go_to_their_frames_in_order() {
        let (ours, mut link) = pair();
        let names = ["/dev/null", "/dev/zero", "/dev/full"];
        let files = names.map(|name| File::open(name).unwrap());
        let device = |file: &File| file.metadata().unwrap().rdev();
        let devices: Vec<u64> = files.iter().map(device).collect();
        send(&ours, &frame("a", 1), &files[..1]).unwrap();
        send(&ours, &frame("b", 0), &[] as &[BorrowedFd<'_>]).unwrap();
        send(&ours, &frame("c", 2), &files[1..]).unwrap();
        let mut found = Vec::new();
        while found.len() < 3 {
            link.receive().unwrap();
            while let Some((text, descriptors)) = link.next_frame().unwrap() {
                let came = descriptors.into_iter().map(|each| device(&File::from(each)));
                found.push((String::from_utf8(text).unwrap(), came.collect::<Vec<_>>()));
            }
        }
        let expected = [("a", &devices[..1]), ("b", &[]), ("c", &devices[1..])];
        assert_eq!(found, expected.map(|(text, came)| (text.to_owned(), came.to_vec())));
    }

    #[test]
    fn a_frame_without_its_descriptors_ends_the_link() {
        let (ours, mut link) = pair();
        send(&ours, &frame("a", 1), &[] as &[BorrowedFd<'_>]).unwrap();
        link.receive().unwrap();
        assert!(matches!(link.next_frame(), Err(Lost::Descriptors { wanted: 1, came: 0 })));
    }

    #[test]
    fn what_a_stopped_peer_does_not_take_waits_and_blocks_nobody() {
        let (ours, mut link) = pair();
        let text = "x".repeat(4 << 20);
        link.say(&text);
        link.flush().unwrap();
        assert!(link.backlog() > 0);
        drop(ours);
        assert!(link.flush().is_err());
    }
}

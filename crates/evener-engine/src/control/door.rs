//! The unix socket at which supervisors find the worker.
//!
//! Rules kept here:
//! - Nobody can connect before the socket's mode is 0600, and whoever connects is asked for: only
//!   our own user and root are let in (SO_PEERCRED).
//! - A path that a dead worker left is taken over; the path goes when the worker does.

use std::fs::Permissions;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, accept_with, bind, listen, socket_with,
    sockopt,
};

use crate::error::EngineError;

/// The listening socket.
pub struct Door {
    socket: OwnedFd,
    path: PathBuf,
}

/// Connections that may wait.
const BACKLOG: i32 = 16;

impl Door {
    /// Listens at `path`.
    ///
    /// # Errors
    /// [`EngineError::Listen`].
    pub fn open(path: &Path) -> Result<Door, EngineError> {
        let open = || -> io::Result<Door> {
            match std::fs::remove_file(path) {
                Err(why) if why.kind() != io::ErrorKind::NotFound => return Err(why),
                _ => {}
            }
            let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
            let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
            bind(&socket, &SocketAddrUnix::new(path)?)?;
            let door = Door { socket, path: path.to_owned() };
            std::fs::set_permissions(path, Permissions::from_mode(0o600))?;
            listen(&door.socket, BACKLOG)?;
            Ok(door)
        };
        open().map_err(|why| EngineError::Listen { path: path.to_owned(), why })
    }

    /// The socket, to be waited for.
    pub fn socket(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// The next who waits and may come in.
    pub fn next(&self) -> Option<OwnedFd> {
        loop {
            let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
            let peer = accept_with(&self.socket, flags).ok()?;
            if is_trusted(&peer) {
                return Some(peer);
            }
        }
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        // Whoever put something else there may keep it; a path that is gone is what is wanted.
        let _ = std::fs::remove_file(&self.path);
    }
}

fn is_trusted(peer: &OwnedFd) -> bool {
    sockopt::socket_peercred(peer)
        .is_ok_and(|peer| peer.uid.is_root() || peer.uid == rustix::process::geteuid())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixStream;

    fn path(name: &str) -> PathBuf {
        std::env::temp_dir().join(format!("evener-door-{}-{name}", std::process::id()))
    }

    #[test]
    fn a_stale_path_is_taken_over_and_goes_with_the_worker() {
        let path = path("stale");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        let door = Door::open(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let _supervisor = UnixStream::connect(&path).unwrap();
        assert!(door.next().is_some() && door.next().is_none());
        drop(door);
        assert!(!path.exists());
    }

    #[test]
    fn a_path_that_cannot_be_is_named() {
        let refused = Door::open(Path::new("/nowhere/worker-1.sock")).err().unwrap();
        assert!(refused.to_string().contains("/nowhere/worker-1.sock"));
    }
}

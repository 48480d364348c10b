//! What a socket's queue holds.

use std::os::fd::BorrowedFd;

use rustix::ioctl::{Getter, Opcode, ioctl};

/// TIOCOUTQ of linux/sockios.h, which names it SIOCOUTQ for sockets.
const SIOCOUTQ: Opcode = 0x5411;

/// Bytes written to a stream socket that its other end has not acknowledged (tcp(7), unix(7)).
///
/// # Errors
/// Those of ioctl(2).
pub fn unacknowledged(socket: BorrowedFd<'_>) -> rustix::io::Result<u64> {
    // SAFETY: SIOCOUTQ writes one int, which is what the getter has room for, and keeps no pointer.
    let count = unsafe { ioctl(socket, Getter::<SIOCOUTQ, i32>::new()) }?;
    Ok(u64::try_from(count).unwrap_or(0))
}

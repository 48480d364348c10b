//! Descriptors of our own in the event loop.

use std::io;
use std::os::fd::OwnedFd;

use tokio::io::unix::AsyncFd;

/// Watches a descriptor for as long as the result lives. Must be called within a runtime.
///
/// # Errors
/// When it cannot be watched.
pub fn watch(descriptor: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an owned descriptor is open, and stays the same one until the result, which owns it,
    // is dropped; nobody gets `&mut` to it.
    let watched = unsafe { AsyncFd::register(descriptor) };
    watched.map_err(io::Error::from)
}

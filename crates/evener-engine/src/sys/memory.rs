//! Shared memory for counters: a memfd mapped once, growing under a fixed address.
//!
//! Rules kept here:
//! - The address range is reserved once for the life of the process and never unmapped, so that
//!   references into it are `'static`.
//! - Only the part that the file covers may be touched: whoever grows the file says so first.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::AtomicU64;

use rustix::mm::{MapFlags, ProtFlags};

/// Address space reserved for one segment. Costs no memory until touched.
const RESERVED: usize = 1 << 32;

/// A counter segment: a memfd and the address range it may grow into.
pub struct SharedMemory {
    file: OwnedFd,
    words: &'static [AtomicU64],
}

impl SharedMemory {
    /// Maps the file for reading and writing.
    ///
    /// # Errors
    /// Whatever mmap answers.
    pub fn writable(file: OwnedFd) -> io::Result<SharedMemory> {
        SharedMemory::map(file, ProtFlags::READ | ProtFlags::WRITE)
    }

    fn map(file: OwnedFd, protection: ProtFlags) -> io::Result<SharedMemory> {
        let flags = MapFlags::SHARED | MapFlags::NORESERVE;
        // SAFETY: a fresh range chosen by the kernel, over a file we own; no memory of ours is
        // replaced.
        let start = unsafe {
            rustix::mm::mmap(std::ptr::null_mut(), RESERVED, protection, flags, file.as_fd(), 0)?
        };
        // SAFETY: the range is page-aligned, never unmapped, and only ever accessed as atomics;
        // pages beyond the end of the file are not touched (see `grow`).
        let words = unsafe {
            std::slice::from_raw_parts(start.cast::<AtomicU64>(), RESERVED / size_of::<AtomicU64>())
        };
        Ok(SharedMemory { file, words })
    }

    /// Memory for a simulation. Each thread has one, since ranges are never unmapped: what was in it
    /// is gone, and whoever used it before must be, too.
    #[cfg(test)]
    pub fn of_thread() -> SharedMemory {
        thread_local! {
            static MEMORY: SharedMemory = {
                let flags = rustix::fs::MemfdFlags::CLOEXEC;
                let file = rustix::fs::memfd_create("simulation", flags).expect("memory");
                SharedMemory::writable(file).expect("a range")
            };
        }
        MEMORY.with(|memory| {
            rustix::fs::ftruncate(&memory.file, 0).expect("memory can shrink");
            let file = memory.file.try_clone().expect("a descriptor");
            SharedMemory { file, words: memory.words }
        })
    }

    /// The words, of which only those that the file covers may be touched.
    pub fn words(&self) -> &'static [AtomicU64] {
        self.words
    }

    /// Makes the file cover at least `words` words.
    ///
    /// # Errors
    /// When the kernel refuses, or the reserved range is used up.
    pub fn grow(&self, words: usize) -> io::Result<()> {
        let bytes = (words * size_of::<AtomicU64>()).next_multiple_of(64 * 1024);
        if bytes > RESERVED {
            return Err(io::Error::from(io::ErrorKind::OutOfMemory));
        }
        let size = rustix::fs::fstat(&self.file)?.st_size;
        if (size as u64) < bytes as u64 {
            rustix::fs::ftruncate(&self.file, bytes as u64)?;
        }
        Ok(())
    }
}

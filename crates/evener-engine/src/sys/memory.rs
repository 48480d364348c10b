//! Shared memory for counters: a memfd mapped once, growing under a fixed address.
//!
//! Rules kept here:
//! - Of one's own segment the address range is reserved once for the life of the process and never
//!   unmapped, so that references into it are `'static`.
//! - Only the part that the file covers may be touched: whoever grows the file says so first. A
//!   file that shrinks would end its reader (SIGBUS); the supervisor seals it against that.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::ptr::NonNull;
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
    #[cfg(any(test, feature = "simulation"))]
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

/// Another process's counter segment, to be read.
pub struct ForeignMemory {
    file: OwnedFd,
    /// Where it is mapped, and how many bytes of it.
    mapped: Option<(NonNull<AtomicU64>, usize)>,
}

// SAFETY: the mapping belongs to this value alone and is only read, through `&mut self`.
unsafe impl Send for ForeignMemory {}

impl ForeignMemory {
    /// The segment in this file; mapped when it is read.
    pub fn new(file: OwnedFd) -> ForeignMemory {
        ForeignMemory { file, mapped: None }
    }

    /// All words that the file has by now.
    ///
    /// # Errors
    /// Whatever fstat or mmap answer.
    pub fn words(&mut self) -> io::Result<&[AtomicU64]> {
        let size = usize::try_from(rustix::fs::fstat(&self.file)?.st_size).unwrap_or(0);
        if self.mapped.is_none_or(|(_, mapped)| mapped != size) {
            self.unmap();
            self.mapped = self.map(size)?;
        }
        let Some((start, size)) = self.mapped else { return Ok(&[]) };
        // SAFETY: page-aligned, mapped for `size` bytes until `unmap`, which needs `&mut self` and
        // so outlives no borrow of this; the file covers all of it, since writers only grow it;
        // words are only loaded.
        Ok(unsafe { std::slice::from_raw_parts(start.as_ptr(), size / size_of::<AtomicU64>()) })
    }

    fn map(&self, size: usize) -> io::Result<Option<(NonNull<AtomicU64>, usize)>> {
        if size == 0 {
            return Ok(None);
        }
        // SAFETY: a fresh range chosen by the kernel, over a file we own; no memory of ours is
        // replaced.
        let start = unsafe {
            rustix::mm::mmap(
                std::ptr::null_mut(),
                size,
                ProtFlags::READ,
                MapFlags::SHARED,
                self.file.as_fd(),
                0,
            )?
        };
        Ok(NonNull::new(start.cast()).map(|start| (start, size)))
    }

    fn unmap(&mut self) {
        if let Some((start, size)) = self.mapped.take() {
            // SAFETY: exactly what `map` mapped; `&mut self` shows that nobody reads it.
            let gone = unsafe { rustix::mm::munmap(start.as_ptr().cast(), size) };
            debug_assert!(gone.is_ok(), "a range that was mapped can be unmapped");
        }
    }
}

impl Drop for ForeignMemory {
    fn drop(&mut self) {
        self.unmap();
    }
}

//! Buffers are borrowed from the shard while bytes are in flight.
//!
//! Rules kept here:
//! - A buffer is a window of unread bytes in a fixed block: filled at the end, consumed at the
//!   front. Blocks come from a per-thread store and go back to it when dropped, so that a
//!   connection that waits holds none.
//! - 16 KiB a block: copying through 64 KiB cost twice as much per byte when measured, since it
//!   leaves the first two caches.
//! - The store keeps what was in use lately and gives the rest back to the allocator.
//!
//! Not known here: whose bytes they are.

use std::cell::{Cell, RefCell};
use std::ops::Range;

/// Bytes in an ordinary block.
pub const BLOCK: usize = 16 * 1024;

thread_local! {
    static STORE: Store = const { Store { blocks: RefCell::new(Vec::new()), low: Cell::new(0), lent: Cell::new(0) } };
}

struct Store {
    blocks: RefCell<Vec<Box<[u8]>>>,
    /// Fewest blocks that stood unused since the last trim: nobody needed those.
    low: Cell<usize>,
    /// Blocks in use.
    lent: Cell<usize>,
}

/// A window of unread bytes in a block borrowed from the shard.
#[derive(Default)]
pub struct Buffer {
    block: Option<Box<[u8]>>,
    start: usize,
    end: usize,
}

impl Buffer {
    /// A buffer that holds no block yet; [`Buffer::space`] borrows one.
    pub const fn empty() -> Buffer {
        Buffer { block: None, start: 0, end: 0 }
    }

    /// A buffer that begins with these bytes.
    pub fn of(bytes: &[u8]) -> Buffer {
        let mut buffer = Buffer::empty();
        buffer.reserve(bytes.len());
        if let Some(space) = buffer.space().get_mut(..bytes.len()) {
            space.copy_from_slice(bytes);
            buffer.filled(bytes.len());
        }
        buffer
    }

    /// Unread bytes.
    #[inline]
    pub fn bytes(&self) -> &[u8] {
        self.block.as_deref().and_then(|block| block.get(self.start..self.end)).unwrap_or(&[])
    }

    /// Unread bytes, to be changed in place.
    #[inline]
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        let range = self.start..self.end;
        self.block.as_deref_mut().and_then(|block| block.get_mut(range)).unwrap_or(&mut [])
    }

    /// Unread bytes in this range, counted from the first unread one; empty if out of bounds.
    #[inline]
    pub fn part(&self, range: Range<usize>) -> &[u8] {
        self.bytes().get(range).unwrap_or(&[])
    }

    /// Number of unread bytes.
    #[inline]
    pub fn len(&self) -> usize {
        self.end - self.start
    }

    /// Whether nothing is unread.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Room behind the unread bytes; borrows a block when there is none.
    #[inline]
    pub fn space(&mut self) -> &mut [u8] {
        let end = self.end;
        let block = self.block.get_or_insert_with(take);
        block.get_mut(end..).unwrap_or(&mut [])
    }

    /// Says that so many bytes were written into [`Buffer::space`].
    #[inline]
    pub fn filled(&mut self, count: usize) {
        let size = self.block.as_ref().map_or(0, |block| block.len());
        self.end = (self.end + count).min(size);
    }

    /// Takes bytes from the front.
    #[inline]
    pub fn consume(&mut self, count: usize) {
        self.start = (self.start + count).min(self.end);
        if self.start == self.end {
            self.start = 0;
            self.end = 0;
        }
    }

    /// Drops unread bytes behind the first `keep`.
    pub fn truncate(&mut self, keep: usize) {
        self.end = self.end.min(self.start + keep);
    }

    /// Whether there is no room behind the unread bytes.
    pub fn is_full(&self) -> bool {
        self.block.as_ref().is_some_and(|block| block.len() == self.end)
    }

    /// Moves unread bytes to the front of the block, so that all its room is behind them.
    pub fn compact(&mut self) {
        if self.start > 0
            && let Some(block) = self.block.as_deref_mut()
        {
            block.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
    }

    /// Makes the block hold at least `total` bytes, unread ones included.
    pub fn reserve(&mut self, total: usize) {
        let size = self.block.as_ref().map_or(BLOCK, |block| block.len());
        if total <= size {
            if total > size - self.start {
                self.compact();
            }
            return;
        }
        let mut larger = vec![0; total.next_multiple_of(BLOCK)].into_boxed_slice();
        let count = self.len();
        if let Some(front) = larger.get_mut(..count) {
            front.copy_from_slice(self.bytes());
        }
        self.give_back();
        self.block = Some(larger);
        self.end = count;
    }

    /// Gives the block back if nothing is unread.
    #[inline]
    pub fn release(&mut self) {
        if self.is_empty() {
            self.give_back();
        }
    }

    fn give_back(&mut self) {
        self.start = 0;
        self.end = 0;
        if let Some(block) = self.block.take() {
            give(block);
        }
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        self.give_back();
    }
}

/// Gives blocks that nobody needed since the last call back to the allocator.
pub fn trim() {
    STORE.with(|store| {
        let mut blocks = store.blocks.borrow_mut();
        let unused = store.low.get().min(blocks.len());
        // Half of it: load comes in waves.
        let keep = blocks.len() - unused.div_ceil(2);
        blocks.truncate(keep);
        blocks.shrink_to(keep.max(64));
        store.low.set(keep);
    });
}

/// Blocks that stand unused in this thread's store.
pub fn unused() -> usize {
    STORE.with(|store| store.blocks.borrow().len())
}

/// Blocks in use.
pub fn lent() -> usize {
    STORE.with(|store| store.lent.get())
}

fn take() -> Box<[u8]> {
    STORE.with(|store| {
        let mut blocks = store.blocks.borrow_mut();
        store.lent.set(store.lent.get() + 1);
        let block = blocks.pop();
        store.low.set(store.low.get().min(blocks.len()));
        block.unwrap_or_else(|| vec![0; BLOCK].into_boxed_slice())
    })
}

fn give(block: Box<[u8]>) {
    // The store is gone when the thread ends before its last buffer: then the block just drops.
    let _ = STORE.try_with(|store| {
        store.lent.set(store.lent.get().saturating_sub(1));
        if block.len() == BLOCK {
            store.blocks.borrow_mut().push(block);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_filled_at_the_end_are_consumed_at_the_front() {
        let mut buffer = Buffer::of(b"hello world");
        buffer.consume(6);
        assert_eq!(buffer.bytes(), b"world");
        buffer.compact();
        assert_eq!(buffer.bytes(), b"world");
        assert_eq!(buffer.space().len(), BLOCK - 5);
        buffer.consume(99);
        assert!(buffer.is_empty());
    }

    #[test]
    fn a_buffer_grows_beyond_its_block_and_keeps_what_is_unread() {
        let mut buffer = Buffer::of(b"xxhead");
        buffer.consume(2);
        buffer.reserve(BLOCK + 1);
        assert_eq!(buffer.bytes(), b"head");
        assert_eq!(buffer.space().len(), 2 * BLOCK - 4);
    }

    #[test]
    fn blocks_come_back_to_the_store_and_are_trimmed_when_unused() {
        let held: Vec<Buffer> = (0..8).map(|_| Buffer::of(b"x")).collect();
        drop(held);
        assert_eq!(unused(), 8);
        trim();
        trim();
        trim();
        assert!(unused() < 8);
    }
}

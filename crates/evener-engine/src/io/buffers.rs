//! Buffers are borrowed from the shard while bytes are in flight.
//!
//! Rules kept here:
//! - A buffer is a window of unread bytes in a fixed block: filled at the end, consumed at the
//!   front. Blocks come from a per-thread store and go back to it when dropped, so that a
//!   connection that waits holds none.
//! - Blocks come in two sizes. Requests wait in small ones while their exchange lasts. Answers pass
//!   through large ones that are held only from a read to the write behind it, so that the same few
//!   stay in the cache: measured best was 72 KiB (a 64 KiB answer and its head in one read).
//! - A store keeps what was in use lately and gives the rest back to the allocator (`spare`).
//!
//! Not known here: whose bytes they are.

use std::cell::Cell;
use std::ops::Range;

use super::Spare;

/// What a buffer is for, which decides the size of its block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Size {
    /// Heads, and whatever a client sends.
    #[default]
    Small = 0,
    /// Answers.
    Large = 1,
}

impl Size {
    const ALL: [Size; 2] = [Size::Small, Size::Large];

    /// Bytes of a block.
    pub const fn bytes(self) -> usize {
        match self {
            Size::Small => 16 << 10,
            Size::Large => 72 << 10,
        }
    }
}

thread_local! {
    static STORES: [Store; 2] = const { [Store::new(), Store::new()] };
}

/// Blocks of one size.
struct Store {
    blocks: Spare<Box<[u8]>>,
    /// Blocks in use.
    lent: Cell<usize>,
}

impl Store {
    const fn new() -> Store {
        Store { blocks: Spare::new(), lent: Cell::new(0) }
    }

    #[inline]
    fn take(&self, size: Size) -> Box<[u8]> {
        self.lent.set(self.lent.get() + 1);
        self.blocks.take().unwrap_or_else(|| vec![0; size.bytes()].into_boxed_slice())
    }

    #[inline]
    fn give(&self, block: Box<[u8]>, size: Size) {
        self.lent.set(self.lent.get().saturating_sub(1));
        // One that has grown beyond its size goes back to the allocator.
        if block.len() == size.bytes() {
            self.blocks.give(block);
        }
    }
}

/// A window of unread bytes in a block borrowed from the shard.
#[derive(Default)]
pub struct Buffer {
    block: Option<Box<[u8]>>,
    start: u32,
    end: u32,
    size: Size,
}

impl Buffer {
    /// A small buffer that holds no block yet; [`Buffer::space`] borrows one.
    pub const fn empty() -> Buffer {
        Buffer::sized(Size::Small)
    }

    /// A buffer that holds no block yet.
    pub const fn sized(size: Size) -> Buffer {
        Buffer { block: None, start: 0, end: 0, size }
    }

    /// A buffer that begins with these bytes.
    #[cfg(any(test, feature = "simulation"))]
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
        let range = self.range();
        self.block.as_deref().and_then(|block| block.get(range)).unwrap_or(&[])
    }

    /// Unread bytes, to be changed in place.
    #[inline]
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        let range = self.range();
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
        (self.end - self.start) as usize
    }

    /// Whether nothing is unread.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Room behind the unread bytes; borrows a block when there is none.
    #[inline]
    pub fn space(&mut self) -> &mut [u8] {
        let (end, size) = (self.end as usize, self.size);
        let block =
            self.block.get_or_insert_with(|| STORES.with(|all| store(all, size).take(size)));
        block.get_mut(end..).unwrap_or(&mut [])
    }

    /// Says that so many bytes were written into [`Buffer::space`].
    #[inline]
    pub fn filled(&mut self, count: usize) {
        let size = self.block.as_ref().map_or(0, |block| block.len());
        self.end = (self.end as usize + count).min(size) as u32;
    }

    /// Takes bytes from the front.
    #[inline]
    pub fn consume(&mut self, count: usize) {
        self.start = (self.start as usize + count).min(self.end as usize) as u32;
        if self.start == self.end {
            self.start = 0;
            self.end = 0;
        }
    }

    /// Drops unread bytes behind the first `keep`.
    pub fn truncate(&mut self, keep: usize) {
        self.end = (self.end as usize).min(self.start as usize + keep) as u32;
    }

    /// Whether there is no room behind the unread bytes.
    pub fn is_full(&self) -> bool {
        self.block.as_ref().is_some_and(|block| block.len() == self.end as usize)
    }

    /// Moves unread bytes to the front of the block, so that all its room is behind them.
    pub fn compact(&mut self) {
        let range = self.range();
        if self.start > 0
            && let Some(block) = self.block.as_deref_mut()
        {
            block.copy_within(range, 0);
            self.end -= self.start;
            self.start = 0;
        }
    }

    /// Makes the block hold at least `total` bytes, unread ones included.
    pub fn reserve(&mut self, total: usize) {
        let size = self.block.as_ref().map_or(self.size.bytes(), |block| block.len());
        if total <= size {
            if total > size - self.start as usize {
                self.compact();
            }
            return;
        }
        let mut larger = vec![0; total.next_multiple_of(4096)].into_boxed_slice();
        let count = self.len();
        if let Some(front) = larger.get_mut(..count) {
            front.copy_from_slice(self.bytes());
        }
        self.give_back();
        STORES.with(|all| {
            let lent = &store(all, self.size).lent;
            lent.set(lent.get() + 1);
        });
        self.block = Some(larger);
        self.end = count as u32;
    }

    /// Bytes of the block that it holds.
    #[inline]
    pub fn block_bytes(&self) -> usize {
        self.block.as_ref().map_or(0, |block| block.len())
    }

    /// Moves a few unread bytes into a small block: they will lie there for a while.
    pub fn shrink(&mut self) {
        if self.size == Size::Small || self.len() > Size::Small.bytes() {
            return;
        }
        let mut small = Buffer::empty();
        if let Some(space) = small.space().get_mut(..self.len()) {
            space.copy_from_slice(self.bytes());
            small.filled(self.len());
        }
        *self = small;
    }

    /// Takes what lies behind the first `at` unread bytes into a buffer of its own.
    pub fn split_off(&mut self, at: usize) -> Buffer {
        let mut rest = Buffer::sized(self.size);
        let behind = self.bytes().get(at..).unwrap_or(&[]);
        if !behind.is_empty() {
            rest.reserve(behind.len());
            if let Some(space) = rest.space().get_mut(..behind.len()) {
                space.copy_from_slice(behind);
                rest.filled(behind.len());
            }
        }
        self.truncate(at);
        rest
    }

    /// Moves unread bytes into a block of just their size: they will lie there for long.
    pub fn shrink_to_fit(&mut self) {
        let block = Box::<[u8]>::from(self.bytes());
        let end = block.len() as u32;
        self.give_back();
        STORES.with(|all| {
            let lent = &store(all, self.size).lent;
            lent.set(lent.get() + 1);
        });
        (self.block, self.end) = (Some(block), end);
    }

    /// Gives the block back if nothing is unread.
    #[inline]
    pub fn release(&mut self) {
        if self.is_empty() {
            self.give_back();
        }
    }

    #[inline]
    fn range(&self) -> Range<usize> {
        self.start as usize..self.end as usize
    }

    #[inline]
    fn give_back(&mut self) {
        self.start = 0;
        self.end = 0;
        if let Some(block) = self.block.take() {
            let size = self.size;
            // The stores are gone when the thread ends before its last buffer: then it just drops.
            let _ = STORES.try_with(|all| store(all, size).give(block, size));
        }
    }
}

fn store(all: &[Store; 2], size: Size) -> &Store {
    // There is a store for each size, in their order.
    &all[size as usize]
}

impl Drop for Buffer {
    fn drop(&mut self) {
        self.give_back();
    }
}

/// Gives blocks that nobody needed since the last call back to the allocator.
pub fn trim() {
    STORES.with(|all| all.iter().for_each(|store| store.blocks.trim()));
}

/// Bytes of blocks that stand unused in this thread's stores.
pub fn unused() -> usize {
    sum(|store| store.blocks.len())
}

/// Bytes of blocks in use, as far as they have the usual sizes.
pub fn lent() -> usize {
    sum(|store| store.lent.get())
}

fn sum(count: impl Fn(&Store) -> usize) -> usize {
    STORES.with(|all| {
        let stores = Size::ALL.into_iter().zip(all);
        stores.map(|(size, store)| count(store) * size.bytes()).sum()
    })
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
        assert_eq!(buffer.space().len(), Size::Small.bytes() - 5);
        buffer.consume(99);
        assert!(buffer.is_empty());
    }

    #[test]
    fn a_buffer_grows_beyond_its_block_and_keeps_what_is_unread() {
        let mut buffer = Buffer::of(b"xxhead");
        buffer.consume(2);
        buffer.reserve(Size::Small.bytes() + 1);
        assert_eq!(buffer.bytes(), b"head");
        assert!(buffer.space().len() > Size::Small.bytes() - 4);
    }

    #[test]
    fn room_is_made_at_the_front_before_a_larger_block_is_taken() {
        let mut buffer = Buffer::of(&[b'x'; 1000]);
        buffer.consume(990);
        let all = Size::Small.bytes();
        buffer.reserve(all);
        assert_eq!((buffer.len(), buffer.space().len()), (10, all - 10));
        buffer.space().fill(b'y');
        buffer.filled(all);
        assert!(buffer.is_full());
        assert_eq!(buffer.len(), all, "more than there is room for cannot be filled");
        assert!(buffer.space().is_empty());
    }

    #[test]
    fn ranges_out_of_bounds_are_empty_and_the_rest_can_be_dropped() {
        let mut buffer = Buffer::of(b"hello world");
        buffer.consume(6);
        assert_eq!(buffer.part(1..3), b"or");
        assert_eq!((buffer.part(3..6), buffer.part(9..10)), (&b""[..], &b""[..]));
        buffer.truncate(2);
        assert_eq!(buffer.bytes(), b"wo");
        buffer.bytes_mut()[0] = b'g';
        buffer.truncate(99);
        assert_eq!(buffer.bytes(), b"go");
        assert!(Buffer::empty().bytes_mut().is_empty());
    }

    #[test]
    fn a_buffer_with_unread_bytes_keeps_its_block_and_an_empty_one_gives_it_back() {
        let mut buffer = Buffer::of(b"x");
        buffer.release();
        assert_eq!((buffer.bytes(), lent()), (&b"x"[..], Size::Small.bytes()));
        buffer.consume(1);
        buffer.release();
        assert_eq!((lent(), unused()), (0, Size::Small.bytes()));
    }

    #[test]
    fn a_few_bytes_move_into_a_small_block_and_many_stay() {
        for (count, block) in [(0, Size::Small), (9, Size::Small), (20_000, Size::Large)] {
            let mut buffer = Buffer::sized(Size::Large);
            buffer.space()[..count + 3].fill(b'x');
            buffer.filled(count + 3);
            buffer.consume(3);
            buffer.shrink();
            assert_eq!(buffer.bytes(), vec![b'x'; count]);
            assert_eq!(lent(), block.bytes());
        }
    }

    #[test]
    fn blocks_of_each_size_have_a_store_of_their_own_and_odd_ones_have_none() {
        for size in Size::ALL {
            let mut buffer = Buffer::sized(size);
            assert_eq!(buffer.space().len(), size.bytes());
        }
        let all: usize = Size::ALL.into_iter().map(Size::bytes).sum();
        assert_eq!((lent(), unused()), (0, all));
        let mut odd = Buffer::empty();
        odd.reserve(1 << 20);
        assert!(odd.space().len() >= 1 << 20);
        drop(odd);
        assert_eq!(
            (lent(), unused()),
            (0, all),
            "a block of no usual size goes back to the allocator"
        );
    }

    #[test]
    fn blocks_come_back_to_the_store_and_are_trimmed_when_unused() {
        let held: Vec<Buffer> = (0..8).map(|_| Buffer::of(b"x")).collect();
        drop(held);
        assert_eq!(unused(), 8 * Size::Small.bytes());
        trim();
        trim();
        trim();
        assert!(unused() < 8 * Size::Small.bytes());
    }
}

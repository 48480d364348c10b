//! How a segment lies in memory.
//!
//! ```text
//! word 0   magic
//!      1   hash of the families: what the slots mean
//!      2   words in use, published after what they hold
//!      3   the writer's last sign of life (milliseconds, its monotonic clock)
//!      4   odd while counts move from one record to another, another number after that
//!      5…7 zero
//!      8…  records, one after the other:
//!          0   kind | words for names << 16 | words of counters << 32
//!          1   state (0 changing, 1 live, 2 retired) | generation << 2
//!          2   bytes of names
//!          3…  names, joined by NUL, in the room set aside for them
//!          …   counters
//! ```
//!
//! Rules kept here:
//! - Word 0 of a record never changes, so a reader can always step over it.
//! - What a released route has counted moves to a record of its listener and pool whose route has no
//!   name, and which is never live: sums over routes do not fall when a plan drops one.
//! - While a record changes owner its state is 0; a reader that sees another state after than
//!   before drops what it read.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::StatsError;
use crate::families::{FAMILIES, Kind, Metric, family};

pub(crate) const MAGIC: u64 = u64::from_le_bytes(*b"EVENERST");
pub(crate) const HASH: usize = 1;
pub(crate) const USED: usize = 2;
pub(crate) const STAMP: usize = 3;
pub(crate) const MOVES: usize = 4;
pub(crate) const HEADER: usize = 8;
pub(crate) const RECORD_HEADER: usize = 3;

pub(crate) const CHANGING: u64 = 0;
pub(crate) const LIVE: u64 = 1;
pub(crate) const RETIRED: u64 = 2;

/// Adds to a word that only the caller writes.
#[inline]
pub(crate) fn add(word: &AtomicU64, n: u64) {
    word.store(word.load(Ordering::Relaxed).wrapping_add(n), Ordering::Relaxed);
}

/// The names of the record that keeps what released routes of the same listener and pool counted.
pub(crate) fn rest_of(route: &str) -> Option<String> {
    let (listener, rest) = route.split_once('\0')?;
    let (_, pool) = rest.split_once('\0')?;
    Some(format!("{listener}\0\0{pool}"))
}

/// A number that changes whenever the meaning of a segment's words does (FNV-1a over the lists).
pub fn layout_hash() -> u64 {
    static HASH: LazyLock<u64> = LazyLock::new(hash_families);
    *HASH
}

fn hash_families() -> u64 {
    let mut hash = Fnv(0xcbf2_9ce4_8422_2325);
    hash.eat(include_str!("layout.rs").lines().take_while(|line| line.starts_with("//!")));
    for family in FAMILIES {
        hash.eat([&*format!("{:?} {}", family.kind, family.words)]);
        hash.eat(family.labels.iter().copied());
        for Metric { name, labels, slot, .. } in family.metrics() {
            hash.eat([&*format!("{name} {labels:?} {slot}")]);
        }
    }
    hash.0
}

/// The writer's last sign of life, as it gave it to [`crate::Segment::stamp`].
///
/// # Errors
/// [`StatsError::NotASegment`] or [`StatsError::OtherLayout`].
pub fn stamp_of(words: &[AtomicU64]) -> Result<u64, StatsError> {
    check_header(words)?;
    Ok(words[STAMP].load(Ordering::Relaxed))
}

/// Words in use, if this is a segment that this build understands.
pub(crate) fn check_header(words: &[AtomicU64]) -> Result<usize, StatsError> {
    let header: &[AtomicU64; HEADER] = words.first_chunk().ok_or(StatsError::NotASegment)?;
    if header[0].load(Ordering::Relaxed) != MAGIC {
        return Err(StatsError::NotASegment);
    }
    // The hash is read after the publication of `used`, which is stored last.
    let used = header[USED].load(Ordering::Acquire) as usize;
    let (found, expected) = (header[HASH].load(Ordering::Relaxed), layout_hash());
    if found != expected {
        return Err(StatsError::OtherLayout { found, expected });
    }
    if used < HEADER || used > words.len() {
        return Err(StatsError::Damaged { at: USED });
    }
    Ok(used)
}

/// Where the parts of a record are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) kind: Kind,
    pub(crate) at: usize,
    pub(crate) room: usize,
    pub(crate) slots: usize,
}

impl Place {
    /// A record for names of so many bytes. Room is set aside in steps of 32 bytes, so that a
    /// later owner's names are likely to fit.
    pub(crate) fn new(kind: Kind, at: usize, name_bytes: usize) -> Place {
        Place { kind, at, room: name_bytes.div_ceil(32).max(1) * 4, slots: family(kind).words }
    }

    pub(crate) fn parse(words: &[AtomicU64], at: usize) -> Result<Place, StatsError> {
        let damaged = StatsError::Damaged { at };
        let word = words.get(at).map(|word| word.load(Ordering::Relaxed));
        let Some(word) = word else { return Err(damaged) };
        let Some(kind) = Kind::from_number(word & 0xffff) else { return Err(damaged) };
        let place =
            Place { kind, at, room: (word >> 16 & 0xffff) as usize, slots: (word >> 32) as usize };
        if place.slots != family(kind).words || place.end() > words.len() {
            return Err(damaged);
        }
        Ok(place)
    }

    pub(crate) fn word(&self) -> u64 {
        self.kind as u64 | (self.room as u64) << 16 | (self.slots as u64) << 32
    }

    pub(crate) fn state(&self) -> usize {
        self.at + 1
    }

    pub(crate) fn name_bytes(&self) -> usize {
        self.at + 2
    }

    pub(crate) fn names(&self) -> usize {
        self.at + RECORD_HEADER
    }

    pub(crate) fn counters(&self) -> usize {
        self.names() + self.room
    }

    pub(crate) fn end(&self) -> usize {
        self.counters() + self.slots
    }
}

struct Fnv(u64);

impl Fnv {
    fn eat<'a>(&mut self, texts: impl IntoIterator<Item = &'a str>) {
        for text in texts {
            for byte in text.bytes().chain([0]) {
                self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
            }
        }
    }
}

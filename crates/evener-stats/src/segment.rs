//! The writer's side of a segment: entries come, stay over reloads, retire and make room.
//!
//! Rules kept here:
//! - One writer. What it stores is published: a record's words before the count of words in use.
//! - An entry that is added again under the same names is the same entry, with its counts.
//! - What a route has counted stays in the sums of its listener and pool when it is released.
//! - A retired entry's words go to another owner only once its last user is known to be gone
//!   ([`Segment::release`]), and only in a later generation.
//! - The memory only grows. Blocks handed out before it grew stay valid: the caller maps the same
//!   pages again, longer.
//!
//! Not known here: what is counted.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering, fence};

use crate::StatsError;
use crate::families::Kind;
use crate::layout::{
    CHANGING, HASH, HEADER, LIVE, MAGIC, MOVES, Place, RETIRED, STAMP, USED, add, rest_of,
};
use crate::{family, layout_hash};

/// A typed view of an entry's counters.
pub trait Block<'m>: Copy {
    /// Whose counters these are.
    const KIND: Kind;

    /// The view, if there are exactly as many words as the family has.
    fn over(words: &'m [AtomicU64]) -> Option<Self>;
}

/// Gives the whole segment anew, at least so many words long and with the same content.
pub type Grow<'g, 'm> =
    &'g mut dyn FnMut(usize) -> Result<&'m [AtomicU64], Box<dyn std::error::Error + Send + Sync>>;

/// A segment, for its only writer.
#[derive(Debug)]
pub struct Segment<'m> {
    words: &'m [AtomicU64],
    used: usize,
    entries: BTreeMap<(Kind, Box<str>), Entry>,
    /// Records whose owner and its users are gone.
    free: Vec<Place>,
    /// What released routes have counted, by listener and pool.
    rests: BTreeMap<Box<str>, Place>,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    place: Place,
    /// The last generation that named it.
    named: u64,
    /// The generation that no longer did.
    retired: Option<u64>,
}

impl<'m> Segment<'m> {
    /// Begins a segment in zeroed memory.
    ///
    /// # Errors
    /// [`StatsError::TooSmall`] below the eight words of the header.
    pub fn create(words: &'m [AtomicU64]) -> Result<Segment<'m>, StatsError> {
        if words.len() < HEADER {
            return Err(StatsError::TooSmall { wanted: HEADER, given: words.len() });
        }
        words[HASH].store(layout_hash(), Ordering::Relaxed);
        words[USED].store(HEADER as u64, Ordering::Release);
        words[0].store(MAGIC, Ordering::Release);
        let (entries, free, rests) = (BTreeMap::new(), Vec::new(), BTreeMap::new());
        Ok(Segment { words, used: HEADER, entries, free, rests })
    }

    /// Leaves a sign of life: the writer's monotonic clock in milliseconds.
    pub fn stamp(&self, now: u64) {
        self.words[STAMP].store(now, Ordering::Relaxed);
    }

    /// The block of the entry with these names (one per label of its family), for a plan of this
    /// generation. Calls `grow` when the memory does not suffice.
    ///
    /// # Errors
    /// [`StatsError::Names`] and [`StatsError::Name`] for names that don't fit the family or the
    /// layout, [`StatsError::Grow`] and [`StatsError::TooSmall`] when the memory does not grow.
    pub fn add<B: Block<'m>>(
        &mut self,
        names: &[&str],
        generation: u64,
        grow: Grow<'_, 'm>,
    ) -> Result<B, StatsError> {
        let key = (B::KIND, join(B::KIND, names)?);
        let place = match self.entries.get_mut(&key) {
            Some(entry) => {
                entry.named = generation;
                if entry.retired.take().is_some() {
                    set_state(self.words, entry.place, LIVE, generation);
                }
                entry.place
            }
            None => {
                let place = self.room_for(key.0, key.1.len(), grow)?;
                self.move_in(place, &key.1, generation);
                let entry = Entry { place, named: generation, retired: None };
                self.entries.insert(key, entry);
                place
            }
        };
        let words = &self.words[place.counters()..place.end()];
        Ok(B::over(words).expect("a place has as many counters as its family"))
    }

    /// Retires the entries that no plan since this generation has named and that `stays` does not
    /// know: they are shown no longer, and their counters go on for who still holds them. `stays`
    /// is asked with a kind and the names, joined by NUL: blocks are found when they are first
    /// used, and what was not used yet is not gone.
    pub fn retire(&mut self, generation: u64, stays: &dyn Fn(Kind, &str) -> bool) {
        for ((kind, names), entry) in &mut self.entries {
            if entry.named >= generation || entry.retired.is_some() {
                continue;
            }
            if stays(*kind, names) {
                entry.named = generation;
                continue;
            }
            entry.retired = Some(generation);
            set_state(self.words, entry.place, RETIRED, generation);
        }
    }

    /// Nobody uses a plan of a generation before `oldest` any more: what retired by then may make
    /// room for others.
    pub fn release(&mut self, oldest: u64) {
        let mut gone = Vec::new();
        self.entries.retain(|(_, names), entry| {
            let stays = entry.retired.is_none_or(|retired| retired > oldest);
            if !stays {
                gone.push((entry.place, names.clone()));
            }
            stays
        });
        for (place, names) in gone {
            match rest_of(&names).filter(|_| place.kind == Kind::Route) {
                Some(rest) => self.fold(place, rest.into()),
                None => self.free.push(place),
            }
        }
    }

    /// A released route's counts become those of its rest: its record becomes the rest itself, if
    /// there is none yet.
    fn fold(&mut self, place: Place, rest: Box<str>) {
        let words = self.words;
        let moves = words[MOVES].load(Ordering::Relaxed);
        words[MOVES].store(moves.wrapping_add(1), Ordering::Relaxed);
        // What follows is not seen before the number that warns of it (a seqlock's write side).
        fence(Ordering::Release);
        set_state(words, place, CHANGING, 0);
        match self.rests.get(&rest) {
            Some(to) => {
                let from = &words[place.counters()..place.end()];
                for (to, from) in words[to.counters()..to.end()].iter().zip(from) {
                    add(to, from.load(Ordering::Relaxed));
                }
                self.free.push(place);
            }
            None => {
                name(words, place, &rest);
                set_state(words, place, RETIRED, 0);
                self.rests.insert(rest, place);
            }
        }
        words[MOVES].store(moves.wrapping_add(2), Ordering::Release);
    }

    fn room_for(
        &mut self,
        kind: Kind,
        name_bytes: usize,
        grow: Grow<'_, 'm>,
    ) -> Result<Place, StatsError> {
        let fits = |place: &Place| place.kind == kind && place.room * 8 >= name_bytes;
        if let Some(found) = self.free.iter().rposition(fits) {
            return Ok(self.free.swap_remove(found));
        }
        let place = Place::new(kind, self.used, name_bytes);
        if place.end() > self.words.len() {
            let words = grow(place.end()).map_err(StatsError::Grow)?;
            if words.len() < place.end() {
                return Err(StatsError::TooSmall { wanted: place.end(), given: words.len() });
            }
            self.words = words;
        }
        Ok(place)
    }

    /// Writes the record, new or left by an earlier owner, and publishes it.
    fn move_in(&mut self, place: Place, names: &str, generation: u64) {
        set_state(self.words, place, CHANGING, 0);
        // What follows is not seen before the state that warns of it (a seqlock's write side).
        fence(Ordering::Release);
        let words = self.words;
        words[place.at].store(place.word(), Ordering::Relaxed);
        name(words, place, names);
        for word in &words[place.counters()..place.end()] {
            word.store(0, Ordering::Relaxed);
        }
        set_state(words, place, LIVE, generation);
        if place.end() > self.used {
            self.used = place.end();
            words[USED].store(self.used as u64, Ordering::Release);
        }
    }
}

fn name(words: &[AtomicU64], place: Place, names: &str) {
    words[place.name_bytes()].store(names.len() as u64, Ordering::Relaxed);
    for (word, bytes) in words[place.names()..].iter().zip(names.as_bytes().chunks(8)) {
        let mut eight = [0; 8];
        eight[..bytes.len()].copy_from_slice(bytes);
        word.store(u64::from_le_bytes(eight), Ordering::Relaxed);
    }
}

fn set_state(words: &[AtomicU64], place: Place, state: u64, generation: u64) {
    words[place.state()].store(state | generation << 2, Ordering::Release);
}

fn join(kind: Kind, names: &[&str]) -> Result<Box<str>, StatsError> {
    let expected = family(kind).labels.len();
    if names.len() != expected {
        return Err(StatsError::Names { expected, found: names.len() });
    }
    if let Some(bad) = names.iter().find(|name| name.contains('\0') || name.len() > 4096) {
        return Err(StatsError::Name((*bad).to_owned()));
    }
    Ok(names.join("\0").into())
}

//! The readers' side: sums over many segments, living and retired.
//!
//! Rules kept here:
//! - Never a panic, whatever the memory holds.
//! - Counters and histograms add up over all segments; gauges count from living ones only.
//! - Counts of routes that moved while they were read are read again: sums over them only rise.
//! - An entry is shown while a living segment has it live; its sums count what retired segments
//!   know of it.
//!
//! Not known here: whose segments these are.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering, fence};

use crate::StatsError;
use crate::families::{Kind, MetricKind, family};
use crate::histogram::Distribution;
use crate::layout::{CHANGING, HEADER, LIVE, MOVES, Place, check_header};

/// Sums by entry.
#[derive(Debug, Default)]
pub struct Totals {
    entries: BTreeMap<(Kind, Box<str>), Sum>,
}

/// Whether a segment still has its writer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Life {
    /// A worker writes it.
    Living,
    /// Its worker is gone.
    Retired,
}

#[derive(Debug)]
struct Sum {
    shown: bool,
    values: Vec<u64>,
}

/// The sums of one entry.
#[derive(Debug, Clone, Copy)]
pub struct Values<'t> {
    words: &'t [u64],
}

impl Totals {
    /// Of nothing yet.
    pub fn new() -> Totals {
        Totals::default()
    }

    /// Adds what a segment holds now.
    ///
    /// # Errors
    /// [`StatsError::NotASegment`], [`StatsError::OtherLayout`] or [`StatsError::Damaged`]; what
    /// was read before the damage counts.
    pub fn add(&mut self, words: &[AtomicU64], life: Life) -> Result<(), StatsError> {
        let used = check_header(words)?;
        let words = &words[..used];
        let mut routes = Vec::new();
        let mut at = HEADER;
        while at < used {
            let place = Place::parse(words, at)?;
            match place.kind {
                Kind::Route => routes.push(place),
                _ => self.merge(read_record(words, place, life)?, life),
            }
            at = place.end();
        }
        for record in read_routes(words, &routes, life)? {
            self.merge(Some(record), life);
        }
        Ok(())
    }

    /// The sums of an entry that is shown.
    pub fn values(&self, kind: Kind, names: &[&str]) -> Option<Values<'_>> {
        let sum = self.entries.get(&(kind, names.join("\0").into()))?;
        sum.shown.then_some(Values { words: &sum.values })
    }

    /// All entries of a kind that are shown, by name.
    pub fn entries(&self, kind: Kind) -> impl Iterator<Item = (Vec<&str>, Values<'_>)> {
        let shown = self.all(kind).filter(|(_, _, shown)| *shown);
        shown.map(|(names, values, _)| (names, values))
    }

    /// All entries of a kind by name, and whether each is shown: sums over entries go on with those
    /// that no longer are.
    pub fn all(&self, kind: Kind) -> impl Iterator<Item = (Vec<&str>, Values<'_>, bool)> {
        let all = self.entries.range((kind, "".into())..);
        let all = all.take_while(move |((found, _), _)| *found == kind);
        all.map(move |((_, names), sum)| {
            let names = match family(kind).labels {
                [] => Vec::new(),
                _ => names.split('\0').collect(),
            };
            (names, Values { words: &sum.values }, sum.shown)
        })
    }

    fn merge(&mut self, record: Option<Record>, life: Life) {
        let Some(Record { kind, names, values, shown }) = record else { return };
        let sum = self
            .entries
            .entry((kind, names))
            .or_insert_with(|| Sum { shown: false, values: vec![0; values.len()] });
        sum.shown |= shown;
        let gauges = family(kind).metrics().filter(|metric| metric.kind == MetricKind::Gauge);
        let gauges: Vec<usize> = match life {
            Life::Living => Vec::new(),
            Life::Retired => gauges.map(|metric| metric.slot).collect(),
        };
        for (slot, (ours, theirs)) in sum.values.iter_mut().zip(values).enumerate() {
            if !gauges.contains(&slot) {
                *ours = ours.wrapping_add(theirs);
            }
        }
    }
}

/// What was read of one record.
struct Record {
    kind: Kind,
    names: Box<str>,
    values: Vec<u64>,
    shown: bool,
}

/// Reads a record; nothing while it changes its owner, since it has nothing to say then.
fn read_record(
    words: &[AtomicU64],
    place: Place,
    life: Life,
) -> Result<Option<Record>, StatsError> {
    let mut state = words[place.state()].load(Ordering::Acquire);
    while state & 3 != CHANGING {
        let (names, values) = (names(words, place), read(words, place));
        fence(Ordering::Acquire);
        let now = words[place.state()].load(Ordering::Relaxed);
        if now == state {
            let names = names?;
            let shown = life == Life::Living && state & 3 == LIVE;
            return Ok(Some(Record { kind: place.kind, names, values, shown }));
        }
        // It has retired meanwhile, which takes nothing from its counts, or has another owner.
        state = now;
    }
    Ok(None)
}

/// Reads all routes at a moment when no counts move between them.
fn read_routes(
    words: &[AtomicU64],
    places: &[Place],
    life: Life,
) -> Result<Vec<Record>, StatsError> {
    /// A writer that died in the middle of a move leaves the number where it is for ever; one that
    /// was only interrupted goes on.
    const STUCK: usize = 1000;
    let mut records = Vec::new();
    let (mut last, mut times) = (None, 0);
    loop {
        let before = words[MOVES].load(Ordering::Acquire);
        records.clear();
        for place in places {
            records.extend(read_record(words, *place, life)?);
        }
        fence(Ordering::Acquire);
        let still = before.is_multiple_of(2) && words[MOVES].load(Ordering::Relaxed) == before;
        // Whoever moves counts all the time is waited for: each move is a route that a reload took.
        times = if last == Some(before) { times + 1 } else { 0 };
        last = Some(before);
        if times > 0 {
            std::thread::yield_now();
        }
        if still || times == STUCK {
            return Ok(records);
        }
    }
}

impl Values<'_> {
    /// The sum at a counter's or gauge's slot.
    pub fn at(&self, slot: usize) -> u64 {
        self.words.get(slot).copied().unwrap_or(0)
    }

    /// The histogram at a slot.
    pub fn distribution(&self, slot: usize) -> Distribution {
        Distribution::from_words(self.words.get(slot..).unwrap_or(&[]))
    }
}

fn names(words: &[AtomicU64], place: Place) -> Result<Box<str>, StatsError> {
    let damaged = || StatsError::Damaged { at: place.at };
    let len = words[place.name_bytes()].load(Ordering::Relaxed);
    let room = &words[place.names()..place.counters()];
    let bytes = room.iter().flat_map(|word| word.load(Ordering::Relaxed).to_le_bytes());
    let mut bytes: Vec<u8> = bytes.collect();
    let len = usize::try_from(len).ok().filter(|len| *len <= bytes.len());
    bytes.truncate(len.ok_or_else(damaged)?);
    let text = String::from_utf8(bytes).map_err(|_| damaged())?;
    let labels = family(place.kind).labels.len();
    if text.split('\0').count() != labels.max(1) {
        return Err(damaged());
    }
    Ok(text.into())
}

fn read(words: &[AtomicU64], place: Place) -> Vec<u64> {
    let counters = &words[place.counters()..place.end()];
    counters.iter().map(|word| word.load(Ordering::Relaxed)).collect()
}

//! The readers' side: sums over many segments, living and retired.
//!
//! Rules kept here:
//! - Never a panic, whatever the memory holds.
//! - Counters and histograms add up over all segments; gauges count from living ones only.
//! - An entry is shown while a living segment has it live; its sums count what retired segments
//!   know of it.
//!
//! Not known here: whose segments these are.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering, fence};

use crate::StatsError;
use crate::families::{Kind, MetricKind, family};
use crate::histogram::Distribution;
use crate::layout::{CHANGING, HEADER, LIVE, Place, check_header};

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
        let mut at = HEADER;
        while at < used {
            let place = Place::parse(words, at)?;
            self.add_record(words, place, life)?;
            at = place.end();
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
        let all = self.entries.range((kind, "".into())..);
        let all = all.take_while(move |((found, _), _)| *found == kind);
        all.filter(|(_, sum)| sum.shown).map(move |((_, names), sum)| {
            let names = match family(kind).labels {
                [] => Vec::new(),
                _ => names.split('\0').collect(),
            };
            (names, Values { words: &sum.values })
        })
    }

    fn add_record(
        &mut self,
        words: &[AtomicU64],
        place: Place,
        life: Life,
    ) -> Result<(), StatsError> {
        let state = words[place.state()].load(Ordering::Acquire);
        if state & 3 == CHANGING {
            return Ok(());
        }
        let names = names(words, place)?;
        let values = read(words, place);
        // A record that changed its owner meanwhile is dropped; it has nothing to say yet.
        fence(Ordering::Acquire);
        if words[place.state()].load(Ordering::Relaxed) != state {
            return Ok(());
        }
        let shown = life == Life::Living && state & 3 == LIVE;
        self.merge(place.kind, names, values, shown, life);
        Ok(())
    }

    fn merge(&mut self, kind: Kind, names: Box<str>, values: Vec<u64>, shown: bool, life: Life) {
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

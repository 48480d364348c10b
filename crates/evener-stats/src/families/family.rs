//! What a family of metrics is, and the macro that makes one from its list.
//!
//! Rules kept here:
//! - A block's words are its counters, then its gauges, then its histograms, in the list's order.
//! - Only the segment's writer has blocks; each change is a relaxed load and store.

use crate::histogram::WORDS;

/// What an entry of a segment counts for. The numbers are part of the layout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Kind {
    /// A shard of the worker.
    Worker = 1,
    /// A listener.
    Listener = 2,
    /// A route of a listener.
    Route = 3,
    /// A pool.
    Pool = 4,
    /// A server of a pool.
    Server = 5,
}

/// The metrics of one kind.
#[derive(Debug)]
pub struct Family {
    /// Whose they are.
    pub kind: Kind,
    /// Labels that name an entry, in the order of its names.
    pub labels: &'static [&'static str],
    /// Words of a block.
    pub words: usize,
    pub(crate) lists: [&'static [Metric]; 3],
}

/// One series of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metric {
    /// Its name on the page.
    pub name: &'static str,
    /// What it means.
    pub help: &'static str,
    /// What it is.
    pub kind: MetricKind,
    /// Further labels and their values.
    pub labels: &'static [(&'static str, &'static str)],
    /// Its first word in the block.
    pub slot: usize,
}

/// What a metric is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricKind {
    /// Only rises.
    Counter,
    /// A level; counts from living segments only.
    Gauge,
    /// Times by size.
    Histogram,
}

impl Kind {
    /// The kind with this number.
    pub(crate) fn from_number(number: u64) -> Option<Kind> {
        let all = [Kind::Worker, Kind::Listener, Kind::Route, Kind::Pool, Kind::Server];
        all.into_iter().find(|kind| *kind as u64 == number)
    }
}

impl Family {
    /// All series of an entry, in the order of their slots.
    pub fn metrics(&self) -> impl Iterator<Item = &'static Metric> + use<> {
        self.lists.into_iter().flatten()
    }
}

impl Metric {
    /// Words it takes.
    pub fn words(&self) -> usize {
        match self.kind {
            MetricKind::Histogram => WORDS,
            MetricKind::Counter | MetricKind::Gauge => 1,
        }
    }
}

/// Declares a family: the enums that the code says, the block it writes to, the list that readers
/// go by.
macro_rules! family {
    (
        $block:ident of Kind::$kind:ident labels [$($label:literal),*];
        counters $counter:ident { $($counters:tt)* }
        $(gauges $gauge:ident { $($gauges:tt)* })?
        $(histograms $histogram:ident { $($histograms:tt)* })?
    ) => {
        metrics! { $counter, Counter, 0, 1, $($counters)* }
        $(metrics! { $gauge, Gauge, $counter::LIST.len(), 1, $($gauges)* })?
        $(metrics! {
            $histogram, Histogram, $block::LEVELS, $crate::histogram::WORDS, $($histograms)*
        })?

        #[doc = concat!("The counters of one entry of [`Kind::", stringify!($kind), "`].")]
        #[derive(Debug, Clone, Copy)]
        pub struct $block<'m> {
            words: &'m [std::sync::atomic::AtomicU64; $block::WORDS],
        }

        impl $block<'_> {
            const LEVELS: usize = $counter::LIST.len() $(+ $gauge::LIST.len())?;
            const WORDS: usize = $block::LEVELS
                $(+ $histogram::LIST.len() * $crate::histogram::WORDS)?;
            /// What a block holds.
            pub const FAMILY: &'static Family = &Family {
                kind: Kind::$kind,
                labels: &[$($label),*],
                words: $block::WORDS,
                lists: family!(@lists $counter, [$($gauge)?], [$($histogram)?]),
            };

            /// Adds to a counter.
            #[inline]
            pub fn add(self, counter: $counter, n: u64) {
                $crate::layout::add(&self.words[counter as usize], n);
            }

            /// What a counter holds in this block.
            pub fn counted(self, counter: $counter) -> u64 {
                self.words[counter as usize].load(std::sync::atomic::Ordering::Relaxed)
            }

            $(
            /// Sets a gauge.
            #[inline]
            pub fn set(self, gauge: $gauge, n: u64) {
                let word = &self.words[$counter::LIST.len() + gauge as usize];
                word.store(n, std::sync::atomic::Ordering::Relaxed);
            }

            /// Raises a gauge by one.
            #[inline]
            pub fn raise(self, gauge: $gauge) {
                $crate::layout::add(&self.words[$counter::LIST.len() + gauge as usize], 1);
            }

            /// Lowers a gauge by one.
            #[inline]
            pub fn lower(self, gauge: $gauge) {
                let word = &self.words[$counter::LIST.len() + gauge as usize];
                $crate::layout::add(word, u64::MAX);
            }
            )?

            $(
            /// Records a time.
            #[inline]
            pub fn record(self, histogram: $histogram, micros: u64) {
                let from = $block::LEVELS + histogram as usize * $crate::histogram::WORDS;
                if let Some(words) = self.words[from..].first_chunk() {
                    $crate::histogram::record(words, micros);
                }
            }
            )?
        }

        impl<'m> $crate::segment::Block<'m> for $block<'m> {
            const KIND: Kind = Kind::$kind;

            fn over(words: &'m [std::sync::atomic::AtomicU64]) -> Option<Self> {
                Some($block { words: words.try_into().ok()? })
            }
        }
    };
    (@lists $counter:ident, [], []) => { [$counter::LIST, &[], &[]] };
    (@lists $counter:ident, [$gauge:ident], []) => { [$counter::LIST, $gauge::LIST, &[]] };
    (@lists $counter:ident, [], [$histogram:ident]) => {
        [$counter::LIST, &[], $histogram::LIST]
    };
    (@lists $counter:ident, [$gauge:ident], [$histogram:ident]) => {
        [$counter::LIST, $gauge::LIST, $histogram::LIST]
    };
}

/// Declares the enum of one sort of a family's metrics and its list; `$from` is the first slot,
/// `$each` the words of one.
macro_rules! metrics {
    (
        $name:ident, $sort:ident, $from:expr, $each:expr,
        $($metric:literal : $help:literal => {
            $($variant:ident [$($key:ident = $value:literal),*]),+ $(,)?
        })+
    ) => {
        /// Words of the code for metrics of one family.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name {
            $($(
                #[doc = concat!("`", $metric, "`", $(" ", stringify!($key), "=", $value,)* ": ", $help)]
                $variant,
            )+)+
        }

        impl $name {
            /// Their list, in the order of the slots.
            pub const LIST: &'static [Metric] = &[$($(
                Metric {
                    name: $metric,
                    help: $help,
                    kind: MetricKind::$sort,
                    labels: &[$((stringify!($key), $value)),*],
                    slot: $from + $name::$variant as usize * $each,
                },
            )+)+];
        }
    };
}

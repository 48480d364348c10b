//! Times in microseconds, counted by size.
//!
//! Rules kept here:
//! - 128 fixed buckets: up to 10 µs, then eighteen per decade (1 to 10 in steps of a half) up to
//!   100 s, then the rest. So each of the page's bounds is a bucket's bound, exactly, and
//!   histograms merge by adding.
//! - A bound belongs to its bucket (`le`).
//! - The number of records is the sum of the buckets, so a reader never sees the two disagree.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Buckets of a histogram.
pub(crate) const BUCKETS: usize = 128;
/// Words a histogram takes: its buckets and the sum of the recorded microseconds.
pub(crate) const WORDS: usize = BUCKETS + 1;

/// Upper bounds of the page's buckets, in microseconds, with their text in seconds: OpenTelemetry's
/// advised bounds with 1 and 2.5 ms before them.
pub const BOUNDS: [(u64, &str); 16] = [
    (1_000, "0.001"),
    (2_500, "0.0025"),
    (5_000, "0.005"),
    (10_000, "0.01"),
    (25_000, "0.025"),
    (50_000, "0.05"),
    (75_000, "0.075"),
    (100_000, "0.1"),
    (250_000, "0.25"),
    (500_000, "0.5"),
    (750_000, "0.75"),
    (1_000_000, "1"),
    (2_500_000, "2.5"),
    (5_000_000, "5"),
    (7_500_000, "7.5"),
    (10_000_000, "10"),
];

const PER_DECADE: usize = 18;
const FIRST: u32 = 10;
const LAST: u32 = 100_000_000;
const POWERS: [u32; 9] = [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000];

/// Adds a record to the words of a histogram. Its only writer calls this.
#[inline]
pub(crate) fn record(words: &[AtomicU64; WORDS], micros: u64) {
    let bucket = &words[bucket_of(micros) % BUCKETS];
    bucket.store(bucket.load(Relaxed).wrapping_add(1), Relaxed);
    let sum = &words[BUCKETS];
    sum.store(sum.load(Relaxed).wrapping_add(micros), Relaxed);
}

/// Index of the bucket that holds a time.
#[inline]
fn bucket_of(micros: u64) -> usize {
    if micros > u64::from(LAST) {
        return BUCKETS - 1;
    }
    let micros = micros as u32;
    if micros <= FIRST {
        return 0;
    }
    let decade = micros.ilog10() as usize;
    let halves = (2 * micros).div_ceil(POWERS[decade]) as usize;
    (decade - 1) * PER_DECADE + halves - 2
}

/// Upper bound of a bucket in microseconds; the last has none.
fn bound_of(bucket: usize) -> Option<u64> {
    let (decade, step) = (bucket / PER_DECADE, bucket % PER_DECADE);
    let power = u64::from(*POWERS.get(decade + 1)?);
    (bucket < BUCKETS - 1).then(|| power * (step as u64 + 2) / 2)
}

/// A histogram as it was read, or several merged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Distribution {
    buckets: [u64; BUCKETS],
    sum: u64,
}

impl Distribution {
    /// Nothing recorded.
    pub const EMPTY: Distribution = Distribution { buckets: [0; BUCKETS], sum: 0 };

    /// From words as they lie in a segment; missing words are zero.
    pub(crate) fn from_words(words: &[u64]) -> Distribution {
        let mut read = Distribution::EMPTY;
        for (bucket, word) in read.buckets.iter_mut().zip(words) {
            *bucket = *word;
        }
        read.sum = words.get(BUCKETS).copied().unwrap_or(0);
        read
    }

    /// Adds another's records.
    pub fn merge(&mut self, other: &Distribution) {
        for (ours, theirs) in self.buckets.iter_mut().zip(&other.buckets) {
            *ours = ours.wrapping_add(*theirs);
        }
        self.sum = self.sum.wrapping_add(other.sum);
    }

    /// Buckets with records: lower and upper bound in microseconds (the last bucket has no upper
    /// one), records.
    pub fn buckets(&self) -> impl Iterator<Item = (u64, Option<u64>, u64)> {
        let lower = |bucket: usize| bucket.checked_sub(1).and_then(bound_of).unwrap_or(0);
        let all = self.buckets.iter().enumerate();
        let all = all.map(move |(bucket, count)| (lower(bucket), bound_of(bucket), *count));
        all.filter(|(_, _, count)| *count > 0)
    }

    /// Records.
    pub fn count(&self) -> u64 {
        self.buckets.iter().fold(0, |sum, n| sum.wrapping_add(*n))
    }

    /// All recorded times together, in microseconds.
    pub fn sum(&self) -> u64 {
        self.sum
    }

    /// Records of at most so many microseconds; exact where a bucket ends there, as at each of
    /// [`BOUNDS`], else of the buckets that end before.
    pub fn at_most(&self, micros: u64) -> u64 {
        let within = |bucket: &usize| bound_of(*bucket).is_some_and(|bound| bound <= micros);
        let buckets = (0..BUCKETS).take_while(within);
        buckets.fold(0, |sum, bucket| sum.wrapping_add(self.buckets[bucket]))
    }

    /// The time, in microseconds, that a share `q` (0 to 1) of the records does not pass, by
    /// interpolation within a bucket (a tenth of the value at worst, a third below 15 µs); 100 s
    /// if it lies beyond. `None` without records.
    pub fn quantile(&self, q: f64) -> Option<f64> {
        let count = self.count();
        if count == 0 {
            return None;
        }
        let rank = q.clamp(0.0, 1.0) * count as f64;
        let mut below = 0.0;
        let mut lower = 0.0;
        for (bucket, held) in self.buckets.iter().enumerate() {
            let Some(upper) = bound_of(bucket) else { break };
            let (held, upper) = (*held as f64, upper as f64);
            if held > 0.0 && below + held >= rank {
                return Some(lower + (upper - lower) * ((rank - below) / held).max(0.0));
            }
            below += held;
            lower = upper;
        }
        Some(f64::from(LAST))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn fresh() -> [AtomicU64; WORDS] {
        [const { AtomicU64::new(0) }; WORDS]
    }

    fn read(words: &[AtomicU64; WORDS]) -> Distribution {
        let words: Vec<u64> = words.iter().map(|word| word.load(Relaxed)).collect();
        Distribution::from_words(&words)
    }

    #[test]
    fn bounds_rise_and_each_belongs_to_its_bucket() {
        for bucket in 0..BUCKETS - 1 {
            let bound = bound_of(bucket).unwrap();
            assert_eq!(bucket_of(bound), bucket, "{bound}");
            assert_eq!(bucket_of(bound + 1), bucket + 1, "{bound} + 1");
        }
        assert_eq!(bound_of(BUCKETS - 2), Some(u64::from(LAST)));
        assert_eq!(bound_of(BUCKETS - 1), None);
        assert_eq!((bucket_of(0), bucket_of(u64::MAX)), (0, BUCKETS - 1));
    }

    #[test]
    fn every_bound_of_the_page_is_a_bound_of_a_bucket() {
        for (micros, text) in BOUNDS {
            assert_eq!(bound_of(bucket_of(micros)), Some(micros));
            assert_eq!(text.parse::<f64>().unwrap() * 1e6, micros as f64);
        }
    }

    #[test]
    fn an_empty_one_has_no_quantile_and_overflow_is_said_as_the_last_bound() {
        assert_eq!(Distribution::EMPTY.quantile(0.5), None);
        let words = fresh();
        record(&words, 200_000_000);
        assert_eq!(read(&words).quantile(0.5), Some(100_000_000.0));
    }

    proptest! {
        #[test]
        fn at_most_is_exact_at_the_bounds_and_merging_equals_recording_all(
            times in prop::collection::vec(0u64..20_000_000, 0..200), split in 0usize..200,
        ) {
            let (all, left, right) = (fresh(), fresh(), fresh());
            for (i, &time) in times.iter().enumerate() {
                record(&all, time);
                record(if i < split { &left } else { &right }, time);
            }
            let mut merged = read(&left);
            merged.merge(&read(&right));
            prop_assert_eq!(&merged, &read(&all));
            prop_assert_eq!(merged.count(), times.len() as u64);
            prop_assert_eq!(merged.sum(), times.iter().sum::<u64>());
            for (bound, _) in BOUNDS {
                let exact = times.iter().filter(|time| **time <= bound).count() as u64;
                prop_assert_eq!(merged.at_most(bound), exact);
            }
        }

        #[test]
        fn quantiles_lie_in_the_bucket_of_the_true_value(
            mut times in prop::collection::vec(11u64..90_000_000, 1..200), q in 0.01f64..1.0,
        ) {
            let words = fresh();
            times.iter().for_each(|&time| record(&words, time));
            times.sort_unstable();
            let rank = ((q * times.len() as f64).ceil() as usize).clamp(1, times.len());
            let truth = times[rank - 1];
            let bucket = bucket_of(truth);
            let found = read(&words).quantile(q).unwrap();
            let (low, high) = (bound_of(bucket - 1).unwrap(), bound_of(bucket).unwrap());
            prop_assert!(found >= low as f64 - 1e-6 && found <= high as f64 + 1e-6);
        }
    }
}

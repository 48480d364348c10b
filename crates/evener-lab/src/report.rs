//! What came of a run.

use crate::scenario::Micros;

/// What came of a run: a sample per request, in order of their arrival.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// One per request.
    pub samples: Vec<Sample>,
    /// Tries per server.
    pub picks: Vec<u64>,
    /// Events that the run took.
    pub events: u64,
}

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    /// When it arrived.
    pub at: Micros,
    /// Which server had it last; `None` if nobody was picked.
    pub server: Option<u32>,
    /// How it ended.
    pub ending: Ending,
    /// After how long.
    pub took: Micros,
    /// Servers it was sent to.
    pub tries: u16,
}

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// With this status.
    Answered(u16),
    /// The connection was refused.
    Refused,
    /// The client gave up.
    GaveUp,
    /// No server took it.
    Nobody,
    /// It was never answered, and nobody gave up.
    Open,
}

impl Ending {
    /// An answer below 500.
    pub fn is_good(self) -> bool {
        matches!(self, Ending::Answered(..500))
    }
}

impl Sample {
    /// How long it took to a good answer; without one for ever.
    pub(crate) fn lasted(&self) -> Micros {
        if self.ending.is_good() { self.took } else { Micros::MAX }
    }
}

impl Report {
    /// The part of the requests that arrived in this span; its picks are those of their last tries.
    pub fn between(&self, from: Micros, until: Micros) -> Report {
        let arrived = |sample: &&Sample| from <= sample.at && sample.at < until;
        let samples: Vec<Sample> = self.samples.iter().filter(arrived).copied().collect();
        let mut picks = vec![0; self.picks.len()];
        for server in samples.iter().filter_map(|sample| sample.server) {
            if let Some(picks) = picks.get_mut(server as usize) {
                *picks += 1;
            }
        }
        Report { samples, picks, events: 0 }
    }

    /// Mean time of good answers, in microseconds; 0 without any.
    pub fn mean(&self) -> f64 {
        let good = self.good();
        let count = good.clone().count().max(1) as f64;
        good.map(|sample| sample.took as f64).sum::<f64>() / count
    }

    /// The time that this part of all requests, 0 to 1, stayed below; those without a good answer
    /// took for ever (`None`).
    pub fn quantile(&self, part: f64) -> Option<Micros> {
        let mut times: Vec<Micros> = self.samples.iter().map(Sample::lasted).collect();
        let at = ((times.len() as f64 * part) as usize).min(times.len().checked_sub(1)?);
        let (_, time, _) = times.select_nth_unstable(at);
        Some(*time).filter(|time| *time != Micros::MAX)
    }

    /// The part of the requests that had a good answer within this time; 1 without any.
    pub fn good_within(&self, time: Micros) -> f64 {
        let good = self.good().filter(|sample| sample.took <= time).count();
        match self.samples.len() {
            0 => 1.0,
            all => good as f64 / all as f64,
        }
    }

    fn good(&self) -> impl Iterator<Item = &Sample> + Clone {
        self.samples.iter().filter(|sample| sample.ending.is_good())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_of_all_requests_and_times_of_good_ones() {
        let sample = |at, status, took| Sample {
            at,
            server: Some(at as u32 % 2),
            ending: Ending::Answered(status),
            took,
            tries: 1,
        };
        let samples = vec![sample(0, 200, 10), sample(1, 503, 1), sample(2, 200, 30)];
        let report = Report { samples, picks: vec![2, 1], events: 9 };
        assert_eq!(report.mean(), 20.0);
        assert_eq!(report.quantile(0.5), Some(30));
        assert_eq!(report.quantile(0.99), None, "one had no good answer");
        assert_eq!(report.between(1, 3).picks, [1, 1]);
        assert!((report.good_within(29) - 1.0 / 3.0).abs() < 1e-9);
        assert_eq!(report.between(1, 2).samples.len(), 1);
        assert_eq!(report.between(9, 9).quantile(0.5), None);
    }
}

//! Writing lines of the text format: labels escaped once, series pushed without formatting.
//!
//! Rules kept here:
//! - In label values `\`, `"` and line feeds are escaped, as the format says.
//! - A series is only written below its metric's HELP and TYPE.

use std::fmt::Write;

use crate::histogram::{BOUNDS, Distribution};

/// What a metric is on the page.
#[derive(Debug, Clone, Copy)]
pub(super) enum Sort {
    Counter,
    Gauge,
    Histogram,
    Summary,
}

/// Labels as they stand between the braces.
#[derive(Debug, Clone, Default)]
pub(super) struct Labels(String);

/// The page so far, and the metric it is at.
#[derive(Debug, Default)]
pub(super) struct Text {
    page: String,
    name: String,
}

impl Labels {
    pub(super) fn new() -> Labels {
        Labels::default()
    }

    /// One more label; an empty value is an absent label to Prometheus and is left out.
    pub(super) fn with(mut self, name: &str, value: &str) -> Labels {
        if value.is_empty() {
            return self;
        }
        if !self.0.is_empty() {
            self.0.push(',');
        }
        self.0.push_str(name);
        self.0.push_str("=\"");
        for letter in value.chars() {
            match letter {
                '\\' => self.0.push_str("\\\\"),
                '"' => self.0.push_str("\\\""),
                '\n' => self.0.push_str("\\n"),
                letter => self.0.push(letter),
            }
        }
        self.0.push('"');
        self
    }
}

impl Text {
    pub(super) fn metric(&mut self, name: &str, sort: Sort, help: &str) {
        let sort = match sort {
            Sort::Counter => "counter",
            Sort::Gauge => "gauge",
            Sort::Histogram => "histogram",
            Sort::Summary => "summary",
        };
        for part in ["# HELP ", name, " ", help, "\n# TYPE ", name, " ", sort, "\n"] {
            self.page.push_str(part);
        }
        name.clone_into(&mut self.name);
    }

    pub(super) fn whole(&mut self, labels: &Labels, value: u64) {
        self.series("", [&labels.0, ""]);
        self.number(value);
    }

    /// A series of the labels of its entry and those of its own.
    pub(super) fn whole_of(&mut self, labels: &Labels, own: &Labels, value: u64) {
        self.series("", [&labels.0, &own.0]);
        self.number(value);
    }

    pub(super) fn real(&mut self, labels: &Labels, value: f64) {
        self.series("", [&labels.0, ""]);
        self.float(value);
    }

    pub(super) fn histogram(&mut self, labels: &Labels, times: &Distribution) {
        for (bound, text) in BOUNDS {
            self.bucket(labels, text, times.at_most(bound));
        }
        self.bucket(labels, "+Inf", times.count());
        self.sum_and_count(labels, times);
    }

    pub(super) fn summary(
        &mut self,
        labels: &Labels,
        times: &Distribution,
        quantiles: &[(f64, &str)],
    ) {
        for (quantile, text) in quantiles {
            if let Some(micros) = times.quantile(*quantile) {
                let own = Labels::new().with("quantile", text);
                self.series("", [&labels.0, &own.0]);
                self.float(micros / 1e6);
            }
        }
        self.sum_and_count(labels, times);
    }

    pub(super) fn into_string(self) -> String {
        self.page
    }

    fn bucket(&mut self, labels: &Labels, bound: &str, count: u64) {
        let own = Labels::new().with("le", bound);
        self.series("_bucket", [&labels.0, &own.0]);
        self.number(count);
    }

    fn sum_and_count(&mut self, labels: &Labels, times: &Distribution) {
        self.series("_sum", [&labels.0, ""]);
        self.float(times.sum() as f64 / 1e6);
        self.series("_count", [&labels.0, ""]);
        self.number(times.count());
    }

    fn series(&mut self, suffix: &str, labels: [&str; 2]) {
        let [first, second] = labels;
        self.page.push_str(&self.name);
        self.page.push_str(suffix);
        if !first.is_empty() || !second.is_empty() {
            self.page.push('{');
            self.page.push_str(first);
            if !first.is_empty() && !second.is_empty() {
                self.page.push(',');
            }
            self.page.push_str(second);
            self.page.push('}');
        }
        self.page.push(' ');
    }

    fn number(&mut self, value: u64) {
        // Most series of a large page are 0.
        if value == 0 {
            self.page.push_str("0\n");
        } else {
            writeln!(self.page, "{value}").expect("writing to a String does not fail");
        }
    }

    fn float(&mut self, value: f64) {
        writeln!(self.page, "{value}").expect("writing to a String does not fail");
    }
}

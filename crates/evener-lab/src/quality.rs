//! Quality: what is known of schedulers, reproduced, and what ours must reach.
//!
//! Rules kept here:
//! - One file per study: its model, its parameters and its source stand in the file's charter and
//!   in its [`Study`], nowhere else.
//! - A published figure comes first, to show that the model is the one that was published; then
//!   ours, with the bound that a change may not leave.
//! - Each row is of five seeds. A published figure is met by their mean, a bound by each of them.
//!
//! Not known here: how the table is shown.

mod bounded;
mod buoyant;
mod c3;
mod maglev;
mod prequal;
mod supermarket;
mod traps;

use evener_plan::Scheduler;
use serde::{Deserialize, Serialize};

use crate::error::LabError;

/// A study: a model with its parameters, and where it comes from.
#[derive(Debug, Clone, Copy)]
pub struct Study {
    /// Its name.
    pub name: &'static str,
    /// What it is about.
    pub title: &'static str,
    /// The model and its parameters, in words.
    pub model: &'static str,
    /// Where it comes from.
    pub source: &'static str,
    run: fn(u64) -> Result<Vec<Row>, LabError>,
}

/// A figure with what it must be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// What is measured.
    pub what: String,
    /// Its unit: `%`, `ms`, `s` or nothing.
    pub unit: String,
    /// What it must be.
    pub must: Must,
    /// What it is, by seed.
    pub found: Vec<f64>,
}

/// What a figure must be.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Must {
    /// The published figure, within this part of it, in the mean of all seeds.
    Published(f64, f64),
    /// At least so much, with each seed.
    AtLeast(f64),
    /// At most so much, with each seed.
    AtMost(f64),
}

/// Seeds of a row.
pub const SEEDS: u64 = 5;

/// All studies.
pub const STUDIES: [Study; 7] = [
    buoyant::STUDY,
    supermarket::STUDY,
    prequal::STUDY,
    c3::STUDY,
    maglev::STUDY,
    bounded::STUDY,
    traps::STUDY,
];

impl Study {
    /// Its rows with one seed.
    ///
    /// # Errors
    /// None with the parameters it has.
    pub fn run(&self, seed: u64) -> Result<Vec<Row>, LabError> {
        (self.run)(seed)
    }

    /// Its rows with all seeds.
    ///
    /// # Errors
    /// None with the parameters it has.
    pub fn rows(&self) -> Result<Vec<Row>, LabError> {
        let runs: Result<Vec<Vec<Row>>, LabError> =
            (1..=SEEDS).map(|seed| self.run(seed)).collect();
        Ok(together(runs?))
    }
}

/// The page of all studies, as `docs/concepts/quality.md` has it; `rows` are theirs, in order.
pub fn page(rows: &[Vec<Row>]) -> String {
    let mut page = String::from(PREFACE);
    for (study, rows) in STUDIES.iter().zip(rows) {
        page += &format!("\n## {}\n{}.\n\nSource: {}.\n\n", study.title, study.model, study.source);
        page += "| what | must be | is | of five seeds |\n|---|---|---|---|\n";
        rows.iter().for_each(|row| page += &format!("{}\n", row.line()));
    }
    page
}

/// A figure with as many digits as say something.
fn shown(figure: f64) -> String {
    match figure.abs() {
        100.0.. => format!("{figure:.1}"),
        10.0.. => format!("{figure:.2}"),
        _ => format!("{figure:.3}"),
    }
}

const PREFACE: &str = "\
# Quality of the schedulers

What is published of schedulers, reproduced first, and what ours must reach: each row is a test (`cargo test -p evener-lab`), so
that a change that leaves a bound fails. The studies stand in `crates/evener-lab/src/quality`, a file each, and run with five
seeds in virtual time. `evener lab compare` makes this table on your machine; this page is written by
`cargo run -p evener-lab --example quality -- page > docs/concepts/quality.md`.

A published figure is met by the mean of the seeds, a bound by each of them.
";

/// The rows of several seeds as one table.
pub fn together(runs: Vec<Vec<Row>>) -> Vec<Row> {
    let mut runs = runs.into_iter();
    let mut rows = runs.next().unwrap_or_default();
    for run in runs {
        for (row, other) in rows.iter_mut().zip(run) {
            row.found.extend(other.found);
        }
    }
    rows
}

impl Row {
    fn published(what: &str, unit: &str, figure: f64, part: f64, found: f64) -> Row {
        Row::new(what, unit, Must::Published(figure, part), found)
    }

    fn at_least(what: &str, unit: &str, bound: f64, found: f64) -> Row {
        Row::new(what, unit, Must::AtLeast(bound), found)
    }

    fn at_most(what: &str, unit: &str, bound: f64, found: f64) -> Row {
        Row::new(what, unit, Must::AtMost(bound), found)
    }

    fn new(what: &str, unit: &str, must: Must, found: f64) -> Row {
        Row { what: what.into(), unit: unit.into(), must, found: vec![found] }
    }

    /// The mean of its seeds.
    pub fn mean(&self) -> f64 {
        self.found.iter().sum::<f64>() / self.found.len().max(1) as f64
    }

    /// What is measured and what it must be, as the table has it.
    pub fn head(&self) -> String {
        let unit = if self.unit.is_empty() { String::new() } else { format!(" {}", self.unit) };
        let must = match self.must {
            Must::Published(figure, part) => {
                format!("published {figure}{unit}, within {:.0} %", part * 100.0)
            }
            Must::AtLeast(bound) => format!("≥ {bound}{unit}"),
            Must::AtMost(bound) => format!("≤ {bound}{unit}"),
        };
        format!("| {} | {must} |", self.what)
    }

    /// Its line in the table of the page.
    pub fn line(&self) -> String {
        let least = self.found.iter().copied().fold(f64::INFINITY, f64::min);
        let most = self.found.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let [mean, least, most] = [self.mean(), least, most].map(shown);
        format!("{} **{mean}** | {least} … {most} |", self.head())
    }

    /// Whether it is what it must be.
    pub fn holds(&self) -> bool {
        match self.must {
            Must::Published(figure, part) => (self.mean() / figure - 1.0).abs() <= part,
            Must::AtLeast(bound) => self.found.iter().all(|found| *found >= bound),
            Must::AtMost(bound) => self.found.iter().all(|found| *found <= bound),
        }
    }
}

/// Those of ours that go by load and time, with the parameters that are their defaults.
fn ours() -> [(&'static str, Scheduler); 3] {
    [
        ("random, 2 draws", Scheduler::Random { draws: 2 }),
        ("peak_ewma", PEAK_EWMA),
        ("prequal", PREQUAL),
    ]
}

const PEAK_EWMA: Scheduler = Scheduler::PeakEwma { decay: 10_000, unknown: 1_000 };
const PREQUAL: Scheduler = Scheduler::Prequal { pool: 16, probes: 300, age: 1_000, hot: 84 };

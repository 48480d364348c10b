//! Scenarios and studies as JSON texts: what crosses to other languages.

use crate::error::LabError;
use crate::quality::STUDIES;
use crate::scenario::Scenario;
use crate::summary::Summary;
use crate::world::run;

/// Runs the scenario of a JSON text. Gives its [`Summary`], with so many slices.
///
/// # Errors
/// [`LabError`] says what of it makes no sense.
pub fn run_json(scenario: &str, slices: u32) -> Result<String, LabError> {
    let scenario = Scenario::from_json(scenario)?;
    let report = run(&scenario)?;
    text(&Summary::of(&scenario, &report, slices))
}

/// The rows of a study with one seed, each with whether it holds.
///
/// # Errors
/// [`LabError::NoStudy`] if there is none of this name.
pub fn study_json(name: &str, seed: u64) -> Result<String, LabError> {
    let study = STUDIES.iter().find(|study| study.name == name);
    text(&study.ok_or_else(|| LabError::NoStudy(name.into()))?.run(seed)?)
}

fn text(value: &impl serde::Serialize) -> Result<String, LabError> {
    serde_json::to_string(value).map_err(|error| LabError::NotRead(error.to_string()))
}

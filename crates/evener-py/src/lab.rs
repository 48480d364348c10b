//! The laboratory for Python: JSON texts in and out, the GIL released meanwhile.

use evener_lab::quality::STUDIES;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

pyo3::create_exception!(
    _engine,
    LabError,
    PyValueError,
    "A scenario that cannot be run; the text says why."
);

/// Runs a scenario; both texts are JSON.
#[pyfunction]
fn lab_run(py: Python<'_>, scenario: &str, slices: u32) -> PyResult<String> {
    py.detach(|| evener_lab::run_json(scenario, slices)).map_err(|error| raise(&error))
}

/// The studies of quality: (name, title, model, source).
#[pyfunction]
fn lab_studies() -> Vec<(&'static str, &'static str, &'static str, &'static str)> {
    STUDIES.iter().map(|study| (study.name, study.title, study.model, study.source)).collect()
}

/// The rows of a study with one seed.
#[pyfunction]
fn lab_study(py: Python<'_>, name: &str, seed: u64) -> PyResult<String> {
    py.detach(|| evener_lab::study_json(name, seed)).map_err(|error| raise(&error))
}

fn raise(error: &evener_lab::LabError) -> PyErr {
    LabError::new_err(error.to_string())
}

/// Adds this file's part to the module.
pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("LabError", module.py().get_type::<LabError>())?;
    module.add_function(wrap_pyfunction!(lab_run, module)?)?;
    module.add_function(wrap_pyfunction!(lab_studies, module)?)?;
    module.add_function(wrap_pyfunction!(lab_study, module)?)
}

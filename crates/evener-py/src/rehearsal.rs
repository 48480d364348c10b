//! What a worker would refuse, for Python: texts in, words out, the GIL released meanwhile.

use std::collections::BTreeMap;

use evener_engine::rehearsal;
use pyo3::prelude::*;

/// What a worker would refuse of a plan, a sentence each; nothing if it would serve it.
#[pyfunction]
fn plan_refusals(
    py: Python<'_>,
    plan: &str,
    secrets: BTreeMap<String, String>,
    shards: usize,
) -> Vec<String> {
    py.detach(|| rehearsal::plan(plan, &secrets, shards)).err().unwrap_or_default()
}

/// What is wrong with a regular expression of a route, if anything.
#[pyfunction]
fn pattern_refusal(py: Python<'_>, text: &str) -> Option<String> {
    py.detach(|| rehearsal::pattern(text)).err()
}

/// What is wrong with a chain and its key, or with authorities, if anything.
#[pyfunction]
fn pem_refusal(py: Python<'_>, pem: &str, key: bool) -> Option<String> {
    let read = || if key { rehearsal::key(pem) } else { rehearsal::authorities(pem) };
    py.detach(read).err()
}

/// Adds this file's part to the module.
pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(plan_refusals, module)?)?;
    module.add_function(wrap_pyfunction!(pattern_refusal, module)?)?;
    module.add_function(wrap_pyfunction!(pem_refusal, module)?)
}

//! Counter segments for the supervisor.
//!
//! Rules kept here: descriptors are duplicated, so that the caller may close its own; reading
//! releases the GIL.

use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::{Mutex, PoisonError};

use evener_engine::EngineError;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::error::raise;

/// The counters of one instance. `living` and `retired` are descriptors of segments.
#[pyclass(frozen, module = "evener._engine")]
struct Segments {
    inner: Mutex<evener_engine::segments::Segments>,
}

#[pymethods]
impl Segments {
    #[new]
    fn new(living: Vec<i32>, retired: Vec<i32>) -> PyResult<Segments> {
        let inner = evener_engine::segments::Segments::new(own(&living)?, own(&retired)?);
        Ok(Segments { inner: Mutex::new(inner) })
    }

    /// A number per living segment that changes at each turn of its writer; 0 before the first.
    fn stamps(&self, py: Python<'_>) -> PyResult<Vec<u64>> {
        self.read(py, |segments| segments.stamps())
    }

    /// All sums as JSON text.
    fn totals_json(&self, py: Python<'_>) -> PyResult<String> {
        self.read(py, |segments| segments.totals_json())
    }

    /// The Prometheus page; `facts_json` is the text of what counters cannot say.
    fn prometheus(&self, py: Python<'_>, facts_json: &str) -> PyResult<String> {
        self.read(py, |segments| segments.prometheus(facts_json))
    }
}

impl Segments {
    fn read<T: Send>(
        &self,
        py: Python<'_>,
        f: impl FnOnce(&mut evener_engine::segments::Segments) -> Result<T, EngineError> + Send,
    ) -> PyResult<T> {
        let read = || f(&mut self.inner.lock().unwrap_or_else(PoisonError::into_inner));
        py.detach(read).map_err(|error| raise(&error))
    }
}

fn own(descriptors: &[i32]) -> PyResult<Vec<OwnedFd>> {
    descriptors.iter().map(|&descriptor| duplicate(descriptor)).collect()
}

#[allow(unsafe_code, reason = "a number from Python becomes a descriptor")]
fn duplicate(descriptor: i32) -> PyResult<OwnedFd> {
    if descriptor < 0 {
        return Err(PyValueError::new_err(format!("{descriptor} is no descriptor")));
    }
    // SAFETY: not -1; borrowed only while it is duplicated, which fails if nothing is open there.
    let theirs = unsafe { BorrowedFd::borrow_raw(descriptor) };
    Ok(theirs.try_clone_to_owned()?)
}

/// Adds this file's part to the module.
pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Segments>()
}

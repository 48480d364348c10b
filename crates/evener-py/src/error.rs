//! The engine's errors as Python's, once.

use evener_engine::EngineError;
use pyo3::exceptions::{PyOSError, PyRuntimeError, PyValueError};
use pyo3::prelude::*;

pyo3::create_exception!(
    _engine,
    EngineFailedError,
    PyRuntimeError,
    "The data plane cannot begin, serve on or read its counters; the text says why."
);

/// The exception for an error of the engine.
pub(crate) fn raise(error: &EngineError) -> PyErr {
    let words = error.to_string();
    match error {
        EngineError::Listen { why, .. } | EngineError::Start { why, .. } => {
            match why.raw_os_error() {
                Some(code) => PyOSError::new_err((code, words)),
                None => PyOSError::new_err(words),
            }
        }
        EngineError::Facts(_) => PyValueError::new_err(words),
        _ => EngineFailedError::new_err(words),
    }
}

/// Adds this file's part to the module.
pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("EngineFailedError", module.py().get_type::<EngineFailedError>())
}

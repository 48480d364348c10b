//! YAML events for Python: plain tuples, and an exception that carries a place.

use evener_text::{Event, Kind, TextError};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyList, PyString, PyTuple};

pyo3::create_exception!(
    _engine,
    YamlError,
    PyValueError,
    "A text that is no YAML: args are (line, column, message, hint or None)."
);

/// The kinds of events, in the order of their numbers in the stub.
const MAPPING: u8 = 0;
const SEQUENCE: u8 = 1;
const END: u8 = 2;
const PLAIN: u8 = 3;
const QUOTED: u8 = 4;
const ALIAS: u8 = 5;

/// The events of a YAML text as tuples (kind, line, column, anchor, text).
#[pyfunction]
pub(crate) fn yaml_events<'py>(py: Python<'py>, text: &str) -> PyResult<Bound<'py, PyList>> {
    let events = py.detach(|| evener_text::events(text)).map_err(raise)?;
    let tuples: Vec<Bound<'py, PyTuple>> =
        events.iter().map(|event| tuple(py, event)).collect::<PyResult<_>>()?;
    PyList::new(py, tuples)
}

fn tuple<'py>(py: Python<'py>, event: &Event<'_>) -> PyResult<Bound<'py, PyTuple>> {
    let (kind, text) = match &event.kind {
        Kind::Mapping => (MAPPING, ""),
        Kind::Sequence => (SEQUENCE, ""),
        Kind::End => (END, ""),
        Kind::Plain(text) => (PLAIN, text.as_ref()),
        Kind::Quoted(text) => (QUOTED, text.as_ref()),
        Kind::Alias => (ALIAS, ""),
    };
    let place = event.place;
    (kind, place.line, place.column, event.anchor, PyString::new(py, text)).into_pyobject(py)
}

fn raise(error: TextError) -> PyErr {
    YamlError::new_err((error.place.line, error.place.column, error.cause.to_string(), error.hint))
}

/// Adds this file's part to the module.
pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("YamlError", module.py().get_type::<YamlError>())?;
    module.add_function(wrap_pyfunction!(yaml_events, module)?)
}

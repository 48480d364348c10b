//! The worker's life: one call, without the GIL.

use std::path::PathBuf;

use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::error::raise;
use crate::policy::{Interpreter, leave_behind};

/// Serves until the supervisor says otherwise. Signals are the caller's: those that the supervisor
/// obeys must be ignored before.
#[pyfunction]
fn serve(py: Python<'_>, control_socket: PathBuf) -> PyResult<()> {
    let life = || {
        let end = evener_engine::control::serve(&control_socket, Box::new(Interpreter));
        leave_behind(end.as_ref().err().map(ToString::to_string).as_deref());
        end
    };
    py.detach(life).map_err(|error| raise(&error))
}

/// What both sides of a control socket must agree on.
#[pyfunction]
fn hello(py: Python<'_>) -> PyResult<Bound<'_, PyDict>> {
    let hello = evener_engine::control::hello();
    let told = PyDict::new(py);
    told.set_item("protocol", hello.protocol)?;
    told.set_item("build", hello.build)?;
    told.set_item("schema", hello.schema)?;
    told.set_item("layout", hello.layout)?;
    Ok(told)
}

/// Adds this file's part to the module.
pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(serve, module)?)?;
    module.add_function(wrap_pyfunction!(hello, module)?)
}

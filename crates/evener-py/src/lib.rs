//! The one door between Python and Rust: converts, releases the GIL, maps errors.

#![deny(unsafe_code)]

mod error;
mod lab;
mod policy;
mod rehearsal;
mod segments;
mod serve;
mod text;

use pyo3::prelude::*;

/// The module `evener._engine`; each part registers itself.
#[pymodule]
fn _engine(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    error::register(module)?;
    lab::register(module)?;
    rehearsal::register(module)?;
    segments::register(module)?;
    serve::register(module)?;
    text::register(module)?;
    Ok(())
}

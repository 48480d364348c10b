//! The one door between Python and Rust: converts, releases the GIL, maps errors.

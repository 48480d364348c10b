//! libFuzzer's door to [`evener_fuzz::engine`], where the invariant stands.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| evener_fuzz::engine(data));

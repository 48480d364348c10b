//! libFuzzer's door to [`evener_fuzz::h1_request`], where the invariant stands.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| evener_fuzz::h1_request(data));

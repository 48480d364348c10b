//! libFuzzer's door to [`evener_fuzz::fcgi_answer`], where the invariant stands.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| evener_fuzz::fcgi_answer(data));

//! Arbitrary bytes as a callable.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzz::callable_blob(bytes));

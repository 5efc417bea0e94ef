//! Arbitrary bytes as an image for the loader.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzz::plan(bytes));

//! Arbitrary bytes as an image that has an identity.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzz::build_id(bytes));

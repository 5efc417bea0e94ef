//! Valid images with arbitrary patches, for the loader.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzz::patches::run(bytes));

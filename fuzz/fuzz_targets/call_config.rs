//! Arbitrary bytes as the settings of a run.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzz::call_config(bytes));

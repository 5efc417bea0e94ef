//! Arbitrary bytes as the arguments of a run.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzz::args_blob(bytes));

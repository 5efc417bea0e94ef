//! Arbitrary bytes as an entry of the image cache.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzz::image_cache(bytes));

//! Arbitrary bytes as the image of a graph.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzz::graph_image(bytes));

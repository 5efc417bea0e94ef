//! What the parsers of received bytes accept, and how they refuse everything else.
//!
//! Samples are put together from the offsets of the specification, not from the crate's structs,
//! so that a parser and its sample cannot be wrong in the same way.

#![expect(clippy::unwrap_used, reason = "helpers of tests; the lint exempts test functions only")]

mod args_blob;
mod build_id;
mod call_config;
mod callable;
mod hostile;
mod promises;
mod sample;

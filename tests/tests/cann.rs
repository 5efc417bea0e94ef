//! Chips through CANN: what is said where something is missing, and everything else on a mock of the vendor's
//! libraries, which keeps books, with the real AICPU program in a stand-in for the chip's server.
//!
//! A process has one such device, and of one chip: each test is in a process of its own.

#![allow(clippy::unwrap_used, reason = "a test may panic, outside its own function too")]

#[path = "cann/failures.rs"]
mod failures;
#[path = "cann/missing.rs"]
mod missing;
#[expect(unsafe_code, reason = "the mock is asked by functions of its own")]
#[path = "cann/mock.rs"]
mod mock;
#[path = "cann/working.rs"]
mod working;

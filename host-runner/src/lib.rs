//! Placeholder.
pub mod compile;
pub mod float16;

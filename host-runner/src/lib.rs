//! Placeholder.
pub mod compare;
pub mod compile;
pub mod float16;
pub mod npy;
pub mod number;

//! Placeholder.
pub mod case_data;
pub mod compare;
pub mod compile;
pub mod float16;
pub mod manifest;
pub mod npy;
pub mod number;

//! Placeholder.
#![no_std]

pub mod variadic;

//! Placeholder.
#![no_std]

pub mod loader;

//! The atomics and cells of the lock-free pieces: `core`'s, or loom's in a model run.
//!
//! Pieces that have a loom model take their atomics from here, so that the code that is modelled
//! is the code that ships. Everything else uses `core::sync::atomic` directly.

#[cfg(not(loom))]
pub(crate) use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
#[cfg(loom)]
pub(crate) use loom::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

/// Keeps a value on cache lines of its own: 128 bytes, the line pair that aarch64 server cores and
/// the x86-64 adjacent-line prefetcher move together.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct CacheAligned<T>(pub(crate) T);

//! Linux services below the executor that the simulator and the firmware share.
//!
//! `aicpu-executor` knows no operating system: it asks its `Platform`. Where two platforms are
//! Linux, what they answer the same is here, once. `no_std`, no allocator, no C library: the
//! firmware links it as it is.
//!
//! ```text
//!  loader ── CodeMemory ──► LinuxCodeMemory ── mmap, mprotect, munmap ──► Linux
//!  Platform::clean_cache … ──► cache ── instructions for lines of the caches ──► processor
//! ```
//!
//! | module | what |
//! |---|---|
//! | [`code_memory`] | executable memory of one image, with guard pages |
//! | [`cache`] | cache maintenance by address range |
//!
//! `unsafe` is in `code_memory` (memory by system calls) and `cache` (instructions).

#![no_std]

#[cfg(test)]
extern crate std;

pub mod cache;
pub mod code_memory;

pub use code_memory::LinuxCodeMemory;

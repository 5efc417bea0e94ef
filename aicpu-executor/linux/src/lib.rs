//! Linux services below the executor that the simulator and the firmware share.
//!
//! `aicpu-executor` knows no operating system: it asks its `Platform`. Where two platforms are
//! Linux, what they answer the same is here, once. `no_std`, no allocator, no C library: the
//! firmware links it as it is.
//!
//! ```text
//!  loader ── CodeMemory ──► Slot ── mmap, mprotect, munmap ──► Linux
//!  Platform::clean_cache … ──► cache ── instructions for lines of the caches ──► processor
//! ```
//!
//! | module | what |
//! |---|---|
//! | [`slots`] | executable memory, a slot for each callable, warm from one image to the next |
//! | [`cache`] | cache maintenance by address range |
//!
//! `unsafe` is in `slots` (memory by system calls) and `cache` (instructions).

#![no_std]

#[cfg(test)]
extern crate std;

pub mod cache;
pub mod slots;

pub use slots::{
    FileSlot, ImageInstance, ReleasedRights, SealedImage, Slot, SlotArena, SlotConfig, SlotMode,
    WriterView,
};

/// Returns the page size of this process, a power of two.
#[must_use]
pub fn page_bytes() -> usize {
    rustix::param::page_size()
}

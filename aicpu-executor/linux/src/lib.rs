//! Linux services below the executor that the simulator and the firmware share.
//!
//! `aicpu-executor` knows no operating system: it asks its `Platform`. Where two platforms are
//! Linux, what they answer the same is here, once. `no_std`, no allocator, no C library: the
//! firmware links it as it is.
//!
//! ```text
//!  loader ── CodeMemory ──► Slot ── mmap, mprotect, munmap ──► Linux
//!  Platform::clean_cache … ──► cache ── instructions for lines of the caches ──► processor
//!  Platform::call_foreign ──► guarded_call ── call ──► orchestration ── throw ──► text
//! ```
//!
//! | module | what |
//! |---|---|
//! | [`slots`] | executable memory, a slot for each callable, warm from one image to the next |
//! | [`cache`] | cache maintenance by address range |
//! | [`guarded_call`] | calls whose C++ exceptions are caught |
//!
//! `unsafe` is in `slots` (memory by system calls), `cache` (instructions) and `guarded_call` (foreign code and its
//! unwinder).

#![no_std]

#[cfg(test)]
extern crate std;

pub mod cache;
pub mod guarded_call;
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

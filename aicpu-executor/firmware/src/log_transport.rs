//! The log transport: defmt frames go to a ring of the thread that speaks, and from there to the host's log area.
//!
//! All of it is in static memory, and no thread waits for another one (`aicpu_executor::log::threads`). Frames
//! are not encoded: they lie whole in memory, with their length before them.

use aicpu_executor::log::Speaker;
use aicpu_executor::log::area::CacheUpkeep;
use aicpu_executor::log::threads::LogThreads;
use aicpu_linux::cache;

use crate::image;
use crate::platform::{clock, thread};

/// Threads that are in runs, loads and unloads at once: those of any chip, and some that load. As many as a
/// log area has rings unless its host wants another number.
const DESKS: usize = protocol::log_area::LOG_RINGS_DEFAULT as usize;

/// Bytes of each ring: a frame with the longest message of an orchestration, and some more. Frames stay here
/// only as long as no area has room for them.
const RING_BYTES: usize = 4 * 1024;

static THREADS: LogThreads<DESKS, RING_BYTES> = LogThreads::new();

/// What makes a log area the same for AICPU and host.
const UPKEEP: CacheUpkeep = CacheUpkeep { invalidate: cache::invalidate, clean: cache::clean };

/// What the calling thread says from now on belongs where it has entered.
pub(crate) fn begin_speaking(speaker: Speaker) {
    // SAFETY: the key is this thread's; the executor says so only of an area that its host keeps until the
    // thread leaves, and that no other image writes to (boundary C).
    unsafe { THREADS.enter(thread::key(), speaker, image::identity(), UPKEEP) };
}

/// The calling thread leaves.
pub(crate) fn end_speaking() {
    // SAFETY: the key is this thread's.
    unsafe { THREADS.leave(thread::key()) };
}

#[defmt::global_logger]
struct ThreadLogger;

// SAFETY: a thread's frame goes to a ring that is the thread's own until the frame has ended, so frames never mix.
unsafe impl defmt::Logger for ThreadLogger {
    fn acquire() {
        // SAFETY: the key is this thread's.
        unsafe { THREADS.begin_frame(thread::key(), clock::microseconds()) };
    }

    unsafe fn flush() {
        // The host reads when it wants to; to wait for it could be forever.
    }

    unsafe fn release() {
        // SAFETY: the key is this thread's.
        unsafe { THREADS.end_frame(thread::key()) };
    }

    unsafe fn write(bytes: &[u8]) {
        // SAFETY: the key is this thread's.
        unsafe { THREADS.write(thread::key(), bytes) };
    }
}

//! The allocator of this program: the system's, and how often it was asked.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicU64, Ordering};

/// How often the process has asked for memory.
static ASKED: AtomicU64 = AtomicU64::new(0);

/// How often the whole process has asked for memory so far.
pub(crate) fn count() -> u64 {
    // ORDERING: a count; nothing is read by it.
    ASKED.load(Ordering::Relaxed)
}

/// Counts, and passes on.
pub(crate) struct Counting;

/// Counts one question.
fn asked() {
    // ORDERING: as in `count`.
    ASKED.fetch_add(1, Ordering::Relaxed);
}

// SAFETY: it passes everything on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        asked();
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        asked();
        // SAFETY: the caller's promise.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        asked();
        // SAFETY: the caller's promise.
        unsafe { System.realloc(at, layout, bytes) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(at, layout) }
    }
}

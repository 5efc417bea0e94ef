//! Waiting for what is about to happen, without being told.
//!
//! A thread that parks costs a system call, and so does the one that wakes it; what comes within
//! microseconds is waited for more cheaply by looking. After a few looks, every further one lets
//! other threads run first, so that on a busy machine the one that is waited for can go on.

#[cfg(not(loom))]
use std::hint;
#[cfg(not(loom))]
use std::thread;
use std::time::Duration;
#[cfg(not(loom))]
use std::time::Instant;

/// Looks before the processor is offered to others, about a microsecond.
#[cfg(not(loom))]
const LOOKS_ALONE: u32 = 40;

/// Looks until `has_come`, for at most `limit`. Whether it came.
#[cfg(not(loom))]
pub(crate) fn until(limit: Duration, has_come: impl Fn() -> bool) -> bool {
    for _ in 0..LOOKS_ALONE {
        if has_come() {
            return true;
        }
        hint::spin_loop();
    }
    let start = Instant::now();
    while start.elapsed() < limit {
        thread::yield_now();
        if has_come() {
            return true;
        }
    }
    false
}

/// In a model, a look is as good as many: what is not there yet is waited for.
#[cfg(loom)]
pub(crate) fn until(_limit: Duration, has_come: impl Fn() -> bool) -> bool {
    has_come()
}

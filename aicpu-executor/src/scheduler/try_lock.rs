//! A lock that nobody waits for.
//!
//! Who does not get it does something else, so a holder that is long (its processor was taken away, or a
//! kernel runs inside its step) holds nobody up.

use crate::sync::{AtomicBool, Ordering};

/// The lock, free.
#[derive(Debug, Default)]
pub(crate) struct TryLock {
    is_held: AtomicBool,
}

impl TryLock {
    /// Takes the lock if it is free.
    #[inline]
    pub(crate) fn try_take(&self) -> bool {
        // ORDERING: Relaxed: a glance that spares a held lock's line; the exchange decides.
        if self.is_held.load(Ordering::Relaxed) {
            return false;
        }
        // ORDERING: Acquire pairs with `release`: the holder sees what the last one left.
        // Relaxed where it fails: then nothing is read.
        self.is_held.compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }

    /// Gives the lock back. Only its holder.
    #[inline]
    pub(crate) fn release(&self) {
        // ORDERING: Release: see `try_take`.
        self.is_held.store(false, Ordering::Release);
    }
}

#[cfg(all(test, loom))]
mod loom_tests {
    use loom::cell::UnsafeCell;
    use loom::sync::Arc;
    use loom::thread;

    use super::*;

    #[derive(Default)]
    struct Shared {
        lock: TryLock,
        counted: UnsafeCell<u32>,
    }

    // SAFETY: what the model checks: the lock orders all accesses to the cell, or loom stops.
    unsafe impl Sync for Shared {}

    impl Shared {
        /// Counts if the lock is free; how often.
        fn count(&self) -> u32 {
            let mut times = 0;
            for _ in 0..2 {
                if self.lock.try_take() {
                    // SAFETY: loom checks that nobody else is there.
                    self.counted.with_mut(|counted| unsafe { *counted += 1 });
                    self.lock.release();
                    times += 1;
                }
            }
            times
        }
    }

    /// Two threads that go on when they do not get the lock: one is inside at a time, and sees what the
    /// other has left.
    ///
    /// Seen to fail with the exchange or the store of `release` Relaxed.
    #[test]
    fn one_thread_at_a_time_is_inside_and_sees_what_the_last_one_left() {
        loom::model(|| {
            let shared = Arc::new(Shared::default());
            let other = {
                let shared = Arc::clone(&shared);
                thread::spawn(move || shared.count())
            };
            let times = shared.count() + other.join().unwrap();
            // A glance may be an old one, but the first of all finds the lock free.
            assert!(times >= 1);
            // SAFETY: both threads have ended; loom checks that nobody else is there.
            let counted = shared.counted.with(|counted| unsafe { *counted });
            assert_eq!(counted, times);
        });
    }
}

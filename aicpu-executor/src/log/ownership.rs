//! Whose a desk is: one word, which a thread claims and gives back.

use crate::sync::{AtomicU64, Ordering};

/// The word; 0 is nobody's.
#[derive(Debug)]
pub(crate) struct Ownership {
    owner: AtomicU64,
}

impl Ownership {
    /// Nobody's.
    #[cfg(not(loom))]
    pub(crate) const fn new() -> Self {
        Self { owner: AtomicU64::new(0) }
    }

    /// Nobody's.
    #[cfg(loom)]
    pub(crate) fn new() -> Self {
        Self { owner: AtomicU64::new(0) }
    }

    /// Whether the calling thread, whose key this is, has claimed it.
    pub(crate) fn is_of(&self, key: u64) -> bool {
        // ORDERING: Relaxed: only the thread itself writes its key, and reads its own writes.
        self.owner.load(Ordering::Relaxed) == key
    }

    /// Claims it for the calling thread, whose key is not 0, if it is nobody's.
    pub(crate) fn claim(&self, key: u64) -> bool {
        // ORDERING: Acquire pairs with `give_back`: who claims sees what the owner before has left.
        self.owner.compare_exchange(0, key, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }

    /// Gives it back. Only its owner.
    pub(crate) fn give_back(&self) {
        // ORDERING: Release: see `claim`.
        self.owner.store(0, Ordering::Release);
    }
}

#[cfg(all(test, loom))]
mod loom_tests {
    use loom::cell::UnsafeCell;
    use loom::sync::Arc;
    use loom::thread;

    use super::*;

    struct Desk {
        ownership: Ownership,
        frames: UnsafeCell<u32>,
    }

    // SAFETY: what the model checks: the word orders all accesses to the cell, or loom stops.
    unsafe impl Sync for Desk {}

    impl Desk {
        /// Writes two frames, if the desk is free; how many.
        fn speak(&self, key: u64) -> u32 {
            assert!(!self.ownership.is_of(key), "not claimed yet");
            if !self.ownership.claim(key) {
                return 0;
            }
            for _ in 0..2 {
                assert!(self.ownership.is_of(key));
                // SAFETY: loom checks that nobody else is there.
                self.frames.with_mut(|frames| unsafe { *frames += 1 });
            }
            self.ownership.give_back();
            2
        }
    }

    /// Two threads that claim the same desk: one is at it at a time, finds what the other has left there, and
    /// takes nobody else's desk for its own.
    ///
    /// Seen to fail with the exchange or the store of `give_back` Relaxed.
    #[test]
    fn one_thread_at_a_time_is_at_a_desk_and_finds_the_frames_of_the_one_before() {
        loom::model(|| {
            let desk = Arc::new(Desk { ownership: Ownership::new(), frames: UnsafeCell::new(0) });
            let other = {
                let desk = Arc::clone(&desk);
                thread::spawn(move || desk.speak(7))
            };
            let written = desk.speak(9) + other.join().unwrap();
            assert!(written >= 2, "the first to come finds it free");
            // SAFETY: both threads have ended; loom checks that nobody else is there.
            assert_eq!(desk.frames.with(|frames| unsafe { *frames }), written);
        });
    }
}

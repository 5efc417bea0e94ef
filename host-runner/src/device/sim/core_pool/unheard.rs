//! Cores that were told something, other than a task, while they were in hand.
//!
//! That happens in a run that has failed: its cores are to exit, and some are in kernels. Whoever has such a core does not
//! look up, so those who wait for the cores have them stepped once they are out of hand.

use std::sync::atomic::{AtomicU64, Ordering};

use super::super::inline_queue::CORES_MAX;

const WORDS: usize = CORES_MAX / 64;

/// A set of cores.
#[derive(Debug, Default)]
pub(super) struct Unheard {
    words: [AtomicU64; WORDS],
}

impl Unheard {
    /// Adds a core.
    pub(super) fn add(&self, core: usize) {
        // ORDERING: Release: who takes the core sees what it was told.
        self.words[core / 64 % WORDS].fetch_or(1 << (core % 64), Ordering::Release);
    }

    /// Takes a core out; false if it is not in the set.
    pub(super) fn take(&self, core: usize) -> bool {
        let bit = 1 << (core % 64);
        // ORDERING: Acquire: see `add`.
        self.words[core / 64 % WORDS].fetch_and(!bit, Ordering::Acquire) & bit != 0
    }

    /// Forgets all. Between runs.
    pub(super) fn clear(&self) {
        // ORDERING: Relaxed: runs begin and end one after the other.
        self.words.iter().for_each(|word| word.store(0, Ordering::Relaxed));
    }

    /// Whether there is none. Cheap.
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        // ORDERING: Relaxed: who waits looks again.
        self.words.iter().all(|word| word.load(Ordering::Relaxed) == 0)
    }
}

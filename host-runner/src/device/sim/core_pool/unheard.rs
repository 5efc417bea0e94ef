//! What cores are told other than a task, and those that were told while they were in hand.
//!
//! The latter happens in a run that has failed: its cores are to exit, and some are in kernels. Whoever has such a core does not
//! look up, so those who wait for the cores have them stepped once they are out of hand.

use std::sync::atomic::{AtomicU64, Ordering};

use protocol::Chip;

use super::super::core::Reach;
use super::super::inline_queue::CORES_MAX;
use super::super::run_state::Duty;
use super::CorePool;

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

impl<C: Chip> CorePool<C> {
    /// The AICPU changed the handshake record of a core, or told it something that is no task.
    #[cold]
    pub fn notify(&self, index: usize) {
        if let Some(turns) = &self.turns {
            return self.ring_in_turn(turns, index);
        }
        let Some((core, around)) = self.surroundings(index) else { return };
        if core.is_in_hand(around.registers) {
            return self.unheard.add(index);
        }
        if core.state.claim_or_notify() != Duty::Step {
            return;
        }
        loop {
            // SAFETY: the core is claimed and not in hand: the AICPU gives it no task before it has answered.
            let _waits = unsafe { core.step(around, Reach::UpToKernel) };
            if core.state.release() {
                return;
            }
        }
    }

    /// Steps the cores that were told something while they were in hand, and are so no longer. Cheap; called while
    /// waiting.
    #[inline]
    pub fn hear(&self) {
        if !self.unheard.is_empty() {
            self.step_unheard();
        }
    }

    #[cold]
    fn step_unheard(&self) {
        for index in 0..self.cores.len() {
            let Some((core, around)) = self.surroundings(index) else { continue };
            if !core.is_in_hand(around.registers) && self.unheard.take(index) {
                self.notify(index);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_core_is_in_the_set_from_when_it_is_added_until_it_is_taken() {
        let set = Unheard::default();
        assert!(set.is_empty() && !set.take(0));
        for core in [0, 63, 64, CORES_MAX - 1] {
            set.add(core);
            set.add(core);
            assert!(!set.is_empty());
            for other in (0..CORES_MAX).filter(|other| *other != core) {
                assert!(!set.take(other), "{other} instead of {core}");
            }
            assert!(set.take(core) && !set.take(core));
            assert!(set.is_empty());
        }
    }

    #[test]
    fn taking_one_core_leaves_the_others_and_clearing_leaves_none() {
        let set = Unheard::default();
        let cores = [1, 2, 65, 66];
        cores.iter().for_each(|core| set.add(*core));
        assert!(set.take(2) && set.take(65));
        assert!(!set.is_empty());
        assert!(set.take(1) && set.take(66) && set.is_empty());
        cores.iter().for_each(|core| set.add(*core));
        set.clear();
        assert!(set.is_empty() && !cores.iter().any(|core| set.take(*core)));
    }

    #[test]
    fn of_two_threads_that_take_a_core_one_gets_it() {
        let set = Unheard::default();
        for _ in 0..500 {
            (0..CORES_MAX).for_each(|core| set.add(core));
            let take = || (0..CORES_MAX).filter(|core| set.take(*core)).count();
            let taken = std::thread::scope(|scope| {
                let other = scope.spawn(take);
                take() + other.join().unwrap()
            });
            assert_eq!(taken, CORES_MAX);
        }
    }
}

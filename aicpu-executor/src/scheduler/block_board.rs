//! The task of many blocks whose turn it is: which of its blocks nobody has claimed yet.
//!
//! Whoever takes a task with more blocks than it has cores for claims its own, as the task's only
//! holder, and puts the rest up here, where every thread claims as many as it has cores for, with one
//! exchange each and without taking the task away from the others. The task stays until its blocks
//! are exhausted; only then does anybody look into the ready queue for the next one.
//!
//! All that a claim needs is in one word, so an exchange that succeeds is right whatever has happened
//! since the word was read: the blocks it claims were there and nobody's. A thread looks into the
//! task itself only when it has claimed a block of it, which keeps the task from being complete.
//!
//! ```text
//! bits 63..32   31..30   29..15   14..0
//!      task     lanes    count    next        empty: next = count
//! ```

use core::ops::Range;

use crate::sync::{AtomicU64, CacheAligned, Ordering};

/// Bits of a block number, and of a count.
const BLOCK_BITS: u32 = 15;
const BLOCK_MASK: u64 = (1 << BLOCK_BITS) - 1;
const LANES_SHIFT: u32 = 2 * BLOCK_BITS;

/// What is up, as a thread has seen it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Waiting {
    word: u64,
}

impl Waiting {
    /// Raw handle of the task. The task may be gone unless the caller has claimed a block of it.
    pub(crate) fn task(self) -> u32 {
        // CAST: the high half.
        (self.word >> 32) as u32
    }

    /// Lanes of a block; `is_mixed` says whether they are two or more.
    pub(crate) fn lanes(self, is_mixed: bool) -> u8 {
        let code = self.word >> LANES_SHIFT & 3;
        match (is_mixed, code) {
            (false, _) => 1 << code,
            (true, 0) => 0b011,
            (true, 1) => 0b101,
            (true, 2) => 0b110,
            (true, _) => 0b111,
        }
    }

    fn count(self) -> u64 {
        self.word >> BLOCK_BITS & BLOCK_MASK
    }

    fn next(self) -> u64 {
        self.word & BLOCK_MASK
    }
}

/// A number for lanes that, with whether they are one or more, says which.
fn lanes_code(lanes: u8) -> u64 {
    match lanes {
        0b001 | 0b011 => 0,
        0b010 | 0b101 => 1,
        0b100 | 0b110 => 2,
        _ => 3,
    }
}

/// The place for one task.
#[derive(Debug, Default)]
pub(crate) struct BlockBoard(CacheAligned<AtomicU64>);

impl BlockBoard {
    /// Takes down what a run that failed has left. Only while nobody uses the board.
    pub(crate) fn reset(&self) {
        // ORDERING: Relaxed: the gate of the run publishes it.
        self.0.0.store(0, Ordering::Relaxed);
    }

    /// Puts blocks of a task up; false if the board is taken or cannot hold such numbers. The caller
    /// holds the task, and on success lets go of it.
    pub(crate) fn put_up(&self, task: u32, lanes: u8, blocks: &Range<u32>) -> bool {
        let (next, count) = (u64::from(blocks.start), u64::from(blocks.end));
        if count > BLOCK_MASK {
            return false;
        }
        let low = lanes_code(lanes) << LANES_SHIFT | count << BLOCK_BITS | next;
        // ORDERING: Relaxed: only compared.
        let seen = Waiting { word: self.0.0.load(Ordering::Relaxed) };
        // ORDERING: Release on success: whoever claims a block sees the task as its holder did.
        // Relaxed on failure: somebody else has put up another one.
        seen.next() == seen.count()
            && self
                .0
                .0
                .compare_exchange(
                    seen.word,
                    u64::from(task) << 32 | low,
                    Ordering::Release,
                    Ordering::Relaxed,
                )
                .is_ok()
    }

    /// The task that is up, if any of its blocks is not claimed.
    pub(crate) fn look(&self) -> Option<Waiting> {
        // ORDERING: Relaxed: a claim confirms it.
        let seen = Waiting { word: self.0.0.load(Ordering::Relaxed) };
        (seen.next() < seen.count()).then_some(seen)
    }

    /// Claims up to `places` blocks of what was seen; `None` if the board has changed since.
    pub(crate) fn claim(&self, seen: Waiting, places: u32) -> Option<Range<u32>> {
        let claimed = u64::from(places).min(seen.count() - seen.next());
        // ORDERING: Acquire pairs with the Release in `put_up`, through any number of claims in
        // between, which are read-modify-writes; Relaxed on failure: nothing was claimed.
        let exchanged = self.0.0.compare_exchange(
            seen.word,
            seen.word + claimed,
            Ordering::Acquire,
            Ordering::Relaxed,
        );
        // CAST: 15 bits.
        exchanged.is_ok().then_some(seen.next() as u32..(seen.next() + claimed) as u32)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn hands_out_every_block_once_and_is_free_again_afterwards() {
        let board = BlockBoard::default();
        assert_eq!(board.look(), None);
        assert!(board.put_up(u32::MAX, 0b111, &(3..10)));
        assert!(!board.put_up(7, 0b001, &(0..2)), "taken");
        for expected in [3..7, 7..10] {
            let seen = board.look().unwrap();
            assert_eq!((seen.task(), seen.lanes(true)), (u32::MAX, 0b111));
            assert_eq!(board.claim(seen, 4), Some(expected));
            assert_eq!(board.claim(seen, 4), None, "it has changed");
        }
        assert_eq!(board.look(), None);
        assert!(board.put_up(7, 0b001, &(0..0x7fff)));
        assert_eq!(board.claim(board.look().unwrap(), u32::MAX), Some(0..0x7fff));
        assert!(!board.put_up(7, 0b001, &(0..0x8000)), "more than a launch can ask for");
        board.reset();
        assert_eq!(board.look(), None);
    }

    #[test]
    fn lanes_are_kept() {
        for lanes in 1..8_u8 {
            let board = BlockBoard::default();
            assert!(board.put_up(1, lanes, &(1..3)));
            assert_eq!(board.look().unwrap().lanes(!lanes.is_power_of_two()), lanes);
        }
    }
}

#[cfg(all(test, loom))]
mod loom_tests {
    use std::vec::Vec;

    use loom::cell::UnsafeCell;
    use loom::sync::Arc;
    use loom::thread;

    use super::*;
    use crate::sync::AtomicU32;

    /// Blocks of each task.
    const BLOCKS: u32 = 2;

    /// One slot, which two tasks have one after the other.
    struct Slot {
        board: BlockBoard,
        /// The task's record: its number.
        record: UnsafeCell<u32>,
        /// Blocks of the task that have not finished.
        left: AtomicU32,
    }

    // SAFETY: what the model checks: board and count order all accesses to the cell, or loom stops.
    unsafe impl Sync for Slot {}

    impl Slot {
        /// What a thread with one place does a few times; what it saw of which block.
        fn serve(&self, rounds: usize) -> Vec<(u32, u32)> {
            let mut served = Vec::new();
            for _ in 0..rounds {
                let Some(seen) = self.board.look() else { continue };
                let Some(blocks) = self.board.claim(seen, 1) else { continue };
                // SAFETY: loom checks that nobody writes.
                let record: u32 = self.record.with(|record| unsafe { *record });
                for block in blocks {
                    served.push((record, block));
                    self.left.fetch_sub(1, Ordering::AcqRel);
                }
            }
            served
        }

        /// Writes a task into the slot and puts it up.
        fn put_up(&self, task: u32) {
            // SAFETY: loom checks that nobody else is there.
            self.record.with_mut(|record| unsafe { *record = task });
            self.left.store(BLOCKS, Ordering::Relaxed);
            assert!(self.board.put_up(9, 1, &(0..BLOCKS)));
        }
    }

    /// Two threads claim while the slot's task completes and the slot becomes the next task's, with
    /// the same handle and as many blocks: every block is served once, for its own task, and nobody
    /// reads a record that is being written.
    ///
    /// There to catch: `put_up` or `claim` Relaxed, a record that is read before the claim, and a
    /// claim that loads and then stores.
    #[test]
    fn each_block_is_served_once_and_for_its_own_task() {
        let mut model = loom::model::Builder::new();
        model.preemption_bound = Some(3);
        model.check(|| {
            let slot = Arc::new(Slot {
                board: BlockBoard::default(),
                record: UnsafeCell::new(0),
                left: AtomicU32::new(0),
            });
            slot.put_up(1);
            let other = {
                let slot = Arc::clone(&slot);
                thread::spawn(move || slot.serve(2))
            };
            let mut served = slot.serve(2);
            // ORDERING: Acquire: as the orchestrator sees a task complete.
            if slot.left.load(Ordering::Acquire) == 0 {
                slot.put_up(2);
            }
            served.extend(slot.serve(1));
            served.extend(other.join().unwrap());
            served.extend(slot.serve(2 * BLOCKS as usize));
            served.sort_unstable();
            let second = served.iter().any(|(task, _)| *task == 2);
            let expected: &[(u32, u32)] =
                if second { &[(1, 0), (1, 1), (2, 0), (2, 1)] } else { &[(1, 0), (1, 1)] };
            assert_eq!(served, expected);
        });
    }
}

//! Which blocks of a task have been claimed: a counter that only the task's holder touches.
//!
//! The holder is the thread that took the task out of its ready queue. It claims as many blocks as it has
//! cores for. If there are more, it puts the task up for all threads (`scheduler::block_board`), and this
//! counter is done with; or back into the queue, if another task is up. So the counter needs no read-modify-write:
//! it changes hands through the queue.

use core::ops::Range;

use crate::sync::{AtomicU32, Ordering};

/// First block that nobody has claimed yet.
#[derive(Debug)]
pub(crate) struct BlockCursor(AtomicU32);

impl BlockCursor {
    /// No block is claimed.
    #[cfg(all(test, loom))]
    pub(crate) fn new() -> Self {
        Self(AtomicU32::new(0))
    }

    /// No block is claimed. The caller is the orchestrator, on a slot it has just taken.
    #[inline]
    pub(crate) fn reset(&self) {
        // ORDERING: Relaxed: published with the slot.
        self.0.store(0, Ordering::Relaxed);
    }

    /// Claims up to `places` of a task's `block_count` blocks. The caller holds the task, and lets go
    /// of it only afterwards.
    #[inline]
    pub(crate) fn claim(&self, places: u32, block_count: u32) -> Range<u32> {
        // ORDERING: Relaxed (both): only the holder of the task touches the counter; the ready
        // queue orders one holder's accesses before the next one's.
        let first = self.0.load(Ordering::Relaxed);
        let end = first + places.min(block_count.saturating_sub(first));
        self.0.store(end, Ordering::Relaxed);
        first..end
    }
}

#[cfg(all(test, loom))]
mod loom_tests {
    use std::vec::Vec;

    use loom::sync::Arc;
    use loom::thread;

    use super::*;
    use crate::scheduler::ready_queue::ReadyQueue;
    use crate::sync::AtomicU64;

    const BLOCKS: u32 = 3;

    /// A task in its ready queue.
    struct Queued {
        queue: ReadyQueue,
        cells: [AtomicU64; 2],
        cursor: BlockCursor,
    }

    impl Queued {
        /// What a thread with one place does, a few times.
        fn serve(&self, rounds: usize) -> Vec<u32> {
            let mut claimed = Vec::new();
            for _ in 0..rounds {
                let mut task = [0];
                if self.queue.pop(&self.cells, &mut task) == 0 {
                    continue;
                }
                let blocks = self.cursor.claim(1, BLOCKS);
                if blocks.end < BLOCKS {
                    self.queue.push(&self.cells, &task).unwrap();
                }
                claimed.extend(blocks);
            }
            claimed
        }
    }

    /// Two threads take turns in holding a task of three blocks: each block is claimed once, and
    /// none is left when the queue is empty.
    ///
    /// Seen to fail with the cell of the queue written or read Relaxed, and with the task put back before its
    /// blocks are claimed.
    #[test]
    fn each_block_is_claimed_once_by_whoever_holds_the_task() {
        let mut model = loom::model::Builder::new();
        model.preemption_bound = Some(3);
        model.check(|| {
            let queued = Arc::new(Queued {
                queue: ReadyQueue::default(),
                cells: [AtomicU64::new(0), AtomicU64::new(0)],
                cursor: BlockCursor::new(),
            });
            queued.queue.push(&queued.cells, &[5]).unwrap();
            let other = {
                let queued = Arc::clone(&queued);
                thread::spawn(move || queued.serve(2))
            };
            let mut claimed = queued.serve(2);
            claimed.extend(other.join().unwrap());
            claimed.extend(queued.serve(BLOCKS as usize));
            claimed.sort_unstable();
            assert_eq!(claimed, [0, 1, 2]);
        });
    }
}

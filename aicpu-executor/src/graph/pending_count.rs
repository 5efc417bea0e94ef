//! How many predecessors of a graph's task are not complete: a count that is ready for the next run
//! when this one has made the task ready.
//!
//! ```text
//!  run r:    2 ──▶ 1 ──▶ the last one: ready, and the count is 2 again
//!  mark:     0     0     1
//!  run r+1:                                    2 ──▶ 1 ──▶ ready, 2
//!  mark:                                       1     1     0
//! ```
//!
//! Whoever completes the last predecessor is the only one to touch the count from then on, so it is
//! set back at once, without a pass over the graph. The mark says which counts were set back: it
//! changes there, so that all of them agree once a run has succeeded. A run that failed leaves counts
//! and marks as they happen to be, and all are written anew.

use crate::sync::{AtomicU32, Ordering};

/// The bit beside the count, which has the others.
const MARK: u32 = 1 << 31;

/// The count of one task. Any bits are a value.
#[derive(Debug)]
#[repr(transparent)]
pub(crate) struct PendingCount(AtomicU32);

impl PendingCount {
    /// A count for the first run, of a task with this many predecessors, below 2^31.
    #[cfg(all(test, loom))]
    pub(crate) fn of(predecessors: u32) -> Self {
        Self(AtomicU32::new(predecessors))
    }

    /// Prepares for the first run. Only while nobody else uses the count.
    pub(crate) fn set(&self, predecessors: u32) {
        // ORDERING: Relaxed: the gate of the run publishes it.
        self.0.store(predecessors, Ordering::Relaxed);
    }

    /// Adds one, while counts are being compared with edges; returns the sum. Only while nobody else
    /// uses the count.
    pub(crate) fn add(&self) -> u32 {
        // ORDERING: Relaxed (both): see `set`.
        let sum = self.0.load(Ordering::Relaxed).wrapping_add(1);
        self.0.store(sum, Ordering::Relaxed);
        sum
    }

    /// The count alone. Only while nobody else uses it.
    pub(crate) fn count(&self) -> u32 {
        // ORDERING: Relaxed: see `set`.
        self.0.load(Ordering::Relaxed) & !MARK
    }

    /// Counts a predecessor that is complete. True for the last one: the task is ready then, and the
    /// count is what `predecessors` says, for the next run.
    pub(crate) fn count_down(&self, predecessors: impl FnOnce() -> u32) -> bool {
        // ORDERING: AcqRel: the thread that takes the last one sees what all predecessors wrote, and
        // passes it on through the ready queue.
        let before = self.0.fetch_sub(1, Ordering::AcqRel);
        if before & !MARK != 1 {
            return false;
        }
        // ORDERING: Relaxed: nobody counts it down again before the gate has closed and opened; who
        // looks at it for a report may be a moment late.
        self.0.store(!before & MARK | predecessors(), Ordering::Relaxed);
        true
    }

    /// How many predecessors a task waits for that has not been made ready in the run after `runs`
    /// others; for reports. A task without predecessor waits for none.
    pub(crate) fn waits_for(&self, runs: u64) -> Option<u32> {
        // ORDERING: Relaxed: a moment too old does not matter.
        let word = self.0.load(Ordering::Relaxed);
        let is_marked = word & MARK != 0;
        let count = word & !MARK;
        (is_marked != runs.is_multiple_of(2) && count != 0).then_some(count)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn is_ready_with_the_last_predecessor_and_set_back_by_it_run_after_run() {
        let count = PendingCount(AtomicU32::new(99));
        count.set(3);
        for runs in 0..5 {
            for left in [3, 2] {
                assert_eq!(count.waits_for(runs), Some(left));
                assert!(!count.count_down(|| unreachable!("asked for the last one only")));
            }
            assert_eq!(count.waits_for(runs), Some(1));
            assert!(count.count_down(|| 3));
            assert_eq!((count.waits_for(runs), count.count()), (None, 3));
        }
    }

    #[test]
    fn a_task_without_predecessor_waits_for_nothing() {
        let count = PendingCount(AtomicU32::new(0));
        assert_eq!([0, 1].map(|runs| count.waits_for(runs)), [None, None]);
    }
}

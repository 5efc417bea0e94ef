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
        // ORDERING: Acquire (and AcqRel below): the thread that takes the last one sees what all
        // predecessors wrote, and passes it on through the ready queue.
        let mut before = self.0.load(Ordering::Acquire);
        if before & !MARK != 1 {
            before = self.0.fetch_sub(1, Ordering::AcqRel);
        }
        // Who reads a one has the last one, since its own is still counted: nobody else is left to
        // change the word, and no read-modify-write is needed.
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

#[cfg(all(test, loom))]
mod loom_tests {
    use loom::cell::UnsafeCell;
    use loom::sync::Arc;
    use loom::thread;

    use super::*;
    use crate::scheduler::ready_queue::ReadyQueue;
    use crate::sync::AtomicU64;

    /// A task with two predecessors, which two threads complete.
    struct Graph {
        count: PendingCount,
        queue: ReadyQueue,
        cells: [AtomicU64; 2],
        /// What the predecessors leave.
        outputs: [UnsafeCell<u64>; 2],
        /// How often the task ran.
        ran: UnsafeCell<u64>,
    }

    // SAFETY: what the model checks: count and queue order all accesses to the cells, or loom stops.
    unsafe impl Sync for Graph {}

    impl Graph {
        /// Completes a predecessor in the run after `runs` others, and runs the task if it is ready.
        fn complete(&self, predecessor: usize, runs: u64) {
            // SAFETY: loom checks that nobody else is there.
            self.outputs[predecessor].with_mut(|output| unsafe { *output = runs + 1 });
            if self.count.count_down(|| 2) {
                self.queue.push(&self.cells, &[5]).unwrap();
            }
            self.run_what_is_ready(runs);
        }

        fn run_what_is_ready(&self, runs: u64) {
            let mut task = [0];
            if self.queue.pop(&self.cells, &mut task) == 0 {
                return;
            }
            assert_eq!(task, [5]);
            for output in &self.outputs {
                // SAFETY: loom checks that nobody writes.
                assert_eq!(output.with(|output| unsafe { *output }), runs + 1);
            }
            // SAFETY: loom checks that nobody else is there.
            self.ran.with_mut(|ran| unsafe { *ran += 1 });
        }
    }

    /// Two runs, one after the other: in each the task is ready once, with what both predecessors have
    /// left, and its count is what the next run needs. Somebody else may ask meanwhile what it waits for.
    ///
    /// Seen to fail with `count_down` Relaxed, only Acquire or only Release, with one that always loads and then
    /// stores, with a count that is not set back or set back by each predecessor, and with the
    /// mark kept.
    #[test]
    fn a_task_is_ready_once_in_each_run_and_its_count_for_the_next_one() {
        let mut model = loom::model::Builder::new();
        model.preemption_bound = Some(3);
        model.check(|| {
            let graph = Arc::new(Graph {
                count: PendingCount::of(2),
                queue: ReadyQueue::default(),
                cells: [AtomicU64::new(0), AtomicU64::new(0)],
                outputs: [UnsafeCell::new(0), UnsafeCell::new(0)],
                ran: UnsafeCell::new(0),
            });
            for runs in 0..2 {
                let other = {
                    let graph = Arc::clone(&graph);
                    thread::spawn(move || graph.complete(1, runs))
                };
                graph.complete(0, runs);
                assert!(matches!(graph.count.waits_for(runs), None | Some(1)));
                other.join().unwrap();
                graph.run_what_is_ready(runs);
                // SAFETY: loom checks that nobody writes.
                assert_eq!(graph.ran.with(|ran| unsafe { *ran }), runs + 1);
                assert_eq!((graph.count.count(), graph.count.waits_for(runs)), (2, None));
                assert_eq!(graph.count.waits_for(runs + 1), Some(2));
            }
        });
    }
}

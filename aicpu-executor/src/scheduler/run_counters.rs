//! When a run is finished, and whether it moves: counts of each thread, and how many tasks there are.
//!
//! The threads that schedule leave, and the orchestrator tidies up, when as many tasks are complete as
//! there are. The total is not known before the orchestration has ended, so it starts as a number that
//! no run reaches.
//!
//! Every *writer* (a partition of the clusters, whichever thread holds it, and the orchestrator) has a
//! cache line of its own and counts there without read-modify-write. Whoever wants a sum reads all
//! lines: that is a thread with nothing else to do, or one that looks at its clock. Counts only
//! grow and their sum never passes the total, so a sum that was read while others count is the
//! total only if all of it was counted.

use crate::sync::{AtomicU64, CacheAligned, Ordering};

/// Total of a run whose orchestration has not ended.
const UNKNOWN_TOTAL: u64 = u64::MAX;

/// Writers there can be: the scheduler threads of any chip, and the orchestrator.
const WRITERS: usize = 8;

/// The writer that is the orchestrator; the partitions are those below.
pub(crate) const ORCHESTRATOR: usize = WRITERS - 1;

/// What one writer has counted.
#[derive(Debug, Default)]
struct Counts {
    /// Tasks completed, those without kernel included.
    completed: AtomicU64,
    /// Whatever moved.
    moved: AtomicU64,
}

/// The counts of a run.
#[derive(Debug, Default)]
pub(crate) struct RunCounters {
    writers: [CacheAligned<Counts>; WRITERS],
    /// Tasks of the run, or [`UNKNOWN_TOTAL`].
    total: CacheAligned<AtomicU64>,
}

impl RunCounters {
    /// Prepares for a run, while nobody else uses them.
    pub(crate) fn reset(&self) {
        // ORDERING: Relaxed (both): the gate of the run publishes them.
        for writer in &self.writers {
            writer.0.completed.store(0, Ordering::Relaxed);
        }
        self.total.0.store(UNKNOWN_TOTAL, Ordering::Relaxed);
    }

    /// Counts something that moved, and completed tasks. Only who has the writer to itself.
    #[inline]
    pub(crate) fn count(&self, writer: usize, completed: u64) {
        let Some(CacheAligned(counts)) = self.writers.get(writer) else { return };
        // ORDERING: Relaxed (all but the last): nobody else writes, and what moved is only compared
        // for change.
        counts.moved.store(counts.moved.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
        if completed != 0 {
            let before = counts.completed.load(Ordering::Relaxed);
            // ORDERING: Release pairs with `completed`: whoever sees the run finished sees what the
            // completing threads did.
            counts.completed.store(before + completed, Ordering::Release);
        }
    }

    /// Ends the counting: the run is finished once `tasks` tasks are complete.
    pub(crate) fn set_total(&self, tasks: u64) {
        // ORDERING: Release pairs with the Acquire in `is_finished`.
        self.total.0.store(tasks, Ordering::Release);
    }

    /// Whether the orchestration has ended and all its tasks are complete.
    pub(crate) fn is_finished(&self) -> bool {
        // ORDERING: Acquire: see `set_total`.
        let total = self.total.0.load(Ordering::Acquire);
        total != UNKNOWN_TOTAL && self.completed() == total
    }

    /// Whether the orchestration has ended.
    pub(crate) fn is_total_known(&self) -> bool {
        // ORDERING: Relaxed: for messages.
        self.total.0.load(Ordering::Relaxed) != UNKNOWN_TOTAL
    }

    /// Tasks completed so far.
    pub(crate) fn completed(&self) -> u64 {
        // ORDERING: Acquire: pairs with `count`.
        self.writers.iter().map(|writer| writer.0.completed.load(Ordering::Acquire)).sum()
    }

    /// A number that changes whenever anything was counted.
    pub(crate) fn moved(&self) -> u64 {
        // ORDERING: Relaxed (both): only compared for change.
        let moved = self.writers.iter().map(|writer| writer.0.moved.load(Ordering::Relaxed));
        moved.fold(self.total.0.load(Ordering::Relaxed), u64::wrapping_add)
    }
}

#[cfg(all(test, loom))]
mod loom_tests {
    use loom::cell::UnsafeCell;
    use loom::sync::Arc;
    use loom::thread;

    use super::*;

    /// What a run leaves: of each task, and of the orchestration.
    struct Run {
        counters: RunCounters,
        left: [UnsafeCell<u32>; 3],
    }

    // SAFETY: what the model checks: the counters order all accesses to the cells, or loom stops.
    unsafe impl Sync for Run {}

    impl Run {
        fn leave(&self, place: usize) {
            // SAFETY: loom checks that nobody else is there.
            self.left[place].with_mut(|left| unsafe { *left = 1 });
        }

        /// What a thread does that wants to go.
        fn look(&self) {
            if self.counters.is_finished() {
                // SAFETY: loom checks that nobody writes.
                let seen: u32 =
                    self.left.iter().map(|left| left.with(|left| unsafe { *left })).sum();
                assert_eq!(seen, 3, "the run is finished, and not all of it is there");
            }
        }
    }

    /// Two tasks are completed by two threads while the orchestration ends on a third: whoever sees
    /// the run finished sees what all of them did, and in the end everybody does.
    ///
    /// Seen to fail with the store of `count`, `set_total` or either load of `is_finished` Relaxed, with a task counted
    /// before its work, and with a total that is published before the second task was submitted.
    #[test]
    fn a_finished_run_has_all_its_work_behind_it() {
        let mut model = loom::model::Builder::new();
        model.preemption_bound = Some(3);
        model.check(|| {
            let cell = || UnsafeCell::new(0);
            let run =
                Arc::new(Run { counters: RunCounters::default(), left: [cell(), cell(), cell()] });
            run.counters.reset();
            let scheduler = |task: usize| {
                let run = Arc::clone(&run);
                thread::spawn(move || {
                    run.leave(task);
                    run.counters.count(task, 1);
                    run.look();
                })
            };
            let threads = [scheduler(0), scheduler(1)];
            run.leave(2);
            run.counters.set_total(2);
            run.look();
            for thread in threads {
                thread.join().unwrap();
            }
            assert!(run.counters.is_finished() && run.counters.completed() == 2);
        });
    }
}

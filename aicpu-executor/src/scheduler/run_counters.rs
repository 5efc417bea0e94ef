//! When a run is finished: tasks that are complete, and how many there are.
//!
//! The threads that schedule leave, and the orchestrator tidies up, when both numbers are equal. The total is
//! not known before the orchestration has ended, so it starts as a number that no run reaches.

use crate::sync::{AtomicU64, CacheAligned, Ordering};

/// Total of a run whose orchestration has not ended.
const UNKNOWN_TOTAL: u64 = u64::MAX;

/// The two numbers.
#[derive(Debug, Default)]
pub(crate) struct RunCounters {
    /// Tasks completed, those without kernel included.
    completed: CacheAligned<AtomicU64>,
    /// Tasks of the run, or [`UNKNOWN_TOTAL`].
    total: CacheAligned<AtomicU64>,
}

impl RunCounters {
    /// Prepares for a run, while nobody else uses them.
    pub(crate) fn reset(&self) {
        // ORDERING: Relaxed (both): the gate of the run publishes them.
        self.completed.0.store(0, Ordering::Relaxed);
        self.total.0.store(UNKNOWN_TOTAL, Ordering::Relaxed);
    }

    /// Counts completed tasks.
    pub(crate) fn count_completed(&self, tasks: u64) {
        // ORDERING: Release pairs with `is_finished`: whoever sees the run finished sees what the
        // completing threads did.
        self.completed.0.fetch_add(tasks, Ordering::Release);
    }

    /// Ends the counting: the run is finished once `tasks` tasks are complete.
    pub(crate) fn set_total(&self, tasks: u64) {
        // ORDERING: Release pairs with the Acquire in `is_finished`.
        self.total.0.store(tasks, Ordering::Release);
    }

    /// Whether the orchestration has ended and all its tasks are complete.
    pub(crate) fn is_finished(&self) -> bool {
        // ORDERING: Acquire (both): see `set_total` and `count_completed`.
        let total = self.total.0.load(Ordering::Acquire);
        self.completed.0.load(Ordering::Acquire) == total
    }

    /// Whether the orchestration has ended.
    pub(crate) fn is_total_known(&self) -> bool {
        // ORDERING: Relaxed: for messages.
        self.total.0.load(Ordering::Relaxed) != UNKNOWN_TOTAL
    }

    /// Tasks completed so far.
    pub(crate) fn completed(&self) -> u64 {
        // ORDERING: Acquire: pairs with `count_completed`.
        self.completed.0.load(Ordering::Acquire)
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
    /// Seen to fail with `count_completed`, `set_total` or either load of `is_finished` Relaxed, with a task counted before
    /// its work, and with a total that is published before the second task was submitted.
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
                    run.counters.count_completed(1);
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

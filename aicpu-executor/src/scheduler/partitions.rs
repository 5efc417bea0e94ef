//! The partitions of a run's cores, and how the threads that are there share them.
//!
//! A run's `aicpu_thread_num` says into how many partitions its clusters are divided; how many
//! threads drive them is another matter. A thread steps the partitions that it can lock, its own first:
//! one thread alone does the whole run, and with more of them each mostly keeps to its own.
//! Nobody waits for a partition, so a thread that does not come back from a step holds up none but the cores of one.

use core::cell::UnsafeCell;
use core::fmt;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use protocol::{Chip, DispatchId};

use super::core_table::{Cluster, CoreLocation};
use super::deferred::SCHEDULER_LIMIT;
use super::task_store::TaskStore;
use super::thread::{SchedulerThread, StepContext};
use super::try_lock::TryLock;
use crate::platform::Platform;

/// One partition, on cache lines of its own.
#[repr(align(128))]
struct Partition<C: Chip> {
    lock: TryLock,
    /// Whether the last step has left cores or deferred sub-tasks behind that must be looked at again.
    is_busy: AtomicBool,
    cores: UnsafeCell<SchedulerThread<C>>,
}

/// All partitions of a device. Zeroes are a valid value: no run has formed any.
pub(crate) struct Partitions<C: Chip> {
    count: AtomicUsize,
    partitions: [Partition<C>; SCHEDULER_LIMIT],
}

// SAFETY: `cores` is used with `lock` held, or by a thread that is alone in the run.
unsafe impl<C: Chip> Sync for Partitions<C> {}

impl<C: Chip> Partitions<C> {
    /// Divides the clusters into `count` partitions, at least one and at most [`SCHEDULER_LIMIT`].
    /// `next_id` says where the dispatches of a core go on.
    ///
    /// # Safety
    ///
    /// The calling thread is alone in the run.
    pub(crate) unsafe fn form(
        &self,
        clusters: &[Cluster],
        count: usize,
        next_id: impl Fn(CoreLocation) -> DispatchId,
    ) {
        let count = count.clamp(1, SCHEDULER_LIMIT);
        for (index, partition) in self.partitions.iter().enumerate().take(count) {
            // SAFETY: the caller is alone.
            let cores = unsafe { &mut *partition.cores.get() };
            cores.form(index, count, clusters, &next_id);
            // ORDERING: Relaxed: the gate of the run publishes it.
            partition.is_busy.store(false, Ordering::Relaxed);
        }
        // ORDERING: Relaxed: as above.
        self.count.store(count, Ordering::Relaxed);
    }

    /// Goes on with the partitions of the last run, if there are `count`; whether there are. That run
    /// has succeeded, and its cores are up.
    ///
    /// # Safety
    ///
    /// The calling thread is alone in the run.
    pub(crate) unsafe fn go_on(&self, count: usize) -> bool {
        let formed = self.formed();
        if formed.len() != count.clamp(1, SCHEDULER_LIMIT) {
            return false;
        }
        for partition in formed {
            // SAFETY: the caller is alone.
            unsafe { &mut *partition.cores.get() }.go_on();
        }
        true
    }

    /// Whether no partition has anything left.
    #[cfg(test)]
    pub(crate) fn are_idle(&self) -> bool {
        self.formed().iter().all(|partition| !partition.is_busy())
    }

    /// Where all cores are. For a thread that is alone in the run.
    ///
    /// # Safety
    ///
    /// The calling thread is alone in the run as long as the iterator is used.
    pub(crate) unsafe fn locations(&self) -> impl Iterator<Item = CoreLocation> + Clone + '_ {
        self.formed().iter().flat_map(|partition| {
            // SAFETY: the caller is alone.
            unsafe { &*partition.cores.get() }.locations()
        })
    }

    fn formed(&self) -> &[Partition<C>] {
        // ORDERING: Relaxed: the gate of the run has published it.
        let count = self.count.load(Ordering::Relaxed);
        self.partitions.get(..count).unwrap_or_default()
    }
}

impl<C: Chip> Partition<C> {
    /// Steps the partition unless somebody else does. Whether anything moved.
    fn step<P: Platform, T: TaskStore>(&self, context: StepContext<'_, P, T>) -> bool {
        if !self.lock.try_take() {
            return false;
        }
        // SAFETY: with the lock held.
        let cores = unsafe { &mut *self.cores.get() };
        let moved = cores.step(context);
        let is_busy = !cores.is_idle();
        // ORDERING: Relaxed (both): a hint, and only the holder of the lock writes it.
        if self.is_busy.load(Ordering::Relaxed) != is_busy {
            self.is_busy.store(is_busy, Ordering::Relaxed);
        }
        self.lock.release();
        moved
    }

    /// Whether a step may find anything that has nothing to do with ready tasks.
    fn is_busy(&self) -> bool {
        // ORDERING: Relaxed: a hint; the thread that has made it true looks again itself.
        self.is_busy.load(Ordering::Relaxed)
    }
}

/// A thread's place among those that drive the partitions of a run.
#[derive(Debug)]
pub(crate) struct Driver<'a, C: Chip> {
    partitions: &'a Partitions<C>,
    own: usize,
    /// The other partition that is looked at next.
    next: usize,
}

impl<'a, C: Chip> Driver<'a, C> {
    /// The thread that was the `index`-th to join the run.
    pub(crate) fn new(partitions: &'a Partitions<C>, index: usize) -> Self {
        let count = partitions.formed().len().max(1);
        // Most threads have one each.
        let own = if index < count { index } else { index % count };
        Self { partitions, own, next: own }
    }

    /// Takes one step: completes what has finished and hands out what is ready. Returns whether anything moved.
    ///
    /// While the thread's own partition moves, one of the others is looked at in each step, so that
    /// cores whose thread is elsewhere are not forgotten; otherwise all are.
    pub(crate) fn step<P: Platform, T: TaskStore>(
        &mut self,
        context: StepContext<'_, P, T>,
    ) -> bool {
        let all = self.partitions.formed();
        let mut moved = all.get(self.own).is_some_and(|own| own.step(context));
        for _ in 1..all.len() {
            self.next = if self.next + 1 < all.len() { self.next + 1 } else { 0 };
            if self.next == self.own {
                self.next = if self.own + 1 < all.len() { self.own + 1 } else { 0 };
            }
            let had_moved = moved;
            if let Some(other) = all.get(self.next)
                && (other.is_busy() || has_ready(context))
            {
                moved |= other.step(context);
            }
            if had_moved {
                break;
            }
        }
        moved
    }
}

/// Whether there is anything to hand out: ready tasks, or a task that gathers cores.
fn has_ready<P: Platform, T: TaskStore>(context: StepContext<'_, P, T>) -> bool {
    context.scheduler.has_ready() || context.scheduler.meeting_point.current().is_some()
}

impl<C: Chip> fmt::Debug for Partitions<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Partitions").field("count", &self.count).finish_non_exhaustive()
    }
}

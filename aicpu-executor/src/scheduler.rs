//! The scheduler: gives ready tasks to cores and completes them.
//!
//! The clusters are divided into partitions ([`SchedulerThread`]), and for each of them one step is
//! repeated: look which of its cores have finished, complete those tasks, give the idle cores new
//! ones. The threads that are there step those that they can lock (`partitions`). What the partitions share is here: the three ready queues, the counters that end a run, and
//! the meeting point of tasks whose blocks must start together.
//!
//! | file | what |
//! |---|---|
//! | `ready_queue` | the bounded queue of ready tasks, one for each shape |
//! | `task_store` | what the scheduler asks of the place where the tasks are |
//! | `run_counters` | when a run is finished |
//! | `core_table` | registers and dispatch payloads of all cores |
//! | `handshake` | bringing the cores up and down (spec trb §6.1) |
//! | `thread` | one partition's clusters and its step |
//! | `partitions`, `try_lock` | all of them, and who steps which |
//! | `dispatch` | which core gets which block |
//! | `sync_start`, `meeting_point` | tasks whose blocks start together |
//! | `deferred` | sub-tasks that are finished only when conditions hold |
//! | `waits_for` | what a run that does not move waits for, for reports |
//!
//! Where the tasks are is behind the trait of `task_store`: in the rings that an orchestration on the
//! device fills, or in a graph that the host has built. A task is completed by the thread that sees
//! its last sub-task finish.

use core::sync::atomic::{AtomicU64, Ordering};

use protocol::Chip;

use crate::fault::FaultLatch;
use crate::platform::Platform;
use crate::region::SHAPE_COUNT;
use crate::sync::CacheAligned;

pub(crate) mod core_table;
pub(crate) mod deferred;
pub(crate) mod dispatch;
pub(crate) mod handshake;
pub(crate) mod meeting_point;
pub(crate) mod partitions;
pub(crate) mod ready_queue;
pub(crate) mod run_counters;
pub(crate) mod sync_start;
pub(crate) mod task_store;
#[cfg(test)]
mod tests;
pub(crate) mod thread;
mod try_lock;
pub(crate) mod waits_for;

use core_table::RunningKernels;
use deferred::notice::Notices;
use meeting_point::MeetingPoint;
use ready_queue::ReadyQueue;
use run_counters::RunCounters;
use task_store::{TaskHandle, TaskStore};

/// What all scheduler threads and the orchestrator share in a run.
#[derive(Debug, Default)]
pub(crate) struct Scheduler {
    queues: [ReadyQueue; SHAPE_COUNT],
    counters: RunCounters,
    /// Counts whatever moves; a run stalls when this stands still.
    progress: CacheAligned<AtomicU64>,
    /// Where tasks whose blocks start together get their cores.
    pub(crate) meeting_point: MeetingPoint,
    running: RunningKernels,
    /// What the threads wait for, for reports.
    pub(crate) deferred: Notices,
}

impl Scheduler {
    /// Prepares for a run.
    ///
    /// Called before the other threads enter the run.
    pub(crate) fn start(&self) {
        for queue in &self.queues {
            queue.skip_all();
        }
        self.counters.reset();
        self.meeting_point.reset();
    }

    /// Clears what a run that failed has left for reports: a run that succeeds leaves nothing there.
    ///
    /// Called before the other threads enter the run.
    pub(crate) fn clear_reports(&self) {
        self.running.clear();
        self.deferred.clear();
    }

    /// Where the ready queues are. Only between runs, or by a run's last thread.
    pub(crate) fn queue_positions(&self) -> [u64; SHAPE_COUNT] {
        self.queues.each_ref().map(ReadyQueue::position)
    }

    /// Whether the ready cells of a store must be zeroed, which the queues last used up to these
    /// positions. Only between runs.
    pub(crate) fn have_come_round(&self, left_at: &[u64], tasks: &impl TaskStore) -> bool {
        self.queues.iter().zip(left_at).enumerate().any(|(shape, (queue, left_at))| {
            tasks.ready_cells(shape).is_some_and(|cells| queue.has_come_round(*left_at, cells))
        })
    }

    /// Makes a task whose producers are complete available to the scheduler threads.
    pub(crate) fn make_ready<P: Platform>(
        &self,
        platform: &P,
        tasks: &impl TaskStore,
        faults: &FaultLatch,
        handle: TaskHandle,
        shape: u8,
    ) {
        let shape = usize::from(shape);
        platform.interleave();
        let pushed = match (self.queues.get(shape), tasks.ready_cells(shape)) {
            (Some(queue), Some(cells)) => queue.push(cells, handle.raw()).is_ok(),
            _ => false,
        };
        platform.interleave();
        if !pushed {
            // A queue has a cell for every slot there is, and a task is queued at most once.
            faults.report(
                protocol::StatusCode::SchedulerTimeout.code(),
                format_args!("ready queue {shape} cannot take task slot {:#x}", handle.raw()),
            );
        }
    }

    /// Takes a ready task of a shape.
    pub(crate) fn take_ready(&self, tasks: &impl TaskStore, shape: usize) -> Option<TaskHandle> {
        let cells = tasks.ready_cells(shape)?;
        self.queues.get(shape)?.pop(cells).map(TaskHandle::from_raw)
    }

    /// Whether a shape's queue looks empty.
    pub(crate) fn is_idle(&self, shape: usize) -> bool {
        self.queues.get(shape).is_none_or(ReadyQueue::is_empty)
    }

    /// Counts one finished sub-task; the last one completes the task.
    pub(crate) fn finish_subtask<P: Platform, T: TaskStore>(
        &self,
        platform: &P,
        tasks: &T,
        faults: &FaultLatch,
        handle: TaskHandle,
    ) {
        self.note_progress();
        let Some(task) = tasks.find(handle) else { return };
        platform.interleave();
        if tasks.count_subtask(task) {
            self.complete(platform, tasks, faults, (handle, task));
        }
    }

    /// Completes a task whose sub-tasks have all finished.
    fn complete<P: Platform, T: TaskStore>(
        &self,
        platform: &P,
        tasks: &T,
        faults: &FaultLatch,
        (handle, task): (TaskHandle, T::Task),
    ) {
        platform.interleave();
        let ready = |consumer, shape| self.make_ready(platform, tasks, faults, consumer, shape);
        // SAFETY: sub-tasks are those of published tasks; the last one is counted once, and until
        // then the task is not complete.
        unsafe { tasks.complete(platform, handle, task, ready) };
        platform.interleave();
        self.count_completed(1);
    }

    /// Counts completed tasks.
    pub(crate) fn count_completed(&self, tasks: u64) {
        self.counters.count_completed(tasks);
        self.note_progress();
    }

    /// Ends the counting: the run is finished once `tasks` tasks are complete.
    pub(crate) fn set_total(&self, tasks: u64) {
        self.counters.set_total(tasks);
        self.note_progress();
    }

    /// Whether the orchestration has ended and all its tasks are complete.
    pub(crate) fn is_finished(&self) -> bool {
        self.counters.is_finished()
    }

    /// Whether the orchestration has ended.
    pub(crate) fn is_total_known(&self) -> bool {
        self.counters.is_total_known()
    }

    /// Tasks completed so far.
    pub(crate) fn completed(&self) -> u64 {
        self.counters.completed()
    }

    /// What runs on the cores.
    pub(crate) fn running(&self) -> &RunningKernels {
        &self.running
    }

    /// Counts something that moved: a stalled run is one where nothing does.
    pub(crate) fn note_progress(&self) {
        // ORDERING: Relaxed: only compared for change.
        self.progress.0.fetch_add(1, Ordering::Relaxed);
    }

    /// What is counted by [`note_progress`](Self::note_progress). Any thread may ask at any time.
    pub(crate) fn moves(&self) -> u64 {
        // ORDERING: Relaxed: see `note_progress`.
        self.progress.0.load(Ordering::Relaxed)
    }

    /// Whether any ready task waits for a core. Any thread may ask at any time.
    pub(crate) fn has_ready(&self) -> bool {
        (0..SHAPE_COUNT).any(|shape| !self.is_idle(shape))
    }

    /// A number that changes whenever anything moves: what is counted by
    /// [`note_progress`](Self::note_progress), and what deferred tasks wait for, which may change
    /// while the thread that waits for it has no processor.
    ///
    /// For threads of the run, whenever their wait looks at the clock.
    pub(crate) fn progress<C: Chip, P: Platform>(&self, platform: &P) -> u64 {
        // ORDERING: Relaxed: see `note_progress`.
        let counted = self.progress.0.load(Ordering::Relaxed);
        counted.wrapping_add(self.deferred.values_now::<C, P>(platform))
    }
}

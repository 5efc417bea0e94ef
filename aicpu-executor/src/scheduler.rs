//! The scheduler: gives ready tasks to cores and completes them.
//!
//! The clusters are divided into partitions ([`SchedulerThread`]), and for each of them one step is
//! repeated: look which of its cores have finished, complete those tasks, give the idle cores new
//! ones, first of all those that the step has made ready itself. The threads that are there step
//! those that they can lock (`partitions`). What the partitions share is here: the ready queues and
//! boards of the three shapes, the counters that end a run, and the meeting point of tasks whose
//! blocks must start together.
//!
//! | file | what |
//! |---|---|
//! | `ready_queue` | the bounded queue of ready tasks, one for each shape |
//! | `task_store` | what the scheduler asks of the place where the tasks are |
//! | `block_board` | the task whose blocks are being handed out, one for each shape |
//! | `run_counters` | when a run is finished, and whether it moves |
//! | `core_table` | registers and dispatch payloads of all cores |
//! | `handshake` | bringing the cores up and down (spec trb §6.1) |
//! | `thread` | one partition's clusters and its step |
//! | `partitions`, `try_lock` | all of them, and who steps which |
//! | `collect` | which cores have finished, and what becomes of their tasks |
//! | `released` | the tasks that a step has made ready and not shared |
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

pub(crate) mod block_board;
pub(crate) mod collect;
pub(crate) mod core_table;
#[cfg(test)]
mod cost;
pub(crate) mod deferred;
pub(crate) mod dispatch;
pub(crate) mod handshake;
pub(crate) mod meeting_point;
pub(crate) mod partitions;
pub(crate) mod ready_queue;
pub(crate) mod released;
pub(crate) mod run_counters;
pub(crate) mod sync_start;
pub(crate) mod task_store;
#[cfg(test)]
mod tests;
pub(crate) mod thread;
mod try_lock;
pub(crate) mod waits_for;

use block_board::BlockBoard;
use core_table::RunningKernels;
use deferred::notice::Notices;
use meeting_point::MeetingPoint;
use ready_queue::ReadyQueue;
use released::{ReleasedTasks, Sink};
use run_counters::{ORCHESTRATOR, RunCounters};
use task_store::{TaskHandle, TaskStore};

/// What all scheduler threads and the orchestrator share in a run.
#[derive(Debug, Default)]
pub(crate) struct Scheduler {
    queues: [ReadyQueue; SHAPE_COUNT],
    boards: [BlockBoard; SHAPE_COUNT],
    counters: RunCounters,
    /// Number of the run.
    run: AtomicU64,
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
        // ORDERING: Relaxed (both): the gate of the run publishes it.
        self.run.store(self.run().wrapping_add(1), Ordering::Relaxed);
        // A run that was finished has left nothing on any core, queue or board, and nobody who waits.
        if !self.is_finished() {
            self.queues.iter().for_each(ReadyQueue::skip_all);
            self.boards.iter().for_each(BlockBoard::reset);
            self.meeting_point.reset();
            self.running.clear();
            self.deferred.clear();
        }
        self.counters.reset();
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
    #[inline(always)]
    pub(crate) fn make_ready<P: Platform>(
        &self,
        platform: &P,
        tasks: &impl TaskStore,
        faults: &FaultLatch,
        handle: TaskHandle,
        shape: u8,
    ) {
        platform.interleave();
        let shape = usize::from(shape);
        let queue = self.queue(tasks, shape);
        let pushed = queue.is_some_and(|(queue, cells)| queue.push(cells, &[handle.raw()]).is_ok());
        platform.interleave();
        if !pushed {
            no_cell(faults, shape, handle.raw());
        }
    }

    /// The same for several tasks of one shape, by their raw handles.
    pub(crate) fn make_all_ready<P: Platform>(
        &self,
        platform: &P,
        tasks: &impl TaskStore,
        faults: &FaultLatch,
        handles: &[u32],
        shape: usize,
    ) {
        platform.interleave();
        let queue = self.queue(tasks, shape);
        let pushed = queue.is_some_and(|(queue, cells)| queue.push(cells, handles).is_ok());
        platform.interleave();
        if !pushed {
            no_cell(faults, shape, handles.first().copied().unwrap_or_default());
        }
    }

    /// Makes the tasks ready that a graph begins with, each with its shape.
    pub(crate) fn make_roots_ready<P: Platform>(
        &self,
        platform: &P,
        tasks: &impl TaskStore,
        faults: &FaultLatch,
        roots: impl Iterator<Item = (TaskHandle, u8)>,
    ) {
        let mut released = ReleasedTasks::default();
        let sink = Sink { scheduler: self, platform, tasks, faults };
        for (task, shape) in roots {
            released.add(sink, task, shape);
        }
        released.share_all(sink);
    }

    /// The queue of a shape, and its cells.
    #[inline]
    fn queue<'a>(
        &'a self,
        tasks: &'a impl TaskStore,
        shape: usize,
    ) -> Option<(&'a ReadyQueue, &'a [AtomicU64])> {
        self.queues.get(shape).zip(tasks.ready_cells(shape))
    }

    /// Whether something of a shape seems to wait for cores; cheaper than to look for it.
    pub(crate) fn has_work(&self, tasks: &impl TaskStore, shape: usize) -> bool {
        self.queue(tasks, shape).is_some_and(|(queue, cells)| queue.has_value(cells))
            || self.board(shape).is_some_and(|board| board.look().is_some())
    }

    /// Whether nothing of a shape seems to wait for cores.
    pub(crate) fn is_idle(&self, shape: usize) -> bool {
        self.queues.get(shape).is_none_or(ReadyQueue::is_empty)
            && self.board(shape).is_none_or(|board| board.look().is_none())
    }

    /// Whether no more than one task of a shape seems to be in its queue.
    pub(crate) fn has_one_at_most(&self, shape: usize) -> bool {
        self.queues.get(shape).is_none_or(ReadyQueue::has_one_at_most)
    }

    /// Where the task of a shape is whose blocks are being handed out.
    pub(crate) fn board(&self, shape: usize) -> Option<&BlockBoard> {
        self.boards.get(shape)
    }

    /// The number of the run, among all of this executor.
    #[inline]
    pub(crate) fn run(&self) -> u64 {
        // ORDERING: Relaxed: written before the gate of the run opens.
        self.run.load(Ordering::Relaxed)
    }

    /// Counts something that moved, and completed tasks, for the thread that has partition `index`.
    pub(crate) fn count(&self, index: usize, completed: u64) {
        self.counters.count(index, completed);
    }

    /// Counts tasks that are complete without having run. Only the orchestrator.
    pub(crate) fn count_completed(&self, tasks: u64) {
        self.counters.count(ORCHESTRATOR, tasks);
    }

    /// Ends the counting: the run is finished once `tasks` tasks are complete.
    pub(crate) fn set_total(&self, tasks: u64) {
        self.counters.set_total(tasks);
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

    /// Counts something that moved: a stalled run is one where nothing does. Only the orchestrator;
    /// the partitions have [`count`](Self::count).
    #[inline]
    pub(crate) fn note_progress(&self) {
        self.counters.count(ORCHESTRATOR, 0);
    }

    /// What partitions and orchestrator count. Any thread may ask at any time.
    pub(crate) fn moves(&self) -> u64 {
        self.counters.moved()
    }

    /// Whether a task waits whose blocks are being handed out. Any thread may ask at any time.
    pub(crate) fn has_blocks(&self) -> bool {
        self.boards.iter().any(|board| board.look().is_some())
    }

    /// Whether anything ready waits for a core. Any thread may ask at any time.
    pub(crate) fn has_ready(&self) -> bool {
        (0..SHAPE_COUNT).any(|shape| !self.is_idle(shape))
    }

    /// A number that changes whenever anything moves: what partitions and orchestrator count, and what deferred tasks wait for, which may change
    /// while the thread that waits for it has no processor.
    ///
    /// For threads of the run, whenever their wait looks at the clock.
    pub(crate) fn progress<C: Chip, P: Platform>(&self, platform: &P) -> u64 {
        self.counters.moved().wrapping_add(self.deferred.values_now::<C, P>(platform))
    }
}

/// Reports a full queue: it has a cell for every slot there is, and a task is queued at most once.
#[cold]
fn no_cell(faults: &FaultLatch, shape: usize, task: u32) {
    faults.report(
        protocol::StatusCode::SchedulerTimeout.code(),
        format_args!("ready queue {shape} cannot take task slot {task:#x}"),
    );
}

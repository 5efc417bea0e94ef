//! Where the tasks of a run are: what the scheduler asks of them.
//!
//! The scheduler moves handles. It knows ready queues, cores and counts; what a task is made of, whom
//! to tell when it is complete, and what its kernel gets is known where the tasks are. There are two
//! such places, and one scheduler for both:
//!
//! | store | a task is | its consumers |
//! |---|---|---|
//! | `region` | a slot of a ring, written by an orchestration on the device | a list that grows until the task is complete |
//! | `graph` | an entry of an image that the host has built | a row of the image |
//!
//! A run has one store, chosen once for each thread: everything here is monomorphised.

use core::fmt;
use core::ops::Range;

use protocol::{DispatchPayload, TaskId};

use crate::fault::FaultLatch;
use crate::platform::Platform;
/// Names a task of a run: a slot of a ring, or the entry of a graph as an index of ring 0.
pub(crate) use crate::region::SlotHandle as TaskHandle;
use crate::sync::AtomicU64;

/// What placing a task needs. A copy: the task may be gone as soon as it is in other hands.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TaskLaunch {
    /// Blocks to run, 1 or more.
    pub(crate) block_count: u32,
    /// Lanes in use: bit 0 AIC, bit 1 AIV0, bit 2 AIV1.
    pub(crate) lanes: u8,
    /// `ResourceShape` as a number.
    pub(crate) shape: u8,
    /// Whether all blocks must start together.
    pub(crate) sync_start: bool,
    /// Differs from that of any other task of the run with this handle.
    pub(crate) id: TaskId,
}

impl TaskLaunch {
    /// Whether the task has a single sub-task: it is complete when that is.
    pub(crate) fn is_sole(&self) -> bool {
        self.block_count == 1 && self.lanes.is_power_of_two()
    }
}

/// Which thread completes a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Completer {
    /// The only one that adds consumers to a task.
    Orchestrator,
    /// Any other.
    Scheduler,
}

/// Where the tasks of a run are.
///
/// A task is *published* once it may run, and complete when
/// [`complete`](Self::complete) has returned for it. In between it stays as it is.
pub(crate) trait TaskStore: Sync {
    /// A task that was looked up.
    type Task: Copy;

    /// Cells of the ready queue of a shape; a power of two, the same at every call. `None` for a shape
    /// that no task of this store has.
    fn ready_cells(&self, shape: usize) -> Option<&[AtomicU64]>;

    /// The task that a handle names; `None` for a handle of another store.
    fn find(&self, handle: TaskHandle) -> Option<Self::Task>;

    /// What placing a task needs.
    ///
    /// # Safety
    ///
    /// The task is published and not complete.
    unsafe fn launch(&self, handle: TaskHandle, task: Self::Task) -> TaskLaunch;

    /// Claims up to `places` of a task's blocks. The caller holds the task, and lets go of it only
    /// afterwards.
    fn claim_blocks(&self, task: Self::Task, places: u32, block_count: u32) -> Range<u32>;

    /// Fills in what a kernel of a task gets: its address, arguments, number of blocks and token.
    /// Returns its func_id; `None` if the kernel is not there, which has been reported then.
    ///
    /// # Safety
    ///
    /// The task is published and not complete.
    unsafe fn fill(
        &self,
        handle: TaskHandle,
        task: Self::Task,
        lane: usize,
        payload: &mut DispatchPayload,
        faults: &FaultLatch,
    ) -> Option<i32>;

    /// Counts finished sub-tasks; true if the last one is among them. A task of one sub-task need
    /// not be counted.
    fn count_subtasks(&self, task: Self::Task, finished: u32) -> bool;

    /// Tells the consumers of a task whose sub-tasks have all finished, and marks it complete. `ready`
    /// gets each consumer for which this was the last producer, with its shape.
    ///
    /// # Safety
    ///
    /// The task is published and not complete, this is called once, and `by` is the calling thread.
    unsafe fn complete<P: Platform>(
        &self,
        platform: &P,
        handle: TaskHandle,
        task: Self::Task,
        by: Completer,
        ready: impl FnMut(TaskHandle, u8),
    );

    /// What messages call a task.
    ///
    /// # Safety
    ///
    /// The task is published and not complete.
    unsafe fn name(&self, handle: TaskHandle, task: Self::Task) -> TaskName;

    /// The number of a task, for reports about cores; `None` where nobody knows tasks by a number.
    fn number(handle: TaskHandle) -> Option<u32>;
}

/// What messages call a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TaskName {
    /// A task of a ring; an invalid id for one that is not known.
    OfRing(TaskId),
    /// The task of a graph with this number.
    OfGraph(u32),
}

impl fmt::Display for TaskName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OfRing(id) => write!(f, "task {} of ring {}", id.local(), id.ring()),
            Self::OfGraph(number) => write!(f, "task {number} of the graph"),
        }
    }
}

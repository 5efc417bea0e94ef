//! What the scheduler asks of a graph's tasks (see `scheduler::task_store`).

use core::ops::Range;

use protocol::{
    CoreType, DispatchPayload, GRAPH_SHAPES, GraphTask, GraphView, MAX_FUNC_IDS, ResourceShape,
    StatusCode, TaskId,
};

use super::pending_count::PendingCount;
use crate::fault::FaultLatch;
use crate::kernels::kernel_address;
use crate::platform::Platform;
use crate::scheduler::task_store::{Completer, TaskHandle, TaskLaunch, TaskName, TaskStore};
use crate::sync::AtomicU64;

/// A graph and what its run counts in.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Graph<'g> {
    /// The image.
    pub(super) view: GraphView<'g>,
    /// A count for each task.
    pub(super) counts: &'g [PendingCount],
    /// Cells of the ready queues, by shape.
    pub(super) ready_cells: [&'g [AtomicU64]; GRAPH_SHAPES],
    /// Addresses of the kernels' `CoreCallable` records, by func_id; 0 for none.
    pub(super) kernels: &'g [u64; MAX_FUNC_IDS],
}

impl<'g> Graph<'g> {
    /// Tasks of the graph.
    pub(crate) fn task_count(&self) -> u64 {
        self.view.tasks.len() as u64
    }

    /// The tasks that may run at once, with their shapes.
    pub(crate) fn roots(&self) -> impl Iterator<Item = (TaskHandle, u8)> + use<'g> {
        let tasks = self.view.tasks;
        self.view.roots.iter().filter_map(move |root| {
            Some((handle_of(*root), shape_of(tasks.get(*root as usize)?) as u8))
        })
    }
}

/// Address of a task's kernel.
///
/// # Errors
///
/// The code that was latched.
pub(super) fn kernel_of(
    kernels: &[u64; MAX_FUNC_IDS],
    number: usize,
    task: &GraphTask,
    faults: &FaultLatch,
) -> Result<u64, i32> {
    let func_id = i32::from(task.func_id);
    kernel_address(kernels, func_id)
        .map_err(|missing| report_missing(faults, number, func_id, missing))
}

#[cold]
fn report_missing(faults: &FaultLatch, number: usize, func_id: i32, missing: &str) -> i32 {
    faults.report(
        StatusCode::KernelMissing.code(),
        format_args!("task {number} of the graph names func_id {func_id}, but {missing}"),
    )
}

/// The handle of a task.
fn handle_of(number: u32) -> TaskHandle {
    TaskHandle::new(0, number)
}

/// The id of a task, for its kernel.
fn id_of(handle: TaskHandle) -> TaskId {
    // CAST: a graph has at most 2^24 tasks.
    TaskId::new(0, handle.index() as u32)
}

/// Where a task runs. Images with any other number are refused.
fn shape_of(task: &GraphTask) -> ResourceShape {
    match task.core_type() {
        Ok(CoreType::Aic) => ResourceShape::Aic,
        Ok(CoreType::Aiv) | Err(_) => ResourceShape::Aiv,
    }
}

impl<'g> TaskStore for Graph<'g> {
    type Task = &'g GraphTask;

    fn ready_cells(&self, shape: usize) -> Option<&[AtomicU64]> {
        self.ready_cells.get(shape).copied()
    }

    fn find(&self, handle: TaskHandle) -> Option<&'g GraphTask> {
        self.view.tasks.get(handle.index())
    }

    unsafe fn launch(&self, handle: TaskHandle, task: &'g GraphTask) -> TaskLaunch {
        let shape = shape_of(task);
        let lanes = if shape == ResourceShape::Aic { 0b001 } else { 0b010 };
        let (shape, id) = (shape as u8, id_of(handle));
        TaskLaunch { block_count: 1, lanes, shape, sync_start: false, id }
    }

    fn claim_blocks(&self, _: &'g GraphTask, places: u32, _: u32) -> Range<u32> {
        0..places.min(1)
    }

    unsafe fn fill(
        &self,
        handle: TaskHandle,
        task: &'g GraphTask,
        _: usize,
        payload: &mut DispatchPayload,
        faults: &FaultLatch,
    ) -> Option<i32> {
        // Looked at when the image was new; the table is another one for each run.
        let address = kernel_of(self.kernels, handle.index(), task, faults);
        payload.function_bin_addr = address.ok()?;
        let args = self.view.args_of(handle.index());
        for (place, arg) in payload.args.iter_mut().zip(args) {
            *place = *arg;
        }
        payload.local_context.block_num = 1;
        payload.local_context.async_ctx.task_token = id_of(handle);
        Some(i32::from(task.func_id))
    }

    fn count_subtasks(&self, _: &'g GraphTask, _: u32) -> bool {
        true
    }

    unsafe fn complete<P: Platform>(
        &self,
        platform: &P,
        handle: TaskHandle,
        _: &'g GraphTask,
        _: Completer,
        mut ready: impl FnMut(TaskHandle, u8),
    ) {
        for successor in self.view.successors_of(handle.index()) {
            // CAST: at least 32 bits.
            let number = *successor as usize;
            let (Some(count), Some(task)) = (self.counts.get(number), self.view.tasks.get(number))
            else {
                continue;
            };
            platform.interleave();
            if count.count_down(|| task.predecessor_count) {
                ready(handle_of(*successor), shape_of(task) as u8);
            }
        }
    }

    unsafe fn name(&self, handle: TaskHandle, _: &'g GraphTask) -> TaskName {
        // CAST: a graph has at most 2^24 tasks.
        TaskName::OfGraph(handle.index() as u32)
    }

    fn number(handle: TaskHandle) -> Option<u32> {
        // CAST: as above.
        Some(handle.index() as u32)
    }
}

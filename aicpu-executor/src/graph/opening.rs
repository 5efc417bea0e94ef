//! From a record that asks for the run of a graph to a graph that can run.
//!
//! The first thread of the run does all of this before the others enter:
//!
//! 1. Where everything is, and whether the image is the one that the record means.
//! 2. Unless the workspace is ready for that image: the whole image, its kernels, and its counts.
//! 3. The patches.
//!
//! Whatever is refused before anything was written leaves the workspace as it was. From then on it is
//! ready for nothing, until the last thread of a run that has succeeded says so
//! ([`OpenGraph::note_success`]).

use core::fmt;

use protocol::{
    GraphHeader, GraphPatch, GraphRun, GraphView, MAX_FUNC_IDS, SharedMemoryHeader, StatusCode,
    WorkspaceLayout, WorkspaceState,
};

use super::pending_count::PendingCount;
use super::store::{Graph, kernel_of};
use crate::fault::FaultLatch;
use crate::platform::Platform;
use crate::region::{HeaderFacts, SHAPE_COUNT, part, write_header_at};
use crate::scheduler::Scheduler;
use crate::sync::{AtomicU64, Ordering};

/// Images and workspaces begin at a multiple of this.
const ALIGN: u64 = 64;

/// A graph whose run is under way, and what its last thread needs.
#[derive(Debug)]
pub(crate) struct OpenGraph {
    /// The graph; `'static` stands for the time of the run.
    pub(crate) graph: Graph<'static>,
    /// Runs that have succeeded since the counts were written.
    pub(crate) runs: u64,
    number: u64,
    workspace: u64,
    layout: WorkspaceLayout,
}

/// How much of an image is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Look {
    /// What has been checked before.
    AtHeader,
    AtAll,
}

/// What opening a graph works with.
struct Opening<'a, P: Platform> {
    platform: &'a P,
    faults: &'a FaultLatch,
    run: GraphRun,
    kernels: &'static [u64; MAX_FUNC_IDS],
}

/// Prepares the run of a graph.
///
/// # Errors
///
/// The code that was latched: [`GraphInvalid`](StatusCode::GraphInvalid) for an image, patches or a
/// workspace that make no sense, [`RegionTooSmall`](StatusCode::RegionTooSmall) for a workspace
/// that is too small, [`KernelMissing`](StatusCode::KernelMissing). It is in the workspace's header too,
/// if there is a place for it.
///
/// # Safety
///
/// What the record names is device memory: the image and the patches are as the host wrote them (the
/// argument words of the image: as patches left them), the workspace as the executor left it, or zero.
/// They, and `kernels`, are for the executor alone until the run has ended. Only the calling thread is in
/// the run.
pub(crate) unsafe fn open<P: Platform>(
    platform: &P,
    scheduler: &Scheduler,
    faults: &FaultLatch,
    run: GraphRun,
    kernels: &'static [u64; MAX_FUNC_IDS],
) -> Result<OpenGraph, i32> {
    let opening = Opening { platform, faults, run, kernels };
    // SAFETY: the contract.
    let opened = unsafe { opening.open(scheduler) };
    if let Err(code) = opened
        && opening.has_header()
    {
        let facts = HeaderFacts { orchestrator_code: code, ..HeaderFacts::default() };
        // SAFETY: there is a workspace, which begins with a header, and only this thread uses it.
        unsafe { write_header_at(opening.run.workspace.raw(), 0, facts) };
    }
    opened
}

impl<P: Platform> Opening<'_, P> {
    fn refuse(&self, code: StatusCode, text: fmt::Arguments<'_>) -> i32 {
        self.faults.report(code.code(), text)
    }

    fn invalid(&self, text: fmt::Arguments<'_>) -> i32 {
        self.refuse(StatusCode::GraphInvalid, text)
    }

    /// Whether the workspace has at least a place for the codes of the run.
    fn has_header(&self) -> bool {
        let GraphRun { workspace, workspace_bytes, .. } = self.run;
        is_placed(workspace.raw()) && workspace_bytes >= size_of::<SharedMemoryHeader>() as u64
    }

    /// # Safety
    ///
    /// As for [`open`].
    unsafe fn open(&self, scheduler: &Scheduler) -> Result<OpenGraph, i32> {
        let GraphRun { number, workspace, .. } = self.run;
        // SAFETY: by the contract.
        let header = *unsafe { self.image(Look::AtHeader) }?.header;
        let layout = WorkspaceLayout::of(header.task_count);
        self.check_workspace(&layout)?;
        let state_at = workspace.raw() + layout.state;
        self.platform.invalidate_cache(state_at, size_of::<WorkspaceState>());
        let state_place = pointer_to::<WorkspaceState>(state_at);
        // SAFETY: the state is in the workspace, aligned as that is; any bytes are one.
        let state = unsafe { state_place.read() };
        let is_ready = state.ready_for == number;
        // SAFETY: by the contract.
        let patches = unsafe { self.patches(header.arg_count) }?;
        if !is_ready {
            // SAFETY: by the contract.
            let view = unsafe { self.image(Look::AtAll) }?;
            self.check_kernels(&view)?;
        }
        // SAFETY: as for the read.
        unsafe { state_place.write(WorkspaceState::default()) };
        let args_at = self.run.image.raw() + header.layout().args.start as u64;
        // SAFETY: by the contract; the argument words are where the header says, the image has been
        // checked, and no reference to them is in use. The patches name words that are there.
        unsafe { self.apply(patches, args_at) };
        // SAFETY: by the contract.
        let view = unsafe { self.image(Look::AtHeader) }?;
        // SAFETY: the workspace has room for this layout, and is the executor's.
        let graph = unsafe { graph_at(workspace.raw(), &layout, view, self.kernels) };
        let Some(graph) = graph else {
            return Err(self.invalid(format_args!("a graph of {} tasks", header.task_count)));
        };
        if !is_ready {
            self.write_counts(&graph)?;
        }
        if !is_ready || scheduler.have_come_round(&state.queue_positions, &graph) {
            graph.zero_cells();
        }
        let runs = if is_ready { state.runs } else { 0 };
        Ok(OpenGraph { graph, runs, number, workspace: workspace.raw(), layout })
    }

    /// The image that the record names.
    ///
    /// # Safety
    ///
    /// As for [`open`].
    unsafe fn image(&self, look: Look) -> Result<GraphView<'static>, i32> {
        let GraphRun { image, image_bytes, number, .. } = self.run;
        let (address, length) = (image.raw(), length_at(image.raw(), image_bytes));
        let (true, Some(length)) = (is_placed(address), length) else {
            return Err(self.invalid(format_args!(
                "an image of {image_bytes} bytes at {address:#x}, which must be a multiple of {ALIGN}"
            )));
        };
        let invalidated = match look {
            Look::AtHeader => length.min(size_of::<GraphHeader>()),
            Look::AtAll => length,
        };
        self.platform.invalidate_cache(address, invalidated);
        // SAFETY: the host's bytes, which nobody writes while this is in use.
        let bytes = unsafe { core::slice::from_raw_parts(pointer_to::<u8>(address), length) };
        let view = match look {
            Look::AtHeader => GraphView::of_known(bytes),
            Look::AtAll => GraphView::parse(bytes),
        };
        let view =
            view.map_err(|error| self.invalid(format_args!("the image at {address:#x}: {error}")))?;
        if number == 0 || view.header.number != number {
            return Err(self.invalid(format_args!(
                "the record asks for image {number}; at {address:#x} there is image {}",
                view.header.number
            )));
        }
        Ok(view)
    }

    /// Checks where the workspace is, and that it has room.
    fn check_workspace(&self, layout: &WorkspaceLayout) -> Result<(), i32> {
        let GraphRun { workspace, workspace_bytes, .. } = self.run;
        let address = workspace.raw();
        if !is_placed(address) || length_at(address, workspace_bytes).is_none() {
            return Err(self.invalid(format_args!(
                "a workspace of {workspace_bytes} bytes at {address:#x}, which must be a multiple of \
                 {ALIGN}"
            )));
        }
        if workspace_bytes < layout.total {
            return Err(self.refuse(
                StatusCode::RegionTooSmall,
                format_args!(
                    "a workspace of {workspace_bytes} bytes; the graph needs {}",
                    layout.total
                ),
            ));
        }
        Ok(())
    }

    /// The patches, each of which names one of the graph's `words` argument words.
    ///
    /// # Safety
    ///
    /// As for [`open`].
    unsafe fn patches(&self, words: u32) -> Result<&'static [GraphPatch], i32> {
        let GraphRun { patches, patch_count, .. } = self.run;
        let address = patches.raw();
        if patch_count == 0 {
            return Ok(&[]);
        }
        let bytes = patch_count.saturating_mul(size_of::<GraphPatch>() as u64);
        let is_aligned = address != 0 && address.is_multiple_of(align_of::<GraphPatch>() as u64);
        let (true, Some(bytes)) = (is_aligned, length_at(address, bytes)) else {
            return Err(self.invalid(format_args!(
                "{patch_count} patches at {address:#x}, which must be a multiple of {}",
                align_of::<GraphPatch>()
            )));
        };
        if patch_count > u64::from(words) {
            return Err(self.invalid(format_args!(
                "{patch_count} patches for {words} argument words, each of which has at most one"
            )));
        }
        self.platform.invalidate_cache(address, bytes);
        let count = bytes / size_of::<GraphPatch>();
        // SAFETY: the host's patches, aligned, which nobody writes while this is in use.
        let all = unsafe { core::slice::from_raw_parts(pointer_to::<GraphPatch>(address), count) };
        match all.iter().position(|patch| patch.word >= words) {
            None => Ok(all),
            Some(index) => Err(self.invalid(format_args!(
                "patch {index} (of {count}, from 0) is for argument word {}; there are {words}",
                all.get(index).map_or(0, |patch| patch.word)
            ))),
        }
    }

    /// Writes the patches into the argument words.
    ///
    /// # Safety
    ///
    /// The words that the patches name may be written at `args_at`, and no reference to them is in use.
    unsafe fn apply(&self, patches: &[GraphPatch], args_at: u64) {
        let words = pointer_to::<u64>(args_at);
        let (mut first, mut end) = (u32::MAX, 0);
        for patch in patches {
            // CAST: at least 32 bits.
            // SAFETY: the contract.
            unsafe { words.add(patch.word as usize).write(patch.value) };
            (first, end) = (first.min(patch.word), end.max(patch.word + 1));
        }
        if first < end {
            // A line that stayed dirty here could be written over the next image at this place.
            // CAST: as above.
            let bytes = (end - first) as usize * size_of::<u64>();
            self.platform.clean_cache(args_at + u64::from(first) * size_of::<u64>() as u64, bytes);
        }
    }

    /// Checks that there is a kernel for each task.
    fn check_kernels(&self, view: &GraphView<'_>) -> Result<(), i32> {
        view.tasks.iter().enumerate().try_for_each(|(number, task)| {
            kernel_of(self.kernels, number, task, self.faults).map(drop)
        })
    }

    /// Writes the counts of a new image, and checks that each is the number of edges that lead to its
    /// task: a task that counts too many would never run, and one that counts too few too early.
    fn write_counts(&self, graph: &Graph<'_>) -> Result<(), i32> {
        for count in graph.counts {
            count.set(0);
        }
        for successor in graph.view.successors {
            // CAST: at least 32 bits.
            if let Some(count) = graph.counts.get(*successor as usize) {
                count.add();
            }
        }
        for (number, (count, task)) in graph.counts.iter().zip(graph.view.tasks).enumerate() {
            if count.count() != task.predecessor_count {
                return Err(self.invalid(format_args!(
                    "task {number} of the graph counts {} predecessors, and {} edges lead to it",
                    task.predecessor_count,
                    count.count()
                )));
            }
        }
        Ok(())
    }
}

impl OpenGraph {
    /// Writes the header that a host may read.
    ///
    /// Called by one thread, before the run and after it.
    pub(crate) fn write_header(&self, facts: HeaderFacts) {
        // SAFETY: the workspace begins with a header, and only the calling thread uses it now.
        unsafe { write_header_at(self.workspace, self.layout.total, facts) };
    }

    /// Where that header is.
    pub(crate) fn header_address(&self) -> u64 {
        self.workspace
    }

    /// Leaves the workspace ready for the next run of this image, with the ready queues where they are.
    ///
    /// Only the last thread of a run that has succeeded.
    pub(crate) fn note_success(&self, queue_positions: [u64; SHAPE_COUNT]) {
        let [aic, aiv, _] = queue_positions;
        let state = WorkspaceState {
            ready_for: self.number,
            runs: self.runs.wrapping_add(1),
            queue_positions: [aic, aiv],
            ..WorkspaceState::default()
        };
        let place = pointer_to::<WorkspaceState>(self.workspace + self.layout.state);
        // SAFETY: the workspace is the executor's, and only the calling thread uses it now.
        unsafe { place.write(state) };
    }
}

impl Graph<'_> {
    /// Brings the cells into the state of a new workspace. Only while nobody else uses them.
    fn zero_cells(&self) {
        for cell in self.ready_cells.iter().flat_map(|cells| cells.iter()) {
            // ORDERING: Relaxed: the gate of the run publishes them.
            cell.store(0, Ordering::Relaxed);
        }
    }
}

/// The graph of an image over its workspace; `None` for sizes that this machine does not have.
///
/// # Safety
///
/// `workspace` is aligned and has room for `layout`, which is that of the image, for the executor alone.
unsafe fn graph_at(
    workspace: u64,
    layout: &WorkspaceLayout,
    view: GraphView<'static>,
    kernels: &'static [u64; MAX_FUNC_IDS],
) -> Option<Graph<'static>> {
    let base = pointer_to::<u8>(workspace);
    let capacity = usize::try_from(layout.ready_capacity).ok()?;
    // SAFETY: (all) offset and count are those of the layout, so each part lies within the workspace, is
    // aligned and disjoint from the others; any bytes are a value.
    let counts: &[PendingCount] = unsafe { part(base, layout.pending, view.tasks.len()) }?;
    let [cube, vector] = layout.ready_cells;
    // SAFETY: as above.
    let cube: &[AtomicU64] = unsafe { part(base, cube, capacity) }?;
    // SAFETY: as above.
    let vector: &[AtomicU64] = unsafe { part(base, vector, capacity) }?;
    Some(Graph { view, counts, ready_cells: [cube, vector], kernels })
}

/// Whether something can begin at an address.
fn is_placed(address: u64) -> bool {
    address != 0 && address.is_multiple_of(ALIGN)
}

/// So many bytes as a length, if there can be so many at an address.
fn length_at(address: u64, bytes: u64) -> Option<usize> {
    let end = address.checked_add(bytes)?;
    usize::try_from(end).ok()?;
    isize::try_from(bytes).ok().map(isize::cast_unsigned)
}

/// A pointer to device memory.
fn pointer_to<T>(address: u64) -> *mut T {
    // CAST: addresses have been compared with what there can be.
    core::ptr::with_exposed_provenance_mut(address as usize)
}

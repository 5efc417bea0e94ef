//! Task slots: everything about one task, in one place.
//!
//! Life of a slot, with who does what:
//!
//! ```text
//!        (1) take            (2) publish          (3) complete
//! free ─────────► being ───────────────► pending ─────────────► completed
//!   ▲   orchestr.  written   orchestr.    │  ▲      scheduler        │
//!   │                                     └──┘ run by cores          │
//!   └────────────────────── (4) retire: orchestrator ◄───────────────┘
//!                               once nobody holds a reference
//! ```
//!
//! 1. `TaskRings::take`; the slot is the orchestrator's alone.
//! 2. `Orchestrator::submit`; from here the record, tensors and scalars are read-only.
//! 3. `TaskStore::complete`: lets go of the producers, then closes the list of consumers, which marks
//!    the task complete and is the very last access of a scheduler to the slot.
//! 4. `TaskRings::retire`: only the orchestrator retires, in ring order, and only a slot that is
//!    completed and unreferenced. So a slot that it has not retired yet cannot be reused under
//!    it, and it may take new references without a compare-and-swap (the reference's race on
//!    `fanout_count`, spec trb §14.1, cannot occur).
//!
//! References: one of each consumer edge. That an open scope holds a task is not counted here: the
//! orchestrator knows it from the task's number (`TaskRings::hold_from`).
//!
//! A slot is cut by who writes what when, each part on cache lines of its own:
//!
//! | lines | content | written by |
//! |---|---|---|
//! | 1 | state | orchestrator and schedulers |
//! | | note | orchestrator, read by nobody else; it looks at it when it looks at the state |
//! | 1 | record | orchestrator, before it publishes the task |
//! | 1 | the first scalars | orchestrator, before it publishes the task |
//! | 2 each | the first tensors; the second line of one only if it is meaningful | the same |
//!
//! Further scalars and tensors are in a part of the region that few tasks touch ([`MoreArguments`]).

use core::cell::UnsafeCell;
use core::mem::{align_of, size_of};
use core::sync::atomic::{AtomicU32, Ordering};

use protocol::{INVALID_KERNEL_ID, LANE_COUNT, MAX_SCALAR_ARGS, MAX_TENSOR_ARGS, TaskId, Tensor};

use super::block_cursor::BlockCursor;
use super::consumers::Consumers;
use super::handle::SlotHandle;

/// What schedulers need to know of a task. Read-only once the task is published.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub(crate) struct TaskRecord {
    /// Run-time addresses of the kernels, by lane (AIC, AIV0, AIV1); 0 for an unused lane.
    pub(crate) kernel_addresses: [u64; LANE_COUNT],
    /// func ids of the kernels, by lane; -1 for an unused lane. For messages.
    pub(crate) kernel_ids: [i32; LANE_COUNT],
    /// Blocks to run, 1 or more.
    pub(crate) block_count: u32,
    /// Index of the first edge in the ring's edges; the run may wrap around.
    pub(crate) edge_first: u32,
    /// Edges of the task: one for each producer.
    pub(crate) edge_count: u32,
    /// Length of the ring of edges.
    pub(crate) edge_ring: u32,
    /// Lanes in use: bit 0 AIC, bit 1 AIV0, bit 2 AIV1.
    pub(crate) lanes: u8,
    /// `ResourceShape` as a number: ready queue and dispatch rule.
    pub(crate) shape: u8,
    /// Tensors in use.
    pub(crate) tensor_count: u8,
    /// Scalars in use.
    pub(crate) scalar_count: u8,
    /// Non-zero if all blocks must start together.
    pub(crate) sync_start: u8,
    /// Written as zero.
    pub(crate) reserved: [u8; 3],
    /// Number of the task in its ring: with the ring, its id.
    pub(crate) local: u32,
}

impl TaskRecord {
    /// That of no task.
    pub(crate) const NONE: Self = Self {
        kernel_addresses: [0; LANE_COUNT],
        kernel_ids: [INVALID_KERNEL_ID; LANE_COUNT],
        block_count: 0,
        edge_first: 0,
        edge_count: 0,
        edge_ring: 0,
        lanes: 0,
        shape: 0,
        tensor_count: 0,
        scalar_count: 0,
        sync_start: 0,
        reserved: [0; 3],
        local: 0,
    };

    /// Id of the task, whose handle the caller knows.
    #[inline]
    pub(crate) fn id(&self, handle: SlotHandle) -> TaskId {
        // CAST: a ring is below 4.
        TaskId::new(handle.ring() as u8, self.local)
    }
}

/// What only the orchestrator knows of a task.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub(crate) struct OrchestratorNote {
    /// Position in the heap ring behind the task's outputs (see `HeapRing`).
    pub(crate) heap_end: u64,
    /// Position in the edge ring behind the task's edges.
    pub(crate) edge_end: u64,
    /// First tensor-map entry of the task, or [`OrchestratorNote::NONE`].
    pub(crate) map_first: u32,
    /// Number of the last submission that named this task as a producer: a second mention within
    /// one submission is recognised without a search.
    pub(crate) named_by: u32,
}

impl OrchestratorNote {
    /// No entry.
    pub(crate) const NONE: u32 = u32::MAX;
}

/// Scalars in a slot itself.
pub(crate) const INLINE_SCALARS: usize = 8;
/// Tensors in a slot itself: as many as most tasks have.
pub(super) const INLINE_TENSORS: usize = 4;

/// A value on cache lines of its own.
#[derive(Debug)]
#[repr(C, align(64))]
struct Line<T>(T);

/// One task: state, record, arguments.
#[derive(Debug)]
#[repr(C, align(64))]
pub(crate) struct TaskSlot {
    /// Who waits for this task, who keeps it, and whether it is complete. Written by the orchestrator
    /// and by every consumer's scheduler.
    pub(crate) consumers: Consumers,
    /// Producers not yet complete, plus [`WIRING`] while the orchestrator adds edges.
    pub(crate) pending: AtomicU32,
    /// Sub-tasks (blocks × lanes) not yet finished.
    pub(crate) subtasks_left: AtomicU32,
    /// First block nobody has claimed yet.
    pub(crate) blocks: BlockCursor,
    note: UnsafeCell<OrchestratorNote>,
    record: Line<UnsafeCell<TaskRecord>>,
    scalars: Line<UnsafeCell<[u64; INLINE_SCALARS]>>,
    tensors: UnsafeCell<[Tensor; INLINE_TENSORS]>,
}

/// What `pending` has on top while the orchestrator adds edges: more than a task can have. So an edge
/// is counted when all are there, by one access.
pub(crate) const WIRING: u32 = 1 << 31;

/// The arguments of a task that do not fit into its slot; one for each slot.
#[derive(Debug)]
#[repr(C, align(64))]
pub(crate) struct MoreArguments {
    scalars: UnsafeCell<[u64; MAX_SCALAR_ARGS - INLINE_SCALARS]>,
    tensors: UnsafeCell<[Tensor; MAX_TENSOR_ARGS - INLINE_TENSORS]>,
}

const _: () = assert!(size_of::<TaskRecord>() == 64);
const _: () = assert!(size_of::<OrchestratorNote>() == 24);
const _: () = assert!(align_of::<TaskSlot>() == 64 && align_of::<MoreArguments>() == 64);
const _: () = assert!(core::mem::offset_of!(TaskSlot, record) == 64);
const _: () = assert!(size_of::<TaskSlot>() == 3 * 64 + 4 * 128);
const _: () = assert!(size_of::<MoreArguments>() == 3 * 64 + 12 * 128);

// SAFETY: as for `TaskSlot`: written before the task is published and read-only afterwards.
unsafe impl Sync for MoreArguments {}

/// Where the arguments of a task are.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Arguments<'r> {
    pub(super) slot: &'r TaskSlot,
    pub(super) more: &'r MoreArguments,
}

impl Arguments<'_> {
    /// Address of tensor `index`, if it is the first one of those in the slot or of the others; from there
    /// on they are in a row.
    #[inline]
    pub(crate) fn first_tensor(self, index: usize) -> Option<*mut Tensor> {
        (index == 0 || index == INLINE_TENSORS).then(|| self.tensor_pointer(index))
    }

    /// Address of tensor `index`, which is what kernels and `TaskOutputTensors` point at.
    #[inline]
    pub(crate) fn tensor_pointer(self, index: usize) -> *mut Tensor {
        debug_assert!(index < MAX_TENSOR_ARGS);
        match index.checked_sub(INLINE_TENSORS) {
            None => self.slot.tensors.get().cast::<Tensor>().wrapping_add(index),
            Some(index) => self.more.tensors.get().cast::<Tensor>().wrapping_add(index),
        }
    }

    /// Addresses of the scalars in the slot, and of the others.
    #[inline]
    pub(crate) fn scalar_pointers(self) -> (*mut [u64; INLINE_SCALARS], *mut u64) {
        (self.slot.scalars.0.get(), self.more.scalars.get().cast())
    }

    /// Address of scalar `index`.
    #[inline]
    pub(crate) fn scalar_pointer(self, index: usize) -> *mut u64 {
        debug_assert!(index < MAX_SCALAR_ARGS);
        match index.checked_sub(INLINE_SCALARS) {
            None => self.slot.scalars.0.get().cast::<u64>().wrapping_add(index),
            Some(index) => self.more.scalars.get().cast::<u64>().wrapping_add(index),
        }
    }
}

// SAFETY: the cells are written by the orchestrator before the task is published and read-only
// afterwards (`record`, `scalars`, `tensors`), or never leave its thread (`note`); each accessor
// that gives access says so in its contract.
unsafe impl Sync for TaskSlot {}

impl TaskSlot {
    /// Prepares the shared words for a task that waits for its edges.
    ///
    /// The orchestrator calls it on a slot it has just taken.
    #[inline]
    pub(crate) fn open(&self, subtasks: u32) {
        self.consumers.reset(false);
        // ORDERING: Relaxed (both): the slot belongs to the orchestrator alone until `publish`.
        self.pending.store(WIRING, Ordering::Relaxed);
        self.subtasks_left.store(subtasks, Ordering::Relaxed);
        self.blocks.reset();
    }

    /// Prepares the shared words for a task that is complete from the start (`alloc_tensors`).
    pub(crate) fn open_completed(&self) {
        self.consumers.reset(true);
        // ORDERING: Relaxed (both): as in `open`; consumers' schedulers see the task through its edges.
        self.pending.store(0, Ordering::Relaxed);
        self.subtasks_left.store(0, Ordering::Relaxed);
        self.blocks.reset();
    }

    /// Takes a reference. Only the orchestrator may, and only on a slot it has not retired.
    #[inline]
    pub(crate) fn retain(&self) {
        self.consumers.retain();
    }

    /// Gives a reference back.
    #[inline]
    pub(crate) fn release(&self) {
        self.consumers.release();
    }

    /// Whether the task is complete; if so its outputs are visible to the caller.
    #[inline]
    pub(crate) fn is_completed(&self) -> bool {
        self.consumers.is_completed()
    }

    /// References held now; meaningful to the orchestrator, which alone can add to them.
    #[inline]
    pub(crate) fn reference_count(&self) -> u32 {
        self.consumers.count()
    }

    /// Whether the task is complete and no consumer holds a reference.
    #[inline]
    pub(crate) fn is_retirable(&self) -> bool {
        self.consumers.is_retirable()
    }

    /// Addresses of the tensors and of the scalars in the slot.
    #[inline]
    pub(super) fn arguments(&self) -> ([*mut Tensor; INLINE_TENSORS], *mut [u64; INLINE_SCALARS]) {
        let first = self.tensors.get().cast::<Tensor>();
        (core::array::from_fn(|index| first.wrapping_add(index)), self.scalars.0.get())
    }

    /// The task's record.
    ///
    /// # Safety
    ///
    /// The task is published and not retired, or the caller is the orchestrator between two
    /// writes of the slot.
    #[inline]
    pub(crate) unsafe fn record(&self) -> &TaskRecord {
        // SAFETY: nobody writes a published record; for the orchestrator see the contract.
        unsafe { &*self.record.0.get() }
    }

    /// Begins the record as a copy of another one.
    ///
    /// # Safety
    ///
    /// The caller is the orchestrator, the slot is taken and not yet published, and no reference
    /// from here or from [`record`](Self::record) is in use.
    #[expect(clippy::mut_from_ref, reason = "the cell is the caller's alone, by the contract")]
    #[inline]
    pub(crate) unsafe fn new_record(&self, like: &TaskRecord) -> &mut TaskRecord {
        let record = self.record.0.get();
        // SAFETY: exclusive by the contract.
        unsafe { record.copy_from_nonoverlapping(like, 1) };
        // SAFETY: as above; just written.
        unsafe { &mut *record }
    }

    /// The orchestrator's note on the task.
    ///
    /// # Safety
    ///
    /// The caller is the orchestrator's thread.
    #[inline]
    pub(crate) unsafe fn note(&self) -> OrchestratorNote {
        // SAFETY: no other thread uses the note, and no reference to it is ever made.
        unsafe { self.note.get().read() }
    }

    /// Replaces the note.
    ///
    /// # Safety
    ///
    /// The caller is the orchestrator's thread.
    #[inline]
    pub(crate) unsafe fn set_note(&self, note: OrchestratorNote) {
        // SAFETY: as for `note`.
        unsafe { self.note.get().write(note) };
    }

    /// Replaces the number of the submission that named this task last.
    ///
    /// # Safety
    ///
    /// The caller is the orchestrator's thread.
    #[inline]
    pub(crate) unsafe fn set_named_by(&self, number: u32) {
        // SAFETY: as for `note`: a part of it.
        unsafe { (&raw mut (*self.note.get()).named_by).write(number) };
    }

    /// Replaces the first of the tensor-map entries.
    ///
    /// # Safety
    ///
    /// The caller is the orchestrator's thread.
    #[inline]
    pub(crate) unsafe fn set_map_first(&self, entry: u32) {
        // SAFETY: as for `note`: a part of it.
        unsafe { (&raw mut (*self.note.get()).map_first).write(entry) };
    }

    /// Replaces the position behind the task's edges.
    ///
    /// # Safety
    ///
    /// The caller is the orchestrator's thread.
    #[inline]
    pub(crate) unsafe fn set_edge_end(&self, position: u64) {
        // SAFETY: as for `note`: a part of it.
        unsafe { (&raw mut (*self.note.get()).edge_end).write(position) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slot() -> TaskSlot {
        // SAFETY: any bytes are a valid slot: atomics, integers and arrays of them.
        unsafe { core::mem::zeroed() }
    }

    #[test]
    fn is_retirable_only_when_completed_and_unreferenced() {
        let slot = slot();
        slot.open(1);
        slot.retain();
        assert!(!slot.is_completed() && !slot.is_retirable());
        slot.consumers.close();
        assert!(slot.is_completed() && !slot.is_retirable());
        assert_eq!(slot.reference_count(), 1);
        slot.release();
        assert_eq!((slot.reference_count(), slot.is_retirable()), (0, true));
    }

    #[test]
    fn a_task_without_kernel_is_complete_and_refuses_consumers() {
        let slot = slot();
        slot.open_completed();
        assert!(slot.is_completed() && slot.is_retirable());
        assert!(!slot.consumers.push(0, &AtomicU32::new(0), false));
    }
}

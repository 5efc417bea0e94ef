//! Submission of one task (spec trb §4.4).
//!
//! The steps are parts of one function for the machine, by `inline(always)`: what a step returns would
//! otherwise go through memory, written field by field and read in wider pieces. A processor does not
//! forward such a store to the load, and each step would begin with a wait for the one before.

use core::sync::atomic::Ordering;

use protocol::{
    ActiveMask, Arg, ArgTag, BufferHandle, Chip, INVALID_KERNEL_ID, LANE_COUNT, MAX_FUNC_IDS,
    MixedKernels, ResourceShape, StatusCode, TaskId, TaskOutputTensors, Tensor,
};

use super::request::TaskRequest;
use super::task_rings::{RingSizes, Submission, TakenSlot};
use super::{Fatal, Orchestrator, Services, payload};
use crate::kernels::kernel_address;
use crate::platform::Platform;
use crate::region::{OrchestratorNote, TaskRecord, WIRING};

/// Kernels of a task, found and checked. An orchestration mostly submits the same ones again.
#[derive(Debug, Clone, Copy)]
pub(super) struct FoundKernels {
    /// What was looked for.
    wanted: MixedKernels,
    /// Lanes in use.
    lane_count: u32,
    shape: ResourceShape,
    /// What the record of such a task begins as.
    record: TaskRecord,
}

impl FoundKernels {
    /// Those of no task: nobody submits a task without kernel.
    pub(super) const NONE: Self = Self {
        wanted: MixedKernels {
            aic_kernel_id: INVALID_KERNEL_ID,
            aiv0_kernel_id: INVALID_KERNEL_ID,
            aiv1_kernel_id: INVALID_KERNEL_ID,
        },
        lane_count: 0,
        shape: ResourceShape::Aiv,
        record: TaskRecord::NONE,
    };

    /// Finds the same ones in the table of another run; none where that does not have them all.
    pub(super) fn find_again(&mut self, kernels: &[u64; MAX_FUNC_IDS]) {
        let TaskRecord { kernel_ids, kernel_addresses, .. } = &mut self.record;
        for (id, address) in kernel_ids.iter().zip(kernel_addresses) {
            if *id == INVALID_KERNEL_ID {
                continue;
            }
            let Ok(found) = kernel_address(kernels, *id) else {
                *self = Self::NONE;
                return;
            };
            *address = found;
        }
    }
}

/// How a task is spread over cores, checked.
#[derive(Debug, Clone, Copy)]
struct Launch {
    block_count: u32,
    sync_start: bool,
}

impl Orchestrator {
    /// Submits a task; after a fault, now or earlier, the result is empty.
    ///
    /// # Safety
    ///
    /// As for [`TaskRequest::read`]; `kernels` is null or points at a `MixedKernels`.
    #[inline(always)]
    pub(crate) unsafe fn submit<C: Chip, P: Platform>(
        &mut self,
        services: &mut Services<'_, C, P>,
        kernels: *const MixedKernels,
        arg: *const Arg,
    ) -> TaskOutputTensors {
        // SAFETY: by the contract.
        match unsafe { self.try_submit(services, kernels, arg) } {
            Ok(id) => self.result(id),
            Err(Fatal) => TaskOutputTensors::EMPTY,
        }
    }

    /// What the orchestration gets for the task that was submitted.
    #[inline(always)]
    pub(super) fn result(&self, task_id: TaskId) -> TaskOutputTensors {
        // CAST: at most 16.
        let output_count = self.output_count as u32;
        TaskOutputTensors { task_id, output_count, reserved: 0, tensors: self.outputs }
    }

    /// # Safety
    ///
    /// As for [`submit`](Self::submit).
    #[inline(always)]
    unsafe fn try_submit<C: Chip, P: Platform>(
        &mut self,
        services: &mut Services<'_, C, P>,
        kernels: *const MixedKernels,
        arg: *const Arg,
    ) -> Result<TaskId, Fatal> {
        services.check()?;
        // SAFETY: by the contract.
        let request = unsafe { TaskRequest::read(services, arg, &mut self.output_bytes) }?;
        if kernels.is_null() || !kernels.is_aligned() {
            return Err(services.fatal(
                StatusCode::InvalidArgs,
                format_args!("the kernels of a task are null or misaligned"),
            ));
        }
        // SAFETY: non-null, aligned, and a `MixedKernels` by the contract.
        let kernels = unsafe { &*kernels };
        if *kernels != self.kernels.wanted || self.kernels.lane_count == 0 {
            self.kernels = find_kernels(services, *kernels, self.rings.sizes())?;
        }
        let launch = check_launch(services, self.kernels.shape, &request)?;
        let taken = self.begin_task(services, &request)?;
        services.platform.interleave();
        // CAST: at most 32767 blocks on three lanes.
        taken.slot.open(launch.block_count * self.kernels.lane_count);
        let mut waits = 0;
        let explicit = request.explicit_deps();
        if !explicit.is_empty() {
            waits = self.add_explicit(services, explicit, taken.handle)?;
        }
        waits += self.take_arguments(services, &request, &taken)?;
        let edge_end = self.rings.edges_taken(taken.id.ring());
        // SAFETY: this is the orchestrator's thread.
        unsafe { taken.slot.set_edge_end(edge_end) };
        // SAFETY: the slot is taken and not yet published.
        let record = unsafe { taken.slot.new_record(&self.kernels.record) };
        record.block_count = launch.block_count;
        record.edge_first = taken.edge_first;
        // CAST: a ring has at most 2^30 edges.
        record.edge_count = (edge_end - taken.edges_before) as u32;
        // CAST (both): at most 16 and 32.
        record.tensor_count = request.tensor_count() as u8;
        record.scalar_count = request.scalar_count() as u8;
        record.sync_start = u8::from(launch.sync_start);
        record.local = taken.id.local();
        self.publish(services, &taken, self.kernels.shape as u8, waits);
        Ok(taken.id)
    }

    /// Takes slot and memory for a request, and starts the orchestrator's note on it.
    #[inline(always)]
    pub(super) fn begin_task<C: Chip, P: Platform>(
        &mut self,
        services: &mut Services<'_, C, P>,
        request: &TaskRequest<'_>,
    ) -> Result<TakenSlot<'static>, Fatal> {
        let Some(ring) = self.scopes.ring() else {
            return Err(services.fatal(
                StatusCode::InvalidArgs,
                format_args!("a task was submitted outside any scope"),
            ));
        };
        let number = self.submission.number + 1;
        self.submission = Submission { number, task: None };
        let taken = self.take_slot(services, ring, request.output_bytes)?;
        self.submission.task = Some(taken.id);
        let note = OrchestratorNote {
            heap_end: taken.heap_end,
            edge_end: taken.edges_before,
            map_first: OrchestratorNote::NONE,
            named_by: number,
        };
        // SAFETY: this is the orchestrator's thread. Written now, since a wait below may look at
        // the note of the oldest task, which may be this one.
        unsafe { taken.slot.set_note(note) };
        Ok(taken)
    }

    /// Writes the arguments of a request into the task's slot, notes where its outputs are, and adds the
    /// dependencies that follow from the others: one pass over the tensors. Returns the number of
    /// producers that are not complete.
    #[inline(always)]
    pub(super) fn take_arguments<C: Chip, P: Platform>(
        &mut self,
        services: &mut Services<'_, C, P>,
        request: &TaskRequest<'_>,
        taken: &TakenSlot<'static>,
    ) -> Result<u32, Fatal> {
        let is_manual = self.scopes.is_manual();
        let (mut waits, mut outputs, mut output_address) = (0, 0, taken.outputs);
        let (mut index, mut place) = (0, core::ptr::null_mut::<Tensor>());
        while let Some((tag, address)) = request.tensor(index) {
            place = taken.arguments.first_tensor(index).unwrap_or(place.wrapping_add(1));
            index += 1;
            if tag == ArgTag::Output as i32 {
                let bytes = self.output_bytes.get(outputs).copied().unwrap_or_default();
                let buffer = BufferHandle { addr: output_address, size: bytes };
                let info = core::ptr::with_exposed_provenance(address as usize);
                let platform = services.platform;
                // SAFETY: the request was checked: `address` is that of a create-info. The place is one
                // of the slot, which is the orchestrator's, and so is the memory.
                unsafe { payload::write_output(platform, info, place, buffer, taken.id) };
                if let Some(output) = self.outputs.get_mut(outputs) {
                    *output = place.expose_provenance() as u64;
                }
                outputs += 1;
                output_address += bytes;
                continue;
            }
            let source = core::ptr::with_exposed_provenance(address as usize);
            // SAFETY: the request was checked: `address` is that of a tensor. As above.
            unsafe { payload::copy_tensor(source, place) };
            if !is_manual {
                // SAFETY: the tensor has just been written, and stays as it is until the task is
                // retired, which takes this thread.
                let tensor: &'static Tensor = unsafe { &*place };
                waits += self.infer(services, (tag, tensor), (taken.slot, taken.handle))?;
            }
        }
        payload::write_scalars(taken.arguments, request.scalars(), request.scalar_count());
        // What an earlier task had more of.
        if outputs < self.output_count {
            self.forget_outputs(outputs);
        }
        self.output_count = outputs;
        Ok(waits)
    }

    /// Zeroes the addresses of outputs from one on.
    #[inline(never)]
    fn forget_outputs(&mut self, first: usize) {
        if let Some(left) = self.outputs.get_mut(first..) {
            left.fill(0);
        }
    }

    /// Puts a task into its scope and hands it to the scheduler threads; `waits` is the number of
    /// producers that were not complete when their edges were made.
    #[inline(always)]
    fn publish<C: Chip, P: Platform>(
        &mut self,
        services: &Services<'_, C, P>,
        taken: &TakenSlot<'static>,
        shape: u8,
        waits: u32,
    ) {
        self.scopes.adopt(taken.id, &mut self.rings);
        services.scheduler.note_progress();
        services.platform.interleave();
        let is_ready = if waits == 0 {
            // ORDERING: Relaxed: nobody else knows the task before the ready queue has it, and that
            // releases slot and record. What complete producers wrote was acquired with the mark, or
            // with the closed list, that said so.
            taken.slot.pending.store(0, Ordering::Relaxed);
            true
        } else {
            // ORDERING: AcqRel: Release hands slot and record to whoever counts last; Acquire takes
            // over what already completed producers wrote if that is this thread.
            let before = taken.slot.pending.fetch_sub(WIRING - waits, Ordering::AcqRel);
            before == WIRING - waits
        };
        if is_ready {
            services.scheduler.make_ready(
                services.platform,
                &self.region,
                services.faults,
                taken.handle,
                shape,
            );
        }
    }
}

/// Finds the kernels of a task.
#[inline(never)]
fn find_kernels<C: Chip, P: Platform>(
    services: &Services<'_, C, P>,
    wanted: MixedKernels,
    sizes: RingSizes,
) -> Result<FoundKernels, Fatal> {
    let mut ids = wanted.lanes();
    if let [INVALID_KERNEL_ID, INVALID_KERNEL_ID, aiv1] = ids {
        // A lone vector kernel counts as the first one (spec trb §4.4 step 4).
        ids = [INVALID_KERNEL_ID, aiv1, INVALID_KERNEL_ID];
    }
    let (mut mask, mut addresses) = (ActiveMask::empty(), [0; LANE_COUNT]);
    let lanes = [ActiveMask::AIC, ActiveMask::AIV0, ActiveMask::AIV1];
    for ((id, address), lane) in ids.iter().zip(&mut addresses).zip(lanes) {
        if *id != INVALID_KERNEL_ID {
            *address = services.kernel_address(*id)?;
            mask |= lane;
        }
    }
    let shape = mask.shape().ok_or_else(|| {
        services.fatal(StatusCode::InvalidArgs, format_args!("a task was submitted without kernel"))
    })?;
    let record = TaskRecord {
        kernel_addresses: addresses,
        kernel_ids: ids,
        // CAST: a ring has at most 2^30 edges.
        edge_ring: sizes.edges as u32,
        lanes: mask.bits(),
        shape: shape as u8,
        ..TaskRecord::NONE
    };
    Ok(FoundKernels { wanted, lane_count: mask.lane_count(), shape, record })
}

/// Checks the block count of a task.
#[inline(always)]
fn check_launch<C: Chip, P: Platform>(
    services: &Services<'_, C, P>,
    shape: ResourceShape,
    request: &TaskRequest<'_>,
) -> Result<Launch, Fatal> {
    let block_count = u32::try_from(request.block_num()).ok().filter(|count| *count > 0);
    let block_count = block_count.ok_or_else(|| {
        services.fatal(
            StatusCode::InvalidArgs,
            format_args!("a task has block_num {}; it must be 1 or more", request.block_num()),
        )
    })?;
    let sync_start = request.wants_sync_start() && block_count > 1;
    let limit = match shape {
        ResourceShape::Aiv => services.cluster_count * 2,
        ResourceShape::Aic | ResourceShape::Mix => services.cluster_count,
    };
    if sync_start && block_count > limit {
        return Err(services.fatal(
            StatusCode::RequireSyncStartInvalid,
            format_args!(
                "require_sync_start block_num={block_count} > limit={limit} (deadlock \
                 guaranteed): the run has {} clusters",
                services.cluster_count
            ),
        ));
    }
    Ok(Launch { block_count, sync_start })
}

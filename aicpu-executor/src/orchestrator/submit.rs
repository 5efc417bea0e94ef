//! Submission of one task (spec trb §4.4).
//!
//! The steps are parts of one function for the machine, by `inline(always)`: what a step returns would
//! otherwise go through memory, written field by field and read in wider pieces. A processor does not
//! forward such a store to the load, and each step would begin with a wait for the one before.

use core::sync::atomic::Ordering;

use protocol::{
    ActiveMask, Arg, Chip, INVALID_KERNEL_ID, MAX_TENSOR_ARGS, MixedKernels, ResourceShape,
    StatusCode, TaskId, TaskOutputTensors,
};

use super::request::TaskRequest;
use super::task_rings::{Submission, TakenSlot};
use super::{Fatal, Orchestrator, Services, payload};
use crate::platform::Platform;
use crate::region::{OrchestratorNote, TaskRecord, WIRING};

/// How a task is to be run, checked.
#[derive(Debug, Clone, Copy)]
struct Launch {
    kernel_ids: [i32; 3],
    kernel_addresses: [u64; 3],
    mask: ActiveMask,
    shape: ResourceShape,
    block_count: u32,
    sync_start: bool,
}

impl Orchestrator {
    /// Submits a task; after a fault, now or earlier, the result is empty.
    ///
    /// # Safety
    ///
    /// As for [`TaskRequest::read`]; `kernels` is null or points at a `MixedKernels`.
    pub(crate) unsafe fn submit<C: Chip, P: Platform>(
        &mut self,
        services: &mut Services<'_, C, P>,
        kernels: *const MixedKernels,
        arg: *const Arg,
    ) -> TaskOutputTensors {
        // Field by field: a copy of the constant would be a call.
        let mut result = TaskOutputTensors {
            task_id: TaskId::INVALID,
            output_count: 0,
            reserved: 0,
            tensors: [0; MAX_TENSOR_ARGS],
        };
        // SAFETY: by the contract.
        if unsafe { self.try_submit(services, kernels, arg, &mut result) }.is_err() {
            result = TaskOutputTensors::EMPTY;
        }
        result
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
        result: &mut TaskOutputTensors,
    ) -> Result<(), Fatal> {
        services.check()?;
        // SAFETY: by the contract.
        let request = unsafe { TaskRequest::read(services, arg) }?;
        if kernels.is_null() || !kernels.is_aligned() {
            return Err(services.fatal(
                StatusCode::InvalidArgs,
                format_args!("the kernels of a task are null or misaligned"),
            ));
        }
        // SAFETY: non-null, aligned, and a `MixedKernels` by the contract.
        let launch = check_launch(services, unsafe { *kernels }, &request)?;
        let (taken, note, submission) = self.begin_task(services, &request)?;
        services.platform.interleave();
        // CAST: at most 32767 blocks on three lanes.
        taken.slot.open(launch.block_count * launch.mask.lane_count());
        let ring = taken.id.ring();
        let (edge_first, edges_before) = self.rings.edge_position(ring);
        payload::write(services.platform, &request, &taken, result);
        let (mut waits, mut map_first) = (0, note.map_first);
        self.add_explicit(services, &request, &taken, submission, &mut waits)?;
        if !self.scopes.is_manual() {
            self.infer(services, &request, &taken, submission, &mut waits)?;
            self.register_writes(services, &taken, &mut map_first, submission)?;
        }
        let (_, edges_after) = self.rings.edge_position(ring);
        let note = OrchestratorNote { edge_end: edges_after, map_first, ..note };
        let record = TaskRecord {
            kernel_addresses: launch.kernel_addresses,
            kernel_ids: launch.kernel_ids,
            block_count: launch.block_count,
            edge_first,
            // CAST (both): a ring has at most 2^30 edges.
            edge_count: (edges_after - edges_before) as u32,
            edge_ring: self.rings.sizes().edges as u32,
            lanes: launch.mask.bits(),
            shape: launch.shape as u8,
            // CAST (both): at most 16 and 32.
            tensor_count: request.tensors().len() as u8,
            scalar_count: request.scalars().len() as u8,
            sync_start: u8::from(launch.sync_start),
            reserved: [0; 3],
            local: taken.id.local(),
        };
        self.publish(services, &taken, note, record, waits);
        Ok(())
    }

    /// Takes slot and memory for a request, and starts the orchestrator's note on it.
    #[inline(always)]
    pub(super) fn begin_task<C: Chip, P: Platform>(
        &mut self,
        services: &mut Services<'_, C, P>,
        request: &TaskRequest<'_>,
    ) -> Result<(TakenSlot<'static>, OrchestratorNote, Submission), Fatal> {
        let Some(ring) = self.scopes.ring() else {
            return Err(services.fatal(
                StatusCode::InvalidArgs,
                format_args!("a task was submitted outside any scope"),
            ));
        };
        self.submissions += 1;
        let number = self.submissions;
        let waiting = Submission { number, task: None };
        let taken = self.take_slot(services, ring, request.output_bytes, waiting)?;
        let note = OrchestratorNote {
            heap_end: self.rings.heap_position(ring),
            edge_end: self.rings.edge_position(ring).1,
            map_first: OrchestratorNote::NONE,
            named_by: number,
        };
        // SAFETY: this is the orchestrator's thread. Written now, since a wait below may look at
        // the note of the oldest task, which may be this one.
        unsafe { taken.slot.set_note(note) };
        Ok((taken, note, Submission { number, task: Some(taken.id) }))
    }

    /// Puts a task into its scope and hands it to the scheduler threads; `waits` is the number of
    /// producers that were not complete when their edges were made.
    #[inline(always)]
    fn publish<C: Chip, P: Platform>(
        &mut self,
        services: &Services<'_, C, P>,
        taken: &TakenSlot<'static>,
        note: OrchestratorNote,
        record: TaskRecord,
        waits: u32,
    ) {
        self.scopes.adopt(taken.id, &mut self.rings);
        // SAFETY: this is the orchestrator's thread.
        unsafe { taken.slot.set_note(note) };
        // SAFETY: the slot is taken and not yet published.
        unsafe { taken.slot.set_record(record) };
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
                record.shape,
            );
        }
    }
}

/// Checks kernels and block count of a task.
#[inline(always)]
fn check_launch<C: Chip, P: Platform>(
    services: &Services<'_, C, P>,
    kernels: MixedKernels,
    request: &TaskRequest<'_>,
) -> Result<Launch, Fatal> {
    let mut kernel_ids = kernels.lanes();
    if let [INVALID_KERNEL_ID, INVALID_KERNEL_ID, aiv1] = kernel_ids {
        // A lone vector kernel counts as the first one (spec trb §4.4 step 4).
        kernel_ids = [INVALID_KERNEL_ID, aiv1, INVALID_KERNEL_ID];
    }
    let mut mask = ActiveMask::empty();
    let mut kernel_addresses = [0; 3];
    let lanes = [ActiveMask::AIC, ActiveMask::AIV0, ActiveMask::AIV1];
    for lane in 0..3 {
        // Always `Some`: the arrays have one entry for each lane.
        if let (Some(id), Some(address)) = (kernel_ids.get(lane), kernel_addresses.get_mut(lane))
            && *id != INVALID_KERNEL_ID
        {
            *address = services.kernel_address(*id)?;
            mask |= lanes.get(lane).copied().unwrap_or_default();
        }
    }
    let shape = mask.shape().ok_or_else(|| {
        services.fatal(StatusCode::InvalidArgs, format_args!("a task was submitted without kernel"))
    })?;
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
    Ok(Launch { kernel_ids, kernel_addresses, mask, shape, block_count, sync_start })
}

//! The rings as a place for tasks: what the scheduler asks of a slot (see `scheduler::task_store`).
//!
//! To complete a task is to let go of its producers, to close the list of its consumers, which marks it
//! complete, and to notify them, in this order (see `slot`). With the closing the slot may be another
//! task's; the edges in the list are the consumers', which wait until they are notified.

use core::ops::Range;
use core::sync::atomic::Ordering;

use protocol::{DispatchPayload, LOCAL_CONTEXT_ARG, MAX_TENSOR_ARGS};

use super::consumers::EMPTY;
use super::slot::{INLINE_SCALARS, INLINE_TENSORS};
use super::{Arguments, EdgeHandle, Region, SlotHandle, TaskRecord, TaskSlot};
use crate::fault::FaultLatch;
use crate::platform::Platform;
use crate::scheduler::task_store::{Completer, TaskLaunch, TaskName, TaskStore};
use crate::sync::AtomicU64;

const _: () = assert!(MAX_TENSOR_ARGS + INLINE_SCALARS <= LOCAL_CONTEXT_ARG);

impl<'r> TaskStore for Region<'r> {
    type Task = &'r TaskSlot;

    #[inline]
    fn ready_cells(&self, shape: usize) -> Option<&[AtomicU64]> {
        self.ready_cells.get(shape).copied()
    }

    #[inline]
    fn find(&self, handle: SlotHandle) -> Option<&'r TaskSlot> {
        self.slot(handle)
    }

    unsafe fn launch(&self, handle: SlotHandle, slot: &'r TaskSlot) -> TaskLaunch {
        // SAFETY: the task is published and not complete.
        let record = unsafe { slot.record() };
        TaskLaunch {
            block_count: record.block_count,
            lanes: record.lanes,
            shape: record.shape,
            sync_start: record.sync_start != 0,
            id: record.id(handle),
        }
    }

    fn claim_blocks(&self, slot: &'r TaskSlot, places: u32, block_count: u32) -> Range<u32> {
        slot.blocks.claim(places, block_count)
    }

    #[inline]
    unsafe fn fill(
        &self,
        handle: SlotHandle,
        slot: &'r TaskSlot,
        lane: usize,
        payload: &mut DispatchPayload,
        _: &FaultLatch,
    ) -> Option<i32> {
        // SAFETY: the task is published and not complete.
        let record = unsafe { slot.record() };
        payload.function_bin_addr = record.kernel_addresses.get(lane).copied().unwrap_or_default();
        let (tensors, scalars) =
            (usize::from(record.tensor_count), usize::from(record.scalar_count));
        // The tensors in the slot at once, whether the task has as many or not: less than to count. Scalars are
        // behind those it has, and kernels look at no more.
        let (places, line) = slot.arguments();
        for (arg, tensor) in payload.args.iter_mut().zip(places) {
            *arg = tensor.expose_provenance() as u64;
        }
        if scalars != 0
            && let Some(room) =
                payload.args.get_mut(tensors..).and_then(|args| args.first_chunk_mut())
        {
            // A whole line at once, as above: it ends before the contexts.
            // SAFETY: the line is one of the slot, and the task is published.
            *room = unsafe { line.read() };
        }
        if tensors > INLINE_TENSORS || scalars > INLINE_SCALARS {
            fill_more(self.arguments(handle, slot)?, (tensors, scalars), payload);
        }
        // CAST: block counts come from a 16-bit field of the launch specification.
        payload.local_context.block_num = record.block_count as i32;
        payload.local_context.async_ctx.task_token = record.id(handle);
        Some(record.kernel_ids.get(lane).copied().unwrap_or(-1))
    }

    fn count_subtasks(&self, slot: &'r TaskSlot, finished: u32) -> bool {
        // ORDERING: AcqRel: the thread that counts the last sub-task sees what the cores of all
        // the others wrote.
        slot.subtasks_left.fetch_sub(finished, Ordering::AcqRel) == finished
    }

    #[inline]
    unsafe fn complete<P: Platform>(
        &self,
        platform: &P,
        handle: SlotHandle,
        slot: &'r TaskSlot,
        by: Completer,
        mut ready: impl FnMut(SlotHandle, u8),
    ) {
        // SAFETY: the task is published, and cannot be retired before the list is closed below.
        let record = unsafe { slot.record() };
        release_producers(platform, self, handle, record);
        platform.interleave();
        let mut raw = match by {
            Completer::Orchestrator => slot.consumers.close_as_orchestrator(),
            Completer::Scheduler => slot.consumers.close(),
        };
        while raw != EMPTY {
            let Some(edge) = self.edge(EdgeHandle::from_raw(raw)) else { break };
            // Both are read before the consumer is notified: it may run, retire and give the edge
            // back at once (spec trb §14.1 item 4).
            // ORDERING: Relaxed: `close` acquired the edges.
            raw = edge.next.load(crate::sync::Ordering::Relaxed);
            let consumer = edge.consumer();
            platform.interleave();
            let Some(consumer_slot) = self.slot(consumer) else { continue };
            // Who reads a one has the last one, since its own is still counted, and so is the
            // orchestrator's while it adds edges: nobody else is left to change the word.
            // ORDERING: Acquire, AcqRel: the thread that takes the last one sees what all producers
            // wrote, and passes it on through the ready queue.
            if consumer_slot.pending.load(Ordering::Acquire) == 1
                || consumer_slot.pending.fetch_sub(1, Ordering::AcqRel) == 1
            {
                // SAFETY: the task is published: its orchestrator's own count in `pending` is gone.
                ready(consumer, unsafe { consumer_slot.record() }.shape);
            }
        }
    }

    unsafe fn name(&self, handle: SlotHandle, slot: &'r TaskSlot) -> TaskName {
        // SAFETY: the task is published and not complete.
        TaskName::OfRing(unsafe { slot.record() }.id(handle))
    }

    fn number(_: SlotHandle) -> Option<u32> {
        None
    }
}

/// Fills in the arguments of a published task that are not in its slot.
#[inline(never)]
fn fill_more(
    arguments: Arguments<'_>,
    (tensors, scalars): (usize, usize),
    payload: &mut DispatchPayload,
) {
    for index in INLINE_TENSORS..tensors {
        if let Some(arg) = payload.args.get_mut(index) {
            *arg = arguments.tensor_pointer(index).expose_provenance() as u64;
        }
    }
    for index in 0..scalars {
        let at = tensors + index;
        if let Some(arg) = payload.args.get_mut(at).filter(|_| at < LOCAL_CONTEXT_ARG) {
            // SAFETY: the index is below the task's scalar count, and the task is published.
            *arg = unsafe { arguments.scalar_pointer(index).read() };
        }
    }
}

/// Lets go of the producers that a task has kept alive.
fn release_producers<P: Platform>(
    platform: &P,
    region: &Region<'_>,
    handle: SlotHandle,
    record: &TaskRecord,
) {
    if record.edge_count == 0 {
        return;
    }
    let Some(ring) = region.rings.get(handle.ring()) else { return };
    // The ring's edges are `edge_ring` long; a task's run of them wraps around at its end.
    let mut index = record.edge_first;
    for _ in 0..record.edge_count {
        // CAST: at least 32 bits.
        let Some(edge) = ring.edges.get(index as usize) else { break };
        if let Some(producer) = region.slot(edge.producer()) {
            platform.interleave();
            producer.release();
        }
        index += 1;
        if index == record.edge_ring {
            index = 0;
        }
    }
}

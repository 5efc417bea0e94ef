//! Which tasks a task waits for (spec trb §4.5), and what later tasks will find (§4.6).

use core::sync::atomic::Ordering;

use protocol::{ArgTag, Chip, StatusCode, TaskId};

use super::overlap::{Access, Overlap};
use super::request::{TaskRequest, TensorArg};
use super::task_rings::{Shortage, Submission, TakenSlot, UnknownTask};
use super::tensor_map::{MapFull, TensorMap};
use super::{Fatal, Orchestrator, Services};
use crate::platform::Platform;
use crate::region::{Edge, EdgeHandle, OrchestratorNote, SlotHandle, TaskSlot};

/// Why a walk over overlapping writes stopped.
enum WalkStop {
    /// A producer needs an edge, and there is none right now.
    NeedsEdge,
}

impl Orchestrator {
    /// Adds the explicit dependencies of a request.
    pub(super) fn add_explicit<C: Chip, P: Platform>(
        &mut self,
        services: &mut Services<'_, C, P>,
        request: &TaskRequest,
        taken: &TakenSlot<'static>,
        submission: Submission,
    ) -> Result<(), Fatal> {
        for id in &request.explicit_deps {
            match self.rings.find(&self.region, *id) {
                Ok(Some((handle, slot))) if *id != taken.id => {
                    self.add_producer(services, handle, slot, taken, submission)?;
                }
                // The producer has been retired: it is long complete.
                Ok(None) => {}
                Ok(Some(_)) | Err(UnknownTask) => {
                    return Err(services.fatal(
                        StatusCode::InvalidArgs,
                        format_args!(
                            "add_dep names task {:#x}, which is no earlier task of this run",
                            id.raw()
                        ),
                    ));
                }
            }
        }
        Ok(())
    }

    /// Adds the dependencies that follow from the tensors of a request.
    pub(super) fn infer<C: Chip, P: Platform>(
        &mut self,
        services: &mut Services<'_, C, P>,
        request: &TaskRequest,
        taken: &TakenSlot<'static>,
        submission: Submission,
    ) -> Result<(), Fatal> {
        for argument in &request.tensors {
            let TensorArg::Existing { tag, tensor, access } = argument else { continue };
            self.add_creator(services, tensor.owner_task_id, taken, submission)?;
            let looks_up = matches!(tag, ArgTag::Input | ArgTag::InOut);
            if looks_up && tensor.manual_dep == 0 {
                self.add_writers(services, access, *tag == ArgTag::InOut, taken, submission)?;
            }
        }
        Ok(())
    }

    /// The task that allocated a tensor: it is waited for, and its memory is kept.
    fn add_creator<C: Chip, P: Platform>(
        &mut self,
        services: &mut Services<'_, C, P>,
        owner: TaskId,
        taken: &TakenSlot<'static>,
        submission: Submission,
    ) -> Result<(), Fatal> {
        if !owner.is_valid() {
            return Ok(());
        }
        match self.rings.find(&self.region, owner) {
            Ok(Some((handle, slot))) if owner != taken.id => {
                self.add_producer(services, handle, slot, taken, submission)
            }
            // Retired: complete. Unknown: a tensor from an earlier run, complete as well.
            _ => Ok(()),
        }
    }

    /// The tasks that have written to what `access` touches.
    fn add_writers<C: Chip, P: Platform>(
        &mut self,
        services: &mut Services<'_, C, P>,
        access: &Access,
        unlinks_covered: bool,
        taken: &TakenSlot<'static>,
        submission: Submission,
    ) -> Result<(), Fatal> {
        loop {
            let region = self.region;
            let rings = &mut self.rings;
            let walk = TensorMap::visit_overlaps(&region, access, |entry, producer, overlap| {
                let Some(slot) = region.slot(producer) else { return Ok(()) };
                if !is_named(slot, submission) {
                    let edge = rings.take_edge(&region, taken.id.ring());
                    let (edge, cell) = edge.map_err(|_: Shortage| WalkStop::NeedsEdge)?;
                    name_producer(slot, submission);
                    link(services.platform, (producer, slot), (edge, cell), taken);
                }
                if unlinks_covered && overlap == Overlap::Covered {
                    // Ordered behind this task from now on, which becomes the writer.
                    TensorMap::unlink(&region, entry);
                }
                Ok(())
            });
            match walk {
                Ok(()) => return Ok(()),
                // Room is made outside the walk, since retiring changes the chains. What the walk
                // has added stays, and is skipped in the next one.
                Err(WalkStop::NeedsEdge) => {
                    let ring = taken.id.ring();
                    self.make_room(services, ring, Shortage::Edge, 1, submission)?;
                }
            }
        }
    }

    /// Adds one producer, unless this submission has it already.
    fn add_producer<C: Chip, P: Platform>(
        &mut self,
        services: &mut Services<'_, C, P>,
        handle: SlotHandle,
        slot: &'static TaskSlot,
        taken: &TakenSlot<'static>,
        submission: Submission,
    ) -> Result<(), Fatal> {
        if is_named(slot, submission) {
            return Ok(());
        }
        // The reference on the producer comes before the wait for an edge, during which it could
        // otherwise be retired.
        name_producer(slot, submission);
        services.platform.interleave();
        let (edge, cell) = self.take_edge(services, taken.id.ring(), submission)?;
        link(services.platform, (handle, slot), (edge, cell), taken);
        Ok(())
    }

    /// Records what a task writes, for the tasks that come after it.
    pub(super) fn register_writes<C: Chip, P: Platform>(
        &mut self,
        services: &mut Services<'_, C, P>,
        request: &TaskRequest,
        taken: &TakenSlot<'static>,
        note: &mut OrchestratorNote,
        submission: Submission,
    ) -> Result<(), Fatal> {
        for argument in &request.tensors {
            let TensorArg::Existing { tag, tensor, access } = argument else { continue };
            let writes = matches!(tag, ArgTag::InOut | ArgTag::OutputExisting);
            if !writes || tensor.manual_dep != 0 {
                continue;
            }
            loop {
                let first = &mut note.map_first;
                match self.map.insert(&self.region, access, taken.handle, first) {
                    Ok(()) => break,
                    Err(MapFull) => {
                        let ring = taken.id.ring();
                        self.make_room(services, ring, Shortage::MapEntry, 1, submission)?;
                    }
                }
            }
        }
        Ok(())
    }
}

/// Whether the submission has named this task as a producer already.
fn is_named(slot: &TaskSlot, submission: Submission) -> bool {
    // SAFETY: this is the orchestrator's thread.
    unsafe { slot.note() }.named_by == submission.number
}

/// Notes that the submission names this task, and takes the reference of its edge.
fn name_producer(slot: &TaskSlot, submission: Submission) {
    // SAFETY: this is the orchestrator's thread.
    let note = OrchestratorNote { named_by: submission.number, ..unsafe { slot.note() } };
    // SAFETY: as above.
    unsafe { slot.set_note(note) };
    slot.retain();
}

/// Puts the edge on the producer's list, or counts it as done if the producer is complete.
fn link<P: Platform>(
    platform: &P,
    (handle, producer): (SlotHandle, &TaskSlot),
    (edge, cell): (EdgeHandle, &Edge),
    consumer: &TakenSlot<'_>,
) {
    cell.set(handle, consumer.handle);
    // ORDERING: Relaxed: counted before the edge can be seen; the push releases it.
    consumer.slot.pending.fetch_add(1, Ordering::Relaxed);
    platform.interleave();
    let is_refused = !producer.consumers.push(edge.raw(), &cell.next);
    platform.interleave();
    if is_refused {
        // ORDERING: Relaxed: `push` has acquired what the producer did, and only this thread knows
        // the task so far.
        consumer.slot.pending.fetch_sub(1, Ordering::Relaxed);
    }
}

//! Which tasks a task waits for (spec trb §4.5), and what later tasks will find (§4.6).

use protocol::{ArgTag, Chip, StatusCode, TaskId, Tensor};

use super::overlap::{Access, Overlap};
use super::request::TaskRequest;
use super::task_rings::{Shortage, Submission, TakenSlot, UnknownTask};
use super::tensor_map::{self, Found, MapFull, TensorMap};
use super::{Fatal, Orchestrator, Services};
use crate::platform::Platform;
use crate::region::{Edge, EdgeHandle, OrchestratorNote, SlotHandle, TaskSlot};

/// Something that the task under way writes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Write {
    access: Access<'static>,
    /// Entry of an earlier write of the very same bytes, which the task waits for, or
    /// [`tensor_map::EMPTY`].
    exact: u32,
}

/// Why a walk over overlapping writes stopped.
enum WalkStop {
    /// A producer needs an edge, and there is none right now.
    NeedsEdge,
}

impl Orchestrator {
    /// Adds the explicit dependencies of a request. `waits` counts the producers that are not
    /// complete.
    pub(super) fn add_explicit<C: Chip, P: Platform>(
        &mut self,
        services: &mut Services<'_, C, P>,
        request: &TaskRequest<'_>,
        taken: &TakenSlot<'static>,
        submission: Submission,
        waits: &mut u32,
    ) -> Result<(), Fatal> {
        for id in request.explicit_deps() {
            match self.rings.find(&self.region, *id) {
                Ok(Some((handle, slot))) if *id != taken.id => {
                    self.add_producer(services, handle, slot, taken, submission, waits)?;
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

    /// Adds the dependencies that follow from the tensors of a request, which are in the slot by now,
    /// and notes what the task writes.
    #[inline]
    pub(super) fn infer<C: Chip, P: Platform>(
        &mut self,
        services: &mut Services<'_, C, P>,
        request: &TaskRequest<'_>,
        taken: &TakenSlot<'static>,
        submission: Submission,
        waits: &mut u32,
    ) -> Result<(), Fatal> {
        self.writes.clear();
        for (index, (tag, _)) in request.tensors().enumerate() {
            if tag == ArgTag::Output as i32 {
                continue;
            }
            // SAFETY: the slot's tensors have been written, and stay as they are until the task is
            // retired, which takes this thread.
            let tensor: &'static Tensor = unsafe { &*taken.arguments.tensor_pointer(index) };
            if tensor.owner_task_id.is_valid() {
                self.add_creator(services, tensor.owner_task_id, taken, submission, waits)?;
            }
            if tensor.manual_dep != 0 || tag == ArgTag::NoDep as i32 {
                continue;
            }
            let has_writers = tag != ArgTag::OutputExisting as i32
                && self.map.has_writers(&self.region, tensor.buffer.addr);
            if tag == ArgTag::Input as i32 && !has_writers {
                continue;
            }
            // The request was checked.
            let Ok(access) = Access::of(tensor) else { continue };
            let mut exact = tensor_map::EMPTY;
            if has_writers {
                // A copy, so that the other one need not be in memory.
                let sought = access;
                let is_inout = tag == ArgTag::InOut as i32;
                exact = self.add_writers(services, &sought, is_inout, taken, submission, waits)?;
            }
            if tag != ArgTag::Input as i32 {
                // There are no more tensors than there is room for.
                let _fits = self.writes.push(Write { access, exact });
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
        waits: &mut u32,
    ) -> Result<(), Fatal> {
        match self.rings.find(&self.region, owner) {
            Ok(Some((handle, slot))) if owner != taken.id => {
                self.add_producer(services, handle, slot, taken, submission, waits)
            }
            // Retired: complete. Unknown: a tensor from an earlier run, complete as well.
            _ => Ok(()),
        }
    }

    /// The tasks that have written to what `access` touches. Returns the entry of a write of the very
    /// same bytes that is to be taken over, if `takes_covered`; other covered ones are unlinked then.
    fn add_writers<C: Chip, P: Platform>(
        &mut self,
        services: &mut Services<'_, C, P>,
        access: &Access<'static>,
        takes_covered: bool,
        taken: &TakenSlot<'static>,
        submission: Submission,
        waits: &mut u32,
    ) -> Result<u32, Fatal> {
        loop {
            let Self { region, rings, map, .. } = self;
            let region = &*region;
            let mut exact = tensor_map::EMPTY;
            let walk = map.visit_overlaps(region, access, |found| {
                let Found { entry, producer, overlap, is_exact } = found;
                let Some(slot) = region.slot(producer) else { return Ok(()) };
                if !is_named(slot, submission) {
                    let edge = rings.take_edge(region, taken.id.ring());
                    let (edge, cell) = edge.map_err(|_: Shortage| WalkStop::NeedsEdge)?;
                    name_producer(slot, submission);
                    *waits += link(services.platform, (producer, slot), (edge, cell), taken, false);
                }
                if takes_covered && overlap == Overlap::Covered {
                    // Ordered behind this task from now on, which becomes the writer.
                    if is_exact && (exact == tensor_map::EMPTY || exact == entry) {
                        exact = entry;
                    } else {
                        TensorMap::unlink(region, entry);
                    }
                }
                Ok(())
            });
            match walk {
                Ok(()) => return Ok(exact),
                // Room is made outside the walk, since retiring changes the lists. What the walk
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
        waits: &mut u32,
    ) -> Result<(), Fatal> {
        if is_named(slot, submission) {
            return Ok(());
        }
        name_producer(slot, submission);
        services.platform.interleave();
        let ring = taken.id.ring();
        let at_once = self.rings.take_edge(&self.region, ring).ok();
        let is_retained = at_once.is_none();
        let (edge, cell) = match at_once {
            Some(edge) => edge,
            None => {
                // The reference on the producer comes before the wait for an edge, during which it
                // could otherwise be retired.
                slot.retain();
                self.take_edge(services, ring, submission)?
            }
        };
        *waits += link(services.platform, (handle, slot), (edge, cell), taken, is_retained);
        Ok(())
    }

    /// Records what a task writes, for the tasks that come after it; `map_first` is the first of its
    /// entries.
    #[inline]
    pub(super) fn register_writes<C: Chip, P: Platform>(
        &mut self,
        services: &mut Services<'_, C, P>,
        taken: &TakenSlot<'static>,
        map_first: &mut u32,
        submission: Submission,
    ) -> Result<(), Fatal> {
        let mut index = 0;
        while let Some(Write { access, exact }) = self.writes.get(index) {
            if take_over(&self.region, *exact, taken, map_first) {
                index += 1;
                continue;
            }
            match self.map.insert(&self.region, access, taken.handle, map_first) {
                Ok(()) => index += 1,
                Err(MapFull) => {
                    let ring = taken.id.ring();
                    self.make_room(services, ring, Shortage::MapEntry, 1, submission)?;
                }
            }
        }
        Ok(())
    }
}

/// Makes an earlier write of the same bytes one of this task. Returns whether that could be done.
///
/// Its task is still there: this one waits for it, and so it holds a reference.
#[inline]
fn take_over(
    region: &crate::region::Region<'_>,
    entry: u32,
    taken: &TakenSlot<'_>,
    first: &mut u32,
) -> bool {
    let Some(producer) = TensorMap::writer(region, entry) else { return false };
    if producer == taken.handle {
        return true;
    }
    let Some(slot) = region.slot(producer) else { return false };
    // SAFETY: this is the orchestrator's thread.
    let mut note = unsafe { slot.note() };
    if !TensorMap::take_over(region, entry, taken.handle, &mut note.map_first, first) {
        return false;
    }
    // SAFETY: as above.
    unsafe { slot.set_note(note) };
    true
}

/// Whether the submission has named this task as a producer already.
fn is_named(slot: &TaskSlot, submission: Submission) -> bool {
    // SAFETY: this is the orchestrator's thread.
    unsafe { slot.note() }.named_by == submission.number
}

/// Notes that the submission names this task.
fn name_producer(slot: &TaskSlot, submission: Submission) {
    // SAFETY: this is the orchestrator's thread.
    let note = OrchestratorNote { named_by: submission.number, ..unsafe { slot.note() } };
    // SAFETY: as above.
    unsafe { slot.set_note(note) };
}

/// Puts the edge on the producer's list, and has its consumer keep the producer unless it does already
/// (`is_retained`). Returns the number of producers to wait for: 0 if this one is complete.
#[inline]
fn link<P: Platform>(
    platform: &P,
    (handle, producer): (SlotHandle, &TaskSlot),
    (edge, cell): (EdgeHandle, &Edge),
    consumer: &TakenSlot<'_>,
    is_retained: bool,
) -> u32 {
    cell.set(handle, consumer.handle);
    platform.interleave();
    let is_linked = producer.consumers.push(edge.raw(), &cell.next, is_retained);
    platform.interleave();
    u32::from(is_linked)
}

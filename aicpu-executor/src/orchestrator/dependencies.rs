//! Which tasks a task waits for (spec trb §4.5), and what later tasks will find (§4.6).

use protocol::{ArgTag, Chip, StatusCode, TaskId, Tensor};

use super::overlap::{Access, Overlap};
use super::task_rings::{Shortage, UnknownTask};
use super::tensor_map::{self, Found, MapFull, TensorMap};
use super::{Fatal, Orchestrator, Services};
use crate::platform::Platform;
use crate::region::{Edge, EdgeHandle, Region, SlotHandle, TaskSlot};

/// Why a walk over overlapping writes stopped.
enum WalkStop {
    /// A producer needs an edge, and there is none right now.
    NeedsEdge,
}

impl Orchestrator {
    /// Adds the explicit dependencies of a task. Returns the number of producers that are not complete.
    pub(super) fn add_explicit<C: Chip, P: Platform>(
        &mut self,
        services: &mut Services<'_, C, P>,
        producers: &[TaskId],
        consumer: SlotHandle,
    ) -> Result<u32, Fatal> {
        let mut waits = 0;
        for id in producers {
            match self.rings.find(&self.region, *id) {
                Ok(Some((handle, slot))) if handle != consumer => {
                    waits += self.add_producer(services, (handle, slot), consumer)?;
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
        Ok(waits)
    }

    /// Adds the dependencies that follow from a tensor of a task, which is in the task's slot by now, and
    /// records what the task writes of it. Returns the number of producers that are not complete.
    #[inline(always)]
    pub(super) fn infer<C: Chip, P: Platform>(
        &mut self,
        services: &mut Services<'_, C, P>,
        (tag, tensor): (i32, &'static Tensor),
        (slot, consumer): (&'static TaskSlot, SlotHandle),
    ) -> Result<u32, Fatal> {
        let mut waits = 0;
        if tensor.owner_task_id.is_valid() {
            waits = self.add_creator(services, tensor.owner_task_id, consumer)?;
        }
        let is_read_only = tag == ArgTag::Input as i32;
        let is_untracked = tensor.manual_dep != 0 || tag == ArgTag::NoDep as i32;
        if is_untracked || (is_read_only && !self.map.has_writers(&self.region, tensor.buffer.addr))
        {
            return Ok(waits);
        }
        let task = (slot, consumer);
        let further = match tensor.ndims {
            1 => self.order_row(services, (tag, tensor), task)?,
            _ => self.order_view(services, (tag, tensor), task)?,
        };
        Ok(waits + further)
    }

    /// The task that allocated a tensor: it is waited for, and its memory is kept.
    fn add_creator<C: Chip, P: Platform>(
        &mut self,
        services: &mut Services<'_, C, P>,
        owner: TaskId,
        consumer: SlotHandle,
    ) -> Result<u32, Fatal> {
        match self.rings.find(&self.region, owner) {
            Ok(Some((handle, slot))) if handle != consumer => {
                self.add_producer(services, (handle, slot), consumer)
            }
            // Retired: complete. Unknown: a tensor from an earlier run, complete as well.
            _ => Ok(0),
        }
    }

    /// Adds the task of a write as a producer, unless this submission has it already or is its own. Returns 1
    /// if it is not complete; `None` if there is no edge at once. Nothing has kept the task then: it may
    /// be the one that gives edges back.
    #[inline(always)]
    fn add_at_once<C: Chip, P: Platform>(
        &mut self,
        services: &Services<'_, C, P>,
        writer: SlotHandle,
        consumer: SlotHandle,
    ) -> Option<u32> {
        let slot = self.region.slot(writer)?;
        let number = self.submission.number;
        if writer == consumer || is_named(slot, number) {
            return Some(0);
        }
        let edge = self.rings.take_edge(&self.region, ring_of(consumer)).ok()?;
        name_producer(slot, number);
        Some(link(services.platform, (writer, slot), edge, consumer, false))
    }

    /// [`order`](Self::order) of a tensor of one dimension, with the access in registers.
    #[inline(never)]
    fn order_row<C: Chip, P: Platform>(
        &mut self,
        services: &mut Services<'_, C, P>,
        (tag, tensor): (i32, &'static Tensor),
        task: (&'static TaskSlot, SlotHandle),
    ) -> Result<u32, Fatal> {
        // The request was checked.
        let Ok(access) = Access::of_row(tensor) else { return Ok(0) };
        self.order(services, (tag, access), task)
    }

    /// [`order`](Self::order) of any tensor.
    #[inline(never)]
    fn order_view<C: Chip, P: Platform>(
        &mut self,
        services: &mut Services<'_, C, P>,
        (tag, tensor): (i32, &'static Tensor),
        task: (&'static TaskSlot, SlotHandle),
    ) -> Result<u32, Fatal> {
        // The request was checked.
        let Ok(access) = Access::of(tensor) else { return Ok(0) };
        self.order(services, (tag, access), task)
    }

    /// Puts a task behind those that have written to what its tensor touches; if the task writes as well,
    /// records it for those that come after.
    #[inline(always)]
    fn order<C: Chip, P: Platform>(
        &mut self,
        services: &mut Services<'_, C, P>,
        (tag, access): (i32, Access<'static>),
        (slot, consumer): (&'static TaskSlot, SlotHandle),
    ) -> Result<u32, Fatal> {
        let (exact, waits) = if tag == ArgTag::OutputExisting as i32 {
            // What was written before does not matter.
            (tensor_map::EMPTY, 0)
        } else if let Some((entry, writer)) = TensorMap::sole_write(&self.region, &access)
            && let Some(waits) = self.add_at_once(services, writer, consumer)
        {
            (entry, waits)
        } else {
            // By the tensor, so that the access need not be in memory.
            self.add_writers(services, (tag, access.tensor()), consumer)?
        };
        if tag == ArgTag::Input as i32 {
            return Ok(waits);
        }
        let is_taken_over =
            exact != tensor_map::EMPTY && take_over(&self.region, exact, (slot, consumer), &access);
        if is_taken_over {
            return Ok(waits);
        }
        // SAFETY: this is the orchestrator's thread.
        let mut map_first = unsafe { slot.note() }.map_first;
        while let Err(MapFull) = self.map.insert(&self.region, &access, consumer, &mut map_first) {
            self.make_room(services, ring_of(consumer), Shortage::MapEntry, 1)?;
        }
        // SAFETY: as above.
        unsafe { slot.set_map_first(map_first) };
        Ok(waits)
    }

    /// The tasks that have written to what a tensor touches. Returns the entry of a write of the very same
    /// bytes that is to be taken over by one that reads and writes, and the number of producers that are
    /// not complete. Other covered ones are unlinked then.
    #[inline(never)]
    fn add_writers<C: Chip, P: Platform>(
        &mut self,
        services: &mut Services<'_, C, P>,
        (tag, tensor): (i32, &'static Tensor),
        consumer: SlotHandle,
    ) -> Result<(u32, u32), Fatal> {
        let takes_covered = tag == ArgTag::InOut as i32;
        // The request was checked.
        let Ok(access) = Access::of(tensor) else { return Ok((tensor_map::EMPTY, 0)) };
        let (number, mut waits) = (self.submission.number, 0);
        loop {
            let Self { region, rings, map, .. } = self;
            let region = &*region;
            let mut exact = tensor_map::EMPTY;
            let walk = map.visit_overlaps(region, &access, |found| {
                let Found { entry, producer, overlap, is_exact } = found;
                if producer == consumer {
                    // Another tensor of the same task.
                    exact = if is_exact { entry } else { exact };
                    return Ok(());
                }
                let Some(slot) = region.slot(producer) else { return Ok(()) };
                if !is_named(slot, number) {
                    let edge = rings.take_edge(region, ring_of(consumer));
                    let (edge, cell) = edge.map_err(|_: Shortage| WalkStop::NeedsEdge)?;
                    name_producer(slot, number);
                    let edge = (edge, cell);
                    waits += link(services.platform, (producer, slot), edge, consumer, false);
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
                Ok(()) => return Ok((exact, waits)),
                // Room is made outside the walk, since retiring changes the lists. What the walk
                // has added stays, and is skipped in the next one.
                Err(WalkStop::NeedsEdge) => {
                    self.make_room(services, ring_of(consumer), Shortage::Edge, 1)?;
                }
            }
        }
    }

    /// Adds one producer, unless this submission has it already. Returns 1 if it is not complete.
    #[inline(always)]
    fn add_producer<C: Chip, P: Platform>(
        &mut self,
        services: &mut Services<'_, C, P>,
        (handle, slot): (SlotHandle, &'static TaskSlot),
        consumer: SlotHandle,
    ) -> Result<u32, Fatal> {
        let number = self.submission.number;
        if is_named(slot, number) {
            return Ok(0);
        }
        name_producer(slot, number);
        services.platform.interleave();
        let at_once = self.rings.take_edge(&self.region, ring_of(consumer)).ok();
        let is_retained = at_once.is_none();
        let edge = match at_once {
            Some(edge) => edge,
            None => {
                // The reference on the producer comes before the wait for an edge, during which it
                // could otherwise be retired.
                slot.retain();
                self.take_edge(services, ring_of(consumer))?
            }
        };
        Ok(link(services.platform, (handle, slot), edge, consumer, is_retained))
    }
}

/// The ring of a slot.
#[inline]
fn ring_of(slot: SlotHandle) -> u8 {
    // CAST: below 4.
    slot.ring() as u8
}

/// Makes an earlier write of the same bytes one of this task. Returns whether that could be done.
///
/// Its task is still there: this one waits for it, and so it holds a reference.
#[inline(always)]
fn take_over(
    region: &Region<'_>,
    entry: u32,
    (slot, consumer): (&TaskSlot, SlotHandle),
    access: &Access<'static>,
) -> bool {
    let Some(producer) = TensorMap::writer(region, entry) else { return false };
    if producer == consumer {
        return true;
    }
    let Some(from) = region.slot(producer) else { return false };
    // SAFETY: this is the orchestrator's thread.
    let mut from_first = unsafe { from.note() }.map_first;
    // SAFETY: as above.
    let mut first = unsafe { slot.note() }.map_first;
    let is_taken =
        TensorMap::take_over(region, entry, (consumer, access), &mut from_first, &mut first);
    // SAFETY: as above.
    unsafe { from.set_map_first(from_first) };
    // SAFETY: as above.
    unsafe { slot.set_map_first(first) };
    is_taken
}

/// Whether the submission of this number has named this task as a producer already.
#[inline]
fn is_named(slot: &TaskSlot, number: u32) -> bool {
    // SAFETY: this is the orchestrator's thread.
    unsafe { slot.note() }.named_by == number
}

/// Notes that the submission names this task.
#[inline]
fn name_producer(slot: &TaskSlot, number: u32) {
    // SAFETY: this is the orchestrator's thread.
    unsafe { slot.set_named_by(number) };
}

/// Puts the edge on the producer's list, and has its consumer keep the producer unless it does already
/// (`is_retained`). Returns the number of producers to wait for: 0 if this one is complete.
#[inline]
fn link<P: Platform>(
    platform: &P,
    (handle, producer): (SlotHandle, &TaskSlot),
    (edge, cell): (EdgeHandle, &Edge),
    consumer: SlotHandle,
    is_retained: bool,
) -> u32 {
    cell.set(handle, consumer);
    platform.interleave();
    let is_linked = producer.consumers.push(edge.raw(), &cell.next, is_retained);
    platform.interleave();
    u32::from(is_linked)
}

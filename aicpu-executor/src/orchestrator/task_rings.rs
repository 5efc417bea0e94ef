//! The task rings: which slots, edges and output memory are in use, oldest first.
//!
//! A scope's depth picks the ring (spec trb §4.2), so that tasks of inner scopes retire while an
//! outer scope's long-lived ones stay. Everything of a ring is taken at the head and given back
//! at the tail. Only the orchestrator moves either end: it looks at the oldest slots whenever it
//! takes something, so no other thread has to advance a ring and no advance can get lost
//! (spec trb §14.1 item 2).

use protocol::{RING_COUNT, TaskId};

use super::heap_ring::HeapRing;
use super::tensor_map::TensorMap;
use crate::region::{Edge, EdgeHandle, OrchestratorNote, Region, SlotHandle, TaskSlot};

/// Sizes of each ring of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RingSizes {
    /// Task slots; a power of two. One stays free.
    pub(crate) window: u64,
    /// Bytes of output memory.
    pub(crate) heap_bytes: u64,
    /// Dependency edges.
    pub(crate) edges: u64,
}

/// Ends of one ring.
#[derive(Debug, Default)]
struct TaskRing {
    /// Local id of the next task.
    next: u32,
    /// Local id of the oldest task that is not retired.
    oldest: u32,
    /// Edges ever taken and ever given back.
    edges_taken: u64,
    edges_returned: u64,
    heap: HeapRing,
}

/// What a task could not be given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shortage {
    /// No free task slot in the ring.
    TaskSlot,
    /// Not enough output memory in the ring.
    Heap,
    /// No free edge in the ring.
    Edge,
    /// No free tensor-map entry.
    MapEntry,
}

/// A freshly taken slot.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TakenSlot<'r> {
    pub(crate) slot: &'r TaskSlot,
    pub(crate) handle: SlotHandle,
    pub(crate) id: TaskId,
    /// Device address of the task's outputs.
    pub(crate) outputs: u64,
}

/// The four rings.
#[derive(Debug)]
pub(crate) struct TaskRings {
    rings: [TaskRing; RING_COUNT],
    sizes: RingSizes,
}

impl TaskRings {
    /// Empty rings over output memory that starts at `heap_base`, one piece a ring.
    pub(crate) fn new(sizes: RingSizes, heap_base: u64) -> Self {
        let mut rings: [TaskRing; RING_COUNT] = Default::default();
        let mut base = heap_base;
        for ring in &mut rings {
            ring.heap = HeapRing::new(base, sizes.heap_bytes);
            base += sizes.heap_bytes;
        }
        Self { rings, sizes }
    }

    /// Sizes of each ring.
    pub(crate) fn sizes(&self) -> RingSizes {
        self.sizes
    }

    /// Tasks of ring `ring` that are not retired.
    pub(crate) fn live(&self, ring: u8) -> u32 {
        self.ring(ring).map_or(0, |ring| ring.next - ring.oldest)
    }

    /// Tasks ever taken, over all rings.
    pub(crate) fn taken(&self) -> u64 {
        self.rings.iter().map(|ring| u64::from(ring.next)).sum()
    }

    fn ring(&self, ring: u8) -> Option<&TaskRing> {
        self.rings.get(usize::from(ring))
    }

    /// The live slot of a task id; `None` if the task has been retired.
    ///
    /// # Errors
    ///
    /// `Err(())` for an id that no task has.
    pub(crate) fn find<'r>(
        &self,
        region: &Region<'r>,
        id: TaskId,
    ) -> Result<Option<(SlotHandle, &'r TaskSlot)>, UnknownTask> {
        let ring = self.ring(id.ring()).ok_or(UnknownTask)?;
        if !id.is_valid() || id.local() >= ring.next {
            return Err(UnknownTask);
        }
        if id.local() < ring.oldest {
            return Ok(None);
        }
        let handle = self.handle(id.ring(), id.local());
        Ok(region.slot(handle).map(|slot| (handle, slot)))
    }

    /// The slot that local id `local` of a ring occupies.
    fn handle(&self, ring: u8, local: u32) -> SlotHandle {
        // CAST: the window is a power of two of at most 2^26.
        SlotHandle::new(ring, local & (self.sizes.window - 1) as u32)
    }

    /// Takes a slot and `bytes` of output memory, or nothing at all.
    pub(crate) fn take_slot<'r>(
        &mut self,
        region: &Region<'r>,
        ring_index: u8,
        bytes: u64,
    ) -> Result<TakenSlot<'r>, Shortage> {
        let window = self.sizes.window;
        let ring = self.rings.get_mut(usize::from(ring_index)).ok_or(Shortage::TaskSlot)?;
        let local = ring.next;
        if u64::from(local - ring.oldest) + 1 >= window || local == u32::MAX {
            return Err(Shortage::TaskSlot);
        }
        let outputs = ring.heap.take(bytes).ok_or(Shortage::Heap)?;
        ring.next += 1;
        let handle = self.handle(ring_index, local);
        let slot = region.slot(handle).ok_or(Shortage::TaskSlot)?;
        Ok(TakenSlot { slot, handle, id: TaskId::new(ring_index, local), outputs })
    }

    /// Position behind the ring's latest output memory, for the note of the task that took it.
    pub(crate) fn heap_position(&self, ring: u8) -> u64 {
        self.ring(ring).map_or(0, |ring| ring.heap.position())
    }

    /// Bytes of output memory a ring has in use.
    pub(crate) fn heap_used(&self, ring: u8) -> u64 {
        self.ring(ring).map_or(0, |ring| ring.heap.used())
    }

    /// A heap size with which a ring would have had room for `bytes` more
    /// ([`HeapRing::sufficient`]).
    pub(crate) fn sufficient_heap(&self, ring: u8, bytes: u64) -> Option<u64> {
        self.ring(ring)?.heap.sufficient(bytes)
    }

    /// A number of edges with which a ring would have had enough for its newest task, which is being
    /// submitted: those that older tasks hold, and one for each task that it could wait for.
    pub(crate) fn sufficient_edges(&self, region: &Region<'_>, ring_index: u8) -> u64 {
        let most_live = self.taken().min((self.sizes.window - 1) * RING_COUNT as u64);
        let Some(ring) = self.ring(ring_index) else { return most_live };
        let Some(slot) = region.slot(self.handle(ring_index, ring.next.saturating_sub(1))) else {
            return most_live;
        };
        // SAFETY: this is the orchestrator's thread. The note of a task that is being submitted has
        // the position at which its edges begin.
        let first = unsafe { slot.note() }.edge_end;
        first.saturating_sub(ring.edges_returned) + most_live
    }

    /// Takes one edge of a ring.
    pub(crate) fn take_edge<'r>(
        &mut self,
        region: &Region<'r>,
        ring_index: u8,
    ) -> Result<(EdgeHandle, &'r Edge), Shortage> {
        let capacity = self.sizes.edges;
        let ring = self.rings.get_mut(usize::from(ring_index)).ok_or(Shortage::Edge)?;
        if ring.edges_taken - ring.edges_returned >= capacity {
            return Err(Shortage::Edge);
        }
        let handle = EdgeHandle::new(ring_index, edge_index(ring.edges_taken, capacity));
        let edge = region.edge(handle).ok_or(Shortage::Edge)?;
        ring.edges_taken += 1;
        Ok((handle, edge))
    }

    /// Index of the ring's next edge, and the position behind its latest one.
    pub(crate) fn edge_position(&self, ring: u8) -> (u32, u64) {
        self.ring(ring).map_or((0, 0), |ring| {
            (edge_index(ring.edges_taken, self.sizes.edges), ring.edges_taken)
        })
    }

    /// Retires the oldest tasks of a ring as far as they are complete and unreferenced.
    ///
    /// Gives back their slots, edges, output memory and map entries. Returns how many.
    pub(crate) fn retire(&mut self, region: &Region<'_>, map: &mut TensorMap, ring: u8) -> u32 {
        let mut retired = 0;
        while let Some((_, slot)) = self.oldest(region, ring) {
            if !slot.is_retirable() {
                break;
            }
            // SAFETY: this is the orchestrator's thread, or the last thread of a run.
            let note = unsafe { slot.note() };
            map.free_list(region, note.map_first);
            let Some(ends) = self.rings.get_mut(usize::from(ring)) else { break };
            ends.heap.give_back(note.heap_end);
            ends.edges_returned = ends.edges_returned.max(note.edge_end);
            ends.oldest += 1;
            retired += 1;
        }
        retired
    }

    /// The oldest task of a ring that is not retired.
    pub(crate) fn oldest<'r>(
        &self,
        region: &Region<'r>,
        ring_index: u8,
    ) -> Option<(TaskId, &'r TaskSlot)> {
        let ring = self.ring(ring_index)?;
        if ring.oldest == ring.next {
            return None;
        }
        let slot = region.slot(self.handle(ring_index, ring.oldest))?;
        Some((TaskId::new(ring_index, ring.oldest), slot))
    }

    /// Whether waiting for room in a ring is pointless: an open scope or the submission `current`
    /// itself holds its oldest task, and both wait for us; or there is no older task at all.
    ///
    /// This is a proof and not a guess: a ring gives back its oldest task first, that one stays as
    /// long as it is held, and the thread that could let go of it is the one that waits. Whether
    /// the task has run does not matter, so nothing has to be waited for to know.
    pub(crate) fn is_stuck(&self, region: &Region<'_>, ring: u8, current: Submission) -> bool {
        let Some((id, slot)) = self.oldest(region, ring) else { return true };
        if Some(id) == current.task {
            return true;
        }
        // SAFETY: this is the orchestrator's thread.
        let note: OrchestratorNote = unsafe { slot.note() };
        note.scope_references > 0 || note.named_by == current.number
    }
}

/// The submission under way.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Submission {
    /// Number of the submission within the run, from 1.
    pub(crate) number: u32,
    /// Its task, once it has a slot.
    pub(crate) task: Option<TaskId>,
}

/// An id that no task of this run has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct UnknownTask;

fn edge_index(position: u64, capacity: u64) -> u32 {
    // CAST: capacities are at most 2^30.
    (position % capacity.max(1)) as u32
}

//! The task rings: which slots, edges and output memory are in use, oldest first.
//!
//! A scope's depth picks the ring (spec trb §4.2), so that tasks of inner scopes retire while an
//! outer scope's long-lived ones stay. Everything of a ring is taken at the head and given back
//! at the tail. Only the orchestrator moves either end: it looks at the oldest slots whenever what
//! is in use of a ring comes to its end, so no other thread has to advance a ring and no advance can
//! get lost (spec trb §14.1 item 2).
//!
//! A task stays as long as its scope is open. All tasks of a ring from the first one on that an open
//! scope has submitted are such tasks or behind one, so that number is all there is to know about
//! the scopes (`hold_from`).

use protocol::{RING_COUNT, TaskId};

use super::heap_ring::HeapRing;
use super::soft_window::{FIRST_SLOTS, SoftWindow};
use super::tensor_map::TensorMap;
use crate::region::{Arguments, Edge, EdgeHandle, Region, SlotHandle, TaskSlot};

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
#[derive(Debug)]
struct TaskRing {
    /// Local id of the next task.
    next: u32,
    /// Local id of the oldest task that is not retired.
    oldest: u32,
    /// Local id of the first task of an open scope; [`NOT_HELD`] for none.
    held_from: u32,
    /// Index of the next edge.
    edge_next: u32,
    /// Edges ever taken and ever given back.
    edges_taken: u64,
    edges_returned: u64,
    heap: HeapRing,
    slots: SoftWindow,
}

/// No task of a ring belongs to an open scope. No task has this id.
const NOT_HELD: u32 = u32::MAX;

impl TaskRing {
    /// An empty ring with the output memory at `heap_base`.
    #[inline]
    fn new(sizes: RingSizes, heap_base: u64) -> Self {
        Self {
            next: 0,
            oldest: 0,
            held_from: NOT_HELD,
            edge_next: 0,
            edges_taken: 0,
            edges_returned: 0,
            heap: HeapRing::new(heap_base, sizes.heap_bytes),
            // CAST: at most 2^26.
            slots: SoftWindow::new(sizes.window as u32, FIRST_SLOTS),
        }
    }

    #[inline]
    fn live(&self) -> u32 {
        self.next - self.oldest
    }

    /// Whether one of the slots in use is free, beside the one that stays so, and the task has a number.
    #[inline]
    fn has_slot(&self) -> bool {
        self.live() + 1 < self.slots.slots() && self.next != u32::MAX
    }
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
    pub(crate) arguments: Arguments<'r>,
    pub(crate) handle: SlotHandle,
    pub(crate) id: TaskId,
    /// Device address of the task's outputs.
    pub(crate) outputs: u64,
    /// Position in the ring's output memory behind them, for the task's note.
    pub(crate) heap_end: u64,
    /// Index of the task's first edge.
    pub(crate) edge_first: u32,
    /// Edges that the ring had given out before.
    pub(crate) edges_before: u64,
}

/// The four rings.
#[derive(Debug)]
pub(crate) struct TaskRings {
    rings: [TaskRing; RING_COUNT],
    sizes: RingSizes,
    /// Where the output memory of the first ring starts.
    heap_base: u64,
}

impl TaskRings {
    /// Empty rings over output memory that starts at `heap_base`, one piece a ring.
    #[inline]
    pub(crate) fn new(sizes: RingSizes, heap_base: u64) -> Self {
        let ring = |index: u64| TaskRing::new(sizes, heap_base + index * sizes.heap_bytes);
        Self { rings: [ring(0), ring(1), ring(2), ring(3)], sizes, heap_base }
    }

    /// Makes all rings as they were at first. Those that no task was in are.
    pub(crate) fn reset(&mut self) {
        for (ring, index) in self.rings.iter_mut().zip(0..) {
            if ring.next != 0 {
                *ring = TaskRing::new(self.sizes, self.heap_base + index * self.sizes.heap_bytes);
            }
        }
    }

    /// Sizes of each ring.
    #[inline]
    pub(crate) fn sizes(&self) -> RingSizes {
        self.sizes
    }

    /// Tasks of ring `ring` that are not retired.
    pub(crate) fn live(&self, ring: u8) -> u32 {
        self.ring(ring).map_or(0, TaskRing::live)
    }

    /// Tasks ever taken, over all rings.
    pub(crate) fn taken(&self) -> u64 {
        self.rings.iter().map(|ring| u64::from(ring.next)).sum()
    }

    #[inline]
    fn ring(&self, ring: u8) -> Option<&TaskRing> {
        self.rings.get(usize::from(ring))
    }

    /// The live slot of a task id; `None` if the task has been retired.
    ///
    /// # Errors
    ///
    /// `Err(())` for an id that no task has.
    #[inline]
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
        let handle = SlotHandle::new(id.ring(), ring.slots.index(id.local()));
        Ok(region.slot(handle).map(|slot| (handle, slot)))
    }

    /// Notes that the scope which has just opened or gone on holds task `local` of a ring, and with it
    /// all behind it.
    #[inline]
    pub(crate) fn hold_from(&mut self, id: TaskId) {
        if let Some(ring) = self.rings.get_mut(usize::from(id.ring())) {
            ring.held_from = ring.held_from.min(id.local());
        }
    }

    /// Notes that the scope whose first task this was has closed.
    pub(crate) fn let_go(&mut self, first: TaskId) {
        let ring = self.rings.get_mut(usize::from(first.ring()));
        // An outer scope holds tasks before those of an inner one.
        if let Some(ring) = ring.filter(|ring| ring.held_from == first.local()) {
            ring.held_from = NOT_HELD;
        }
    }

    /// Notes that no scope is open.
    pub(crate) fn let_all_go(&mut self) {
        for ring in &mut self.rings {
            ring.held_from = NOT_HELD;
        }
    }

    /// Whether a ring has slots that it does not use yet.
    pub(crate) fn can_widen(&self, ring: u8) -> bool {
        self.ring(ring).is_some_and(|ring| !ring.slots.is_whole())
    }

    /// Lets a ring use more of its slots.
    pub(crate) fn widen(&mut self, ring: u8) {
        if let Some(ring) = self.rings.get_mut(usize::from(ring)) {
            ring.slots.grow(ring.next);
        }
    }

    /// Takes a slot and `bytes` of output memory, if there are some among those that the ring has used
    /// lately; or nothing at all.
    #[inline(always)]
    pub(crate) fn take_at_once<'r>(
        &mut self,
        region: &Region<'r>,
        ring_index: u8,
        bytes: u64,
    ) -> Option<TakenSlot<'r>> {
        let ring = self.rings.get_mut(usize::from(ring_index))?;
        let local = ring.next;
        if !ring.has_slot() {
            return None;
        }
        let handle = SlotHandle::new(ring_index, ring.slots.index(local));
        let slot = region.slot(handle)?;
        let arguments = region.arguments(handle, slot)?;
        let outputs = ring.heap.take_at_once(bytes)?;
        ring.next = local + 1;
        Some(TakenSlot {
            slot,
            arguments,
            handle,
            id: TaskId::new(ring_index, local),
            outputs,
            heap_end: ring.heap.position(),
            edge_first: ring.edge_next,
            edges_before: ring.edges_taken,
        })
    }

    /// Looks for a slot and `bytes` of output memory, which [`take_at_once`](Self::take_at_once) takes then.
    pub(crate) fn find_room(&mut self, ring: u8, bytes: u64) -> Result<(), Shortage> {
        let ring = self.rings.get_mut(usize::from(ring)).ok_or(Shortage::TaskSlot)?;
        if !ring.has_slot() {
            return Err(Shortage::TaskSlot);
        }
        if ring.heap.find_room(bytes) { Ok(()) } else { Err(Shortage::Heap) }
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
        let newest = SlotHandle::new(ring_index, ring.slots.index(ring.next.saturating_sub(1)));
        let Some(slot) = region.slot(newest) else { return most_live };
        // SAFETY: this is the orchestrator's thread. The note of a task that is being submitted has
        // the position at which its edges begin.
        let first = unsafe { slot.note() }.edge_end;
        first.saturating_sub(ring.edges_returned) + most_live
    }

    /// Takes one edge of a ring.
    #[inline]
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
        let handle = EdgeHandle::new(ring_index, ring.edge_next);
        let edge = region.edge(handle).ok_or(Shortage::Edge)?;
        ring.edges_taken += 1;
        ring.edge_next += 1;
        if u64::from(ring.edge_next) == capacity {
            ring.edge_next = 0;
        }
        Ok((handle, edge))
    }

    /// Edges that a ring has ever given out: the position behind its latest one.
    #[inline]
    pub(crate) fn edges_taken(&self, ring: u8) -> u64 {
        self.ring(ring).map_or(0, |ring| ring.edges_taken)
    }

    /// Retires the oldest tasks of a ring as far as they are complete, unreferenced, and of no open
    /// scope.
    ///
    /// Gives back their slots, edges, output memory and map entries. Returns how many.
    pub(crate) fn retire(
        &mut self,
        region: &Region<'_>,
        map: &mut TensorMap,
        ring_index: u8,
    ) -> u32 {
        let Some(ring) = self.rings.get_mut(usize::from(ring_index)) else { return 0 };
        let (first, end) = (ring.oldest, ring.next.min(ring.held_from));
        let (mut oldest, mut last) = (first, None);
        while oldest < end {
            let handle = SlotHandle::new(ring_index, ring.slots.index(oldest));
            let Some(slot) = region.slot(handle).filter(|slot| slot.is_retirable()) else { break };
            // SAFETY: this is the orchestrator's thread, or the last thread of a run.
            let note = unsafe { slot.note() };
            map.free_list(region, note.map_first);
            last = Some(note);
            oldest += 1;
        }
        // The positions only grow: the last task's are behind those of the others.
        let Some(last) = last else { return 0 };
        ring.oldest = oldest;
        ring.heap.give_back(last.heap_end);
        ring.edges_returned = ring.edges_returned.max(last.edge_end);
        if oldest == ring.next {
            ring.slots.shrink();
            ring.edge_next = 0;
        } else {
            ring.slots.settle(oldest, ring.next);
        }
        oldest - first
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
        let slot = region.slot(SlotHandle::new(ring_index, ring.slots.index(ring.oldest)))?;
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
        let named_by = unsafe { slot.note() }.named_by;
        let held_from = self.ring(ring).map_or(NOT_HELD, |ring| ring.held_from);
        id.local() >= held_from || named_by == current.number
    }
}

/// The submission under way.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Submission {
    /// Number of the submission within the run, from 1; 0 before the first one.
    pub(crate) number: u32,
    /// Its task, once it has a slot.
    pub(crate) task: Option<TaskId>,
}

/// An id that no task of this run has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct UnknownTask;

//! The shared-memory region: where everything a run's graph consists of lives.
//!
//! The host hands over one piece of device memory (`Runtime::gm_sm_ptr`). It holds, in this order:
//!
//! | part | one entry is | count |
//! |---|---|---|
//! | header | the reference's `SharedMemoryHeader`; a host reads the error codes in it | 1 |
//! | task slots | [`TaskSlot`]: state, record, first tensors and scalars of a task | `window` a ring |
//! | more arguments | [`MoreArguments`]: what a slot has no room for | `window` a ring |
//! | edges | [`Edge`]: one task waits for one other | 16 × `window` a ring, or more |
//! | tensor map | entries, buckets and grains of the orchestrator's map | 4 × `window`, or more |
//! | ready cells | the three ready queues | 4 × `window` a shape |
//!
//! With the smaller numbers, the whole stays below what the reference allocates for the same window
//! (spec trb §3.2), so either host's region will do; our own host makes room for more. Nothing here is cleared per run:
//! slots and edges are written when a task takes them, and the parts that must start clean (map
//! buckets, ready cells) are cleaned once when the region is first seen and are clean again at the
//! end of every run that succeeds.

use core::cell::Cell;
use core::marker::PhantomData;
use core::mem::{align_of, size_of};

use protocol::{DEP_POOL_DEFAULT, RING_COUNT, SharedMemoryHeader, TASK_WINDOW_DEFAULT};

use crate::orchestrator::tensor_map::{MapBucket, MapEntry};
use crate::sync::AtomicU64;

pub(crate) mod block_cursor;
pub(crate) mod consumers;
pub(crate) mod edge;
pub(crate) mod handle;
mod header;
mod rings;
pub(crate) mod slot;

pub(crate) use edge::Edge;
pub(crate) use handle::{EdgeHandle, SlotHandle};
pub(crate) use header::{HeaderFacts, write_header_at, write_refusal};
pub(crate) use slot::{
    Arguments, INLINE_SCALARS, MoreArguments, OrchestratorNote, TaskRecord, TaskSlot, WIRING,
};

/// Smallest task window: one slot stays free, and a scope of one task needs room beside its parent.
pub(crate) const TASK_WINDOW_MIN: u64 = 4;

/// Largest task window: a slot handle holds 30 bits of index, and so does an edge handle for 16
/// edges a slot.
pub(crate) const TASK_WINDOW_MAX: u64 = 1 << 26;

/// Edges of a ring for each slot of its window that fit into a reference host's region.
///
/// The live tasks of all rings together are below `4 × window`, so any single task fits.
const EDGES_PER_SLOT: u64 = 16;

/// Most edges of a ring: what an edge handle can name, less the two names of the last ring that
/// consumer lists use for themselves (`EMPTY`, and that of a closed list).
const EDGES_MAX: u64 = (1 << 30) - 2;

/// Fewest edges a ring may be limited to (spec trb §2.4).
const EDGES_MIN: u64 = 4;

/// Tensor-map entries that the reference has, whatever the window (spec trb §2.1).
const MAP_ENTRIES_DEFAULT: u64 = 65536;

/// What a region has room for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RegionSizes {
    /// Task slots of a ring.
    pub(crate) window: u64,
    /// Dependency edges of a ring.
    pub(crate) edges: u64,
    /// Entries of the tensor map.
    pub(crate) map_entries: u64,
}

impl RegionSizes {
    /// Sizes for a task window and a dependency pool as the host asks for them (0: the default):
    /// never fewer of anything than the reference has.
    pub(crate) fn wanted(window: u64, dep_pool: u64) -> Self {
        let window = if window == 0 { TASK_WINDOW_DEFAULT } else { window };
        let plenty = window.saturating_mul(EDGES_PER_SLOT).clamp(DEP_POOL_DEFAULT, EDGES_MAX);
        Self {
            window,
            edges: if dep_pool == 0 { plenty } else { dep_pool.max(EDGES_MIN) },
            map_entries: window.saturating_mul(RING_COUNT as u64).max(MAP_ENTRIES_DEFAULT),
        }
    }

    /// The same, cut to what fits into the region that a reference host allocates.
    pub(crate) fn within_reference(self) -> Self {
        Self {
            window: self.window,
            edges: self.edges.min(self.window.saturating_mul(EDGES_PER_SLOT)),
            map_entries: self.map_entries.min(self.window.saturating_mul(RING_COUNT as u64)),
        }
    }
}

/// A task window, as a setting, with which every host's region has this many tensor-map entries.
pub(crate) fn window_for_entries(entries: u64) -> u64 {
    entries.div_ceil(RING_COUNT as u64).next_power_of_two().max(TASK_WINDOW_MIN)
}

/// Ready queues: one for each resource shape.
pub(crate) const SHAPE_COUNT: usize = 3;

/// Tasks for each bucket of the tensor map.
const TASKS_PER_BUCKET: u64 = 16;

/// Grains of the tensor map for each bucket.
const GRAINS_PER_BUCKET: u64 = 4;

/// Where each part of a region of some window lies, in bytes from its start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RegionLayout {
    sizes: RegionSizes,
    slots: u64,
    more_arguments: u64,
    edges: u64,
    map_entries: u64,
    map_buckets: u64,
    map_grains: u64,
    ready_cells: u64,
    total: u64,
}

impl RegionLayout {
    /// The layout for some sizes; `None` unless the window is a power of two and all are within
    /// the limits.
    pub(crate) const fn new(sizes: RegionSizes) -> Option<Self> {
        let RegionSizes { window, edges, map_entries } = sizes;
        if !window.is_power_of_two() || window < TASK_WINDOW_MIN || window > TASK_WINDOW_MAX {
            return None;
        }
        if edges == 0 || edges > EDGES_MAX || map_entries == 0 || map_entries > EDGES_MAX {
            return None;
        }
        let tasks = window * RING_COUNT as u64;
        let slots = size_of::<SharedMemoryHeader>() as u64;
        let more_arguments = slots + tasks * size_of::<TaskSlot>() as u64;
        let edges_at = more_arguments + tasks * size_of::<MoreArguments>() as u64;
        let edge_bytes = edges * RING_COUNT as u64 * size_of::<Edge>() as u64;
        let map_entries_at = edges_at + edge_bytes.next_multiple_of(64);
        let entry_bytes = map_entries * size_of::<MapEntry>() as u64;
        let map_buckets = map_entries_at + entry_bytes.next_multiple_of(64);
        // Buckets and grains are rounded up to whole cache lines, which keeps what is behind them
        // aligned.
        let buckets = Self::buckets(window);
        let bucket_bytes = (buckets * size_of::<MapBucket>() as u64).next_multiple_of(64);
        let map_grains = map_buckets + bucket_bytes;
        let grain_bytes = buckets * GRAINS_PER_BUCKET * size_of::<u32>() as u64;
        let ready_cells = map_grains + grain_bytes.next_multiple_of(64);
        let total = ready_cells + SHAPE_COUNT as u64 * tasks * size_of::<u64>() as u64;
        Some(Self {
            sizes,
            slots,
            more_arguments,
            edges: edges_at,
            map_entries: map_entries_at,
            map_buckets,
            map_grains,
            ready_cells,
            total,
        })
    }

    /// Bytes of the whole region.
    pub(crate) const fn total(&self) -> u64 {
        self.total
    }

    /// Buckets of the tensor map: a power of two.
    const fn buckets(window: u64) -> u64 {
        window * RING_COUNT as u64 / TASKS_PER_BUCKET
    }
}

/// One ring's part of the region.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RingMemory<'r> {
    /// The task slots; their count is the window, a power of two.
    pub(crate) slots: &'r [TaskSlot],
    /// The arguments that the slots have no room for, by the same indices.
    more_arguments: &'r [MoreArguments],
    /// The edges.
    pub(crate) edges: &'r [Edge],
}

/// A view of the whole region; copies refer to the same memory.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Region<'r> {
    /// The four rings.
    pub(crate) rings: [RingMemory<'r>; RING_COUNT],
    /// Cells of the ready queues, by shape.
    pub(crate) ready_cells: [&'r [AtomicU64]; SHAPE_COUNT],
    /// Entries of the tensor map. Only the orchestrator's thread touches them.
    pub(crate) map_entries: &'r [MapEntry],
    /// The tensor map's hash over buffers; a power of two. Only the orchestrator's thread touches it.
    pub(crate) map_buckets: &'r [MapBucket],
    /// Its hash over pieces of buffers, as heads of chains; a power of two. As above.
    pub(crate) map_grains: &'r [Cell<u32>],
    /// How far the upper half of a hash is shifted to be the number of a bucket, and of a grain.
    pub(crate) map_shifts: (u32, u32),
    header: u64,
    not_shared_by_default: PhantomData<*mut ()>,
}

// SAFETY: the parts that several threads use are atomics and `UnsafeCell`s whose accessors state
// who may use them when; the map's cells and the header belong to one thread at a time (the
// orchestrator's while it runs, the last leaving thread's after), as their docs say.
unsafe impl Send for Region<'_> {}
// SAFETY: as for `Send`.
unsafe impl Sync for Region<'_> {}

impl<'r> Region<'r> {
    /// Looks at `layout.total()` bytes at `address` as a region.
    ///
    /// Returns `None` for a null or misaligned address.
    ///
    /// # Safety
    ///
    /// The bytes are readable, writable and initialised (any value) for `'r`, and used by nobody
    /// but the executor in that time.
    pub(crate) unsafe fn at(address: u64, layout: &RegionLayout) -> Option<Self> {
        let base = core::ptr::with_exposed_provenance_mut::<u8>(usize::try_from(address).ok()?);
        if base.is_null() || base.align_offset(align_of::<TaskSlot>()) != 0 {
            return None;
        }
        let RegionSizes { window, edges, map_entries } = layout.sizes;
        let buckets = usize::try_from(RegionLayout::buckets(window)).ok()?;
        let grains = buckets * GRAINS_PER_BUCKET as usize;
        let window = usize::try_from(window).ok()?;
        let tasks = window * RING_COUNT;
        let edges_per_ring = usize::try_from(edges).ok()?;
        let map_entries = usize::try_from(map_entries).ok()?;
        // SAFETY: (all `part` calls) the offsets and counts are those of `layout`, so each part
        // lies within the caller's bytes, is aligned (every part before it is a multiple of 64
        // bytes) and disjoint from the others; any bytes are a valid value of its type.
        let slots: &[TaskSlot] = unsafe { part(base, layout.slots, tasks) }?;
        // SAFETY: as above.
        let more: &[MoreArguments] = unsafe { part(base, layout.more_arguments, tasks) }?;
        // SAFETY: as above.
        let edges: &[Edge] = unsafe { part(base, layout.edges, edges_per_ring * RING_COUNT) }?;
        // SAFETY: as above.
        let map_entries = unsafe { part(base, layout.map_entries, map_entries) }?;
        // SAFETY: as above.
        let map_buckets = unsafe { part(base, layout.map_buckets, buckets) }?;
        // SAFETY: as above.
        let map_grains = unsafe { part(base, layout.map_grains, grains) }?;
        // SAFETY: as above.
        let cells: &[AtomicU64] = unsafe { part(base, layout.ready_cells, SHAPE_COUNT * tasks) }?;
        let ring = |index: usize| RingMemory {
            slots: slots.get(index * window..(index + 1) * window).unwrap_or_default(),
            more_arguments: more.get(index * window..(index + 1) * window).unwrap_or_default(),
            edges: edges
                .get(index * edges_per_ring..(index + 1) * edges_per_ring)
                .unwrap_or_default(),
        };
        let queue =
            |shape: usize| cells.get(shape * tasks..(shape + 1) * tasks).unwrap_or_default();
        Some(Self {
            rings: [ring(0), ring(1), ring(2), ring(3)],
            ready_cells: [queue(0), queue(1), queue(2)],
            map_entries,
            map_buckets,
            map_grains,
            map_shifts: (hash_shift(buckets), hash_shift(grains)),
            header: address,
            not_shared_by_default: PhantomData,
        })
    }

    /// The slot that a handle names.
    ///
    /// Handles are made from indices of this region only; a foreign one yields `None`.
    #[inline]
    pub(crate) fn slot(&self, handle: SlotHandle) -> Option<&'r TaskSlot> {
        self.rings.get(handle.ring())?.slots.get(handle.index())
    }

    /// Where the arguments of the task in a slot are; the slot is that of the handle.
    #[inline]
    pub(crate) fn arguments(
        &self,
        handle: SlotHandle,
        slot: &'r TaskSlot,
    ) -> Option<Arguments<'r>> {
        let more = self.rings.get(handle.ring())?.more_arguments.get(handle.index())?;
        Some(Arguments { slot, more })
    }

    /// The edge that a handle names.
    #[inline]
    pub(crate) fn edge(&self, handle: EdgeHandle) -> Option<&'r Edge> {
        self.rings.get(handle.ring())?.edges.get(handle.index())
    }

    /// Writes the header a host may read: window and error codes (spec trb §3.2, §7.2).
    ///
    /// Called by one thread, before the region is used and after the run has ended.
    pub(crate) fn write_header(&self, layout: &RegionLayout, facts: HeaderFacts) {
        // SAFETY: `header` points at the start of the region, which is large enough and aligned
        // (`at`), and only the calling thread uses it now.
        unsafe { write_header_at(self.header, layout.total, facts) };
    }

    /// Where that header is.
    pub(crate) fn header_address(&self) -> u64 {
        self.header
    }

    /// Brings the parts that must start clean into that state.
    ///
    /// Called by one thread while nobody else uses the region.
    pub(crate) fn clean(&self) {
        for bucket in self.map_buckets {
            bucket.clear();
        }
        for grain in self.map_grains {
            grain.set(crate::orchestrator::tensor_map::EMPTY);
        }
        for cell in self.ready_cells.iter().flat_map(|cells| cells.iter()) {
            // ORDERING: Relaxed: the region is published to the other threads afterwards.
            cell.store(0, crate::sync::Ordering::Relaxed);
        }
    }
}

/// How far the upper 63 bits of a hash are shifted to be an index of `count`, a power of two.
fn hash_shift(count: usize) -> u32 {
    63_u32.saturating_sub(count.trailing_zeros())
}

/// A slice of `count` values at `base + offset`.
///
/// # Safety
///
/// As for `core::slice::from_raw_parts`, for any lifetime the caller chooses.
pub(crate) unsafe fn part<'r, T>(base: *mut u8, offset: u64, count: usize) -> Option<&'r [T]> {
    let offset = usize::try_from(offset).ok()?;
    // SAFETY: the caller vouches for the range.
    let first = unsafe { base.add(offset) };
    // SAFETY: the caller vouches for range, alignment, values and lifetime.
    Some(unsafe { core::slice::from_raw_parts(first.cast(), count) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stays_within_the_region_that_a_reference_host_allocates() {
        for window in [4, 8, 64, 1024, 16384, 1 << 20] {
            let layout = RegionLayout::new(RegionSizes::wanted(window, 0).within_reference())
                .expect("valid sizes");
            let theirs = protocol::reference_region_bytes(window).expect("a valid window");
            assert!(layout.total() <= theirs, "{window}: {} > {theirs}", layout.total());
        }
    }

    #[test]
    fn a_window_for_entries_has_that_many_with_either_host() {
        for entries in [1, 17, 65536, 65537, 65552, 1 << 20] {
            let sizes = RegionSizes::wanted(window_for_entries(entries), 0);
            for sizes in [sizes, sizes.within_reference()] {
                assert!(sizes.map_entries >= entries, "{entries}: {sizes:?}");
            }
        }
    }

    #[test]
    fn refuses_sizes_that_are_out_of_range() {
        for count in [0, EDGES_MAX + 1, u64::MAX] {
            for (edges, map_entries) in [(count, 64), (64, count)] {
                let sizes = RegionSizes { window: 16, edges, map_entries };
                assert_eq!(RegionLayout::new(sizes), None, "{count}");
            }
        }
        for window in [0, 1, 2, 3, 6, 16383, TASK_WINDOW_MAX * 2, u64::MAX] {
            let sizes = RegionSizes { window, edges: 64, map_entries: 64 };
            assert_eq!(RegionLayout::new(sizes), None, "{window}");
        }
    }

    #[test]
    fn refuses_null_and_misaligned_addresses() {
        let layout = RegionLayout::new(RegionSizes::wanted(4, 0)).expect("valid sizes");
        for address in [0, 8, 33] {
            // SAFETY: the address is refused before it is used.
            assert!(unsafe { Region::at(address, &layout) }.is_none());
        }
    }
}

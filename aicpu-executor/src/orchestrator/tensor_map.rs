//! The tensor map: who writes which part of which buffer.
//!
//! A hash over buffer addresses, with chains of write accesses, newest first. The orchestrator is
//! its only user. An entry lives exactly as long as the slot of the task that writes: the map
//! never holds an entry of a retired task, so there is nothing stale to skip in a look-up
//! (spec trb §14.1 item 5, §14.3).
//!
//! Entries and buckets live in the region; this type holds only the free list.

use core::cell::Cell;

use protocol::MAX_TENSOR_DIMS;

use super::overlap::{Access, Overlap};
use crate::region::{Region, SlotHandle};

/// End of a chain, and the content of an empty bucket.
pub(crate) const EMPTY: u32 = u32::MAX;

/// Bucket number of an entry that is in no chain any more.
const UNLINKED: u32 = u32::MAX;

/// 2^64 divided by the golden ratio: spreads addresses over the upper bits (spec trb §4.6).
const HASH_FACTOR: u64 = 0x9E37_79B9_7F4A_7C15;

/// One write access of one live task.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct MapEntry {
    address: Cell<u64>,
    begin: Cell<u64>,
    end: Cell<u64>,
    producer: Cell<u32>,
    bucket: Cell<u32>,
    bucket_next: Cell<u32>,
    bucket_previous: Cell<u32>,
    task_next: Cell<u32>,
    version: Cell<i32>,
    rank: Cell<u32>,
    element_bytes: Cell<u32>,
    shape: Cell<[u32; MAX_TENSOR_DIMS]>,
    raw_shape: Cell<[u32; MAX_TENSOR_DIMS]>,
    offset: Cell<[u32; MAX_TENSOR_DIMS]>,
}

const _: () = assert!(size_of::<MapEntry>() <= 128);

impl MapEntry {
    fn access(&self) -> Access {
        Access {
            address: self.address.get(),
            begin: self.begin.get(),
            end: self.end.get(),
            version: self.version.get(),
            rank: self.rank.get(),
            element_bytes: self.element_bytes.get(),
            shape: self.shape.get(),
            raw_shape: self.raw_shape.get(),
            offset: self.offset.get(),
        }
    }

    /// Whether the entry's bytes, or its version, can make `access` depend on it. Most entries of a
    /// much-divided buffer are sorted out here, without a look at their shapes.
    fn may_touch(&self, access: &Access) -> bool {
        let apart = self.end.get() <= access.begin || access.end <= self.begin.get();
        !apart || access.version > self.version.get()
    }

    fn set_access(&self, access: &Access) {
        self.address.set(access.address);
        self.begin.set(access.begin);
        self.end.set(access.end);
        self.version.set(access.version);
        self.rank.set(access.rank);
        self.element_bytes.set(access.element_bytes);
        self.shape.set(access.shape);
        self.raw_shape.set(access.raw_shape);
        self.offset.set(access.offset);
    }
}

/// The map has no free entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct MapFull;

/// Free list and fill level of the map in a region.
#[derive(Debug, Default)]
pub(crate) struct TensorMap {
    /// First entry of the free list, plus one; 0 for none.
    free: u32,
    /// Entries from here on were never used.
    fresh: u32,
    /// Entries in use.
    live: u32,
}

impl TensorMap {
    /// Entries in use.
    pub(crate) fn live(&self) -> u32 {
        self.live
    }

    /// Records that `producer` writes `access`; the entry joins the task's list at `task_first`.
    pub(crate) fn insert(
        &mut self,
        region: &Region<'_>,
        access: &Access,
        producer: SlotHandle,
        task_first: &mut u32,
    ) -> Result<(), MapFull> {
        let index = self.take(region)?;
        let bucket = bucket_of(region, access.address);
        let (Some(entry), Some(head)) = (entry(region, index), region.map_buckets.get(bucket))
        else {
            return Err(MapFull);
        };
        entry.set_access(access);
        entry.producer.set(producer.raw());
        // CAST: bucket counts are below 2^28.
        entry.bucket.set(bucket as u32);
        entry.bucket_previous.set(EMPTY);
        entry.bucket_next.set(head.get());
        if let Some(next) = self::entry(region, head.get()) {
            next.bucket_previous.set(index);
        }
        head.set(index);
        entry.task_next.set(*task_first);
        *task_first = index;
        Ok(())
    }

    /// Calls `visit` for each earlier write that overlaps `access`, with its entry and writer.
    ///
    /// `visit` may unlink the entry it is given. It ends the walk by returning `Err`.
    pub(crate) fn visit_overlaps<E>(
        region: &Region<'_>,
        access: &Access,
        mut visit: impl FnMut(u32, SlotHandle, Overlap) -> Result<(), E>,
    ) -> Result<(), E> {
        let bucket = bucket_of(region, access.address);
        let mut index = region.map_buckets.get(bucket).map_or(EMPTY, Cell::get);
        while let Some(entry) = entry(region, index) {
            let next = entry.bucket_next.get();
            if entry.address.get() == access.address && entry.may_touch(access) {
                let overlap = access.overlap_with(&entry.access());
                if overlap != Overlap::None {
                    visit(index, SlotHandle::from_raw(entry.producer.get()), overlap)?;
                }
            }
            index = next;
        }
        Ok(())
    }

    /// Takes an entry out of its chain; it stays in its task's list until that is freed.
    pub(crate) fn unlink(region: &Region<'_>, index: u32) {
        let Some(entry) = entry(region, index) else { return };
        let bucket = entry.bucket.replace(UNLINKED);
        if bucket == UNLINKED {
            return;
        }
        let (previous, next) = (entry.bucket_previous.get(), entry.bucket_next.get());
        match self::entry(region, previous) {
            Some(previous) => previous.bucket_next.set(next),
            None => {
                if let Some(head) = region.map_buckets.get(bucket as usize) {
                    head.set(next);
                }
            }
        }
        if let Some(next) = self::entry(region, next) {
            next.bucket_previous.set(previous);
        }
    }

    /// Frees all entries of a task's list.
    pub(crate) fn free_list(&mut self, region: &Region<'_>, first: u32) {
        let mut index = first;
        while let Some(entry) = entry(region, index) {
            let next = entry.task_next.get();
            Self::unlink(region, index);
            entry.task_next.set(self.free);
            self.free = index + 1;
            self.live -= 1;
            index = next;
        }
    }

    fn take(&mut self, region: &Region<'_>) -> Result<u32, MapFull> {
        let index = match self.free.checked_sub(1) {
            Some(index) => {
                self.free = entry(region, index).ok_or(MapFull)?.task_next.get();
                index
            }
            None => {
                entry(region, self.fresh).ok_or(MapFull)?;
                self.fresh += 1;
                self.fresh - 1
            }
        };
        self.live += 1;
        Ok(index)
    }
}

/// The entry of an index; `None` for [`EMPTY`], which is beyond any region's entries.
fn entry<'r>(region: &Region<'r>, index: u32) -> Option<&'r MapEntry> {
    region.map_entries.get(index as usize)
}

/// Bucket of a buffer address. The number of buckets is a power of two.
fn bucket_of(region: &Region<'_>, address: u64) -> usize {
    let buckets = region.map_buckets.len();
    let bits = buckets.trailing_zeros();
    if bits == 0 {
        return 0;
    }
    // CAST: the shift leaves `bits` bits, which index a slice.
    (address.wrapping_mul(HASH_FACTOR) >> (64 - bits)) as usize
}

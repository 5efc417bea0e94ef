//! The tensor map: who writes which part of which buffer.
//!
//! The orchestrator is its only user. An entry lives exactly as long as the slot of the task that
//! writes: the map never holds an entry of a retired task, so there is nothing stale to skip in a
//! look-up (spec trb §14.1 item 5, §14.3).
//!
//! A look-up finds its writes by two hashes:
//!
//! * by buffer: a bucket has the first few writes to it in a list. Most buffers have no more.
//! * by piece of a buffer: further writes are, besides, in *grains*. A write belongs to the grain that
//!   its first byte is in, of the smallest power of two that is as long as the write. So it reaches
//!   into one further grain at most, and a look-up visits one or two grains for each size that there
//!   is, however many other parts of the buffer are written.
//!
//! A look-up that would visit more grains than there are writes goes through the list of all instead.
//!
//! A task that writes exactly what it waits for takes the earlier write's entry over: no list changes.
//!
//! Entries and both hashes live in the region; this type holds only the free list.

use core::cell::Cell;

use super::overlap::{Access, Bytes, Overlap};
use crate::region::{Region, SlotHandle};

mod entry;
#[cfg(test)]
mod tests;

use entry::Grain;
pub(crate) use entry::{MapBucket, MapEntry};

/// End of a list, and the content of an empty grain.
pub(crate) const EMPTY: u32 = u32::MAX;

/// Writes of a bucket that are in no grain.
const FEW: u32 = 4;

/// 2^64 divided by the golden ratio: spreads addresses over the upper bits (spec trb §4.6).
const HASH_FACTOR: u64 = 0x9E37_79B9_7F4A_7C15;

/// The map has no free entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct MapFull;

/// An earlier write that a look-up has found.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Found {
    /// Its entry.
    pub(crate) entry: u32,
    /// The task that writes.
    pub(crate) producer: SlotHandle,
    /// How the look-up relates to it.
    pub(crate) overlap: Overlap,
    /// Whether it is a write of the very same bytes.
    pub(crate) is_exact: bool,
}

/// Free list and fill level of the map in a region.
#[derive(Debug)]
pub(crate) struct TensorMap {
    /// First entry of the free list, or [`EMPTY`].
    free: u32,
    /// Entries from here on were never used.
    fresh: u32,
    /// Entries in use.
    live: u32,
    /// Lowest version that was ever written: what is newer depends on writes it does not overlap.
    lowest_version: i32,
}

impl Default for TensorMap {
    fn default() -> Self {
        Self { free: EMPTY, fresh: 0, live: 0, lowest_version: i32::MAX }
    }
}

impl TensorMap {
    /// Entries in use.
    pub(crate) fn live(&self) -> u32 {
        self.live
    }

    /// Records that `producer` writes `access`; the entry joins the task's list at `task_first`.
    #[inline(always)]
    pub(crate) fn insert(
        &mut self,
        region: &Region<'_>,
        access: &Access<'static>,
        producer: SlotHandle,
        task_first: &mut u32,
    ) -> Result<(), MapFull> {
        if access.bytes.begin == access.bytes.end {
            return Ok(());
        }
        let bucket = region.map_buckets.get(bucket_of(region, access.address)).ok_or(MapFull)?;
        let (index, entry) = self.take(region)?;
        entry.set_access(access);
        entry.producer.set(producer.raw());
        entry.task_next.set(*task_first);
        *task_first = index;
        self.lowest_version = self.lowest_version.min(access.bytes.version);
        let few = bucket.few_count.get();
        if few < FEW {
            entry.grain.set(EMPTY);
            bucket.few_count.set(few + 1);
            push(region, &bucket.few, index, entry);
            return Ok(());
        }
        bucket.many_count.set(bucket.many_count.get() + 1);
        push(region, &bucket.many, index, entry);
        let grain = Grain::of(access.bytes);
        bucket.kinds.set(bucket.kinds.get() | 1 << grain.kind);
        let number = grain_of(region, access.address, grain);
        let Some(head) = region.map_grains.get(number) else { return Err(MapFull) };
        // CAST: there are below 2^30 grains.
        entry.grain.set(number as u32);
        entry.grain_previous.set(EMPTY);
        let next = head.replace(index);
        entry.grain_next.set(next);
        if let Some(next) = self::entry(region, next) {
            next.grain_previous.set(index);
        }
        Ok(())
    }

    /// Whether anything may be written at an address: no look-up there finds anything otherwise.
    #[inline]
    pub(crate) fn has_writers(&self, region: &Region<'_>, address: u64) -> bool {
        let bucket = region.map_buckets.get(bucket_of(region, address));
        bucket.is_some_and(|bucket| bucket.few_count.get() + bucket.many_count.get() > 0)
    }

    /// The only write that a look-up can find, if it is of the very same bytes as `access`, and who writes
    /// it: most often, one task works on what the one before has left.
    #[inline]
    pub(crate) fn sole_write(
        region: &Region<'_>,
        access: &Access<'_>,
    ) -> Option<(u32, SlotHandle)> {
        let bucket = region.map_buckets.get(bucket_of(region, access.address))?;
        if bucket.few_count.get() != 1 || bucket.many_count.get() != 0 {
            return None;
        }
        let index = bucket.few.get();
        let entry = entry(region, index).filter(|entry| entry.is_of(access))?;
        Some((index, SlotHandle::from_raw(entry.producer.get())))
    }

    /// Calls `visit` for each earlier write that overlaps `access`; for some of them twice.
    ///
    /// `visit` may unlink the entry it is given. It ends the walk by returning `Err`.
    #[inline]
    pub(crate) fn visit_overlaps<E>(
        &self,
        region: &Region<'_>,
        access: &Access<'_>,
        mut visit: impl FnMut(Found) -> Result<(), E>,
    ) -> Result<(), E> {
        let Some(bucket) = region.map_buckets.get(bucket_of(region, access.address)) else {
            return Ok(());
        };
        let next = |entry: &MapEntry| entry.next.get();
        if bucket.few_count.get() > 0 {
            walk(region, access, bucket.few.get(), next, &mut visit)?;
        }
        let many = u64::from(bucket.many_count.get());
        let Bytes { begin, end, version, .. } = access.bytes;
        if many == 0 || begin == end {
            return Ok(());
        }
        let kinds = || {
            let mut kinds = bucket.kinds.get();
            core::iter::from_fn(move || {
                let kind = kinds.trailing_zeros();
                // No bit is left if there is nothing to subtract from.
                kinds &= kinds.checked_sub(1)?;
                Some(kind)
            })
        };
        let grains = kinds().fold(0_u64, |grains, kind| {
            let (first, last) = Grain::range(kind, access.bytes);
            grains.saturating_add(last - first).saturating_add(1)
        });
        if grains >= many || version > self.lowest_version {
            return walk(region, access, bucket.many.get(), next, &mut visit);
        }
        for kind in kinds() {
            let (first, last) = Grain::range(kind, access.bytes);
            for index in first..=last {
                let number = grain_of(region, access.address, Grain { kind, index });
                let head = region.map_grains.get(number).map_or(EMPTY, Cell::get);
                walk(region, access, head, |entry| entry.grain_next.get(), &mut visit)?;
            }
        }
        Ok(())
    }

    /// Gives the entry of an earlier write of the same bytes as `access` to another task: from the list at
    /// `from_first` to that at `to_first`. Returns whether it was in the former.
    #[inline]
    pub(crate) fn take_over(
        region: &Region<'_>,
        index: u32,
        (producer, access): (SlotHandle, &Access<'static>),
        from_first: &mut u32,
        to_first: &mut u32,
    ) -> bool {
        let Some(taken) = entry(region, index) else { return false };
        if *from_first == index {
            *from_first = taken.task_next.get();
        } else {
            let mut before = entry(region, *from_first);
            while let Some(entry) = before.filter(|entry| entry.task_next.get() != index) {
                before = self::entry(region, entry.task_next.get());
            }
            let Some(before) = before else { return false };
            before.task_next.set(taken.task_next.get());
        }
        taken.producer.set(producer.raw());
        taken.set_tensor(access);
        taken.task_next.set(*to_first);
        *to_first = index;
        true
    }

    /// The task whose write an entry is; `None` for one that is unlinked, and for [`EMPTY`].
    #[inline]
    pub(crate) fn writer(region: &Region<'_>, index: u32) -> Option<SlotHandle> {
        let entry = entry(region, index).filter(|entry| entry.is_linked())?;
        Some(SlotHandle::from_raw(entry.producer.get()))
    }

    /// Takes an entry out of the look-ups; it stays in its task's list until that is freed.
    pub(crate) fn unlink(region: &Region<'_>, index: u32) {
        if let Some(entry) = entry(region, index) {
            Self::unlink_entry(region, entry);
        }
    }

    #[inline]
    fn unlink_entry(region: &Region<'_>, entry: &MapEntry) {
        if !entry.is_linked() {
            return;
        }
        entry.set_unlinked();
        let bucket = region.map_buckets.get(bucket_of(region, entry.address.get()));
        let Some(bucket) = bucket else { return };
        let grain = entry.grain.get();
        let (head, count) = match grain {
            EMPTY => (&bucket.few, &bucket.few_count),
            _ => (&bucket.many, &bucket.many_count),
        };
        let left = count.get() - 1;
        count.set(left);
        let (previous, next) = (entry.previous.get(), entry.next.get());
        match self::entry(region, previous) {
            Some(previous) => previous.next.set(next),
            None => head.set(next),
        }
        if let Some(next) = self::entry(region, next) {
            next.previous.set(previous);
        }
        if grain == EMPTY {
            return;
        }
        if left == 0 {
            bucket.kinds.set(0);
        }
        let (previous, next) = (entry.grain_previous.get(), entry.grain_next.get());
        if let Some(previous) = self::entry(region, previous) {
            previous.grain_next.set(next);
        } else if let Some(head) = region.map_grains.get(grain as usize) {
            head.set(next);
        }
        if let Some(next) = self::entry(region, next) {
            next.grain_previous.set(previous);
        }
    }

    /// Frees all entries of a task's list.
    #[inline]
    pub(crate) fn free_list(&mut self, region: &Region<'_>, first: u32) {
        let mut index = first;
        while let Some(entry) = entry(region, index) {
            let next = entry.task_next.get();
            Self::unlink_entry(region, entry);
            entry.task_next.set(self.free);
            self.free = index;
            self.live -= 1;
            index = next;
        }
    }

    /// Takes an entry out of the free ones, or one that was never used.
    #[inline]
    fn take<'r>(&mut self, region: &Region<'r>) -> Result<(u32, &'r MapEntry), MapFull> {
        let (index, taken) = match entry(region, self.free) {
            Some(free) => (core::mem::replace(&mut self.free, free.task_next.get()), free),
            None => {
                let fresh = entry(region, self.fresh).ok_or(MapFull)?;
                self.fresh += 1;
                (self.fresh - 1, fresh)
            }
        };
        self.live += 1;
        Ok((index, taken))
    }
}

/// Puts an entry at the head of a list of its bucket.
#[inline]
fn push(region: &Region<'_>, head: &Cell<u32>, index: u32, entry: &MapEntry) {
    let next = head.replace(index);
    entry.previous.set(EMPTY);
    entry.next.set(next);
    if let Some(next) = self::entry(region, next) {
        next.previous.set(index);
    }
}

/// Visits the writes of a list that overlap `access`.
#[inline]
fn walk<E>(
    region: &Region<'_>,
    access: &Access<'_>,
    first: u32,
    next: impl Fn(&MapEntry) -> u32,
    visit: &mut impl FnMut(Found) -> Result<(), E>,
) -> Result<(), E> {
    let mut index = first;
    while let Some(entry) = entry(region, index) {
        // Read before the visit, which may unlink the entry.
        let next = next(entry);
        if entry.address.get() == access.address && entry.may_touch(access) {
            let overlap = access.overlap_with(entry.bytes(), || entry.geometry());
            if overlap != Overlap::None {
                let producer = SlotHandle::from_raw(entry.producer.get());
                visit(Found { entry: index, producer, overlap, is_exact: entry.is_of(access) })?;
            }
        }
        index = next;
    }
    Ok(())
}

/// The entry of an index; `None` for [`EMPTY`], which is beyond any region's entries.
#[inline]
fn entry<'r>(region: &Region<'r>, index: u32) -> Option<&'r MapEntry> {
    region.map_entries.get(index as usize)
}

/// Bucket of a buffer address. The number of buckets is a power of two.
#[inline]
fn bucket_of(region: &Region<'_>, address: u64) -> usize {
    upper_bits(address.wrapping_mul(HASH_FACTOR), region.map_shifts.0)
}

/// Number of a grain of a buffer. The number of grains is a power of two.
#[inline]
fn grain_of(region: &Region<'_>, address: u64, grain: Grain) -> usize {
    let kind = u64::from(grain.kind).rotate_right(8);
    let piece = (grain.index ^ kind).wrapping_mul(HASH_FACTOR);
    let mixed = (address ^ piece.rotate_left(32)).wrapping_mul(HASH_FACTOR);
    upper_bits(mixed, region.map_shifts.1)
}

/// The upper bits of a hash, as many as an index has; two shifts, for no bits at all.
#[inline]
fn upper_bits(hash: u64, shift: u32) -> usize {
    // CAST: bits of an index.
    (hash >> 1).wrapping_shr(shift) as usize
}

//! What the tensor map consists of: one entry for each write, and the hash that leads to them.

use core::cell::Cell;

use protocol::Tensor;

use super::EMPTY;
use crate::orchestrator::overlap::{Access, Bytes, Geometry};

/// One write access of one live task, on a cache line of its own.
#[derive(Debug)]
#[repr(C, align(64))]
pub(crate) struct MapEntry {
    pub(super) address: Cell<u64>,
    begin: Cell<u64>,
    end: Cell<u64>,
    /// Address of the task's tensor, for the shape of a view with gaps, and flags: a tensor is aligned.
    tensor: Cell<u64>,
    version: Cell<i32>,
    pub(super) producer: Cell<u32>,
    /// Next write of the same task.
    pub(super) task_next: Cell<u32>,
    pub(super) next: Cell<u32>,
    pub(super) previous: Cell<u32>,
    /// The grain's number, or [`EMPTY`] for a write that is in none.
    pub(super) grain: Cell<u32>,
    pub(super) grain_next: Cell<u32>,
    pub(super) grain_previous: Cell<u32>,
}

const _: () = assert!(size_of::<MapEntry>() == 64);

/// All bytes of the write are touched, each once.
const IS_RUN: u64 = 1;
/// The tensor is not a view.
const IS_WHOLE: u64 = 2;
/// Look-ups find the entry.
const IS_LINKED: u64 = 4;
/// All flags.
const FLAGS: u64 = 7;

const _: () = assert!(align_of::<Tensor>() as u64 > FLAGS);

impl MapEntry {
    #[inline]
    pub(super) fn bytes(&self) -> Bytes {
        Bytes {
            begin: self.begin.get(),
            end: self.end.get(),
            version: self.version.get(),
            is_run: self.has(IS_RUN),
        }
    }

    #[inline]
    fn has(&self, flag: u64) -> bool {
        self.tensor.get() & flag != 0
    }

    /// The shape; `None` for a tensor that is not a view.
    pub(super) fn geometry(&self) -> Option<Geometry> {
        if self.has(IS_WHOLE) {
            return None;
        }
        let address = self.tensor.get() & !FLAGS;
        let tensor = core::ptr::with_exposed_provenance::<Tensor>(address as usize);
        // SAFETY: `set_access` and `set_tensor` get references that live on.
        Access::of(unsafe { &*tensor }).ok().map(|access| access.geometry())
    }

    /// Whether the entry's bytes, or its version, can make `access` depend on it. Most entries of a
    /// much-divided buffer are sorted out here.
    #[inline]
    pub(super) fn may_touch(&self, access: &Access<'_>) -> bool {
        let apart = self.end.get() <= access.bytes.begin || access.bytes.end <= self.begin.get();
        !apart || access.bytes.version > self.version.get()
    }

    /// Whether the entry is a write of exactly these bytes.
    #[inline]
    pub(super) fn is_of(&self, access: &Access<'_>) -> bool {
        access.bytes.is_run && self.bytes() == access.bytes && self.address.get() == access.address
    }

    /// Makes the entry a write that look-ups find, of a tensor that stays as it is as long as the entry
    /// is one.
    #[inline]
    pub(super) fn set_access(&self, access: &Access<'static>) {
        let Bytes { begin, end, version, .. } = access.bytes;
        self.address.set(access.address);
        self.begin.set(begin);
        self.end.set(end);
        self.version.set(version);
        self.set_tensor(access);
    }

    /// Has another tensor say what the shape is; look-ups find the entry. The tensor's view is of the same
    /// bytes.
    #[inline]
    pub(super) fn set_tensor(&self, access: &Access<'static>) {
        let address = core::ptr::from_ref(access.tensor()).expose_provenance() as u64;
        let is_run = if access.bytes.is_run { IS_RUN } else { 0 };
        let is_whole = if access.is_whole { IS_WHOLE } else { 0 };
        self.tensor.set(address | is_run | is_whole | IS_LINKED);
    }

    /// Whether look-ups find the entry.
    #[inline]
    pub(super) fn is_linked(&self) -> bool {
        self.has(IS_LINKED)
    }

    /// Has look-ups find the entry no more.
    #[inline]
    pub(super) fn set_unlinked(&self) {
        self.tensor.set(self.tensor.get() & !IS_LINKED);
    }
}

/// The writes to the buffers with one hash.
#[derive(Debug)]
#[repr(C, align(32))]
pub(crate) struct MapBucket {
    /// Which kinds of grains the writes of `many` are in, one bit for each ([`Grain::kind`]).
    pub(super) kinds: Cell<u64>,
    /// Writes that are in no grain: the first few.
    pub(super) few: Cell<u32>,
    /// The others.
    pub(super) many: Cell<u32>,
    pub(super) few_count: Cell<u32>,
    pub(super) many_count: Cell<u32>,
}

impl MapBucket {
    /// Makes the bucket empty.
    pub(crate) fn clear(&self) {
        self.kinds.set(0);
        self.few.set(EMPTY);
        self.many.set(EMPTY);
        self.few_count.set(0);
        self.many_count.set(0);
    }
}

/// Bytes of the smallest grain, as a power of two.
const SHIFT_MIN: u32 = 6;
/// Sizes of grains. The last one has all writes that are too large for the others.
const SIZES: u32 = 32;
const SHIFT_MAX: u32 = 63;

/// A piece of a buffer, in which writes of about its size begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Grain {
    /// Twice the number of the size, plus one for writes that go on in the next grain. Below 64.
    pub(super) kind: u32,
    /// Which of the pieces.
    pub(super) index: u64,
}

impl Grain {
    /// Where a write of these bytes belongs; there is one at least.
    #[inline]
    pub(super) fn of(bytes: Bytes) -> Self {
        let length = bytes.end - bytes.begin;
        let shift = u64::BITS - (length - 1).leading_zeros();
        let size = shift.saturating_sub(SHIFT_MIN).min(SIZES - 1);
        let shift = shift_of(size);
        let index = bytes.begin >> shift;
        let goes_on = index != (bytes.end - 1) >> shift;
        Self { kind: size * 2 + u32::from(goes_on), index }
    }

    /// First and last index of the grains of a kind in which writes may begin that touch these bytes.
    #[inline]
    pub(super) fn range(kind: u32, bytes: Bytes) -> (u64, u64) {
        let shift = shift_of(kind / 2);
        let (first, last) = (bytes.begin >> shift, (bytes.end - 1) >> shift);
        // A write is no longer than a grain, so one that goes on ends in the next. The largest grains
        // are two, and a write may be longer than one of them.
        (if kind % 2 == 1 { first.saturating_sub(1) } else { first }, last)
    }
}

#[inline]
fn shift_of(size: u32) -> u32 {
    if size == SIZES - 1 { SHIFT_MAX } else { SHIFT_MIN + size }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_is_found_from_every_byte_of_it() {
        let lengths = [1, 2, 63, 64, 65, 100, 128, 4096, 1 << 36, (1 << 36) + 1, 1 << 40, u64::MAX];
        for length in lengths {
            for begin in [0, 1, 63, 64, 100, 1 << 20, (1 << 63) - 1, 1 << 63] {
                let Some(end) = u64::checked_add(begin, length) else { continue };
                let bytes = |begin, end| Bytes { begin, end, version: 0, is_run: true };
                let grain = Grain::of(bytes(begin, end));
                for at in [begin, begin + length / 2, end - 1] {
                    let (first, last) = Grain::range(grain.kind, bytes(at, at + 1));
                    assert!((first..=last).contains(&grain.index), "{begin} {end} {at}");
                }
            }
        }
    }
}

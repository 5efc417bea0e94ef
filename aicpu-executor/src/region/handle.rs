//! Handles: 32-bit names of slots and edges, as they are stored in shared memory.

use core::marker::PhantomData;

use super::edge::Edge;
use super::slot::TaskSlot;

/// Bits of the index; the ring is in the two above.
const INDEX_BITS: u32 = 30;
const INDEX_MASK: u32 = (1 << INDEX_BITS) - 1;

/// Names one `T` of the region: its ring, and its index in the ring's array.
#[derive(Debug)]
pub(crate) struct Handle<T> {
    raw: u32,
    names: PhantomData<fn() -> T>,
}

/// Names a task slot.
pub(crate) type SlotHandle = Handle<TaskSlot>;
/// Names an edge.
pub(crate) type EdgeHandle = Handle<Edge>;

impl<T> Clone for Handle<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Handle<T> {}

impl<T> PartialEq for Handle<T> {
    fn eq(&self, other: &Self) -> bool {
        self.raw == other.raw
    }
}

impl<T> Handle<T> {
    /// Names `index` (below 2^30) of `ring` (0..4).
    #[inline]
    pub(crate) fn new(ring: u8, index: u32) -> Self {
        Self::from_raw((u32::from(ring) << INDEX_BITS) | (index & INDEX_MASK))
    }

    /// The handle that [`raw`](Self::raw) gave.
    #[inline]
    pub(crate) fn from_raw(raw: u32) -> Self {
        Self { raw, names: PhantomData }
    }

    /// The handle as it is stored.
    #[inline]
    pub(crate) fn raw(self) -> u32 {
        self.raw
    }

    /// Ring index, 0..4.
    #[inline]
    pub(crate) fn ring(self) -> usize {
        (self.raw >> INDEX_BITS) as usize
    }

    /// Index in the ring's array.
    #[inline]
    pub(crate) fn index(self) -> usize {
        (self.raw & INDEX_MASK) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn handles_keep_ring_and_index() {
        for (ring, index) in [(0, 0), (3, INDEX_MASK), (2, 12345)] {
            let handle = SlotHandle::from_raw(SlotHandle::new(ring, index).raw());
            assert_eq!((handle.ring(), handle.index()), (usize::from(ring), index as usize));
        }
    }
}

//! Edges: one task waits for one other.
//!
//! An edge belongs to its consumer: the orchestrator takes edges from the ring of the task it
//! submits, in one run of indices, and gives them back when that task's slot is retired. While the
//! producer is not complete, the edge is linked into the producer's consumer list. After that it
//! only says which producer the consumer keeps alive until it has run itself.

use super::handle::SlotHandle;
use crate::sync::{AtomicU32, Ordering};

/// One dependency. The orchestrator writes it; schedulers read it.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Edge {
    /// Link in the producer's consumer list.
    pub(crate) next: AtomicU32,
    consumer: AtomicU32,
    producer: AtomicU32,
    /// Written as zero.
    reserved: AtomicU32,
}

const _: () = assert!(size_of::<Edge>() == 16);

impl Edge {
    /// Fills the edge before it is pushed on the producer's list.
    #[inline]
    pub(crate) fn set(&self, producer: SlotHandle, consumer: SlotHandle) {
        // ORDERING: Relaxed: the edge is published by the push on the producer's consumer list and
        // by the publication of the consumer.
        self.producer.store(producer.raw(), Ordering::Relaxed);
        self.consumer.store(consumer.raw(), Ordering::Relaxed);
    }

    /// The task that waits.
    #[inline]
    pub(crate) fn consumer(&self) -> SlotHandle {
        // ORDERING: Relaxed: read by the thread that took the list with Acquire.
        SlotHandle::from_raw(self.consumer.load(Ordering::Relaxed))
    }

    /// The task that is waited for, and kept alive.
    #[inline]
    pub(crate) fn producer(&self) -> SlotHandle {
        // ORDERING: Relaxed: read by the thread that completes the consumer, which got it through
        // a ready queue (Release/Acquire) after the edge was written.
        SlotHandle::from_raw(self.producer.load(Ordering::Relaxed))
    }
}

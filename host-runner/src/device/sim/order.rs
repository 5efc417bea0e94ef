//! What the AICPU threads of a device are ordered to do.

use protocol::{CallableId, Chip, RuntimeBody};

use super::engine::Engine;

/// An order.
pub enum Order<C: Chip> {
    /// Take part in the run of this record.
    Run(Pointer<C::Runtime>),
    /// Load the orchestration of this record; a fault is left with the engine. For one thread.
    Load(Pointer<RuntimeBody>),
    /// Unload an orchestration. For one thread.
    Unload {
        /// Its callable.
        id: CallableId,
        /// Which use of the id.
        generation: u32,
    },
    /// Unload all orchestrations. For one thread.
    UnloadAll,
}

impl<C: Chip> Clone for Order<C> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<C: Chip> Copy for Order<C> {}

/// A record, as the threads get it.
///
/// # Invariants
///
/// It is there until the order has ended, or for ever.
pub struct Pointer<R>(*const R);

impl<R> Clone for Pointer<R> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<R> Copy for Pointer<R> {}

// SAFETY: only a shared reference is made of it, and `R: Sync`.
unsafe impl<R: Sync> Send for Pointer<R> {}

impl<R> Pointer<R> {
    /// Names a record.
    ///
    /// # Safety
    ///
    /// `record` stays valid and unchanged until all threads that have got it in an order have come
    /// back, or for ever.
    pub unsafe fn new(record: *const R) -> Self {
        Self(record)
    }
}

impl<C: Chip> Engine<C> {
    /// What an AICPU thread does with an order. Returns 0 or a negative status.
    pub fn carry_out(&self, order: Order<C>) -> i32 {
        match order {
            Order::Run(Pointer(record)) => {
                let pool = self.pool();
                let _turn = pool.turns().map(|turns| turns.enter(pool));
                // SAFETY: the order has not ended, for this thread is in it (invariant).
                self.executor().execute(unsafe { &*record })
            }
            Order::Load(Pointer(body)) => {
                // SAFETY: the order has not ended, for this thread is in it (invariant).
                let loaded = self.executor().load(unsafe { &*body });
                self.set_load_fault(loaded.err());
                0
            }
            Order::Unload { id, generation } => {
                let outcome = self.executor().unload(id, Some(generation));
                tracing::debug!(id = id.raw(), generation, ?outcome, "unloaded an orchestration");
                0
            }
            Order::UnloadAll => {
                self.executor().unload_all();
                0
            }
        }
    }
}

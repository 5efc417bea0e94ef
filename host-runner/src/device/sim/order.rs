//! What the AICPU threads of a device are ordered to do.

use protocol::{CallableId, Chip, RuntimeBody};

use super::aicpu_threads::Part;
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

impl<C: Chip> PartialEq for Order<C> {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Run(own), Self::Run(other)) => own.0 == other.0,
            (Self::Load(own), Self::Load(other)) => own.0 == other.0,
            (Self::Unload { id, generation }, Self::Unload { id: other, generation: others }) => {
                (id, generation) == (other, others)
            }
            (Self::UnloadAll, Self::UnloadAll) => true,
            _ => false,
        }
    }
}

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
    /// What an AICPU thread does with a run.
    fn take_part(&self, record: &C::Runtime, part: Part) -> i32 {
        let pool = self.pool();
        if let Some(turns) = pool.turns() {
            let _turn = turns.enter(pool);
            return self.executor().execute(record);
        }
        match part {
            // It is called where a run does not move, and must be there when all others are inside
            // kernels that wait.
            Part::Helper { index } if index >= C::MAX_AICPU_THREADS => self.executor().help(record),
            Part::Helper { index } => {
                let _seat = pool.seat(index);
                self.executor().help(record)
            }
            Part::Member { index } => {
                let _seat = pool.seat(index);
                self.executor().execute(record)
            }
        }
    }

    /// What an AICPU thread does with an order. Returns 0 or a negative status.
    ///
    /// Not inlined: it is found by its name where instructions are counted.
    #[inline(never)]
    pub fn carry_out(&self, order: Order<C>, part: Part) -> i32 {
        match order {
            Order::Run(Pointer(record)) => {
                // SAFETY: the order has not ended, for this thread is in it (invariant).
                self.take_part(unsafe { &*record }, part)
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

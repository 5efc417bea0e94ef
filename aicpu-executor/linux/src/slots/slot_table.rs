//! The slots of an arena: as many as there is address space for, made when they are first asked for.
//!
//! A slot is some hundred bytes of bookkeeping, there can be a thousand of them, and most are never
//! used. So they lie in memory of their own that the system provides page by page, and ids, which
//! hosts give out from 0 on, are made in that order.

use core::fmt;
use core::mem::MaybeUninit;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicUsize, Ordering};

use aicpu_executor::loader::MemoryError;
use spin::Mutex;

use super::config::SlotConfig;
use super::region::Region;
use super::reservation::{Reservation, failed};
use super::slot::Slot;

/// The slots.
///
/// # Invariants
///
/// The first `made` cells of `memory` hold a slot each; there is room for `count`.
pub(super) struct SlotTable {
    memory: Region,
    count: usize,
    made: AtomicUsize,
    reservation: Mutex<Reservation>,
}

/// Memory for a slot.
type Cell = MaybeUninit<Mutex<Slot>>;

// SAFETY: what is shared of `memory` are slots behind a `Mutex`, published by `made`; the rest is
// written under the lock of `reservation`. `Slot` is `Send`, as `Mutex` asks for.
unsafe impl Sync for SlotTable where Mutex<Slot>: Sync {}

impl SlotTable {
    /// Takes the address space of the first of `counts` slots that the system gives.
    ///
    /// # Errors
    ///
    /// Why it does not even give the last.
    pub(super) fn reserve(config: SlotConfig, counts: &[usize]) -> Result<Self, MemoryError> {
        let reservation = Reservation::new(config, counts)?;
        let count = reservation.count();
        let bytes = count * size_of::<Cell>();
        let memory = Region::zeroed(bytes).map_err(failed(bytes))?;
        let made = AtomicUsize::new(0);
        Ok(Self { memory, count, made, reservation: Mutex::new(reservation) })
    }

    /// Returns how many slots there are.
    pub(super) const fn count(&self) -> usize {
        self.count
    }

    /// Returns a slot; `None` if there are not that many.
    pub(super) fn get(&self, index: usize) -> Option<&Mutex<Slot>> {
        if index >= self.count {
            return None;
        }
        // ORDERING: Acquire: pairs with the Release in `make_up_to`; the slot is there.
        if index >= self.made.load(Ordering::Acquire) {
            self.make_up_to(index);
        }
        // SAFETY: in the memory, and made by now; a slot is never moved before the table is dropped.
        Some(unsafe { self.cell(index).as_ref().assume_init_ref() })
    }

    /// Makes the slots up to this one, which there is room for.
    fn make_up_to(&self, index: usize) {
        let mut reservation = self.reservation.lock();
        // ORDERING: Relaxed: changed under the lock alone.
        for next in self.made.load(Ordering::Relaxed)..=index {
            // SAFETY: in the memory; nobody looks at it yet, and the lock keeps other makers away.
            unsafe { self.cell(next).as_mut() }.write(Mutex::new(reservation.next_slot()));
            // ORDERING: Release: see `get`.
            self.made.store(next + 1, Ordering::Release);
        }
    }

    /// The memory of a slot.
    ///
    /// # Safety
    ///
    /// `index` is below `count`.
    unsafe fn cell(&self, index: usize) -> NonNull<Cell> {
        // SAFETY: by the contract; a mapping is aligned to pages, which is more than a cell needs.
        unsafe { self.memory.start().cast::<Cell>().add(index) }
    }
}

impl Drop for SlotTable {
    fn drop(&mut self) {
        for index in 0..*self.made.get_mut() {
            // SAFETY: made, and not dropped before; nobody else has the table.
            unsafe { self.cell(index).as_mut().assume_init_drop() };
        }
    }
}

impl fmt::Debug for SlotTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SlotTable").field("count", &self.count).finish_non_exhaustive()
    }
}

//! The 64 slots of executable memory, one for each callable id.
//!
//! At the size of an orchestration a load is nearly all kernel time (design loader §0): mapping,
//! faults, changes of rights, unmapping. So the address space of all slots is taken once, between
//! guards without any access, and an image goes into memory that is warm from the one before.
//!
//! ```text
//!  SlotArena ── slot(id) ──▶ Mutex<Slot> ── CodeMemory ──▶ loader
//!     │ first use                │
//!     ▼                          ├─ Written      code view of a file in memory, draft of data
//!     │                          ├─ DualMapped   code view + writer view of one file in memory
//!  Reservation: which mode       └─ Anonymous    one view of private memory
//!  does this system allow?
//!                                   View: one slot at one address, and the rights of its pages
//!                                   Region: owns the mapping
//! ```
//!
//! `unsafe` is in `region` (mapping), `view` and `draft` (rights, bytes), `segment_mapping`, and where
//! the kinds of slots lend bytes.

mod anonymous;
mod calls;
mod code_files;
mod config;
mod draft;
mod dual_mapped;
mod failure;
mod image_writes;
mod mapped;
mod memory_file;
mod region;
mod reservation;
mod rights;
mod sealed_image;
mod segment_mapping;
mod slot;
mod staged;
mod staging_files;
mod view;
mod written;

#[cfg(test)]
mod tests;

use aicpu_executor::loader::Protection;
use protocol::{CallableId, MAX_REGISTERED_CALLABLE_IDS};
use spin::{Mutex, Once};

pub use config::{ReleasedRights, SlotConfig, SlotMode, WriterView};
use reservation::Reservation;
use rights::Rights;
pub use sealed_image::{FileSlot, SealedImage};
pub use slot::Slot;

use crate::cache;

/// All slots. Address space is taken at the first use, and given back when the arena is dropped.
#[derive(Debug)]
pub struct SlotArena {
    config: SlotConfig,
    reserved: Once<()>,
    slots: [Mutex<Slot>; MAX_REGISTERED_CALLABLE_IDS],
}

impl SlotArena {
    /// An arena that has no address space yet.
    #[must_use]
    pub const fn new(config: SlotConfig) -> Self {
        let slots = [const { Mutex::new(Slot::unreserved()) }; MAX_REGISTERED_CALLABLE_IDS];
        Self { config, reserved: Once::new(), slots }
    }

    /// The slot of a callable id.
    ///
    /// The first call takes the address space of all slots. If the system does not give it, every
    /// slot answers [`place`](aicpu_executor::loader::CodeMemory::place) with the reason.
    pub fn slot(&self, id: CallableId) -> &Mutex<Slot> {
        self.reserved.call_once(|| self.reserve());
        // PANIC: a callable id is below the number of slots.
        &self.slots[id.index()]
    }

    /// Gives each slot its memory, or the reason why there is none.
    fn reserve(&self) {
        let mut reservation = Reservation::new(self.config, self.slots.len());
        if let Err(error) = &reservation {
            failure::warn(format_args!("no memory for orchestrations: {error}"));
        }
        for slot in &self.slots {
            *slot.lock() = match &mut reservation {
                Ok(reservation) => reservation.next_slot(),
                Err(error) => Slot::unavailable(*error),
            };
        }
    }
}

impl Default for SlotArena {
    fn default() -> Self {
        Self::new(SlotConfig::DEFAULT)
    }
}

/// Makes the code of an image visible to instruction fetches: written at one address, run at
/// another one or the same.
fn publish(rights: &Rights, written: u64, run: u64) {
    for pages in rights.accessible().filter(|each| each.protection.contains(Protection::EXECUTE)) {
        // CAST: offsets in a slot are far below 64 bits.
        let offset = pages.offset as u64;
        cache::publish_instructions(written + offset, run + offset, pages.bytes);
    }
}

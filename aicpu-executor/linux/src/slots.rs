//! The slots of executable memory, one for each callable id.
//!
//! At the size of an orchestration a load is nearly all kernel time (design loader §0): mapping,
//! faults, changes of rights, unmapping. So the address space of all slots is taken once, between
//! guards without any access, and an image goes into memory that is warm from the one before.
//!
//! **How many.** 1024 ([`EXTENDED_CALLABLE_IDS`]) slots of 16 MiB are 16 GiB of address space, twice
//! that with drafts or a second view: nothing on a machine with 47 bits of it, too much under a limit
//! (`ulimit -v`) or for some small systems. Then there are the protocol's 64, and
//! [`SlotArena::capacity`] says so. Address space without rights costs neither memory nor commit charge,
//! and is one mapping until slots are used: then each image has some five to ten, and the first 64
//! slots a descriptor each with [`WriterView::Hidden`]. So how many images can be loaded at one time also
//! depends on `vm.max_map_count`; the load that finds no more says which call failed.
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
mod image_instance;
mod image_writes;
mod mapped;
mod memory_file;
mod region;
mod reservation;
mod rights;
mod sealed_image;
mod segment_mapping;
mod slot;
mod slot_table;
mod staged;
mod staging_files;
mod view;
mod written;

#[cfg(test)]
mod tests;

use aicpu_executor::loader::{MemoryOperation, Protection};
use protocol::{CallableId, EXTENDED_CALLABLE_IDS, MAX_REGISTERED_CALLABLE_IDS};
use spin::{Mutex, Once};

pub use config::{ReleasedRights, SlotConfig, SlotMode, WriterView};
pub use image_instance::ImageInstance;
use rights::Rights;
pub use sealed_image::{FileSlot, SealedImage};
pub use slot::Slot;
use slot_table::SlotTable;

use crate::cache;

/// How many slots to ask the system for, until it gives them.
const COUNTS: [usize; 2] = [EXTENDED_CALLABLE_IDS, MAX_REGISTERED_CALLABLE_IDS];

/// All slots. Address space is taken at the first use, and given back when the arena is dropped.
#[derive(Debug)]
pub struct SlotArena {
    config: SlotConfig,
    reserved: Once<Reserved>,
}

/// What the system gave.
#[derive(Debug)]
struct Reserved {
    /// `None` if it gave nothing.
    slots: Option<SlotTable>,
    /// Stands for all slots that are not there.
    missing: Mutex<Slot>,
}

impl SlotArena {
    /// An arena that has no address space yet.
    #[must_use]
    pub const fn new(config: SlotConfig) -> Self {
        Self { config, reserved: Once::new() }
    }

    /// The slot of a callable id.
    ///
    /// The first call takes the address space of all slots. Where the system does not give it, or not
    /// to so many, a slot answers [`place`](aicpu_executor::loader::CodeMemory::place) with the reason.
    pub fn slot(&self, id: CallableId) -> &Mutex<Slot> {
        let reserved = self.reserved();
        let slot = reserved.slots.as_ref().and_then(|slots| slots.get(id.index()));
        slot.unwrap_or(&reserved.missing)
    }

    /// Returns how many ids have a slot: 1024, or 64 where the system does not give the address space
    /// of so many. Takes the address space if nothing has done that yet.
    ///
    /// Also 64 if it gives none at all: those ids are the protocol's, and each load says the reason.
    pub fn capacity(&self) -> usize {
        self.reserved().slots.as_ref().map_or(MAX_REGISTERED_CALLABLE_IDS, SlotTable::count)
    }

    /// Asks the system, once.
    fn reserved(&self) -> &Reserved {
        self.reserved.call_once(|| match SlotTable::reserve(self.config, &COUNTS) {
            Ok(slots) => {
                if slots.count() < COUNTS[0] {
                    let count = slots.count();
                    failure::warn(format_args!("address space for {count} orchestrations only"));
                }
                let beyond = failure::refused(MemoryOperation::Reserve, 0, self.config.slot_bytes);
                Reserved { slots: Some(slots), missing: Mutex::new(Slot::unavailable(beyond)) }
            }
            Err(error) => {
                failure::warn(format_args!("no memory for orchestrations: {error}"));
                Reserved { slots: None, missing: Mutex::new(Slot::unavailable(error)) }
            }
        })
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

//! Memory of the simulated device: what users allocate, and the arenas that runs work in.
//!
//! Device addresses are addresses of this process, but they are looked up in the table of live
//! allocations before anything is copied: a wrong one is an error, not a crash. Arenas are mapped
//! once and touched lazily; they stay as long as the device, so that a run allocates nothing.
//!
//! The table is locked to look something up, never while bytes are copied. Whoever has looked up
//! an allocation keeps it: freed meanwhile, it goes away when the last of them has done with it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use protocol::DeviceAddr;

use crate::device::{DeviceMemoryReport, Holder, MemoryError, PinnedMemory, SharedMemory, Side};

mod allocation;
mod arena;
mod shared_arena;

pub use allocation::ALLOCATION_ALIGN;
use allocation::Allocation;
pub use arena::{Arena, Arenas};
pub use shared_arena::SharedArena;

pub use crate::device::ledger::Ledger;

/// A range of memory that has been looked up. The memory stays as long as this does.
#[derive(Debug)]
pub struct Place(Found);

impl Place {
    /// The bytes of memory of the device's own, to be read.
    ///
    /// # Safety
    ///
    /// Nobody writes to them meanwhile.
    pub unsafe fn own_bytes(&self, bytes: usize) -> Option<&[u8]> {
        match &self.0 {
            Found::Own { allocation, offset } if *offset + bytes <= allocation.bytes => {
                // SAFETY: inside the allocation, as just checked, which stays as long as the reference;
                // every byte of it is initialised. The rest is the caller's promise.
                Some(unsafe {
                    std::slice::from_raw_parts(allocation.start.add(*offset).as_ptr(), bytes)
                })
            }
            _ => None,
        }
    }
}

#[derive(Debug)]
enum Found {
    /// Offset and length are inside the allocation.
    Own { allocation: Arc<Allocation>, offset: usize },
    /// As above.
    Attached { memory: Arc<SharedMemory>, offset: usize },
}

/// What can still be done with the memory and the kernels of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Access {
    /// Everything.
    #[default]
    Open,
    /// Nothing is added any more; what is there can be reached.
    Closed,
    /// Nothing can be reached.
    Gone,
}

/// Live allocations and attached memory.
#[derive(Debug, Default)]
struct Table {
    live: BTreeMap<u64, Arc<Allocation>>,
    /// Memory that other devices use too, by address.
    attached: BTreeMap<u64, (Arc<SharedMemory>, Side)>,
    /// Bytes of both that are this device's own.
    bytes: usize,
    access: Access,
}

/// The memory of a device.
#[derive(Debug, Default)]
pub struct DeviceMemory {
    table: Mutex<Table>,
    /// Counts what takes away meaning from an address.
    epoch: AtomicU64,
    ledger: Arc<Ledger>,
    /// What it allocates from where another process maps it; else the heap of this one.
    shared: Option<Arc<SharedArena>>,
}

impl DeviceMemory {
    /// Memory in a file that another process maps, if one is given.
    #[must_use]
    pub fn within(shared: Option<Arc<SharedArena>>) -> Self {
        Self { shared, ..Self::default() }
    }

    /// The books, for memory of the device that is not in the table.
    pub fn ledger(&self) -> &Arc<Ledger> {
        &self.ledger
    }

    /// Allocates `bytes` zeroed bytes at a multiple of [`ALLOCATION_ALIGN`].
    ///
    /// An allocation of 0 bytes has an address of its own, like any other.
    ///
    /// # Errors
    ///
    /// [`MemoryError::Exhausted`], and [`MemoryError::Gone`] once it is [closed](Self::close).
    pub fn allocate(&self, bytes: usize, holder: Holder) -> Result<DeviceAddr, MemoryError> {
        self.add(Allocation::new(bytes, holder, self.shared.as_ref())?)
    }

    /// Allocates a copy of `bytes`, as [`allocate`](Self::allocate) does.
    ///
    /// # Errors
    ///
    /// As [`allocate`](Self::allocate).
    pub fn allocate_with(&self, bytes: &[u8], holder: Holder) -> Result<DeviceAddr, MemoryError> {
        self.add(Allocation::of(bytes, holder, self.shared.as_ref())?)
    }

    fn add(&self, allocation: Allocation) -> Result<DeviceAddr, MemoryError> {
        let (bytes, holder) = (allocation.bytes, allocation.holder);
        // CAST: usize is 64 bits on the supported targets. The address is exposed because the
        // AICPU and the kernels get it as a number.
        let address = allocation.start.as_ptr().expose_provenance() as u64;
        let mut table = self.table();
        if table.access != Access::Open {
            return Err(MemoryError::Gone);
        }
        table.live.insert(address, Arc::new(allocation));
        table.bytes += bytes;
        self.ledger.take(holder, bytes);
        Ok(DeviceAddr::new(address))
    }

    /// Frees an allocation.
    ///
    /// # Errors
    ///
    /// [`MemoryError::UnknownAddress`] where no live allocation starts at `address`, and
    /// [`MemoryError::Gone`] once it is [lost](Self::lose).
    pub fn free(&self, address: DeviceAddr) -> Result<(), MemoryError> {
        let mut table = self.reachable()?;
        let allocation = table.live.remove(&address.raw());
        let allocation = allocation.ok_or(MemoryError::UnknownAddress { address })?;
        self.begin_epoch();
        table.bytes -= allocation.bytes;
        self.ledger.give_back(allocation.holder, allocation.bytes);
        drop(table);
        drop(allocation);
        Ok(())
    }

    /// Copies `from` to the device.
    ///
    /// # Errors
    ///
    /// [`MemoryError::OutOfRange`], and [`MemoryError::Gone`] once it is [lost](Self::lose).
    pub fn copy_in(&self, to: DeviceAddr, from: &[u8]) -> Result<(), MemoryError> {
        match self.place(to, from.len())?.0 {
            Found::Attached { memory, offset } => memory.copy_in(offset, from),
            Found::Own { allocation, offset } => allocation.copy_in(offset, from),
        }
    }

    /// Copies from the device to `to`.
    ///
    /// # Errors
    ///
    /// As [`copy_in`](Self::copy_in).
    pub fn copy_out(&self, to: &mut [u8], from: DeviceAddr) -> Result<(), MemoryError> {
        match self.place(from, to.len())?.0 {
            Found::Attached { memory, offset } => memory.copy_out(offset, to),
            Found::Own { allocation, offset } => allocation.copy_out(offset, to),
        }
    }

    /// Keeps memory that other devices use too, as long as kernels of this one may; not once it is
    /// [closed](Self::close).
    pub fn attach(&self, memory: Arc<SharedMemory>, side: Side) {
        let address = memory.address();
        self.detach(address);
        let mut table = self.table();
        if table.access != Access::Open {
            return;
        }
        if side == Side::Own {
            table.bytes += memory.byte_len();
            self.ledger.take(Holder::Window, memory.byte_len());
        }
        table.attached.insert(address.raw(), (memory, side));
    }

    /// Gives attached memory up; nothing happens where none starts at `address`.
    pub fn detach(&self, address: DeviceAddr) {
        let mut table = self.table();
        let Some((memory, side)) = table.attached.remove(&address.raw()) else { return };
        self.begin_epoch();
        if side == Side::Own {
            table.bytes -= memory.byte_len();
            self.ledger.give_back(Holder::Window, memory.byte_len());
        }
        drop(table);
        drop(memory);
    }

    /// Looks up a range that lies inside one live allocation, or inside memory that is attached.
    ///
    /// # Errors
    ///
    /// As [`copy_in`](Self::copy_in).
    pub fn place(&self, address: DeviceAddr, bytes: usize) -> Result<Place, MemoryError> {
        let table = self.reachable()?;
        let fits = |offset: usize, length: usize| {
            offset.checked_add(bytes).is_some_and(|end| end <= length)
        };
        let found = match table.attached_at(address) {
            Some((memory, offset)) => fits(offset, memory.byte_len())
                .then(|| Found::Attached { memory: Arc::clone(memory), offset }),
            None => table
                .live_at(address)
                .filter(|(allocation, offset)| fits(*offset, allocation.bytes))
                .map(|(it, offset)| Found::Own { allocation: Arc::clone(it), offset }),
        };
        found.map(Place).ok_or(MemoryError::OutOfRange { address, bytes })
    }

    /// Checks that a range lies inside one allocation of the user, or inside memory that is attached:
    /// what belongs to callables is not the user's to name.
    ///
    /// # Errors
    ///
    /// As [`copy_in`](Self::copy_in).
    pub fn check_user_range(&self, address: DeviceAddr, bytes: usize) -> Result<(), MemoryError> {
        match self.place(address, bytes)?.0 {
            Found::Own { allocation, .. } if allocation.holder != Holder::User => {
                Err(MemoryError::OutOfRange { address, bytes })
            }
            _ => Ok(()),
        }
    }

    /// A number that changes whenever something is freed, detached or lost: what was found before holds
    /// as long as it is the same.
    pub fn epoch(&self) -> u64 {
        // ORDERING: Acquire pairs with the Release in `begin_epoch`.
        self.epoch.load(Ordering::Acquire)
    }

    fn begin_epoch(&self) {
        // ORDERING: Release: who has learnt of the change, from whomever, sees the new number. That a
        // range is freed while a run uses it is excluded by the caller (`Device`).
        self.epoch.fetch_add(1, Ordering::Release);
    }

    /// The allocation that starts at `address`, if it can be reached.
    pub fn pin(&self, address: DeviceAddr) -> Option<Arc<dyn PinnedMemory>> {
        let allocation = Arc::clone(self.reachable().ok()?.live.get(&address.raw())?);
        Some(allocation)
    }

    /// Live allocations and their bytes, attached memory of this device included.
    pub fn usage(&self) -> (usize, usize) {
        let table = self.table();
        let own = table.attached.values().filter(|(_, side)| *side == Side::Own);
        (table.live.len() + own.count(), table.bytes)
    }

    /// Who holds what; nothing once it is [lost](Self::lose).
    pub fn report(&self) -> DeviceMemoryReport {
        match self.reachable() {
            Ok(_table) => self.ledger.report(),
            Err(_gone) => DeviceMemoryReport::default(),
        }
    }

    /// Allocates and attaches nothing any more.
    pub fn close(&self) {
        let mut table = self.table();
        table.access = table.access.max(Access::Closed);
    }

    /// Leaves everything where it is for good, out of everybody's reach: code of the user may still
    /// use it.
    pub fn lose(&self) {
        let gone = Table { access: Access::Gone, ..Table::default() };
        std::mem::forget(std::mem::replace(&mut *self.table(), gone));
        self.begin_epoch();
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        // The table is valid at every step that could panic.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The table, unless it is out of reach.
    fn reachable(&self) -> Result<MutexGuard<'_, Table>, MemoryError> {
        let table = self.table();
        if table.access == Access::Gone { Err(MemoryError::Gone) } else { Ok(table) }
    }
}

impl Table {
    /// The attached memory that has this address, and the distance from its start.
    fn attached_at(&self, address: DeviceAddr) -> Option<(&Arc<SharedMemory>, usize)> {
        let (&start, (memory, _)) = self.attached.range(..=address.raw()).next_back()?;
        let offset = usize::try_from(address.raw() - start).ok()?;
        (offset < memory.byte_len()).then_some((memory, offset))
    }

    /// The last allocation that starts at or before an address, and the distance from its start.
    fn live_at(&self, address: DeviceAddr) -> Option<(&Arc<Allocation>, usize)> {
        let (&start, allocation) = self.live.range(..=address.raw()).next_back()?;
        Some((allocation, usize::try_from(address.raw() - start).ok()?))
    }
}

#[cfg(test)]
mod tests;

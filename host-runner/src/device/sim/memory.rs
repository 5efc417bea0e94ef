//! Memory of the simulated device: what users allocate, and the arenas that runs work in.
//!
//! Device addresses are addresses of this process, but they are looked up in the table of live
//! allocations before anything is copied: a wrong one is an error, not a crash. Arenas are mapped
//! once and touched lazily; they stay as long as the device, so that a run allocates nothing.
//!
//! The table is locked to look something up, never while bytes are copied. Whoever has looked up
//! an allocation keeps it: freed meanwhile, it goes away when the last of them has done with it.

use std::alloc::{Layout, alloc, alloc_zeroed, dealloc};
use std::collections::BTreeMap;
use std::ptr::NonNull;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use protocol::DeviceAddr;

use crate::device::{DeviceMemoryReport, Holder, MemoryError, SharedMemory, Side};

mod arena;
mod ledger;

pub use arena::{Arena, ArenaAddresses, Arenas};
pub use ledger::Ledger;

/// Alignment of every allocation, in bytes: a cache line, and what every record asks for.
pub const ALLOCATION_ALIGN: usize = 64;

/// One allocation, freed with the last reference to it.
#[derive(Debug)]
struct Allocation {
    start: NonNull<u8>,
    layout: Layout,
    /// As they were asked for.
    bytes: usize,
    holder: Holder,
    /// Held by the one thread of the host that copies.
    copying: Mutex<()>,
}

// SAFETY: the bytes are owned by this value, and nothing about them is bound to a thread. The host
// touches them with `copying` held.
unsafe impl Send for Allocation {}
// SAFETY: as above.
unsafe impl Sync for Allocation {}

impl Allocation {
    fn new(bytes: usize, holder: Holder) -> Result<Self, MemoryError> {
        let exhausted = MemoryError::Exhausted { bytes };
        let Ok(layout) = Layout::from_size_align(bytes.max(1), ALLOCATION_ALIGN) else {
            return Err(exhausted);
        };
        // SAFETY: the size is not zero.
        let start = NonNull::new(unsafe { alloc_zeroed(layout) }).ok_or(exhausted)?;
        Ok(Self { start, layout, bytes, holder, copying: Mutex::new(()) })
    }

    /// An allocation that holds a copy of `bytes`, which is written once.
    fn of(bytes: &[u8], holder: Holder) -> Result<Self, MemoryError> {
        let exhausted = MemoryError::Exhausted { bytes: bytes.len() };
        let Ok(layout) = Layout::from_size_align(bytes.len().max(1), ALLOCATION_ALIGN) else {
            return Err(exhausted);
        };
        // SAFETY: the size is not zero.
        let start = NonNull::new(unsafe { alloc(layout) }).ok_or(exhausted)?;
        // SAFETY: as many bytes were just allocated, and nobody else has them; the first one is written
        // even where there are none.
        unsafe {
            start.write(0);
            start.copy_from_nonoverlapping(NonNull::from(bytes).cast(), bytes.len());
        }
        Ok(Self { start, layout, bytes: bytes.len(), holder, copying: Mutex::new(()) })
    }

    fn copying(&self) -> MutexGuard<'_, ()> {
        self.copying.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Allocation {
    fn drop(&mut self) {
        // SAFETY: allocated in `new` with this layout, and freed once, here.
        unsafe { dealloc(self.start.as_ptr(), self.layout) };
    }
}

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
    ledger: Arc<Ledger>,
}

impl DeviceMemory {
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
        self.add(Allocation::new(bytes, holder)?)
    }

    /// Allocates a copy of `bytes`, as [`allocate`](Self::allocate) does.
    ///
    /// # Errors
    ///
    /// As [`allocate`](Self::allocate).
    pub fn allocate_with(&self, bytes: &[u8], holder: Holder) -> Result<DeviceAddr, MemoryError> {
        self.add(Allocation::of(bytes, holder)?)
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
            Found::Own { allocation, offset } => {
                let _alone = allocation.copying();
                // SAFETY: `place` checked the range, which stays as long as the reference; no other
                // thread of the host is copying, and the caller sees to it that no run or load uses
                // the range meanwhile (`Device`).
                unsafe {
                    let to = allocation.start.add(offset).as_ptr();
                    to.copy_from_nonoverlapping(from.as_ptr(), from.len());
                }
                Ok(())
            }
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
            Found::Own { allocation, offset } => {
                let _alone = allocation.copying();
                // SAFETY: as in `copy_in`; allocations are zeroed, so every byte is initialised.
                unsafe {
                    let from = allocation.start.add(offset).as_ptr();
                    from.copy_to_nonoverlapping(to.as_mut_ptr(), to.len());
                }
                Ok(())
            }
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

//! Memory of the simulated device: what users allocate, and the arenas that runs work in.
//!
//! Device addresses are addresses of this process, but they are looked up in the table of live
//! allocations before anything is copied: a wrong one is an error, not a crash. Arenas are mapped
//! once and touched lazily; they stay as long as the device, so that a run allocates nothing.

use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::collections::BTreeMap;
use std::ptr::NonNull;
use std::sync::Arc;

use protocol::DeviceAddr;

use crate::device::{MemoryError, SharedMemory, Side};

mod arena;

pub use arena::{Arena, ArenaAddresses, Arenas};

/// Alignment of every allocation, in bytes: a cache line, and what every record asks for.
pub const ALLOCATION_ALIGN: usize = 64;

/// One live allocation.
#[derive(Debug)]
struct Allocation {
    start: NonNull<u8>,
    layout: Layout,
}

// SAFETY: the allocation is owned by its table; nothing about it is bound to a thread.
unsafe impl Send for Allocation {}

/// The table of live allocations.
#[derive(Debug, Default)]
pub struct DeviceMemory {
    live: BTreeMap<u64, Allocation>,
    /// Memory that other devices use too, by address.
    attached: BTreeMap<u64, (Arc<SharedMemory>, Side)>,
    /// Bytes of both that are this device's own.
    bytes: usize,
}

impl DeviceMemory {
    /// Allocates `bytes` zeroed bytes at a multiple of [`ALLOCATION_ALIGN`].
    ///
    /// An allocation of 0 bytes has an address of its own, like any other.
    ///
    /// # Errors
    ///
    /// [`MemoryError::Exhausted`].
    pub fn allocate(&mut self, bytes: usize) -> Result<DeviceAddr, MemoryError> {
        let exhausted = MemoryError::Exhausted { bytes };
        let Ok(layout) = Layout::from_size_align(bytes.max(1), ALLOCATION_ALIGN) else {
            return Err(exhausted);
        };
        // SAFETY: the size is not zero.
        let start = NonNull::new(unsafe { alloc_zeroed(layout) }).ok_or(exhausted)?;
        // CAST: usize is 64 bits on the supported targets. The address is exposed because the
        // AICPU and the kernels get it as a number.
        let address = start.as_ptr().expose_provenance() as u64;
        self.live.insert(address, Allocation { start, layout });
        self.bytes += layout.size();
        Ok(DeviceAddr::new(address))
    }

    /// Frees an allocation.
    ///
    /// # Errors
    ///
    /// [`MemoryError::UnknownAddress`] where no live allocation starts at `address`.
    pub fn free(&mut self, address: DeviceAddr) -> Result<(), MemoryError> {
        let allocation =
            self.live.remove(&address.raw()).ok_or(MemoryError::UnknownAddress { address })?;
        self.bytes -= allocation.layout.size();
        // SAFETY: allocated above with this layout, and taken out of the table: freed once.
        unsafe { dealloc(allocation.start.as_ptr(), allocation.layout) };
        Ok(())
    }

    /// Copies `from` to the device.
    ///
    /// # Errors
    ///
    /// [`MemoryError::OutOfRange`].
    pub fn copy_in(&mut self, to: DeviceAddr, from: &[u8]) -> Result<(), MemoryError> {
        if let Some((memory, offset)) = self.attached_at(to) {
            return memory.copy_in(offset, from);
        }
        let to = self.resolve(to, from.len())?;
        // SAFETY: `resolve` checked the range; it is live, and no run is in flight while the
        // device is borrowed exclusively.
        unsafe { to.as_ptr().copy_from_nonoverlapping(from.as_ptr(), from.len()) };
        Ok(())
    }

    /// Copies from the device to `to`.
    ///
    /// # Errors
    ///
    /// [`MemoryError::OutOfRange`].
    pub fn copy_out(&self, to: &mut [u8], from: DeviceAddr) -> Result<(), MemoryError> {
        if let Some((memory, offset)) = self.attached_at(from) {
            return memory.copy_out(offset, to);
        }
        let from = self.resolve(from, to.len())?;
        // SAFETY: as in `copy_in`; allocations are zeroed, so every byte is initialised.
        unsafe { from.as_ptr().copy_to_nonoverlapping(to.as_mut_ptr(), to.len()) };
        Ok(())
    }

    /// Keeps memory that other devices use too, as long as kernels of this one may.
    pub fn attach(&mut self, memory: Arc<SharedMemory>, side: Side) {
        let address = memory.address();
        self.detach(address);
        if side == Side::Own {
            self.bytes += memory.byte_len();
        }
        self.attached.insert(address.raw(), (memory, side));
    }

    /// Gives attached memory up; nothing happens where none starts at `address`.
    pub fn detach(&mut self, address: DeviceAddr) {
        if let Some((memory, Side::Own)) = self.attached.remove(&address.raw()) {
            self.bytes -= memory.byte_len();
        }
    }

    /// Checks that a range lies inside one live allocation, or inside memory that is attached.
    ///
    /// # Errors
    ///
    /// [`MemoryError::OutOfRange`].
    pub fn check_range(&self, address: DeviceAddr, bytes: usize) -> Result<(), MemoryError> {
        if let Some((memory, offset)) = self.attached_at(address) {
            let fits = offset.checked_add(bytes).is_some_and(|end| end <= memory.byte_len());
            return if fits { Ok(()) } else { Err(MemoryError::OutOfRange { address, bytes }) };
        }
        self.resolve(address, bytes).map(|_| ())
    }

    /// Number of live allocations, attached memory of this device included.
    pub fn allocation_count(&self) -> usize {
        let own = self.attached.values().filter(|(_, side)| *side == Side::Own);
        self.live.len() + own.count()
    }

    /// Bytes in live allocations, attached memory of this device included.
    pub fn allocated_bytes(&self) -> usize {
        self.bytes
    }

    /// The attached memory that has this address, and the distance from its start.
    fn attached_at(&self, address: DeviceAddr) -> Option<(&SharedMemory, usize)> {
        let (&start, (memory, _)) = self.attached.range(..=address.raw()).next_back()?;
        let offset = usize::try_from(address.raw() - start).ok()?;
        (offset < memory.byte_len()).then_some((&**memory, offset))
    }

    /// Pointer to a range that is inside one live allocation.
    fn resolve(&self, address: DeviceAddr, bytes: usize) -> Result<NonNull<u8>, MemoryError> {
        let out_of_range = MemoryError::OutOfRange { address, bytes };
        let Some((&start, allocation)) = self.live.range(..=address.raw()).next_back() else {
            return Err(out_of_range);
        };
        // CAST: usize is 64 bits on the supported targets.
        let offset = (address.raw() - start) as usize;
        match offset.checked_add(bytes) {
            Some(end) if end <= allocation.layout.size() => {
                // SAFETY: the offset is inside the allocation.
                Ok(unsafe { allocation.start.add(offset) })
            }
            _ => Err(out_of_range),
        }
    }
}

impl Drop for DeviceMemory {
    fn drop(&mut self) {
        for allocation in core::mem::take(&mut self.live).into_values() {
            // SAFETY: allocated with this layout and no longer in the table.
            unsafe { dealloc(allocation.start.as_ptr(), allocation.layout) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_back_and_freeing_gives_everything_back() {
        let mut memory = DeviceMemory::default();
        let address = memory.allocate(100).unwrap();
        assert!(address.is_aligned_to(64));
        let mut back = [1; 100];
        memory.copy_out(&mut back, address).unwrap();
        assert_eq!(back, [0; 100]);
        memory.copy_in(address.checked_add(90).unwrap(), &[7; 10]).unwrap();
        memory.copy_out(&mut back, address).unwrap();
        assert_eq!((back[89], back[90], back[99]), (0, 7, 7));
        assert_eq!((memory.allocation_count(), memory.allocated_bytes()), (1, 100));
        memory.free(address).unwrap();
        assert_eq!((memory.allocation_count(), memory.allocated_bytes()), (0, 0));
    }

    #[test]
    fn copies_that_leave_an_allocation_are_refused() {
        let mut memory = DeviceMemory::default();
        let address = memory.allocate(64).unwrap();
        let check = |memory: &mut DeviceMemory, at: u64, bytes: usize| {
            let expected = MemoryError::OutOfRange { address: DeviceAddr::new(at), bytes };
            assert_eq!(memory.copy_in(DeviceAddr::new(at), &vec![0; bytes]), Err(expected));
        };
        let past = MemoryError::OutOfRange { address, bytes: 65 };
        assert_eq!(memory.check_range(address, 64), Ok(()));
        assert_eq!(memory.check_range(address, 65), Err(past));
        check(&mut memory, address.raw(), 65);
        check(&mut memory, address.raw() + 64, 1);
        check(&mut memory, address.raw() - 1, 1);
        check(&mut memory, 0, 1);
        check(&mut memory, u64::MAX, 8);
    }

    #[test]
    fn freeing_twice_or_in_the_middle_is_an_error_that_changes_nothing() {
        let mut memory = DeviceMemory::default();
        let address = memory.allocate(64).unwrap();
        let middle = address.checked_add(8).unwrap();
        assert_eq!(memory.free(middle), Err(MemoryError::UnknownAddress { address: middle }));
        assert_eq!(memory.allocation_count(), 1);
        memory.free(address).unwrap();
        assert_eq!(memory.free(address), Err(MemoryError::UnknownAddress { address }));
    }

    #[test]
    fn sizes_that_no_machine_has_are_refused() {
        let mut memory = DeviceMemory::default();
        for bytes in [usize::MAX, isize::MAX as usize] {
            assert_eq!(memory.allocate(bytes), Err(MemoryError::Exhausted { bytes }));
        }
        let first = memory.allocate(0).unwrap();
        assert_ne!(first, memory.allocate(0).unwrap());
    }
}

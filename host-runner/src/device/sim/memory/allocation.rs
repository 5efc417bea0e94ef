//! One allocation of the simulated device, and the copies of the host to and from it.

use std::alloc::{Layout, alloc, alloc_zeroed, dealloc};
use std::ptr::NonNull;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use protocol::DeviceAddr;

use super::SharedArena;
use crate::device::{Holder, MemoryError, PinnedMemory};

/// Alignment of every allocation, in bytes: a cache line, and what every record asks for.
pub const ALLOCATION_ALIGN: usize = 64;

/// One allocation, freed with the last reference to it.
#[derive(Debug)]
pub(super) struct Allocation {
    pub(super) start: NonNull<u8>,
    home: Home,
    /// As they were asked for.
    pub(super) bytes: usize,
    pub(super) holder: Holder,
    /// Held by the one thread of the host that copies.
    copying: Mutex<()>,
}

/// Where the bytes of an allocation come from.
#[derive(Debug)]
enum Home {
    Heap(Layout),
    Shared(Arc<SharedArena>),
}

// SAFETY: the bytes are owned by this value, and nothing about them is bound to a thread. The host
// touches them with `copying` held.
unsafe impl Send for Allocation {}
// SAFETY: as above.
unsafe impl Sync for Allocation {}

impl Allocation {
    pub(super) fn new(
        bytes: usize,
        holder: Holder,
        shared: Option<&Arc<SharedArena>>,
    ) -> Result<Self, MemoryError> {
        if let Some(arena) = shared {
            return Self::shared(bytes, holder, arena);
        }
        let exhausted = MemoryError::Exhausted { bytes };
        let Ok(layout) = Layout::from_size_align(bytes.max(1), ALLOCATION_ALIGN) else {
            return Err(exhausted);
        };
        // SAFETY: the size is not zero.
        let start = NonNull::new(unsafe { alloc_zeroed(layout) }).ok_or(exhausted)?;
        Ok(Self { start, home: Home::Heap(layout), bytes, holder, copying: Mutex::new(()) })
    }

    /// An allocation in memory that another process maps, too.
    fn shared(bytes: usize, holder: Holder, arena: &Arc<SharedArena>) -> Result<Self, MemoryError> {
        let start = arena.take(bytes).ok_or(MemoryError::Exhausted { bytes })?;
        let home = Home::Shared(Arc::clone(arena));
        Ok(Self { start, home, bytes, holder, copying: Mutex::new(()) })
    }

    /// An allocation that holds a copy of `bytes`, which is written once.
    pub(super) fn of(
        bytes: &[u8],
        holder: Holder,
        shared: Option<&Arc<SharedArena>>,
    ) -> Result<Self, MemoryError> {
        if let Some(arena) = shared {
            let allocation = Self::shared(bytes.len(), holder, arena)?;
            allocation.copy_in(0, bytes)?;
            return Ok(allocation);
        }
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
        let home = Home::Heap(layout);
        Ok(Self { start, home, bytes: bytes.len(), holder, copying: Mutex::new(()) })
    }

    fn copying(&self) -> MutexGuard<'_, ()> {
        self.copying.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Checks that a range lies inside.
    fn check(&self, offset: usize, bytes: usize) -> Result<(), MemoryError> {
        if offset.checked_add(bytes).is_some_and(|end| end <= self.bytes) {
            return Ok(());
        }
        // CAST: usize is 64 bits on the supported targets.
        let address = self.start.addr().get().saturating_add(offset) as u64;
        Err(MemoryError::OutOfRange { address: DeviceAddr::new(address), bytes })
    }
}

impl PinnedMemory for Allocation {
    fn copy_in(&self, offset: usize, from: &[u8]) -> Result<(), MemoryError> {
        self.check(offset, from.len())?;
        let _alone = self.copying();
        // SAFETY: the range is inside the allocation, which stays as long as the reference; no other
        // thread of the host is copying, and the caller sees to it that no run or load uses the range
        // meanwhile (`Device`).
        unsafe {
            let to = self.start.add(offset).as_ptr();
            to.copy_from_nonoverlapping(from.as_ptr(), from.len());
        }
        Ok(())
    }

    fn copy_out(&self, offset: usize, to: &mut [u8]) -> Result<(), MemoryError> {
        self.check(offset, to.len())?;
        let _alone = self.copying();
        // SAFETY: as in `copy_in`; allocations are zeroed, so every byte is initialised.
        unsafe {
            let from = self.start.add(offset).as_ptr();
            from.copy_to_nonoverlapping(to.as_mut_ptr(), to.len());
        }
        Ok(())
    }
}

impl Drop for Allocation {
    fn drop(&mut self) {
        match &self.home {
            // SAFETY: allocated in `new` with this layout, and freed once, here.
            Home::Heap(layout) => unsafe { dealloc(self.start.as_ptr(), *layout) },
            // SAFETY: taken in `shared` for so many bytes, and given back once, here.
            Home::Shared(arena) => unsafe { arena.give(self.start, self.bytes) },
        }
    }
}

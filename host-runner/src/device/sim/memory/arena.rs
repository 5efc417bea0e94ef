//! Large resident memory: the shared region and the heap rings of a device.
//!
//! Mapped without reserving, so that a default heap of 1 GiB costs only the pages that runs touch.
//! A page without access follows each arena: running past its end is a fault, not corruption.

use std::ffi::c_void;
use std::ptr::NonNull;
use std::sync::Arc;

use protocol::{DeviceAddr, RING_COUNT};
use rustix::mm::{MapFlags, MprotectFlags, ProtFlags, mmap_anonymous, mprotect, munmap};
use rustix::param::page_size;

use super::Ledger;
use crate::device::run_site::{ArenaAddresses, ArenaSource};
use crate::device::{Holder, MemoryError};

/// One mapping, zero until touched.
#[derive(Debug)]
pub struct Arena {
    start: NonNull<c_void>,
    /// Bytes of the mapping, guard page included.
    mapped: usize,
}

// SAFETY: the mapping is owned by this value; nothing about it is bound to a thread.
unsafe impl Send for Arena {}

impl Arena {
    /// Maps at least `bytes` bytes.
    ///
    /// # Errors
    ///
    /// [`MemoryError::Exhausted`].
    pub fn map(bytes: usize) -> Result<Self, MemoryError> {
        let exhausted = || MemoryError::Exhausted { bytes };
        let page = page_size();
        let usable = bytes.max(1).checked_next_multiple_of(page).ok_or_else(exhausted)?;
        let mapped = usable.checked_add(page).ok_or_else(exhausted)?;
        // SAFETY: a new mapping at an address of the system's choice.
        let start = unsafe {
            mmap_anonymous(
                core::ptr::null_mut(),
                mapped,
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::PRIVATE | MapFlags::NORESERVE,
            )
        };
        let start = start.ok().and_then(NonNull::new).ok_or_else(exhausted)?;
        let arena = Self { start, mapped };
        // SAFETY: the last page of the mapping just made, which nobody uses yet.
        let guarded =
            unsafe { mprotect(start.as_ptr().byte_add(usable), page, MprotectFlags::empty()) };
        guarded.map(|()| arena).map_err(|_refused| exhausted())
    }

    /// Address of the first byte, a multiple of the page size.
    pub fn address(&self) -> DeviceAddr {
        // CAST: usize is 64 bits on the supported targets. Exposed: the AICPU gets a number.
        DeviceAddr::new(self.start.as_ptr().expose_provenance() as u64)
    }
}

impl Drop for Arena {
    fn drop(&mut self) {
        // SAFETY: our own mapping, unmapped once; its users ended with the device.
        if let Err(error) = unsafe { munmap(self.start.as_ptr(), self.mapped) } {
            tracing::warn!(%error, "cannot unmap an arena of the simulated device");
        }
    }
}

/// Sizes that decide whether the arenas of the last run fit the next one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Sizes {
    shared: usize,
    heap: usize,
}

/// The arenas of runs: shared region and heap.
#[derive(Debug, Default)]
pub struct Arenas {
    mapped: Option<(Sizes, Arena, Arena)>,
    generation: u32,
    ledger: Arc<Ledger>,
}

impl Arenas {
    /// No arenas yet; what will be mapped goes into these books.
    pub fn new(ledger: Arc<Ledger>) -> Self {
        Self { ledger, ..Self::default() }
    }
}

impl ArenaSource for Arenas {
    fn prepare(
        &mut self,
        shared: usize,
        heap_per_ring: usize,
    ) -> Result<ArenaAddresses, MemoryError> {
        let heap = heap_per_ring
            .checked_mul(RING_COUNT)
            .ok_or(MemoryError::Exhausted { bytes: heap_per_ring })?;
        let sizes = Sizes { shared, heap };
        if self.mapped.as_ref().is_none_or(|(mapped, ..)| *mapped != sizes) {
            // First give back, then map: both together may be more than the machine has.
            if let Some((old, ..)) = self.mapped.take() {
                self.ledger.give_back(Holder::RunArena, old.shared);
                self.ledger.give_back(Holder::RunArena, old.heap);
            }
            self.mapped = Some((sizes, Arena::map(shared)?, Arena::map(heap)?));
            self.ledger.take(Holder::RunArena, shared);
            self.ledger.take(Holder::RunArena, heap);
            self.generation = self.generation.wrapping_add(1);
        }
        match &self.mapped {
            Some((_, shared, heap)) => Ok(ArenaAddresses {
                shared: shared.address(),
                heap: heap.address(),
                generation: self.generation,
            }),
            None => Err(MemoryError::Exhausted { bytes: shared }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_sizes_keep_the_arenas_and_other_sizes_replace_them() {
        let mut arenas = Arenas::default();
        let first = arenas.prepare(10_000, 1 << 20).unwrap();
        assert_eq!(arenas.prepare(10_000, 1 << 20), Ok(first));
        assert!(first.shared.is_aligned_to(4096) && first.heap.is_aligned_to(4096));
        let other = arenas.prepare(10_000, 2 << 20).unwrap();
        assert_eq!(other.generation, first.generation + 1);
    }

    #[test]
    fn default_sizes_cost_no_memory_until_they_are_touched() {
        let mut arenas = Arenas::default();
        let addresses = arenas.prepare(200 << 20, 256 << 20).unwrap();
        // CAST: usize is 64 bits on the supported targets.
        let last = addresses.heap.raw() as usize + (1 << 30) - 1;
        let last = core::ptr::with_exposed_provenance::<u8>(last);
        // SAFETY: the last byte of the heap.
        assert_eq!(unsafe { last.read() }, 0);
    }

    #[test]
    fn sizes_that_no_machine_has_are_refused() {
        let mut arenas = Arenas::default();
        assert!(arenas.prepare(usize::MAX, 1).is_err());
        assert!(arenas.prepare(1, usize::MAX / 2).is_err());
        assert!(arenas.prepare(1, 1).is_ok());
    }
}

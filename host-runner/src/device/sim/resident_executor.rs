//! The executor of a simulated device in its place: zero pages of the system, as on the chip.
//!
//! An executor is some 3 MB, of which most devices touch a tenth: tables for a thousand callables,
//! payloads and lists for cores and tasks that are never used. The heap would write zeroes over all of
//! it, for each device.

use std::ops::Deref;
use std::ptr::NonNull;

use aicpu_executor::Executor;
use protocol::Chip;

use super::memory::Arena;
use super::platform::SimPlatform;
use crate::device::MemoryError;

/// The executor of a simulated device.
pub type SimExecutor<C> = Executor<C, SimPlatform<C>>;

/// An executor and its memory.
///
/// # Invariants
///
/// `place` is the start of `memory`, which holds an initialised executor that nobody else owns.
pub(super) struct ResidentExecutor<C: Chip> {
    place: NonNull<SimExecutor<C>>,
    _memory: Arena,
}

// SAFETY: this is the executor and nothing else, as a box would be.
unsafe impl<C: Chip> Send for ResidentExecutor<C> where SimExecutor<C>: Send {}
// SAFETY: as above.
unsafe impl<C: Chip> Sync for ResidentExecutor<C> where SimExecutor<C>: Sync {}

impl<C: Chip> ResidentExecutor<C> {
    /// Makes an executor for a platform.
    ///
    /// # Errors
    ///
    /// [`MemoryError::Exhausted`].
    pub(super) fn new(platform: SimPlatform<C>) -> Result<Self, MemoryError> {
        const { assert!(align_of::<SimExecutor<C>>() <= 4096, "no more than a page") };
        let bytes = size_of::<SimExecutor<C>>();
        let memory = Arena::map(bytes)?;
        // CAST: usize is 64 bits on the supported targets.
        let address = memory.address().raw() as usize;
        let place = core::ptr::with_exposed_provenance_mut::<SimExecutor<C>>(address);
        let place = NonNull::new(place).ok_or(MemoryError::Exhausted { bytes })?;
        // SAFETY: a fresh mapping, so zero, aligned to pages, and large enough.
        unsafe { SimExecutor::<C>::init_in_place(place.as_ptr(), platform) };
        Ok(Self { place, _memory: memory })
    }
}

impl<C: Chip> Deref for ResidentExecutor<C> {
    type Target = SimExecutor<C>;

    fn deref(&self) -> &SimExecutor<C> {
        // SAFETY: by the invariant; nobody has it exclusively before it is dropped.
        unsafe { self.place.as_ref() }
    }
}

impl<C: Chip> Drop for ResidentExecutor<C> {
    fn drop(&mut self) {
        // SAFETY: by the invariant; the memory goes after it, with the field.
        unsafe { self.place.drop_in_place() };
    }
}

//! Device memory as the host has it: what is allocated, and where that is in this process.
//!
//! The program allocates; the host, which alone asks for it, keeps account and copies by itself. The table is locked
//! to look something up, never while bytes are copied.

use std::collections::BTreeMap;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use protocol::DeviceAddr;

use crate::device::shared_file::SharedFile;
use crate::device::{Holder, MemoryError, PinnedMemory};

/// The memory of a device in another process.
#[derive(Debug)]
pub(super) struct HostMemory {
    file: Arc<SharedFile>,
    /// Address of its first byte at the program.
    base: u64,
    /// `None` once the device is gone.
    live: Mutex<Option<BTreeMap<u64, Arc<Live>>>>,
    /// Counts what takes away meaning from an address.
    epoch: AtomicU64,
}

/// A live allocation.
#[derive(Debug)]
pub(super) struct Live {
    file: Arc<SharedFile>,
    address: u64,
    /// Where it is in the file.
    offset: usize,
    bytes: usize,
    holder: Holder,
    /// Held by the one thread that copies.
    state: Mutex<State>,
}

/// What has become of an allocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Live,
    Freed,
    /// The device is gone, and it with it.
    Gone,
}

impl HostMemory {
    /// Memory of which nothing is allocated.
    pub(super) fn new(file: Arc<SharedFile>, base: u64) -> Self {
        Self { file, base, live: Mutex::new(Some(BTreeMap::new())), epoch: AtomicU64::new(0) }
    }

    /// Notes what the program has allocated.
    ///
    /// # Errors
    ///
    /// [`MemoryError::Gone`] where the device is, and where that is not in the memory: the program is out of its mind.
    pub(super) fn add(
        &self,
        address: u64,
        bytes: usize,
        holder: Holder,
    ) -> Result<(), MemoryError> {
        let offset = self.offset(address, bytes).ok_or(MemoryError::Gone)?;
        let (file, state) = (Arc::clone(&self.file), Mutex::new(State::Live));
        let live = Arc::new(Live { file, address, offset, bytes, holder, state });
        self.live().as_mut().ok_or(MemoryError::Gone)?.insert(address, live);
        Ok(())
    }

    /// Takes an allocation out, which nobody reaches any more afterwards.
    ///
    /// # Errors
    ///
    /// [`MemoryError::UnknownAddress`]; [`MemoryError::Gone`] once the device is.
    pub(super) fn remove(&self, address: DeviceAddr) -> Result<Holder, MemoryError> {
        let live = self.live().as_mut().ok_or(MemoryError::Gone)?.remove(&address.raw());
        let live = live.ok_or(MemoryError::UnknownAddress { address })?;
        *live.copying() = State::Freed;
        // ORDERING: Release: who has learnt of the end, from whomever, sees the new number.
        self.epoch.fetch_add(1, Ordering::Release);
        Ok(live.holder)
    }

    /// Gives all of it up: the device is gone. Whoever keeps an allocation pinned, or the whole device, keeps no memory
    /// by that.
    pub(super) fn clear(&self) {
        let Some(all) = self.live().take() else { return };
        for live in all.values() {
            *live.copying() = State::Gone;
        }
        // ORDERING: Release: see `remove`.
        self.epoch.fetch_add(1, Ordering::Release);
        // Nobody copies any more.
        if let Err(error) = self.file.give_back(0, self.file.byte_len()) {
            tracing::warn!(%error, "memory of a device that is gone stays until it is dropped");
        }
    }

    /// The number that changes with what addresses mean.
    pub(super) fn epoch(&self) -> u64 {
        // ORDERING: Acquire: see `remove`.
        self.epoch.load(Ordering::Acquire)
    }

    /// The allocation that a range is inside, and how far from its start.
    ///
    /// # Errors
    ///
    /// [`MemoryError::OutOfRange`]; [`MemoryError::Gone`] once the device is.
    pub(super) fn find(
        &self,
        address: DeviceAddr,
        bytes: usize,
    ) -> Result<(Arc<Live>, usize), MemoryError> {
        let live = self.live();
        let live = live.as_ref().ok_or(MemoryError::Gone)?;
        let found = live.range(..=address.raw()).next_back().and_then(|(&start, live)| {
            let offset = usize::try_from(address.raw() - start).ok()?;
            let fits = offset.checked_add(bytes).is_some_and(|end| end <= live.bytes);
            fits.then(|| (Arc::clone(live), offset))
        });
        found.ok_or(MemoryError::OutOfRange { address, bytes })
    }

    /// The allocation that starts at an address.
    pub(super) fn pin(&self, address: DeviceAddr) -> Option<Arc<Live>> {
        self.live().as_ref()?.get(&address.raw()).cloned()
    }

    /// Copies bytes to where the program has just given room for them.
    ///
    /// # Errors
    ///
    /// [`MemoryError::Gone`] where that is not in the memory.
    pub(super) fn stage(&self, address: u64, from: &[u8]) -> Result<(), MemoryError> {
        let offset = self.offset(address, from.len()).ok_or(MemoryError::Gone)?;
        // SAFETY: inside the file, and the program leaves it alone until the next request.
        unsafe {
            at(&self.file, offset).copy_from_nonoverlapping(NonNull::from(from).cast(), from.len())
        };
        Ok(())
    }

    /// Reads a number that the program has just written for the host; `None` outside the memory.
    pub(super) fn word(&self, address: u64) -> Option<u64> {
        let offset = self.offset(address, size_of::<u64>())?;
        // SAFETY: inside the file, of which every byte is initialised.
        Some(unsafe { at(&self.file, offset).cast::<u64>().read_unaligned() })
    }

    fn offset(&self, address: u64, bytes: usize) -> Option<usize> {
        let offset = usize::try_from(address.checked_sub(self.base)?).ok()?;
        (offset.checked_add(bytes)? <= self.file.byte_len()).then_some(offset)
    }

    fn live(&self) -> MutexGuard<'_, Option<BTreeMap<u64, Arc<Live>>>> {
        // Nothing panics between two changes that belong together.
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place in the file.
fn at(file: &SharedFile, offset: usize) -> NonNull<u8> {
    debug_assert!(offset <= file.byte_len());
    // SAFETY: inside the mapping, or at its end.
    unsafe { file.start().add(offset) }
}

impl Live {
    /// Whose it is.
    pub(super) fn holder(&self) -> Holder {
        self.holder
    }

    /// A copy of its bytes.
    pub(super) fn to_vec(&self) -> Vec<u8> {
        let mut bytes = vec![0; self.bytes];
        // Freed meanwhile, it is of no interest.
        let _copied = self.copy_out(0, &mut bytes);
        bytes
    }

    fn copying(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn check(&self, state: State, offset: usize, bytes: usize) -> Result<(), MemoryError> {
        let fits = offset.checked_add(bytes).is_some_and(|end| end <= self.bytes);
        match state {
            State::Live if fits => return Ok(()),
            State::Live | State::Freed => {}
            State::Gone => return Err(MemoryError::Gone),
        }
        // CAST: usize is 64 bits on the supported targets.
        let address = DeviceAddr::new(self.address.saturating_add(offset as u64));
        Err(MemoryError::OutOfRange { address, bytes })
    }
}

impl PinnedMemory for Live {
    fn copy_in(&self, offset: usize, from: &[u8]) -> Result<(), MemoryError> {
        let state = self.copying();
        self.check(*state, offset, from.len())?;
        // SAFETY: inside the allocation, which stays as long as the lock; no other thread of the host is copying, and
        // the caller sees to it that no run or load uses the range meanwhile (`Device`).
        unsafe {
            let to = at(&self.file, self.offset + offset);
            to.copy_from_nonoverlapping(NonNull::from(from).cast(), from.len());
        }
        Ok(())
    }

    fn copy_out(&self, offset: usize, to: &mut [u8]) -> Result<(), MemoryError> {
        let state = self.copying();
        self.check(*state, offset, to.len())?;
        // SAFETY: as in `copy_in`; all bytes of a file are initialised.
        unsafe {
            let from = at(&self.file, self.offset + offset);
            from.copy_to_nonoverlapping(NonNull::from(&mut *to).cast(), to.len());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_translated_checked_and_gone_when_they_are_freed() {
        let memory = HostMemory::new(Arc::new(SharedFile::new("test", 1 << 16).unwrap()), 0x4_0000);
        memory.add(0x4_1000, 100, Holder::User).unwrap();
        assert_eq!(memory.add(0x3_FFFF, 1, Holder::User), Err(MemoryError::Gone));
        assert_eq!(memory.add(0x4_FFFF, 2, Holder::User), Err(MemoryError::Gone));
        let address = DeviceAddr::new(0x4_1000);
        let (live, offset) = memory.find(DeviceAddr::new(0x4_1040), 36).unwrap();
        live.copy_in(offset, &[5; 36]).unwrap();
        assert!(memory.find(DeviceAddr::new(0x4_1040), 37).is_err());
        assert!(memory.find(DeviceAddr::new(0x4_0FFF), 1).is_err());
        let pinned = memory.pin(address).unwrap();
        let mut bytes = [0; 100];
        pinned.copy_out(0, &mut bytes).unwrap();
        assert_eq!((bytes[63], bytes[64], bytes[99]), (0, 5, 5));
        let epoch = memory.epoch();
        assert_eq!(memory.remove(address), Ok(Holder::User));
        assert_ne!(memory.epoch(), epoch);
        assert!(pinned.copy_out(0, &mut bytes).is_err() && memory.pin(address).is_none());
        assert_eq!(memory.remove(address), Err(MemoryError::UnknownAddress { address }));
    }

    #[test]
    fn of_a_device_that_is_gone_no_page_stays_and_nothing_can_be_copied() {
        let file = Arc::new(SharedFile::new("test", 1 << 16).unwrap());
        let memory = HostMemory::new(Arc::clone(&file), 0x4_0000);
        memory.add(0x4_1000, 64, Holder::User).unwrap();
        let address = DeviceAddr::new(0x4_1000);
        let (pinned, epoch) = (memory.pin(address).unwrap(), memory.epoch());
        pinned.copy_in(0, &[5; 64]).unwrap();
        assert_eq!(memory.word(0x4_1000), Some(u64::from_ne_bytes([5; 8])));
        memory.clear();
        assert_eq!(memory.word(0x4_1000), Some(0), "pages are zero that were given back");
        assert_ne!(memory.epoch(), epoch);
        let mut bytes = [0; 64];
        assert_eq!(pinned.copy_out(0, &mut bytes), Err(MemoryError::Gone));
        assert_eq!(pinned.copy_in(0, &bytes), Err(MemoryError::Gone));
        assert_eq!(memory.find(address, 1).map(drop), Err(MemoryError::Gone));
        assert_eq!(memory.remove(address), Err(MemoryError::Gone));
        assert_eq!(memory.add(0x4_2000, 1, Holder::User), Err(MemoryError::Gone));
        assert!(memory.pin(address).is_none());
    }
}

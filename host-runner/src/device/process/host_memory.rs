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
    live: Mutex<BTreeMap<u64, Arc<Live>>>,
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
    /// Whether it is still allocated; held by the one thread that copies.
    is_live: Mutex<bool>,
}

impl HostMemory {
    /// Memory of which nothing is allocated.
    pub(super) fn new(file: Arc<SharedFile>, base: u64) -> Self {
        Self { file, base, live: Mutex::default(), epoch: AtomicU64::new(0) }
    }

    /// Notes what the program has allocated.
    ///
    /// # Errors
    ///
    /// [`MemoryError::Gone`] where that is not in the memory: the program is out of its mind.
    pub(super) fn add(
        &self,
        address: u64,
        bytes: usize,
        holder: Holder,
    ) -> Result<(), MemoryError> {
        let offset = self.offset(address, bytes).ok_or(MemoryError::Gone)?;
        let (file, is_live) = (Arc::clone(&self.file), Mutex::new(true));
        let live = Arc::new(Live { file, address, offset, bytes, holder, is_live });
        self.live().insert(address, live);
        Ok(())
    }

    /// Takes an allocation out, which nobody reaches any more afterwards.
    ///
    /// # Errors
    ///
    /// [`MemoryError::UnknownAddress`].
    pub(super) fn remove(&self, address: DeviceAddr) -> Result<Holder, MemoryError> {
        let live = self.live().remove(&address.raw());
        let live = live.ok_or(MemoryError::UnknownAddress { address })?;
        *live.copying() = false;
        // ORDERING: Release: who has learnt of the end, from whomever, sees the new number.
        self.epoch.fetch_add(1, Ordering::Release);
        Ok(live.holder)
    }

    /// Takes all of it out.
    pub(super) fn clear(&self) {
        let all = std::mem::take(&mut *self.live());
        for live in all.values() {
            *live.copying() = false;
        }
        // ORDERING: Release: see `remove`.
        self.epoch.fetch_add(1, Ordering::Release);
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
    /// [`MemoryError::OutOfRange`].
    pub(super) fn find(
        &self,
        address: DeviceAddr,
        bytes: usize,
    ) -> Result<(Arc<Live>, usize), MemoryError> {
        let live = self.live();
        let found = live.range(..=address.raw()).next_back().and_then(|(&start, live)| {
            let offset = usize::try_from(address.raw() - start).ok()?;
            let fits = offset.checked_add(bytes).is_some_and(|end| end <= live.bytes);
            fits.then(|| (Arc::clone(live), offset))
        });
        found.ok_or(MemoryError::OutOfRange { address, bytes })
    }

    /// The allocation that starts at an address.
    pub(super) fn pin(&self, address: DeviceAddr) -> Option<Arc<Live>> {
        self.live().get(&address.raw()).cloned()
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

    fn live(&self) -> MutexGuard<'_, BTreeMap<u64, Arc<Live>>> {
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

    fn copying(&self) -> MutexGuard<'_, bool> {
        self.is_live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn check(&self, is_live: bool, offset: usize, bytes: usize) -> Result<(), MemoryError> {
        if is_live && offset.checked_add(bytes).is_some_and(|end| end <= self.bytes) {
            return Ok(());
        }
        // CAST: usize is 64 bits on the supported targets.
        let address = DeviceAddr::new(self.address.saturating_add(offset as u64));
        Err(MemoryError::OutOfRange { address, bytes })
    }
}

impl PinnedMemory for Live {
    fn copy_in(&self, offset: usize, from: &[u8]) -> Result<(), MemoryError> {
        let is_live = self.copying();
        self.check(*is_live, offset, from.len())?;
        // SAFETY: inside the allocation, which stays as long as the lock; no other thread of the host is copying, and
        // the caller sees to it that no run or load uses the range meanwhile (`Device`).
        unsafe {
            let to = at(&self.file, self.offset + offset);
            to.copy_from_nonoverlapping(NonNull::from(from).cast(), from.len());
        }
        Ok(())
    }

    fn copy_out(&self, offset: usize, to: &mut [u8]) -> Result<(), MemoryError> {
        let is_live = self.copying();
        self.check(*is_live, offset, to.len())?;
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
}

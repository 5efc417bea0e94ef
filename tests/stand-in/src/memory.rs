//! Device memory: one file without a name, mapped at one address in every process that has it.
//!
//! The address is chosen by who makes it, far from where Linux puts anything, on either machine and under the
//! emulator. The file is as large as asked for and takes memory only where something was written.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{MemfdFlags, ftruncate, memfd_create};
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

/// The lowest address that is tried. All are below 2^47, which both machines have.
const LOWEST: u64 = 0x1000_0000_0000;

/// How far apart the addresses are that are tried, and more than device memory may have.
const STRIDE: u64 = 1 << 36;

/// How many addresses are tried.
const PLACES: u64 = 256;

/// Device memory, mapped in this process.
///
/// # Invariants
///
/// `bytes` bytes at `address` are mapped, readable and writable, as long as this lives, and are this one's.
#[derive(Debug)]
pub struct DeviceMemory {
    file: OwnedFd,
    address: u64,
    bytes: u64,
}

impl DeviceMemory {
    /// Makes device memory of so many bytes, in whole pages, all zero.
    ///
    /// # Errors
    ///
    /// The system's, and `AddrInUse` where each address that was tried is taken.
    pub fn new(bytes: u64) -> io::Result<Self> {
        /// Where the next one of this process is tried first.
        static NEXT: AtomicU64 = AtomicU64::new(0);

        if bytes == 0 || bytes > STRIDE {
            let text = format!("device memory of {bytes} bytes; there can be 1 to {STRIDE}");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        let file = memfd_create("device-memory", MemfdFlags::CLOEXEC)?;
        ftruncate(&file, bytes)?;
        for _ in 0..PLACES {
            // ORDERING: Relaxed: only the number itself matters.
            let place = NEXT.fetch_add(1, Ordering::Relaxed) % PLACES;
            match map(file.as_fd(), LOWEST + place * STRIDE, bytes) {
                Ok(address) => return Ok(Self { file, address, bytes }),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
        Err(io::ErrorKind::AddrInUse.into())
    }

    /// Maps the memory of another process where it is there.
    ///
    /// # Errors
    ///
    /// The system's, and `AlreadyExists` where something else is at the address.
    pub fn at(file: File, address: u64, bytes: u64) -> io::Result<Self> {
        let file = OwnedFd::from(file);
        let address = map(file.as_fd(), address, bytes)?;
        Ok(Self { file, address, bytes })
    }

    /// Its first address.
    #[must_use]
    pub fn address(&self) -> u64 {
        self.address
    }

    /// Its size.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The file, for another process to map.
    #[must_use]
    pub fn file(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }

    /// Where `bytes` bytes at an address are in this process; `None` where not all of them are device memory.
    #[must_use]
    pub fn place(&self, address: u64, bytes: u64) -> Option<*mut u8> {
        let offset = address.checked_sub(self.address)?;
        let end = offset.checked_add(bytes)?;
        // CAST: both machines have 64-bit addresses.
        (end <= self.bytes).then(|| core::ptr::with_exposed_provenance_mut(address as usize))
    }

    /// Copies to device memory. What is there must not be in use by anybody else meanwhile.
    ///
    /// # Errors
    ///
    /// [`NotDeviceMemory`].
    pub fn write(&self, address: u64, bytes: &[u8]) -> Result<(), NotDeviceMemory> {
        let outside = NotDeviceMemory { address, bytes: bytes.len() as u64 };
        let to = self.place(address, bytes.len() as u64).ok_or(outside)?;
        // SAFETY: mapped (invariant) and no Rust object, so nothing overlaps.
        unsafe { to.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
        Ok(())
    }

    /// Copies from device memory.
    ///
    /// # Errors
    ///
    /// [`NotDeviceMemory`].
    pub fn read(&self, address: u64, bytes: usize) -> Result<Vec<u8>, NotDeviceMemory> {
        let outside = NotDeviceMemory { address, bytes: bytes as u64 };
        let from = self.place(address, bytes as u64).ok_or(outside)?;
        let mut copy = vec![0; bytes];
        // SAFETY: as above.
        unsafe { from.copy_to_nonoverlapping(copy.as_mut_ptr(), bytes) };
        Ok(copy)
    }
}

impl Drop for DeviceMemory {
    fn drop(&mut self) {
        // CAST: both machines have 64-bit addresses.
        let start = core::ptr::with_exposed_provenance_mut(self.address as usize);
        // SAFETY: this one's mapping (invariant), which nobody has looked up for longer.
        let unmapped = unsafe { munmap(start, self.bytes as usize) };
        debug_assert!(unmapped.is_ok(), "{unmapped:?}");
    }
}

/// A range that is not device memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{bytes} bytes at {address:#x} are not device memory")]
pub struct NotDeviceMemory {
    /// Where it starts.
    pub address: u64,
    /// How long it is.
    pub bytes: u64,
}

/// Maps a file at exactly this address.
fn map(file: BorrowedFd<'_>, address: u64, bytes: u64) -> io::Result<u64> {
    // CAST: both machines have 64-bit addresses.
    let wanted = core::ptr::without_provenance_mut(address as usize);
    let flags = MapFlags::SHARED | MapFlags::FIXED_NOREPLACE | MapFlags::NORESERVE;
    let access = ProtFlags::READ | ProtFlags::WRITE;
    // SAFETY: nothing that is mapped is replaced.
    let mapped = unsafe { mmap(wanted, bytes as usize, access, flags, file, 0) }?;
    let got = mapped.expose_provenance() as u64;
    if got == address {
        return Ok(got);
    }
    // A system, or an emulator, that takes the address for a wish.
    // SAFETY: mapped by the call above, and nobody knows of it.
    unsafe { munmap(mapped, bytes as usize) }?;
    Err(io::ErrorKind::AlreadyExists.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_as_they_were_written_and_outside_there_is_nothing() {
        let memory = DeviceMemory::new(1 << 16).unwrap();
        let last = memory.address() + memory.bytes() - 3;
        assert_eq!(memory.read(last, 3).unwrap(), [0; 3]);
        memory.write(last, &[1, 2, 3]).unwrap();
        assert_eq!(memory.read(last, 3).unwrap(), [1, 2, 3]);
        let outside = NotDeviceMemory { address: last, bytes: 4 };
        assert_eq!(memory.read(last, 4), Err(outside));
        assert_eq!(memory.write(last, &[0; 4]), Err(outside));
        assert!(memory.write(memory.address() - 1, &[0]).is_err());
        assert!(memory.read(u64::MAX, 2).is_err());
    }

    #[test]
    fn several_are_side_by_side_and_a_place_that_is_taken_is_refused() {
        let [one, two] = [1 << 20, 1 << 30].map(|bytes| DeviceMemory::new(bytes).unwrap());
        assert_ne!(one.address(), two.address());
        one.write(one.address(), &[7]).unwrap();
        assert_eq!(two.read(two.address(), 1).unwrap(), [0]);
        let file = File::from(one.file().try_clone_to_owned().unwrap());
        let refused = DeviceMemory::at(file, two.address(), one.bytes()).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::AlreadyExists);
    }

    #[test]
    fn sizes_that_cannot_be_are_refused() {
        for bytes in [0, STRIDE + 1, u64::MAX] {
            assert!(DeviceMemory::new(bytes).is_err(), "{bytes}");
        }
    }
}

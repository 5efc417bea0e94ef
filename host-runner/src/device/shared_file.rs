//! Memory that two processes map: a file without a name, all of it.
//!
//! Apart from [`SharedMemory`](super::SharedMemory), which kernels and several devices use word by word. This one is
//! raw: who has which part of it when is agreed between the two processes by other means.

use std::ffi::c_void;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::ptr::NonNull;

use rustix::fs::{FallocateFlags, MemfdFlags, fallocate, ftruncate, memfd_create};
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

/// A file and where it is mapped. Pages that nobody has touched are zero and cost nothing.
#[derive(Debug)]
pub struct SharedFile {
    file: OwnedFd,
    start: NonNull<c_void>,
    bytes: usize,
}

// SAFETY: the mapping is owned by this value, and nothing about it is bound to a thread.
unsafe impl Send for SharedFile {}
// SAFETY: as above; what is done with the bytes is up to who asks for the address.
unsafe impl Sync for SharedFile {}

impl SharedFile {
    /// Makes a file of zeros, which the system shows under a name.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn new(name: &str, bytes: usize) -> io::Result<Self> {
        let file = memfd_create(name, MemfdFlags::CLOEXEC)?;
        // CAST: usize is at most 64 bits.
        ftruncate(&file, bytes as u64)?;
        Self::map(file)
    }

    /// Maps all of a file that another process has made.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn map(file: OwnedFd) -> io::Result<Self> {
        let file = File::from(file);
        let bytes = usize::try_from(file.metadata()?.len()).map_err(io::Error::other)?;
        let access = ProtFlags::READ | ProtFlags::WRITE;
        let flags = MapFlags::SHARED | MapFlags::NORESERVE;
        // SAFETY: a new mapping at an address of the system's choice replaces nothing.
        let start = unsafe { mmap(std::ptr::null_mut(), bytes, access, flags, &file, 0)? };
        let start = NonNull::new(start).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self { file: file.into(), start, bytes })
    }

    /// The first byte, on a page.
    pub fn start(&self) -> NonNull<u8> {
        self.start.cast()
    }

    /// How many bytes there are.
    pub fn byte_len(&self) -> usize {
        self.bytes
    }

    /// Gives whole pages back to the system; they are zero afterwards.
    ///
    /// # Errors
    ///
    /// The system's; they are as they were then.
    pub fn give_back(&self, offset: usize, bytes: usize) -> io::Result<()> {
        let how = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        // CAST: (both) usize is at most 64 bits.
        Ok(fallocate(&self.file, how, offset as u64, bytes as u64)?)
    }
}

impl AsFd for SharedFile {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

impl Drop for SharedFile {
    fn drop(&mut self) {
        // SAFETY: our own mapping, unmapped once; whoever uses an address of it keeps this value.
        if let Err(error) = unsafe { munmap(self.start.as_ptr(), self.bytes) } {
            tracing::warn!(%error, "cannot unmap memory that is shared with another process");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_mappings_of_a_file_show_the_same_bytes_and_pages_given_back_are_zero() {
        let one = SharedFile::new("test", 1 << 20).unwrap();
        let other = SharedFile::map(one.as_fd().try_clone_to_owned().unwrap()).unwrap();
        assert_eq!(other.byte_len(), 1 << 20);
        assert_ne!(one.start(), other.start());
        // SAFETY: inside both mappings, which nobody else uses.
        unsafe { one.start().add(5000).write(7) };
        // SAFETY: as above.
        assert_eq!(unsafe { other.start().add(5000).read() }, 7);
        one.give_back(4096, 4096).unwrap();
        // SAFETY: as above.
        assert_eq!(unsafe { other.start().add(5000).read() }, 0);
    }
}

//! Anonymous memory and maps of files, for the floors: bare system calls with an owner.

use std::fs::File;
use std::ops::Range;
use std::ptr::{self, NonNull};

use anyhow::{Context, Result};
use rustix::mm::{MapFlags, MprotectFlags, ProtFlags, mmap, mmap_anonymous, mprotect, munmap};

use crate::fixture::facts::{Rights, Segment};

/// When pages get memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Population {
    /// One by one, by faults.
    AtFirstUse,
    /// All of them, with the mapping.
    AtOnce,
}

/// A mapping, unmapped when dropped.
pub(crate) struct Mapping {
    start: NonNull<u8>,
    bytes: usize,
}

impl Mapping {
    /// Memory that can be written.
    pub(crate) fn writable(bytes: usize, population: Population) -> Result<Self> {
        let flags = match population {
            Population::AtFirstUse => MapFlags::PRIVATE,
            Population::AtOnce => MapFlags::PRIVATE | MapFlags::POPULATE,
        };
        Self::anonymous(bytes, ProtFlags::READ | ProtFlags::WRITE, flags)
    }

    /// Addresses without memory.
    pub(crate) fn reserved(bytes: usize) -> Result<Self> {
        Self::anonymous(bytes, ProtFlags::empty(), MapFlags::PRIVATE | MapFlags::NORESERVE)
    }

    fn anonymous(bytes: usize, rights: ProtFlags, flags: MapFlags) -> Result<Self> {
        // SAFETY: a fresh mapping at an address of the system's choice touches nothing else.
        let start = unsafe { mmap_anonymous(ptr::null_mut(), bytes, rights, flags) };
        let start = start.with_context(|| format!("cannot map {bytes} bytes"))?;
        let start = NonNull::new(start.cast()).context("a mapping at address 0")?;
        Ok(Self { start, bytes })
    }

    /// Pointer to a range, which is inside.
    fn range(&self, offset: usize, bytes: usize) -> *mut u8 {
        let is_inside = offset.checked_add(bytes).is_some_and(|end| end <= self.bytes);
        assert!(is_inside, "{bytes} bytes at {offset} of {}", self.bytes);
        // SAFETY: inside the mapping, as just checked.
        unsafe { self.start.add(offset) }.as_ptr()
    }

    /// Copies bytes to `offset`, where the mapping is writable.
    pub(crate) fn write(&mut self, offset: usize, bytes: &[u8]) {
        let to = self.range(offset, bytes.len());
        // SAFETY: the range is inside the mapping, and nobody else knows of it.
        unsafe { to.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
    }

    /// Writes a byte of a page, where the mapping is writable.
    pub(crate) fn touch(&mut self, page: usize) {
        let byte = self.range(page, 1);
        // SAFETY: as in `write`; volatile, since nobody reads it.
        unsafe { byte.write_volatile(1) };
    }

    /// Gives whole pages other rights.
    pub(crate) fn protect(&self, range: Range<usize>, rights: Rights) -> Result<()> {
        let start = self.range(range.start, range.len());
        let flags = match rights {
            Rights::None => MprotectFlags::empty(),
            Rights::Read => MprotectFlags::READ,
            Rights::ReadWrite => MprotectFlags::READ | MprotectFlags::WRITE,
            Rights::ReadExecute => MprotectFlags::READ | MprotectFlags::EXEC,
        };
        // SAFETY: pages of this mapping, to which no reference exists.
        unsafe { mprotect(start.cast(), range.len(), flags) }.context("cannot change rights")
    }

    /// Puts the pages of a segment of `file` in place.
    pub(crate) fn map_file(&mut self, file: &File, segment: &Segment) -> Result<()> {
        let lead = segment.offset % rustix::param::page_size();
        let bytes = segment.file.len() + lead;
        let at = self.range(segment.offset - lead, bytes);
        let rights = match segment.rights {
            Rights::None => ProtFlags::empty(),
            Rights::Read => ProtFlags::READ,
            Rights::ReadWrite => ProtFlags::READ | ProtFlags::WRITE,
            Rights::ReadExecute => ProtFlags::READ | ProtFlags::EXEC,
        };
        let flags = MapFlags::PRIVATE | MapFlags::FIXED;
        let offset = (segment.file.start - lead) as u64;
        // SAFETY: replaces pages of this mapping only, to which no reference exists.
        unsafe { mmap(at.cast(), bytes, rights, flags, file, offset) }
            .context("cannot map a segment")?;
        Ok(())
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: our own mapping, unmapped once.
        let result = unsafe { munmap(self.start.as_ptr().cast(), self.bytes) };
        // It can only fail if the arguments are not those of a mapping.
        debug_assert_eq!(result, Ok(()));
    }
}

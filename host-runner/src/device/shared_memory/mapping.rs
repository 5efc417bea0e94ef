//! Lines of a file that several processes map.

use std::ffi::c_void;
use std::os::fd::BorrowedFd;
use std::ptr::NonNull;

use rustix::io::Errno;
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

use super::Line;

/// A shared mapping of part of a file; unmapped when it is dropped.
#[derive(Debug)]
pub(super) struct Mapping {
    start: NonNull<c_void>,
    lines: usize,
}

// SAFETY: the mapping is owned by this value and reached as atomic words only; nothing about it is
// bound to a thread.
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Maps the lines from `offset` on, a multiple of the page size. At least one line.
    ///
    /// The file has all of them, and nobody shortens it: the system ends a process that touches
    /// what is behind the end of a file.
    pub(super) fn of_file(file: BorrowedFd<'_>, offset: u64, lines: usize) -> Result<Self, Errno> {
        let bytes = lines.checked_mul(Line::BYTES).filter(|bytes| isize::try_from(*bytes).is_ok());
        let bytes = bytes.ok_or(Errno::NOMEM)?;
        let access = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a new mapping at an address of the system's choice replaces nothing.
        let start =
            unsafe { mmap(std::ptr::null_mut(), bytes, access, MapFlags::SHARED, file, offset)? };
        Ok(Self { start: NonNull::new(start).ok_or(Errno::NOMEM)?, lines })
    }

    pub(super) fn lines(&self) -> &[Line] {
        // SAFETY: `lines` lines are mapped at `start`, on a page, as long as this value is there. All
        // of them are atomic words, of which every pattern is one, so whoever else has the file may
        // change them meanwhile.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr().cast::<Line>(), self.lines) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: our own mapping, unmapped once; whoever may reach it holds a reference.
        if let Err(error) = unsafe { munmap(self.start.as_ptr(), self.lines * Line::BYTES) } {
            tracing::warn!(%error, "cannot unmap a window");
        }
    }
}

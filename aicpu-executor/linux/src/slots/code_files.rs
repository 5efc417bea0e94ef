//! What slots without a writable view ask of files in memory, one call each.
//!
//! It exists apart because every load goes through these calls, and so that each can fail in a
//! test, at will.

use core::fmt::Debug;
use core::ops::Range;

use rustix::fd::{BorrowedFd, OwnedFd};
use rustix::fs::{FallocateFlags, fallocate};
use rustix::io::{self, Errno, IoSlice, pwritev};
use rustix::process::{Resource, getrlimit};

use super::calls::{Call, note};
use super::memory_file;
use super::view::{Refusal, View};

/// The calls. Each does what its namesake of Linux does, and repeats nothing.
pub(super) trait CodeFiles: Debug {
    /// Creates a file of so many bytes, without pages.
    fn create(&self, bytes: usize) -> io::Result<OwnedFd>;

    /// Maps it over a whole slot, without any rights.
    fn map(&self, view: &mut View, file: BorrowedFd<'_>) -> Result<(), Refusal>;

    /// Writes pieces one behind the other; returns how many bytes it took.
    fn write(&self, file: BorrowedFd<'_>, pieces: &[IoSlice<'_>], offset: u64)
    -> io::Result<usize>;

    /// Gives the memory of pages back; they read as zero.
    fn punch(&self, file: BorrowedFd<'_>, pages: Range<usize>) -> io::Result<()>;
}

/// The files of this system.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct MemoryFiles;

impl CodeFiles for MemoryFiles {
    fn create(&self, bytes: usize) -> io::Result<OwnedFd> {
        memory_file::sparse(memory_file::SLOTS, bytes)
    }

    fn map(&self, view: &mut View, file: BorrowedFd<'_>) -> Result<(), Refusal> {
        view.map_shared(file)
    }

    fn write(
        &self,
        file: BorrowedFd<'_>,
        pieces: &[IoSlice<'_>],
        offset: u64,
    ) -> io::Result<usize> {
        if getrlimit(Resource::Fsize).current.is_some_and(|limit| limit <= offset) {
            // The system would end the process with a signal. A limit further on shortens the
            // write, and is met by the next one.
            return Err(Errno::FBIG);
        }
        note(Call::Write);
        pwritev(file, pieces, offset)
    }

    fn punch(&self, file: BorrowedFd<'_>, pages: Range<usize>) -> io::Result<()> {
        let how = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        // CAST: usize is 64 bits on the supported targets.
        fallocate(file, how, pages.start as u64, pages.len() as u64)
    }
}

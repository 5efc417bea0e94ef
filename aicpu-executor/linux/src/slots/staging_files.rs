//! What staging asks of a file system, one call each.
//!
//! It exists apart so that each call can fail in a test, at will, with the error of any system.

use core::ffi::CStr;
use core::fmt::Debug;
use core::ops::Range;

use aicpu_executor::loader::Protection;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, fstat, openat, statat, unlinkat};
use rustix::io::{self, Errno, pread, write};
use rustix::process::{Resource, geteuid, getrlimit};

use super::view::{Refusal, View};

/// The calls. Each does what its namesake of Linux does, and repeats nothing.
pub(super) trait StagingFiles: Debug {
    /// Opens a folder; a symbolic link is an error.
    fn open_folder(&self, path: &CStr) -> io::Result<OwnedFd>;

    /// Creates a file that nobody else can open, and that did not exist.
    fn create(&self, folder: BorrowedFd<'_>, name: &CStr) -> io::Result<OwnedFd>;

    /// Tells whether a name stands for a regular file of this user.
    fn is_own_file(&self, folder: BorrowedFd<'_>, name: &CStr) -> io::Result<bool>;

    /// Appends to a file; returns how many bytes it took.
    fn write(&self, file: BorrowedFd<'_>, bytes: &[u8]) -> io::Result<usize>;

    /// Maps pages of a file privately.
    fn map(
        &self,
        view: &mut View,
        pages: Range<usize>,
        from: (BorrowedFd<'_>, u64),
        protection: Protection,
    ) -> Result<(), Refusal>;

    /// Removes a name.
    fn remove(&self, folder: BorrowedFd<'_>, name: &CStr) -> io::Result<()>;

    /// Reads a part of a file; returns how many bytes it gave.
    fn read(&self, file: BorrowedFd<'_>, buffer: &mut [u8], offset: u64) -> io::Result<usize>;
}

/// The file systems of this machine.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct LinuxFiles;

impl StagingFiles for LinuxFiles {
    fn open_folder(&self, path: &CStr) -> io::Result<OwnedFd> {
        let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::PATH | OFlags::CLOEXEC;
        openat(CWD, path, flags, Mode::empty())
    }

    fn create(&self, folder: BorrowedFd<'_>, name: &CStr) -> io::Result<OwnedFd> {
        let flags =
            OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        openat(folder, name, flags, Mode::RWXU)
    }

    fn is_own_file(&self, folder: BorrowedFd<'_>, name: &CStr) -> io::Result<bool> {
        let found = statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)?;
        let is_file = FileType::from_raw_mode(found.st_mode) == FileType::RegularFile;
        Ok(is_file && found.st_uid == geteuid().as_raw())
    }

    fn write(&self, file: BorrowedFd<'_>, bytes: &[u8]) -> io::Result<usize> {
        // CAST: usize is 64 bits on the supported targets.
        let end =
            u64::try_from(fstat(file)?.st_size).unwrap_or(0).saturating_add(bytes.len() as u64);
        if getrlimit(Resource::Fsize).current.is_some_and(|limit| limit < end) {
            // The system would end the process with a signal.
            return Err(Errno::FBIG);
        }
        write(file, bytes)
    }

    fn map(
        &self,
        view: &mut View,
        pages: Range<usize>,
        from: (BorrowedFd<'_>, u64),
        protection: Protection,
    ) -> Result<(), Refusal> {
        view.map_private(pages.clone(), from, protection)?;
        if protection.contains(Protection::WRITE) {
            // Copies of our own, which nobody changes through the file any more.
            view.populate(pages)?;
        }
        Ok(())
    }

    fn remove(&self, folder: BorrowedFd<'_>, name: &CStr) -> io::Result<()> {
        unlinkat(folder, name, AtFlags::empty())
    }

    fn read(&self, file: BorrowedFd<'_>, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        pread(file.as_fd(), buffer, offset)
    }
}

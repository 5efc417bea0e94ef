//! Address space that is owned: mapped once, split into pieces, unmapped when a piece is dropped.
//!
//! It exists apart because everything above argues with it: a piece belongs to exactly one owner,
//! wherever that owner is moved to, so that no address of a slot can outlive its mapping.

use core::ffi::c_void;
use core::ptr::{self, NonNull};

use aicpu_executor::loader::Protection;
use aicpu_executor::log::{Level, LogRecord, emit};
use rustix::fd::BorrowedFd;
use rustix::io::{self, Errno};
use rustix::mm::{
    Advice, MapFlags, MprotectFlags, ProtFlags, madvise, mmap, mmap_anonymous, mprotect, munmap,
};
use rustix::param::page_size;

/// Whole pages of address space.
///
/// # Invariants
///
/// `start` is the first of `bytes` mapped bytes that no other value unmaps or gives rights to.
#[derive(Debug)]
pub(super) struct Region {
    start: NonNull<u8>,
    bytes: usize,
}

// SAFETY: a region owns its mapping; nothing about a mapping is bound to a thread.
unsafe impl Send for Region {}

impl Region {
    /// Takes address space for private memory, without any rights.
    pub(super) fn anonymous(bytes: usize) -> io::Result<Self> {
        let flags = MapFlags::PRIVATE | MapFlags::NORESERVE;
        // SAFETY: a fresh mapping at an address of the system's choice touches nothing else.
        let start = unsafe { mmap_anonymous(ptr::null_mut(), bytes, ProtFlags::empty(), flags) }?;
        Self::own(start, bytes)
    }

    /// Takes address space for the first `bytes` bytes of a file, shared and without any rights.
    pub(super) fn shared(file: BorrowedFd<'_>, bytes: usize) -> io::Result<Self> {
        let flags = MapFlags::SHARED | MapFlags::NORESERVE;
        // SAFETY: as above.
        let start = unsafe { mmap(ptr::null_mut(), bytes, ProtFlags::empty(), flags, file, 0) }?;
        let region = Self::own(start, bytes)?;
        // A child process would share the bytes and not know of it: it gets none of them.
        // SAFETY: our own mapping; this changes no contents.
        unsafe { madvise(start, bytes, Advice::LinuxDontFork) }?;
        Ok(region)
    }

    /// The owner of a mapping just made.
    fn own(start: *mut c_void, bytes: usize) -> io::Result<Self> {
        Ok(Self { start: NonNull::new(start.cast()).ok_or(Errno::NOMEM)?, bytes })
    }

    /// Tells whether the system allows these rights, one after the other, on memory of this kind.
    ///
    /// Tries them on the first page, which has none before and after.
    pub(super) fn try_rights(&self, steps: &[Protection]) -> io::Result<()> {
        let (start, bytes) = (self.start.as_ptr().cast(), self.bytes.min(page_size()));
        for step in steps.iter().chain(&[Protection::empty()]) {
            // SAFETY: a page of our own mapping, which nobody uses.
            unsafe { mprotect(start, bytes, flags(*step)) }?;
        }
        Ok(())
    }

    /// Splits off the first `bytes` bytes; `None`, and nothing is split, if there are fewer.
    pub(super) fn split_front(&mut self, bytes: usize) -> Option<Self> {
        let rest = self.bytes.checked_sub(bytes)?;
        let front = Self { start: self.start, bytes };
        // SAFETY: at most the end of the mapping.
        self.start = unsafe { self.start.add(bytes) };
        self.bytes = rest;
        Some(front)
    }

    /// Returns the first byte.
    pub(super) const fn start(&self) -> NonNull<u8> {
        self.start
    }

    /// Returns the length.
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        if self.bytes == 0 {
            return;
        }
        // SAFETY: our own mapping, unmapped once; nobody runs code of it any more.
        if let Err(error) = unsafe { munmap(self.start.as_ptr().cast(), self.bytes) } {
            // It stays reserved and is never handed out again, which harms nobody.
            emit(&LogRecord {
                level: Level::Warn,
                verbosity: 9,
                origin: module_path!(),
                message: format_args!("cannot unmap {:#x} bytes of code: {error}", self.bytes),
            });
        }
    }
}

/// The same rights in the system's words. Code is readable wherever it can run: its cache lines are
/// maintained through the same address.
pub(super) fn flags(protection: Protection) -> MprotectFlags {
    let mut flags = MprotectFlags::empty();
    let readable = Protection::READ | Protection::EXECUTE;
    flags.set(MprotectFlags::READ, protection.intersects(readable));
    flags.set(MprotectFlags::WRITE, protection.contains(Protection::WRITE));
    flags.set(MprotectFlags::EXEC, protection.contains(Protection::EXECUTE));
    flags
}

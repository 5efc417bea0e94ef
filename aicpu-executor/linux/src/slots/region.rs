//! Address space that is owned: mapped once, split into pieces, unmapped when a piece is dropped.
//!
//! It exists apart because everything above argues with it: a piece belongs to exactly one owner,
//! wherever that owner is moved to, so that no address of a slot can outlive its mapping.

use core::ffi::c_void;
use core::ptr::{self, NonNull};
use core::slice;

use aicpu_executor::loader::Protection;
use aicpu_executor::log::{Level, LogRecord, Place, emit};
use rustix::fd::BorrowedFd;
use rustix::fs::{SealFlags, fcntl_get_seals, fstat};
use rustix::io::{self, Errno};
use rustix::mm::{
    Advice, MapFlags, MprotectFlags, ProtFlags, madvise, mmap, mmap_anonymous, mprotect, munmap,
};
use rustix::param::page_size;

use super::calls::{Call, note};

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
        note(Call::Map);
        // SAFETY: a fresh mapping at an address of the system's choice touches nothing else.
        let start = unsafe { mmap_anonymous(ptr::null_mut(), bytes, ProtFlags::empty(), flags) }?;
        Self::own(start, bytes)
    }

    /// Takes memory that can be read and written, all zero; pages come when they are touched.
    pub(super) fn zeroed(bytes: usize) -> io::Result<Self> {
        let access = ProtFlags::READ | ProtFlags::WRITE;
        let flags = MapFlags::PRIVATE | MapFlags::NORESERVE;
        note(Call::Map);
        // SAFETY: as above.
        let start = unsafe { mmap_anonymous(ptr::null_mut(), bytes, access, flags) }?;
        Self::own(start, bytes)
    }

    /// Takes address space for drafts: private memory, without any rights, of which neither a child
    /// process nor a core dump has any use.
    pub(super) fn drafts(bytes: usize) -> io::Result<Self> {
        let region = Self::anonymous(bytes)?;
        for advice in [Advice::LinuxDontFork, Advice::LinuxDontDump] {
            note(Call::Advise);
            // SAFETY: our own mapping; this changes no contents.
            unsafe { madvise(region.start.as_ptr().cast(), bytes, advice) }?;
        }
        Ok(region)
    }

    /// Takes address space for the first `bytes` bytes of a file, shared and without any rights.
    pub(super) fn shared(file: BorrowedFd<'_>, bytes: usize) -> io::Result<Self> {
        let flags = MapFlags::SHARED | MapFlags::NORESERVE;
        note(Call::Map);
        // SAFETY: as above.
        let start = unsafe { mmap(ptr::null_mut(), bytes, ProtFlags::empty(), flags, file, 0) }?;
        let region = Self::own(start, bytes)?;
        // A child process would share the bytes and not know of it: it gets none of them.
        note(Call::Advise);
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
            note(Call::Protect);
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

    /// Gives up the mapping without unmapping it: part of it may be somebody else's by now.
    pub(super) const fn abandon(&mut self) {
        self.bytes = 0;
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
                place: Some(Place::here()),
                message: format_args!("cannot unmap {:#x} bytes of code: {error}", self.bytes),
            });
        }
    }
}

/// The bytes of a file that nobody can change.
#[derive(Debug)]
pub(super) struct SealedBytes(Region);

impl SealedBytes {
    /// Maps the first `bytes` bytes of a file, which must be sealed and that long.
    pub(super) fn map(file: BorrowedFd<'_>, bytes: usize) -> io::Result<Self> {
        let is_sealed = fcntl_get_seals(file)?.contains(SealFlags::WRITE | SealFlags::SHRINK);
        // CAST: usize is 64 bits on the supported targets.
        if !is_sealed || u64::try_from(fstat(file)?.st_size).unwrap_or(0) < bytes as u64 {
            return Err(Errno::PERM);
        }
        // Private: a shared mapping of such a file is refused by Linux before 6.7.
        let (access, flags) = (ProtFlags::READ, MapFlags::PRIVATE);
        // SAFETY: a fresh mapping at an address of the system's choice touches nothing else.
        let start = unsafe { mmap(ptr::null_mut(), bytes, access, flags, file, 0) }?;
        Region::own(start, bytes).map(Self)
    }

    /// Returns them.
    pub(super) const fn as_bytes(&self) -> &[u8] {
        // SAFETY: mapped readable for as long as this value lives, inside the file; nobody can
        // write to the file or shorten it, and the mapping is not writable.
        unsafe { slice::from_raw_parts(self.0.start.as_ptr(), self.0.bytes) }
    }
}

// SAFETY: bytes that nobody can change may be read from any thread.
unsafe impl Sync for SealedBytes {}

/// The same rights in the system's words. Code is readable wherever it can run: its cache lines are
/// maintained through the same address.
pub(super) fn flags(protection: Protection) -> MprotectFlags {
    let mut flags = MprotectFlags::empty();
    let readable = Protection::READ | Protection::EXECUTE;
    flags.set(MprotectFlags::READ, protection.intersects(readable));
    flags.set(MprotectFlags::WRITE, protection.contains(Protection::WRITE));
    flags.set(MprotectFlags::EXEC, protection.contains(Protection::EXECUTE));
    #[cfg(target_arch = "aarch64")]
    flags.set(MprotectFlags::BTI, are_branches_checked(protection));
    flags
}

/// Tells whether indirect branches into pages are to be checked: the image has landing pads, and
/// the processor knows them. A kernel that does not refuses the flag.
#[cfg(target_arch = "aarch64")]
fn are_branches_checked(protection: Protection) -> bool {
    /// `HWCAP2_BTI` of Linux, `asm/hwcap.h`.
    const HWCAP2_BTI: usize = 1 << 17;
    protection.contains(Protection::EXECUTE | Protection::BRANCH_TARGETS)
        && rustix::param::linux_hwcap().1 & HWCAP2_BTI != 0
}

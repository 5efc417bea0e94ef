//! Executable memory for one orchestration image, by `mmap`, `mprotect` and `munmap`.
//!
//! A reservation is one mapping that is taken without any rights; the image gets the aligned
//! middle of it. At least a page in front and one behind stay inaccessible, so that a stray access
//! of loaded code faults at once:
//!
//! ```text
//!  mapping ─► │ guard, padding │ base: the image's pages │ padding, guard │
//!             │ no access      │ writable, then sealed   │ no access      │
//! ```
//!
//! The loader writes the image while it is writable and then gives each page its final rights.
//! They are recorded as well (`page_rights`), so that a write to a sealed
//! page is an error and not a fault.

use core::ffi::c_void;
use core::ops::Range;
use core::ptr::{self, NonNull};

use aicpu_executor::loader::{CodeMemory, MemoryError, MemoryOperation, Protection};
use aicpu_executor::log::{Level, LogRecord, emit};
use rustix::io::Errno;
use rustix::mm::{MapFlags, MprotectFlags, ProtFlags, mmap_anonymous, mprotect, munmap};
use rustix::param::page_size;

use crate::cache;
use crate::page_rights::PageRights;

/// Memory for one image; empty until reserved. Dropping it gives the memory back.
#[derive(Debug, Default)]
pub struct LinuxCodeMemory {
    reservation: Option<Reservation>,
}

impl LinuxCodeMemory {
    /// Memory without a reservation.
    #[must_use]
    pub const fn new() -> Self {
        Self { reservation: None }
    }

    /// Whether there is a reservation.
    #[must_use]
    pub const fn is_reserved(&self) -> bool {
        self.reservation.is_some()
    }

    /// Pointer to a range of the reservation whose pages all have `needed`.
    fn range(&self, request: Request, needed: Protection) -> Result<NonNull<u8>, MemoryError> {
        self.reservation.as_ref().ok_or_else(|| request.refused())?.range(request, needed)
    }
}

/// What an operation was about, for its error.
#[derive(Clone, Copy)]
struct Request {
    operation: MemoryOperation,
    offset: usize,
    length: usize,
}

impl Request {
    /// The error of a range that is not allowed.
    fn refused(self) -> MemoryError {
        let Self { operation, offset, length } = self;
        MemoryError { operation, offset, length, os_error: 0 }
    }

    /// The error of a system call.
    fn failed(self, error: Errno) -> MemoryError {
        MemoryError { os_error: error.raw_os_error(), ..self.refused() }
    }
}

/// A mapping and the part of it that the image uses.
#[derive(Debug)]
struct Reservation {
    /// Start and bytes of the whole mapping.
    mapping: NonNull<c_void>,
    mapped: usize,
    /// Start of the image's part.
    base: NonNull<u8>,
    /// Bytes of a page.
    page: usize,
    /// Rights of the pages from `base` on.
    rights: PageRights,
}

// SAFETY: the mapping belongs to this value alone; nothing about it is bound to a thread.
unsafe impl Send for Reservation {}

impl Reservation {
    /// Maps what the request asks for, readable and writable.
    fn map(request: Request, align: usize) -> Result<Self, MemoryError> {
        let (page, span) = (page_size(), request.length);
        if span == 0 || !span.is_multiple_of(page) || !align.is_power_of_two() || align < page {
            return Err(request.refused());
        }
        let pages = u32::try_from(span / page).map_err(|_| request.refused())?;
        // In front of the span a page and the way to the next multiple of `align`, at most
        // `align - page`; a page behind it.
        let mapped = span.checked_add(align).and_then(|bytes| bytes.checked_add(page));
        let mapped = mapped.ok_or_else(|| request.refused())?;
        // SAFETY: a fresh mapping at an address of the system's choice touches nothing else.
        let mapping = unsafe {
            mmap_anonymous(ptr::null_mut(), mapped, ProtFlags::empty(), MapFlags::PRIVATE)
        };
        let mapping = mapping.map_err(|error| request.failed(error))?;
        let mapping = NonNull::new(mapping).ok_or_else(|| request.refused())?;
        let start = mapping.addr().get();
        let lead = (start + page).next_multiple_of(align) - start;
        // SAFETY: `lead <= align`, and so `lead + span + page <= mapped`.
        let base = unsafe { mapping.byte_add(lead) }.cast::<u8>();
        // From here on the mapping has an owner, and a failure below gives it back.
        let reservation = Self { mapping, mapped, base, page, rights: PageRights::new(pages) };
        let writable = MprotectFlags::READ | MprotectFlags::WRITE;
        // SAFETY: pages of the mapping just made, which nobody uses yet.
        unsafe { mprotect(base.as_ptr().cast(), span, writable) }
            .map_err(|error| request.failed(error))?;
        Ok(reservation)
    }

    /// Pointer to a range whose pages all have `needed`.
    fn range(&self, request: Request, needed: Protection) -> Result<NonNull<u8>, MemoryError> {
        let pages = self.pages(request)?;
        if !self.rights.allow(pages, needed) {
            return Err(request.refused());
        }
        // SAFETY: its pages are inside the reservation, as just checked.
        Ok(unsafe { self.base.add(request.offset) })
    }

    /// Numbers of the pages that a request touches, there or not.
    fn pages(&self, request: Request) -> Result<Range<usize>, MemoryError> {
        let Request { offset, length, .. } = request;
        let end = offset.checked_add(length).ok_or_else(|| request.refused())?;
        // An empty range touches none; it still has to be inside, up to the end.
        let first = if length == 0 { offset.div_ceil(self.page) } else { offset / self.page };
        Ok(first..end.div_ceil(self.page))
    }

    /// Gives whole pages other rights.
    fn protect(&mut self, request: Request, protection: Protection) -> Result<(), MemoryError> {
        let start = self.range(request, Protection::empty())?;
        let pages = self.pages(request)?;
        // If the system fails it may have changed some of the pages: nobody uses them then.
        if !self.rights.set(pages.clone(), Protection::empty()) {
            return Err(request.refused());
        }
        // SAFETY: whole pages of the reservation; no reference to them exists.
        unsafe { mprotect(start.as_ptr().cast(), request.length, flags(protection)) }
            .map_err(|error| request.failed(error))?;
        // The same pages again: they replace the change above, so that there is room.
        if self.rights.set(pages, protection) { Ok(()) } else { Err(request.refused()) }
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        // SAFETY: our own mapping, unmapped once; nobody runs code of it any more.
        if let Err(error) = unsafe { munmap(self.mapping.as_ptr(), self.mapped) } {
            // It stays reserved and is never handed out again, which harms nobody.
            emit(&LogRecord {
                level: Level::Warn,
                verbosity: 9,
                origin: module_path!(),
                message: format_args!("cannot unmap the code of an orchestration: {error}"),
            });
        }
    }
}

impl CodeMemory for LinuxCodeMemory {
    fn page_bytes(&self) -> usize {
        page_size()
    }

    fn reserve(&mut self, span: usize, align: usize) -> Result<u64, MemoryError> {
        let request = Request { operation: MemoryOperation::Reserve, offset: 0, length: span };
        if self.is_reserved() {
            return Err(request.refused());
        }
        let reservation = self.reservation.insert(Reservation::map(request, align)?);
        // CAST: usize is 64 bits on the supported targets. Exposed: code is called by number.
        Ok(reservation.base.as_ptr().expose_provenance() as u64)
    }

    fn write(&mut self, offset: usize, bytes: &[u8]) -> Result<(), MemoryError> {
        let length = bytes.len();
        let request = Request { operation: MemoryOperation::Write, offset, length };
        let to = self.range(request, Protection::WRITE)?;
        // SAFETY: the range is inside the reservation, writable, and borrowed exclusively.
        unsafe { to.as_ptr().copy_from_nonoverlapping(bytes.as_ptr(), length) };
        Ok(())
    }

    fn read(&self, offset: usize, bytes: &mut [u8]) -> Result<(), MemoryError> {
        let length = bytes.len();
        let request = Request { operation: MemoryOperation::Read, offset, length };
        let from = self.range(request, Protection::READ)?;
        // SAFETY: the range is inside the reservation and readable.
        unsafe { from.as_ptr().copy_to_nonoverlapping(bytes.as_mut_ptr(), length) };
        Ok(())
    }

    fn zero(&mut self, offset: usize, length: usize) -> Result<(), MemoryError> {
        let request = Request { operation: MemoryOperation::Zero, offset, length };
        let to = self.range(request, Protection::WRITE)?;
        // SAFETY: the range is inside the reservation, writable, and borrowed exclusively.
        unsafe { to.as_ptr().write_bytes(0, length) };
        Ok(())
    }

    fn protect(
        &mut self,
        offset: usize,
        length: usize,
        protection: Protection,
    ) -> Result<(), MemoryError> {
        let request = Request { operation: MemoryOperation::Protect, offset, length };
        let reservation = self.reservation.as_mut().ok_or_else(|| request.refused())?;
        let page = reservation.page;
        let whole = offset.is_multiple_of(page) && length.is_multiple_of(page);
        if !whole || protection.contains(Protection::WRITE | Protection::EXECUTE) {
            return Err(request.refused());
        }
        // Code is readable too: cache maintenance by address needs that on AArch64.
        let is_code = protection.contains(Protection::EXECUTE);
        let implied = if is_code { Protection::READ } else { Protection::empty() };
        reservation.protect(request, protection | implied)
    }

    fn sync_instruction_cache(&mut self, offset: usize, length: usize) -> Result<(), MemoryError> {
        let operation = MemoryOperation::SyncInstructionCache;
        let request = Request { operation, offset, length };
        let start = self.range(request, Protection::READ)?;
        // CAST: usize is 64 bits on the supported targets.
        cache::publish_instructions(start.addr().get() as u64, length);
        Ok(())
    }

    fn release(&mut self) {
        self.reservation = None;
    }
}

/// The same rights in the system's words.
fn flags(protection: Protection) -> MprotectFlags {
    let mut flags = MprotectFlags::empty();
    flags.set(MprotectFlags::READ, protection.contains(Protection::READ));
    flags.set(MprotectFlags::WRITE, protection.contains(Protection::WRITE));
    flags.set(MprotectFlags::EXEC, protection.contains(Protection::EXECUTE));
    flags
}

#[cfg(test)]
mod tests;

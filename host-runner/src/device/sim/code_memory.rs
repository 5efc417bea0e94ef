//! Executable memory of the simulated AICPU, for one orchestration image.
//!
//! A reservation is one mapping with a page without access at both ends. The loader writes it
//! while it is writable and then gives each page its final rights; rights are recorded here, so
//! that a write to a sealed page is an error and not a fault.

use std::ffi::c_void;
use std::ptr::NonNull;

use aicpu_executor::loader::{CodeMemory, MemoryError, MemoryOperation, Protection};
use rustix::mm::{MapFlags, MprotectFlags, ProtFlags, mmap_anonymous, mprotect, munmap};
use rustix::param::page_size;

/// Memory for one image; empty until reserved.
#[derive(Debug, Default)]
pub struct SimCodeMemory {
    reservation: Option<Reservation>,
}

/// A mapping and the part of it that the image uses.
#[derive(Debug)]
struct Reservation {
    mapping: NonNull<c_void>,
    mapped: usize,
    base: NonNull<u8>,
    /// Rights of each page from `base` on.
    pages: Vec<Protection>,
    page: usize,
}

// SAFETY: the mapping is owned by this value; nothing about it is bound to a thread.
unsafe impl Send for Reservation {}
// SAFETY: through a shared reference it is only read.
unsafe impl Sync for Reservation {}

/// What an operation was about, for its error.
#[derive(Clone, Copy)]
struct Request {
    operation: MemoryOperation,
    offset: usize,
    length: usize,
}

impl Request {
    fn refused(self) -> MemoryError {
        self.failed(0)
    }

    fn failed(self, os_error: i32) -> MemoryError {
        let Self { operation, offset, length } = self;
        MemoryError { operation, offset, length, os_error }
    }
}

impl Reservation {
    fn map(request: Request, align: usize) -> Result<Self, MemoryError> {
        let (page, span) = (page_size(), request.length);
        if span == 0 || !span.is_multiple_of(page) || !align.is_power_of_two() || align < page {
            return Err(request.refused());
        }
        let mapped = span
            .checked_add(align)
            .and_then(|bytes| bytes.checked_add(2 * page))
            .ok_or_else(|| request.refused())?;
        // SAFETY: a new mapping at an address of the system's choice.
        let mapping = unsafe {
            let flags = MapFlags::PRIVATE | MapFlags::NORESERVE;
            mmap_anonymous(core::ptr::null_mut(), mapped, ProtFlags::empty(), flags)
        };
        let mapping = mapping.map_err(|error| request.failed(error.raw_os_error()))?;
        let mapping = NonNull::new(mapping).ok_or_else(|| request.refused())?;
        let first = mapping.as_ptr().expose_provenance() + page;
        let lead = first.next_multiple_of(align) - first + page;
        // SAFETY: `lead + span + page <= mapped`, because `lead < align + page`.
        let base = unsafe { mapping.byte_add(lead) }.cast::<u8>();
        let writable = Protection::READ | Protection::WRITE;
        let pages = vec![writable; span / page];
        let reservation = Self { mapping, mapped, base, pages, page };
        let rights = MprotectFlags::READ | MprotectFlags::WRITE;
        // SAFETY: pages of the mapping just made, which nobody uses yet.
        unsafe { mprotect(base.as_ptr().cast(), span, rights) }
            .map_err(|error| request.failed(error.raw_os_error()))?;
        Ok(reservation)
    }

    /// Pointer to a range whose pages all have `needed`.
    fn range(&self, request: Request, needed: Protection) -> Result<NonNull<u8>, MemoryError> {
        let end = request.offset.checked_add(request.length);
        let end = end.filter(|&end| end <= self.pages.len() * self.page);
        let end = end.ok_or_else(|| request.refused())?;
        let pages = request.offset / self.page..end.div_ceil(self.page);
        // An empty range at a page's end names no page.
        let rights = self.pages.get(pages).unwrap_or(&[]);
        if !rights.iter().all(|page| page.contains(needed)) {
            return Err(request.refused());
        }
        // SAFETY: checked above: inside the reservation.
        Ok(unsafe { self.base.add(request.offset) })
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        // SAFETY: our own mapping, unmapped once; nobody runs code of it any more.
        if let Err(error) = unsafe { munmap(self.mapping.as_ptr(), self.mapped) } {
            tracing::warn!(%error, "cannot unmap the code of an orchestration");
        }
    }
}

impl SimCodeMemory {
    fn range(&self, request: Request, needed: Protection) -> Result<NonNull<u8>, MemoryError> {
        self.reservation.as_ref().ok_or_else(|| request.refused())?.range(request, needed)
    }
}

impl CodeMemory for SimCodeMemory {
    fn page_bytes(&self) -> usize {
        page_size()
    }

    fn reserve(&mut self, span: usize, align: usize) -> Result<u64, MemoryError> {
        let request = Request { operation: MemoryOperation::Reserve, offset: 0, length: span };
        if self.reservation.is_some() {
            return Err(request.refused());
        }
        let reservation = Reservation::map(request, align)?;
        // CAST: usize is 64 bits on the supported targets. Exposed: code is called by number.
        let base = reservation.base.as_ptr().expose_provenance() as u64;
        self.reservation = Some(reservation);
        Ok(base)
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
        let page = page_size();
        let whole = offset.is_multiple_of(page) && length.is_multiple_of(page);
        if !whole || protection.contains(Protection::WRITE | Protection::EXECUTE) {
            return Err(request.refused());
        }
        let start = self.range(request, Protection::empty())?;
        // SAFETY: whole pages of the reservation; no reference to them exists.
        unsafe { mprotect(start.as_ptr().cast(), length, rights(protection)) }
            .map_err(|error| request.failed(error.raw_os_error()))?;
        if let Some(reservation) = &mut self.reservation {
            reservation.pages[offset / page..(offset + length) / page].fill(protection);
        }
        Ok(())
    }

    fn sync_instruction_cache(&mut self, offset: usize, length: usize) -> Result<(), MemoryError> {
        let operation = MemoryOperation::SyncInstructionCache;
        let request = Request { operation, offset, length };
        let start = self.range(request, Protection::empty())?;
        instruction_cache::synchronise(start.as_ptr(), length);
        Ok(())
    }

    fn release(&mut self) {
        self.reservation = None;
    }
}

fn rights(protection: Protection) -> MprotectFlags {
    [
        (Protection::READ, MprotectFlags::READ),
        (Protection::WRITE, MprotectFlags::WRITE),
        (Protection::EXECUTE, MprotectFlags::EXEC),
    ]
    .into_iter()
    .filter(|(right, _)| protection.contains(*right))
    .fold(MprotectFlags::empty(), |all, (_, right)| all | right)
}

mod instruction_cache;

#[cfg(test)]
mod tests;

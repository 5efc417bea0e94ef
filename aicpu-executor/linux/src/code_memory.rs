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
//! The loader writes the image while it is writable; sealing gives each page its final rights.

use core::ffi::c_void;
use core::ptr::{self, NonNull};
use core::slice;

use aicpu_executor::loader::{
    CodeMemory, MemoryError, MemoryOperation, PageRun, Plan, Protection, copy_segments,
};
use aicpu_executor::log::{Level, LogRecord, emit};
use rustix::io::Errno;
use rustix::mm::{MapFlags, MprotectFlags, ProtFlags, mmap_anonymous, mprotect, munmap};
use rustix::param::page_size;

use crate::cache;

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
    /// Start and bytes of the image's part.
    base: NonNull<u8>,
    span: usize,
    /// Whether the pages have their final rights.
    sealed: bool,
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
        let reservation = Self { mapping, mapped, base, span, sealed: false };
        let writable = MprotectFlags::READ | MprotectFlags::WRITE;
        // SAFETY: pages of the mapping just made, which nobody uses yet.
        unsafe { mprotect(base.as_ptr().cast(), span, writable) }
            .map_err(|error| request.failed(error))?;
        Ok(reservation)
    }

    /// The bytes of the image, while they are writable.
    fn bytes(&mut self) -> Option<&mut [u8]> {
        // SAFETY: the pages of the span are mapped readable and writable until the image is
        // sealed, zeroed by the system at least, and borrowed exclusively.
        (!self.sealed).then(|| unsafe { slice::from_raw_parts_mut(self.base.as_ptr(), self.span) })
    }

    /// Gives whole pages of the span their final rights.
    fn protect(&self, run: &PageRun) -> Result<(), MemoryError> {
        let operation = MemoryOperation::Protect;
        let request = Request { operation, offset: run.offset, length: run.bytes };
        let whole = run.offset.is_multiple_of(page_size()) && run.bytes.is_multiple_of(page_size());
        let inside = run.offset.checked_add(run.bytes).is_some_and(|end| end <= self.span);
        if !whole || !inside || run.protection.contains(Protection::WRITE | Protection::EXECUTE) {
            return Err(request.refused());
        }
        // SAFETY: whole pages of the span, as just checked; no reference to them exists.
        unsafe {
            let start = self.base.add(run.offset).as_ptr().cast();
            mprotect(start, run.bytes, flags(run.protection))
        }
        .map_err(|error| request.failed(error))?;
        if run.protection.contains(Protection::EXECUTE) {
            // CAST: usize is 64 bits on the supported targets.
            let address = self.base.addr().get() as u64 + run.offset as u64;
            cache::publish_instructions(address, run.bytes);
        }
        Ok(())
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

    fn place(&mut self, plan: &Plan<'_>) -> Result<u64, MemoryError> {
        let request =
            Request { operation: MemoryOperation::Reserve, offset: 0, length: plan.span() };
        if self.is_reserved() {
            return Err(request.refused());
        }
        let mut reservation = Reservation::map(request, plan.align())?;
        copy_segments(plan, reservation.bytes().unwrap_or_default())?;
        // CAST: usize is 64 bits on the supported targets. Exposed: code is called by number.
        let base = reservation.base.as_ptr().expose_provenance() as u64;
        self.reservation = Some(reservation);
        Ok(base)
    }

    fn writable(&mut self, offset: usize, bytes: usize) -> Result<&mut [u8], MemoryError> {
        let refused = Request { operation: MemoryOperation::Write, offset, length: bytes };
        let range = offset..offset.checked_add(bytes).ok_or(refused.refused())?;
        self.reservation
            .as_mut()
            .and_then(Reservation::bytes)
            .and_then(|all| all.get_mut(range))
            .ok_or(refused.refused())
    }

    fn seal(&mut self, plan: &Plan<'_>) -> Result<(), MemoryError> {
        let request =
            Request { operation: MemoryOperation::Protect, offset: 0, length: plan.span() };
        let reservation = self.reservation.as_mut().ok_or(request.refused())?;
        reservation.sealed = true;
        plan.pages().runs().iter().try_for_each(|run| reservation.protect(run))
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

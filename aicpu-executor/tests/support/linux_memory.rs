//! Code memory over `mmap`, with guard pages on both sides.
//!
//! One mapping is taken without any rights; the image gets the aligned middle of it. What lies in
//! front and behind stays inaccessible, so that a stray access of loaded code faults at once.

use std::ffi::c_void;
use std::ptr;

use aicpu_executor::loader::{CodeMemory, MemoryError, MemoryOperation, Protection};
use rustix::mm::{MapFlags, MprotectFlags, ProtFlags, mmap_anonymous, mprotect, munmap};

/// Bytes without rights on each side.
const GUARD_BYTES: usize = 64 * 1024;

/// One slot of mapped memory, empty or reserved.
pub struct LinuxMemory {
    mapping: Option<Mapping>,
}

struct Mapping {
    /// Start of the whole mapping.
    start: *mut c_void,
    /// Bytes of the whole mapping.
    bytes: usize,
    /// Start of the reservation.
    base: *mut u8,
    /// Bytes of the reservation.
    span: usize,
}

impl LinuxMemory {
    /// Creates an empty slot.
    pub fn new() -> Self {
        Self { mapping: None }
    }

    /// Tells whether the slot holds a reservation.
    pub fn is_reserved(&self) -> bool {
        self.mapping.is_some()
    }

    /// Returns the address of a range, if it is inside the reservation.
    fn range(
        &self,
        operation: MemoryOperation,
        offset: usize,
        length: usize,
    ) -> Result<*mut u8, MemoryError> {
        self.mapping
            .as_ref()
            .filter(|mapping| offset.checked_add(length).is_some_and(|end| end <= mapping.span))
            .map(|mapping| mapping.base.wrapping_add(offset))
            .ok_or(MemoryError { operation, offset, length, os_error: 0 })
    }
}

/// Maps an error number of the system.
fn failed(
    operation: MemoryOperation,
    offset: usize,
    length: usize,
) -> impl Fn(rustix::io::Errno) -> MemoryError {
    move |error| MemoryError { operation, offset, length, os_error: error.raw_os_error() }
}

impl CodeMemory for LinuxMemory {
    fn page_bytes(&self) -> usize {
        rustix::param::page_size()
    }

    fn reserve(&mut self, span: usize, align: usize) -> Result<u64, MemoryError> {
        let operation = MemoryOperation::Reserve;
        let refused = MemoryError { operation, offset: 0, length: span, os_error: 0 };
        if self.mapping.is_some() {
            return Err(refused);
        }
        let bytes = span.checked_add(align + 2 * GUARD_BYTES).ok_or(refused)?;
        // SAFETY: a fresh mapping at an address of the kernel's choice touches nothing else.
        let start = unsafe {
            mmap_anonymous(ptr::null_mut(), bytes, ProtFlags::empty(), MapFlags::PRIVATE)
        }
        .map_err(failed(operation, 0, span))?;
        let guarded = start.cast::<u8>().wrapping_add(GUARD_BYTES);
        let base = guarded.wrapping_add(guarded.addr().next_multiple_of(align) - guarded.addr());
        // SAFETY: the range is inside the mapping just made: bytes covers guard, padding and span.
        unsafe { mprotect(base.cast(), span, MprotectFlags::READ | MprotectFlags::WRITE) }
            .map_err(failed(operation, 0, span))?;
        self.mapping = Some(Mapping { start, bytes, base, span });
        Ok(base.expose_provenance() as u64)
    }

    fn write(&mut self, offset: usize, bytes: &[u8]) -> Result<(), MemoryError> {
        let to = self.range(MemoryOperation::Write, offset, bytes.len())?;
        // SAFETY: the range is inside the reservation, which is this value's alone and writable
        // until the loader seals it; the loader writes nothing after that.
        unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), to, bytes.len()) };
        Ok(())
    }

    fn read(&self, offset: usize, bytes: &mut [u8]) -> Result<(), MemoryError> {
        let from = self.range(MemoryOperation::Read, offset, bytes.len())?;
        // SAFETY: the range is inside the reservation, and readable until it is sealed.
        unsafe { ptr::copy_nonoverlapping(from, bytes.as_mut_ptr(), bytes.len()) };
        Ok(())
    }

    fn zero(&mut self, offset: usize, length: usize) -> Result<(), MemoryError> {
        let to = self.range(MemoryOperation::Zero, offset, length)?;
        // SAFETY: as in `write`.
        unsafe { ptr::write_bytes(to, 0, length) };
        Ok(())
    }

    fn protect(
        &mut self,
        offset: usize,
        length: usize,
        protection: Protection,
    ) -> Result<(), MemoryError> {
        let operation = MemoryOperation::Protect;
        let start = self.range(operation, offset, length)?;
        if protection.contains(Protection::WRITE | Protection::EXECUTE) {
            return Err(MemoryError { operation, offset, length, os_error: 0 });
        }
        let mut flags = MprotectFlags::empty();
        flags.set(MprotectFlags::READ, protection.contains(Protection::READ));
        flags.set(MprotectFlags::WRITE, protection.contains(Protection::WRITE));
        flags.set(MprotectFlags::EXEC, protection.contains(Protection::EXECUTE));
        // SAFETY: the range is inside the reservation; no Rust reference points into it.
        unsafe { mprotect(start.cast(), length, flags) }.map_err(failed(operation, offset, length))
    }

    fn sync_instruction_cache(&mut self, offset: usize, length: usize) -> Result<(), MemoryError> {
        // The tests that call loaded code run on x86-64, whose caches are coherent.
        self.range(MemoryOperation::SyncInstructionCache, offset, length).map(|_| ())
    }

    fn release(&mut self) {
        if let Some(mapping) = self.mapping.take() {
            // SAFETY: exactly the mapping that `reserve` made; the test calls nothing in it again.
            let unmapped = unsafe { munmap(mapping.start, mapping.bytes) };
            unmapped.expect("a mapping of our own can be unmapped");
        }
    }
}

impl Drop for LinuxMemory {
    fn drop(&mut self) {
        self.release();
    }
}

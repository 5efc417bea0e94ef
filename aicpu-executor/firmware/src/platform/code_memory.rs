//! Code memory by `mmap`, `mprotect` and `munmap`, with guard pages on both sides.
//!
//! One mapping is taken without any rights; the image gets the aligned middle of it. What lies in
//! front and behind stays inaccessible, so that a stray access of loaded code faults at once.

use core::ffi::c_void;
use core::ptr;

use aicpu_executor::loader::{CodeMemory, MemoryError, MemoryOperation, Protection};
use rustix::io::Errno;
use rustix::mm::{MapFlags, MprotectFlags, ProtFlags, mmap_anonymous, mprotect, munmap};

use super::cache;

/// Bytes without rights on each side: the largest page that Linux uses on these processors.
const GUARD_BYTES: usize = 64 * 1024;

/// Memory of one image, or none yet.
#[derive(Debug)]
pub(crate) struct LinuxCodeMemory {
    mapping: Option<Mapping>,
}

/// A mapping and the reservation inside it.
#[derive(Debug)]
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

// SAFETY: the mapping belongs to this value alone, and no thread owns an address.
unsafe impl Send for LinuxCodeMemory {}

impl LinuxCodeMemory {
    /// Memory without a reservation.
    pub(crate) const fn new() -> Self {
        Self { mapping: None }
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
) -> impl Fn(Errno) -> MemoryError {
    move |error| MemoryError { operation, offset, length, os_error: error.raw_os_error() }
}

impl CodeMemory for LinuxCodeMemory {
    fn page_bytes(&self) -> usize {
        rustix::param::page_size()
    }

    fn reserve(&mut self, span: usize, align: usize) -> Result<u64, MemoryError> {
        let operation = MemoryOperation::Reserve;
        let refused = MemoryError { operation, offset: 0, length: span, os_error: 0 };
        if self.mapping.is_some() || span == 0 || !align.is_power_of_two() {
            return Err(refused);
        }
        let extra = align.checked_add(2 * GUARD_BYTES).ok_or(refused)?;
        let bytes = span.checked_add(extra).ok_or(refused)?;
        // SAFETY: a fresh mapping at an address of the kernel's choice touches nothing else.
        let start = unsafe {
            mmap_anonymous(ptr::null_mut(), bytes, ProtFlags::empty(), MapFlags::PRIVATE)
        }
        .map_err(failed(operation, 0, span))?;
        let guarded = start.cast::<u8>().wrapping_add(GUARD_BYTES);
        let base = guarded.wrapping_add(guarded.addr().next_multiple_of(align) - guarded.addr());
        // From here on the mapping is this value's, and a failure below gives it back.
        self.mapping = Some(Mapping { start, bytes, base, span });
        // SAFETY: the range is inside the mapping just made: `bytes` covers guard, padding, span.
        let opened =
            unsafe { mprotect(base.cast(), span, MprotectFlags::READ | MprotectFlags::WRITE) };
        if let Err(error) = opened {
            self.release();
            return Err(failed(operation, 0, span)(error));
        }
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
        let start = self.range(MemoryOperation::SyncInstructionCache, offset, length)?;
        cache::publish_instructions(start.addr() as u64, length);
        Ok(())
    }

    fn release(&mut self) {
        if let Some(mapping) = self.mapping.take() {
            // SAFETY: exactly the mapping that `reserve` made; the loader has left its code.
            let unmapped = unsafe { munmap(mapping.start, mapping.bytes) };
            // Unmapping one's own mapping fails only if the kernel is out of memory for the split
            // of a region; the range then stays reserved, which harms nobody.
            let _kept = unmapped;
        }
    }
}

impl Drop for LinuxCodeMemory {
    fn drop(&mut self) {
        self.release();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The error of a range that is refused without asking the system.
    fn refused(operation: MemoryOperation, offset: usize, length: usize) -> MemoryError {
        MemoryError { operation, offset, length, os_error: 0 }
    }

    #[test]
    fn a_reservation_is_aligned_and_holds_what_is_written() {
        let mut memory = LinuxCodeMemory::new();
        let page = memory.page_bytes();
        let base = memory.reserve(2 * page, 1 << 21).expect("two pages are to be had");
        assert_eq!(base % (1 << 21), 0);
        memory.write(2 * page - 3, b"end").expect("inside");
        memory.zero(2 * page - 3, 1).expect("inside");
        let mut bytes = [0xEE; 3];
        memory.read(2 * page - 3, &mut bytes).expect("inside");
        assert_eq!(&bytes, b"\0nd");
    }

    #[test]
    fn refuses_ranges_outside_and_pages_that_are_writable_and_executable() {
        let mut memory = LinuxCodeMemory::new();
        assert_eq!(memory.zero(0, 0), Err(refused(MemoryOperation::Zero, 0, 0)));
        let page = memory.page_bytes();
        memory.reserve(page, page).expect("a page is to be had");
        assert_eq!(memory.write(page, b"x"), Err(refused(MemoryOperation::Write, page, 1)));
        let far = usize::MAX;
        assert_eq!(memory.zero(far, 2), Err(refused(MemoryOperation::Zero, far, 2)));
        assert_eq!(
            memory.protect(0, page, Protection::WRITE | Protection::EXECUTE),
            Err(refused(MemoryOperation::Protect, 0, page))
        );
        assert_eq!(memory.reserve(page, page), Err(refused(MemoryOperation::Reserve, 0, page)));
    }

    #[test]
    fn code_written_and_sealed_can_be_called_and_a_released_slot_is_empty() {
        // `return 7` in the machine's own code.
        #[cfg(target_arch = "x86_64")]
        let code = [0xB8, 7, 0, 0, 0, 0xC3];
        #[cfg(target_arch = "aarch64")]
        let code = [0xE0, 0x00, 0x80, 0x52, 0xC0, 0x03, 0x5F, 0xD6];
        let mut memory = LinuxCodeMemory::new();
        let page = memory.page_bytes();
        let base = memory.reserve(page, page).expect("a page is to be had");
        memory.write(0, &code).expect("inside");
        memory.protect(0, page, Protection::READ | Protection::EXECUTE).expect("whole page");
        memory.sync_instruction_cache(0, code.len()).expect("inside");
        let entry = ptr::with_exposed_provenance::<()>(base as usize);
        // SAFETY: the bytes above are a function of this type, on an executable page.
        let seven = unsafe {
            let function = core::mem::transmute::<*const (), extern "C" fn() -> i32>(entry);
            function()
        };
        assert_eq!(seven, 7);
        memory.release();
        let empty = memory.read(0, &mut []);
        assert_eq!(empty, Err(refused(MemoryOperation::Read, 0, 0)));
    }
}

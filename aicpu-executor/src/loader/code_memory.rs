//! The memory one image is loaded into, as the loader sees it.
//!
//! The loader computes offsets and never holds a pointer; who maps pages (mmap on Linux, a plain
//! vector in tests) implements [`CodeMemory`]. One value is one slot: it holds one reservation or
//! none.
//!
//! ```text
//!  empty ── reserve ──▶ writable ── protect per page range ──▶ sealed ── release ──▶ empty
//!                          └────────────── release (failure) ──────────────────────▶ empty
//! ```

use core::fmt;

use bitflags::bitflags;

bitflags! {
    /// Rights of a range of pages. Empty: no access at all.
    ///
    /// The loader never asks for [`WRITE`](Self::WRITE) together with [`EXECUTE`](Self::EXECUTE),
    /// and an implementation refuses that pair.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
    pub struct Protection: u8 {
        /// Loads are allowed.
        const READ = 1;
        /// Stores are allowed.
        const WRITE = 2;
        /// Instruction fetches are allowed.
        const EXECUTE = 4;
    }
}

/// Memory for one image: first writable, then sealed page by page.
///
/// Offsets count bytes from the reserved base address. Implementations check every range against
/// the reservation and fail with [`MemoryError`] instead of touching anything outside it.
///
/// # Invariants
///
/// No page is ever writable and executable through the same address.
pub trait CodeMemory {
    /// Returns the page size that [`protect`](Self::protect) works with; a power of two.
    fn page_bytes(&self) -> usize;

    /// Reserves `span` bytes, readable and writable, at a multiple of `align`, and returns the
    /// address of the first one as the loaded code will see it.
    ///
    /// The address comes from `expose_provenance`, so that a pointer can be made of it again.
    ///
    /// `span` is a multiple of the page size, `align` a power of two of at least a page. The
    /// contents are undefined: the loader writes or zeroes every byte of every segment's pages.
    ///
    /// # Errors
    ///
    /// The slot holds a reservation already, or there is no memory.
    fn reserve(&mut self, span: usize, align: usize) -> Result<u64, MemoryError>;

    /// Copies `bytes` to `offset`.
    ///
    /// # Errors
    ///
    /// The range is outside the reservation or not writable now.
    fn write(&mut self, offset: usize, bytes: &[u8]) -> Result<(), MemoryError>;

    /// Copies the bytes at `offset` to `bytes`.
    ///
    /// # Errors
    ///
    /// The range is outside the reservation or not readable now.
    fn read(&self, offset: usize, bytes: &mut [u8]) -> Result<(), MemoryError>;

    /// Fills `length` bytes at `offset` with zero.
    ///
    /// An implementation that knows a range to be fresh and zero may skip the work.
    ///
    /// # Errors
    ///
    /// The range is outside the reservation or not writable now.
    fn zero(&mut self, offset: usize, length: usize) -> Result<(), MemoryError>;

    /// Gives whole pages their final rights.
    ///
    /// # Errors
    ///
    /// The range is outside the reservation or not made of whole pages, `protection` is writable
    /// and executable, or the system refuses.
    fn protect(
        &mut self,
        offset: usize,
        length: usize,
        protection: Protection,
    ) -> Result<(), MemoryError>;

    /// Makes `length` bytes of new instructions at `offset` visible to instruction fetches on
    /// every core that may run them.
    ///
    /// Called after the last write and after the range became executable. On AArch64: clean the
    /// data cache to the point of unification, invalidate the instruction cache, `dsb ish`, and an
    /// `isb` on each core before it enters the image. Nothing to do on x86-64.
    ///
    /// # Errors
    ///
    /// The range is outside the reservation.
    fn sync_instruction_cache(&mut self, offset: usize, length: usize) -> Result<(), MemoryError>;

    /// Gives the reservation back; without one it does nothing.
    ///
    /// Cannot fail: a platform that cannot unmap quarantines the slot and reports that itself.
    fn release(&mut self);
}

/// What a [`CodeMemory`] was asked for when it failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MemoryOperation {
    /// [`CodeMemory::reserve`].
    Reserve,
    /// [`CodeMemory::write`].
    Write,
    /// [`CodeMemory::read`].
    Read,
    /// [`CodeMemory::zero`].
    Zero,
    /// [`CodeMemory::protect`].
    Protect,
    /// [`CodeMemory::sync_instruction_cache`].
    SyncInstructionCache,
}

impl MemoryOperation {
    /// Returns the operation as a verb for messages.
    const fn verb(self) -> &'static str {
        match self {
            Self::Reserve => "reserve",
            Self::Write => "write",
            Self::Read => "read",
            Self::Zero => "zero",
            Self::Protect => "protect",
            Self::SyncInstructionCache => "synchronise the instruction cache over",
        }
    }
}

/// A failed operation on code memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryError {
    /// What was asked for.
    pub operation: MemoryOperation,
    /// First byte of the range, counted from the base; 0 for a reservation.
    pub offset: usize,
    /// Bytes of the range.
    pub length: usize,
    /// Error number of the system, or 0 if the range itself was refused.
    pub os_error: i32,
}

impl fmt::Display for MemoryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verb = self.operation.verb();
        write!(f, "cannot {verb} {:#x} bytes of code memory at {:#x}", self.length, self.offset)?;
        match self.os_error {
            0 => f.write_str(": the range is not allowed"),
            number => write!(f, ": system error {number}"),
        }
    }
}

impl core::error::Error for MemoryError {}

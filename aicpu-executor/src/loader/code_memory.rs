//! The memory one image is loaded into, as the loader sees it.
//!
//! The loader computes offsets and never holds a pointer: it patches slices. Who maps pages (Linux
//! below the executor, a plain vector in tests) implements [`CodeMemory`]. One value is one slot:
//! it holds one image or none.
//!
//! ```text
//!  empty ── place ──▶ placed ── writable … ──▶ placed ── seal ──▶ sealed ── release ──▶ empty
//!                        └─────────────── release (failure) ───────────────────────▶ empty
//! ```

use core::fmt;

use bitflags::bitflags;

use super::plan::Plan;

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
        /// Indirect jumps may go only to instructions that allow it (BTI of AArch64). Only
        /// together with [`EXECUTE`](Self::EXECUTE); memory on a processor without it ignores it.
        const BRANCH_TARGETS = 8;
    }
}

/// Memory for one image: placed, patched through slices, then sealed.
///
/// Offsets count bytes from the first byte of the image, which is [`Plan::start`] as linked.
///
/// # Invariants
///
/// No page is ever writable and executable through the same address.
pub trait CodeMemory {
    /// Returns the page size of the memory; a power of two.
    fn page_bytes(&self) -> usize;

    /// Puts all segments of an image in place, copied or mapped, and returns the address at which
    /// its code will see its first byte: a multiple of [`Plan::align`].
    ///
    /// The address comes from `expose_provenance`, so that a pointer can be made of it again.
    /// Every byte of a segment's pages that is not from the file is zero afterwards; nothing of an
    /// earlier image stays visible. [`copy_segments`] does that for memory that is copied into.
    ///
    /// # Errors
    ///
    /// The memory holds an image already, the image is too large for it, or the system refuses.
    /// The memory is empty then.
    fn place(&mut self, plan: &Plan<'_>) -> Result<u64, MemoryError>;

    /// Lends bytes of a writable segment of the placed image. Only between placing and sealing.
    ///
    /// # Errors
    ///
    /// The range is not inside one writable segment, or no image is placed and unsealed.
    fn writable(&mut self, offset: usize, bytes: usize) -> Result<&mut [u8], MemoryError>;

    /// Gives every page the rights of [`Plan::pages`] and makes new instructions visible to every
    /// core that may run them.
    ///
    /// `plan` is the one that was placed. On AArch64 the second part is: clean the data cache to
    /// the point of unification, invalidate the instruction cache, `dsb ish`, and an `isb` on each
    /// core before it enters the image. It is nothing on x86-64.
    ///
    /// # Errors
    ///
    /// No image is placed and unsealed, or the system refuses.
    fn seal(&mut self, plan: &Plan<'_>) -> Result<(), MemoryError>;

    /// Takes the image away; without one it does nothing.
    ///
    /// The memory itself may stay mapped for the next image. Cannot fail: a platform that cannot
    /// unmap quarantines the memory and reports that itself.
    fn release(&mut self);
}

/// Copies all segments of an image to `memory`, its span, and zeroes the rest of their pages.
///
/// Bytes between the pages of segments are left alone.
///
/// # Errors
///
/// `memory` is shorter than the span.
pub fn copy_segments(plan: &Plan<'_>, memory: &mut [u8]) -> Result<(), MemoryError> {
    let span = memory.len();
    copy_segments_fresh(plan, memory, span)
}

/// The same for memory whose bytes from `fresh_from` on are zero already: these are not touched
/// unless the file has something for them, so that pages of `.bss` cost nothing until they are
/// used.
///
/// # Errors
///
/// As [`copy_segments`].
pub fn copy_segments_fresh(
    plan: &Plan<'_>,
    memory: &mut [u8],
    fresh_from: usize,
) -> Result<(), MemoryError> {
    for segment in plan.segments() {
        let (offset, length) = (plan.offset_of(segment), segment.memory_bytes);
        let refused = MemoryError {
            operation: MemoryOperation::Place,
            offset,
            // CAST: segments lie inside the span, which is a usize.
            length: length as usize,
            os_error: 0,
        };
        let (lead, pages) = plan.pages_of(segment);
        let used = fresh_from.saturating_sub(pages.start);
        let pages = memory.get_mut(pages).ok_or(refused)?;
        let file = plan.file_bytes(segment);
        let (front, rest) = pages.split_at_mut_checked(lead).ok_or(refused)?;
        let (body, back) = rest.split_at_mut_checked(file.len()).ok_or(refused)?;
        let used_back = used.saturating_sub(front.len() + body.len()).min(back.len());
        if used > 0 {
            front.fill(0);
        }
        body.copy_from_slice(file);
        back[..used_back].fill(0);
    }
    Ok(())
}

/// What a [`CodeMemory`] was asked for when it failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MemoryOperation {
    /// Reserving address space.
    Reserve,
    /// [`CodeMemory::place`].
    Place,
    /// [`CodeMemory::writable`], or writing the image in [`CodeMemory::seal`].
    Write,
    /// Changing the rights of pages, in [`CodeMemory::place`] or [`CodeMemory::seal`].
    Protect,
    /// Making new instructions visible, in [`CodeMemory::seal`].
    SyncInstructionCache,
    /// Mapping segments from a file.
    MapFile,
    /// Copying an image to a sealed file in memory.
    SealFile,
    /// Getting an image through a file of a folder.
    Staging {
        /// What was being done to the file.
        step: StagingStep,
        /// Index of the folder in the platform's list.
        folder: u8,
    },
}

/// What a memory does with the file of a staged image, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StagingStep {
    /// Opening the folder.
    Open,
    /// Creating the file.
    Create,
    /// Writing the file.
    Write,
    /// Mapping the segments from it.
    Map,
    /// Removing it.
    Remove,
    /// Comparing what was mapped with the image: somebody has changed the file (hostile class 31).
    Compare,
}

impl MemoryOperation {
    /// Returns the operation as a verb for messages.
    const fn verb(self) -> &'static str {
        match self {
            Self::Reserve => "reserve",
            Self::Place => "place an image in",
            Self::Write => "write",
            Self::Protect => "change the rights of",
            Self::SyncInstructionCache => "synchronise the instruction cache over",
            Self::MapFile => "map a file into",
            Self::SealFile => "copy an image to a file for",
            Self::Staging { step, .. } => match step {
                StagingStep::Open => "open the folder of a staging file for",
                StagingStep::Create => "create a staging file for",
                StagingStep::Write => "write a staging file for",
                StagingStep::Map => "map a staging file into",
                StagingStep::Remove => "remove the staging file of",
                StagingStep::Compare => "find the image in the staging file of",
            },
        }
    }

    /// Returns why an operation was refused without the system's doing.
    const fn refusal(self) -> &'static str {
        match self {
            Self::Staging { step: StagingStep::Compare, .. } => "somebody has changed the file",
            _ => "the range is not allowed",
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
        if let MemoryOperation::Staging { folder, .. } = self.operation {
            write!(f, " through folder {folder}")?;
        }
        match self.os_error {
            0 => write!(f, ": {}", self.operation.refusal()),
            number => write!(f, ": system error {number}"),
        }
    }
}

impl core::error::Error for MemoryError {}

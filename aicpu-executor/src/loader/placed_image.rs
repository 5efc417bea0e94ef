//! The one way the loader changes an image in memory: words of writable segments, by slice.
//!
//! A word is found in a *window*, the slice of one writable segment that the memory lends. Linkers
//! sort relocations by address, so the window rarely changes; and since it is a slice, a slip in
//! planning is a typed error and never a stray write.
#![expect(
    clippy::result_large_err,
    reason = "without an allocator the names of missing symbols travel by value; failing is rare"
)]

use super::code_memory::{CodeMemory, MemoryError};
use super::elf::Rela;
use super::load_error::LoadError;
use super::plan::Plan;
use super::relocation::WORD_BYTES;

/// An image in memory that is not sealed yet.
///
/// Dropped unsealed, whether by an error or a panic, it takes the image away.
pub(super) struct PlacedImage<'m, 'p, 'a> {
    memory: &'m mut dyn CodeMemory,
    plan: &'p Plan<'a>,
    sealed: bool,
}

/// A writable segment: its first address, as linked, and its bytes.
pub(super) struct Window<'w> {
    vaddr: u64,
    bytes: &'w mut [u8],
}

impl Window<'_> {
    /// A window that holds nothing.
    pub(super) const fn empty() -> Self {
        Self { vaddr: 0, bytes: &mut [] }
    }

    /// Returns the word at an address as linked, if it is in this window.
    pub(super) fn word(&mut self, vaddr: u64) -> Option<&mut [u8; WORD_BYTES as usize]> {
        // CAST: usize is 64 bits on both machines; an address before the window wraps to a huge
        // offset, and so does the end of one close to the end of the address space.
        let offset = vaddr.wrapping_sub(self.vaddr) as usize;
        let word = self.bytes.get_mut(offset..offset.wrapping_add(WORD_BYTES as usize))?;
        word.first_chunk_mut()
    }
}

impl Window<'_> {
    /// Applies relative relocations from the first on, as long as they are relative and write to
    /// this window; returns how many that were.
    ///
    /// A function of its own because nearly all relocations of an image are applied here: its few
    /// values stay in registers.
    #[inline(never)]
    pub(super) fn add_relative(
        &mut self,
        records: &[Rela],
        relative_info: u64,
        bias: u64,
    ) -> usize {
        let mut done = 0;
        for entry in records {
            if entry.info.get() != relative_info {
                break;
            }
            let Some(word) = self.word(entry.target.get()) else { break };
            *word = bias.wrapping_add(entry.addend.get().cast_unsigned()).to_le_bytes();
            done += 1;
        }
        done
    }
}

impl<'m, 'p, 'a> PlacedImage<'m, 'p, 'a> {
    /// Places the image; returns it with the address of its first byte.
    pub(super) fn place(
        memory: &'m mut dyn CodeMemory,
        plan: &'p Plan<'a>,
    ) -> Result<(Self, u64), MemoryError> {
        let base = memory.place(plan)?;
        Ok((Self { memory, plan, sealed: false }, base))
    }

    /// Returns the window that holds the word at an address as linked.
    pub(super) fn window(&mut self, vaddr: u64) -> Result<Window<'_>, LoadError> {
        let segment =
            self.plan.segments.writable_segment(vaddr, WORD_BYTES).ok_or(outside(vaddr))?;
        // CAST: segments lie inside the span, which is a usize.
        let length = segment.memory_bytes as usize;
        let bytes = self.memory.writable(self.plan.offset_of(segment), length)?;
        Ok(Window { vaddr: segment.vaddr, bytes })
    }

    /// Reads the word at an address as linked, as relocation has left it.
    pub(super) fn word(&mut self, vaddr: u64) -> Result<u64, LoadError> {
        if self.plan.segments.is_writable(vaddr, WORD_BYTES) {
            let mut window = self.window(vaddr)?;
            let word = window.word(vaddr).ok_or(outside(vaddr))?;
            return Ok(u64::from_le_bytes(*word));
        }
        // Nothing relocates a segment that is not writable: it is as in the file.
        let bytes = self.plan.segments.file_bytes(vaddr, WORD_BYTES).ok_or(outside(vaddr))?;
        Ok(u64::from_le_bytes(*bytes.first_chunk().ok_or(outside(vaddr))?))
    }

    /// Gives every page its final rights.
    pub(super) fn seal(mut self) -> Result<(), MemoryError> {
        self.memory.seal(self.plan)?;
        self.sealed = true;
        Ok(())
    }
}

impl Drop for PlacedImage<'_, '_, '_> {
    fn drop(&mut self) {
        if !self.sealed {
            self.memory.release();
        }
    }
}

/// The error of a word outside the segments, which planning excludes.
pub(super) const fn outside(vaddr: u64) -> LoadError {
    LoadError::WriteOutsideImage { vaddr, bytes: WORD_BYTES }
}

//! The only way bytes get into an image: every write is compared with the plan again.
//!
//! Planning has checked the same ranges. The second check costs nanoseconds and makes a slip in
//! planning a typed error instead of a stray write.

use super::code_memory::{CodeMemory, MemoryError, Protection};
use super::plan::Plan;
use super::relocation::WORD_BYTES;
use super::segment::Segment;

/// Why a write was not done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WriteError {
    /// The memory failed.
    Memory(MemoryError),
    /// The range is not one the plan allows.
    OutsideImage { vaddr: u64, bytes: u64 },
}

impl From<MemoryError> for WriteError {
    fn from(error: MemoryError) -> Self {
        Self::Memory(error)
    }
}

/// Writes into the reservation of one image until it is sealed.
///
/// Dropped unsealed, whether by an error or a panic, it gives the reservation back.
pub(super) struct ImageWriter<'m, 'p> {
    memory: &'m mut dyn CodeMemory,
    plan: &'p Plan<'p>,
    page_mask: u64,
    sealed: bool,
}

impl<'m, 'p> ImageWriter<'m, 'p> {
    /// Reserves what the plan needs; returns the writer and the address of the first byte.
    pub(super) fn reserve(
        memory: &'m mut dyn CodeMemory,
        plan: &'p Plan<'p>,
    ) -> Result<(Self, u64), MemoryError> {
        let base = memory.reserve(plan.span(), plan.align())?;
        let page_mask = plan.page_bytes() as u64 - 1;
        Ok((Self { memory, plan, page_mask, sealed: false }, base))
    }

    /// Returns the offset of a range in the reservation.
    fn offset(&self, vaddr: u64, bytes: u64) -> Result<usize, WriteError> {
        let start = self.plan.segments.start();
        vaddr
            .checked_sub(start)
            .filter(|offset| {
                offset.checked_add(bytes).is_some_and(|end| end <= self.plan.segments.span())
            })
            .and_then(|offset| usize::try_from(offset).ok())
            .ok_or(WriteError::OutsideImage { vaddr, bytes })
    }

    /// Copies a segment out of the file and zeroes the rest of its pages, so that nothing of an
    /// earlier image stays visible.
    pub(super) fn place(&mut self, segment: &Segment) -> Result<(), WriteError> {
        let file_end = segment.vaddr.wrapping_add(segment.file_bytes);
        let (page, page_end) = self.pages(segment);
        let bytes =
            self.plan.segments.file_bytes(segment.vaddr, segment.file_bytes).ok_or(
                WriteError::OutsideImage { vaddr: segment.vaddr, bytes: segment.file_bytes },
            )?;
        self.zero(page, segment.vaddr)?;
        let offset = self.offset(segment.vaddr, segment.file_bytes)?;
        self.memory.write(offset, bytes)?;
        self.zero(file_end, page_end)
    }

    /// Returns the first page of a segment and the end of its last page.
    fn pages(&self, segment: &Segment) -> (u64, u64) {
        let end = segment.end().wrapping_add(self.page_mask) & !self.page_mask;
        (segment.vaddr & !self.page_mask, end)
    }

    /// Zeroes from `start` to `end`.
    fn zero(&mut self, start: u64, end: u64) -> Result<(), WriteError> {
        let bytes = end.saturating_sub(start);
        if bytes == 0 {
            return Ok(());
        }
        let offset = self.offset(start, bytes)?;
        // CAST: `offset` has shown the range to be inside the span, which is a usize.
        Ok(self.memory.zero(offset, bytes as usize)?)
    }

    /// Returns the offset of a word that lies in one writable segment.
    fn writable_word(&self, vaddr: u64) -> Result<usize, WriteError> {
        if !self.plan.segments.is_writable(vaddr, WORD_BYTES) {
            return Err(WriteError::OutsideImage { vaddr, bytes: WORD_BYTES });
        }
        self.offset(vaddr, WORD_BYTES)
    }

    /// Writes a word into a writable segment.
    pub(super) fn write_word(&mut self, vaddr: u64, value: u64) -> Result<(), WriteError> {
        let offset = self.writable_word(vaddr)?;
        Ok(self.memory.write(offset, &value.to_le_bytes())?)
    }

    /// Reads a word of the image.
    pub(super) fn read_word(&self, vaddr: u64) -> Result<u64, WriteError> {
        let offset = self.offset(vaddr, WORD_BYTES)?;
        let mut bytes = [0; WORD_BYTES as usize];
        self.memory.read(offset, &mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    /// Gives every page its final rights, and makes new code visible to instruction fetches.
    ///
    /// Pages that stay readable and writable are left as they were reserved. Pages between
    /// segments lose all rights.
    pub(super) fn seal(mut self) -> Result<(), WriteError> {
        let plan = self.plan;
        let mut done = plan.segments.start();
        for segment in plan.segments.as_slice() {
            let (page, end) = self.pages(segment);
            self.protect(done, page, Protection::empty())?;
            done = end;
            if !segment.protection.contains(Protection::WRITE) {
                self.protect(page, end, segment.protection)?;
            }
            if segment.protection.contains(Protection::EXECUTE) {
                let offset = self.offset(page, end - page)?;
                // CAST: inside the span, which is a usize.
                self.memory.sync_instruction_cache(offset, (end - page) as usize)?;
            }
        }
        if let Some(relro) = plan.relro {
            self.protect(relro.vaddr, relro.vaddr.wrapping_add(relro.bytes), Protection::READ)?;
        }
        self.sealed = true;
        Ok(())
    }

    /// Protects the pages from `start` to `end`.
    fn protect(&mut self, start: u64, end: u64, protection: Protection) -> Result<(), WriteError> {
        let bytes = end.saturating_sub(start);
        if bytes == 0 {
            return Ok(());
        }
        let offset = self.offset(start, bytes)?;
        // CAST: inside the span, which is a usize.
        Ok(self.memory.protect(offset, bytes as usize, protection)?)
    }
}

impl Drop for ImageWriter<'_, '_> {
    fn drop(&mut self) {
        if !self.sealed {
            self.memory.release();
        }
    }
}

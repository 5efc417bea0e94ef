//! A slot that is written to through its file: code has no writable address, ever.
//!
//! The slot's address space is a shared mapping of a file in memory. Writable segments are bound in
//! a draft of their own; sealing writes the image to the file, read-only segments straight from the
//! image that was planned. That is one call for most images, and none to change rights if the
//! layout is that of the image before.
//!
//! ```text
//!                         ┌─ read-only segments ──────────────┐
//!  plan ── place ──┐      │                                   ▼
//!                  └─▶ draft ── relocations ──▶ draft ── seal: pwritev ──▶ file ═ code view
//! ```
//!
//! Rights of the code view stay over a release. Data that an image writes is in the file alone, and
//! the next image overwrites it. The file has no name; its descriptor closes with the slot, and when
//! the process runs another program. Slots beyond the protocol's 64 close it when the image is sealed. A child that runs none has the descriptor but neither view nor
//! draft, so that it fails before it changes the file.

use core::ops::Range;

use aicpu_executor::loader::{MemoryError, MemoryOperation, Plan, Protection, Segment};
use rustix::fd::{AsFd, OwnedFd};
use rustix::io::Errno;

use super::code_files::{CodeFiles, MemoryFiles};
use super::config::{ReleasedRights, SlotConfig};
use super::draft::{Draft, filled_end};
use super::failure::{failed, refused, report};
use super::image_writes::{ImageWrites, ZEROS};
use super::publish;
use super::rights::Rights;
use super::view::{Refusal, View};

/// The view that code sees, its file, and the draft.
#[derive(Debug)]
pub(super) struct Written<F = MemoryFiles> {
    code: View,
    draft: Draft,
    /// `None` before the first image: slots that are never used have no descriptor.
    file: Option<OwnedFd>,
    files: F,
    config: SlotConfig,
    /// Bytes of the file, from its start, that may be something else than zero.
    touched: usize,
    /// Whether the file stays open for the next image.
    keeps_file: bool,
}

impl<F: CodeFiles> Written<F> {
    /// Address space for code and for its draft, neither with any rights.
    pub(super) const fn new(code: View, draft: View, config: SlotConfig, files: F) -> Self {
        Self {
            code,
            draft: Draft::new(draft),
            file: None,
            files,
            config,
            touched: 0,
            keeps_file: true,
        }
    }

    /// The same without a descriptor while an image is in the slot, which costs each image a file of
    /// its own: for the many slots of a process that has descriptors for some only.
    pub(super) fn without_descriptor(self) -> Self {
        Self { keeps_file: false, ..self }
    }

    /// Returns what it makes files with.
    #[cfg(test)]
    pub(super) const fn files(&self) -> &F {
        &self.files
    }

    /// Returns the file, once there is one.
    #[cfg(test)]
    pub(super) const fn file(&self) -> Option<&OwnedFd> {
        self.file.as_ref()
    }

    /// Returns where the loader writes.
    #[cfg(test)]
    pub(super) fn draft_address(&self) -> u64 {
        self.draft.address()
    }

    /// Takes the writable segments of the image into the draft; returns the address of the image.
    pub(super) fn place(&mut self, plan: &Plan<'_>) -> Result<u64, MemoryError> {
        self.open()?;
        self.draft.fill(plan).map_err(failed(MemoryOperation::Place))?;
        Ok(self.code.address())
    }

    /// Makes the file of the slot, if it has none.
    fn open(&mut self) -> Result<(), MemoryError> {
        if self.file.is_some() {
            return Ok(());
        }
        let bytes = self.code.bytes();
        let refusal = |error| Refusal { offset: 0, bytes, error };
        let file = self.files.create(bytes).map_err(refusal);
        let file = file.map_err(failed(MemoryOperation::Reserve))?;
        let mapped = self.files.map(&mut self.code, file.as_fd());
        mapped.map_err(failed(MemoryOperation::Reserve))?;
        self.file = Some(file);
        self.touched = 0;
        Ok(())
    }

    /// Lends bytes of the image, between placing and sealing.
    pub(super) fn lend(&mut self, bytes: Range<usize>) -> Option<&mut [u8]> {
        self.draft.lend(bytes)
    }

    /// Writes the image to the file, gives the code view its rights and publishes its code.
    pub(super) fn seal(&mut self, plan: &Plan<'_>, rights: &Rights) -> Result<(), MemoryError> {
        if !self.draft.is_of(plan) {
            return Err(refused(MemoryOperation::Protect, 0, plan.span()));
        }
        self.write(plan).map_err(failed(MemoryOperation::Write))?;
        self.give_back_draft();
        self.code.change(rights).map_err(failed(MemoryOperation::Protect))?;
        publish(rights, self.code.address(), self.code.address());
        if !self.keeps_file {
            // The view keeps the memory of the file.
            self.file = None;
        }
        Ok(())
    }

    /// Writes all pages of all segments that are not as they must be.
    fn write(&mut self, plan: &Plan<'_>) -> Result<(), Refusal> {
        let refusal = Refusal { offset: 0, bytes: plan.span(), error: Errno::INVAL };
        let file = self.file.as_ref().ok_or(refusal)?;
        let touched = self.touched;
        self.touched = touched.max(plan.span());
        let mut writes = ImageWrites::new(&self.files, file.as_fd());
        for segment in plan.segments() {
            let (lead, pages) = plan.pages_of(segment);
            let bytes = plan.file_bytes(segment);
            // From here on the file has zeros already.
            let clean = touched.clamp(filled_end(&pages, lead + bytes.len()), pages.end);
            if is_writable(segment) {
                let draft = self.draft.read(pages.clone()).ok_or(refusal)?;
                let (front, back) = draft.split_at_checked(clean - pages.start).ok_or(refusal)?;
                writes.push(pages.start, front)?;
                push_changed(&mut writes, clean, back)?;
            } else {
                let start = pages.start + lead;
                writes.push_zeros(pages.start..start)?;
                writes.push(start, bytes)?;
                writes.push_zeros(start + bytes.len()..clean)?;
            }
        }
        writes.flush()
    }

    /// Gives back what the next image is not expected to need.
    pub(super) fn release(&mut self) {
        self.give_back_draft();
        if !self.keeps_file {
            self.file = None;
            report("take away", self.code.blank(0..self.code.bytes()));
            return;
        }
        if self.config.released == ReleasedRights::Revoked {
            report("take the rights of", self.code.change(&Rights::none()));
        }
        let kept = self.config.retained();
        if let Some(file) = self.file.as_ref().filter(|_| self.touched > kept) {
            let pages = kept..self.touched;
            let refusal = |error| Refusal { offset: kept, bytes: pages.len(), error };
            // Fails where the file is another process's.
            let punched = self
                .code
                .forget(pages.clone())
                .and_then(|()| self.files.punch(file.as_fd(), pages.clone()).map_err(refusal));
            // What could not be given back is given back after the next image.
            if report("give back memory of", punched) {
                self.touched = kept;
            }
        }
    }

    /// Gives back what the next draft is not expected to need.
    fn give_back_draft(&mut self) {
        report("give back memory of", self.draft.give_back(self.config.retained()));
    }
}

/// Adds what was written to pages that have no file bytes: relocations may. Most are zero, and the
/// file has no memory for them until the image writes there.
fn push_changed<'w, F: CodeFiles>(
    writes: &mut ImageWrites<'w, F>,
    start: usize,
    draft: &'w [u8],
) -> Result<(), Refusal> {
    for (index, part) in draft.chunks(ZEROS.len()).enumerate() {
        if part != ZEROS.get(..part.len()).unwrap_or_default() {
            writes.push(start + index * ZEROS.len(), part)?;
        }
    }
    Ok(())
}

/// Tells whether an image writes to a segment.
const fn is_writable(segment: &Segment) -> bool {
    segment.protection.contains(Protection::WRITE)
}

//! A sealed image in memory of its own, kept for the next load of the same image.
//!
//! It exists apart because it is why registering equal bytes again costs microseconds: what cannot be
//! written has not changed since it was mapped, so the next load writes the data again and nothing else.
//! Text is shared by all instances of an image, data by none. An instance belongs to no slot: any slot
//! can be lent one ([`Slot::offer`](super::Slot::offer)), and hands it back when the image is released.
//!
//! ```text
//!  SealedImage ── instance() ──▶ ImageInstance ── offer ──▶ Slot ── take_returned ──▶ kept, or dropped
//!
//!  first load     map segments ─▶ relocate ─▶ seal
//!  later ones     draft of the data ─▶ relocate ─▶ seal: copy it to where the image is
//! ```
//!
//! A later load at the same address makes the same of what is sealed after relocation, so that this is compared
//! and not written: no rights change, and the load is without any system call.

use core::ops::Range;

use aicpu_executor::loader::{MemoryError, MemoryOperation, Plan, Protection, Segment};
use rustix::fd::{AsFd, OwnedFd};
use rustix::io::Errno;

use super::draft::Draft;
use super::failure::{failed, report};
use super::publish;
use super::reservation;
use super::rights::Rights;
use super::segment_mapping::{MapPages, map_segments};
use super::view::{Refusal, View};

/// Bytes of writable pages up to which they are written again; more are mapped anew, which is cheaper
/// than to write zeros over what was never touched.
const DRAFTED_MAX: usize = 64 << 10;

/// Address space, and what it holds of one sealed image.
#[derive(Debug)]
pub struct ImageInstance {
    view: View,
    file: ImageFile,
    /// Where the bytes are that plans of the image are made of.
    planned: Range<usize>,
    /// Whether the segments are mapped.
    is_mapped: bool,
    /// Where data is made of loads after the first; `None` before the second.
    draft: Option<Draft>,
    /// Whether this load is one of them.
    is_drafted: bool,
}

/// The file.
#[derive(Debug)]
struct ImageFile(OwnedFd);

impl MapPages for ImageFile {
    fn map(
        &self,
        view: &mut View,
        pages: Range<usize>,
        offset: u64,
        protection: Protection,
    ) -> Result<(), Refusal> {
        view.map_private(pages, (self.0.as_fd(), offset), protection)
    }
}

impl ImageInstance {
    /// Nothing is mapped yet. Plans are made of the bytes at `planned`, which are those of the file.
    pub(super) const fn new(view: View, file: OwnedFd, planned: Range<usize>) -> Self {
        let file = ImageFile(file);
        Self { view, file, planned, is_mapped: false, draft: None, is_drafted: false }
    }

    /// Tells whether a plan is one of this image.
    pub(super) fn is_of(&self, plan: &Plan<'_>) -> bool {
        let image = plan.image().as_ptr_range();
        (image.start.addr()..image.end.addr()) == self.planned
    }

    /// Puts the segments in place, with the data of the file; returns the address of the image.
    pub(super) fn place(&mut self, plan: &Plan<'_>) -> Result<u64, MemoryError> {
        self.is_drafted = self.is_mapped && writable_bytes(plan) <= DRAFTED_MAX;
        if self.is_drafted {
            let draft = match &mut self.draft {
                Some(draft) => draft,
                none => none.insert(Draft::new(reservation::draft_view(self.view.bytes())?)),
            };
            draft.fill(plan).map_err(failed(MemoryOperation::Place))?;
            return Ok(self.view.address());
        }
        let failed = failed(MemoryOperation::MapFile);
        if core::mem::take(&mut self.is_mapped) {
            self.view.blank(0..self.view.bytes()).map_err(&failed)?;
        }
        map_segments(&mut self.view, plan, Some(&self.file)).map_err(&failed)?;
        self.is_mapped = true;
        Ok(self.view.address())
    }

    /// Lends bytes of the image, between placing and sealing.
    pub(super) fn lend(&mut self, bytes: Range<usize>) -> Option<&mut [u8]> {
        if self.is_drafted {
            return self.draft.as_mut()?.lend(bytes);
        }
        // SAFETY: the view is lent here alone, and no code of it runs while an image is being loaded
        // into it. Writable pages are private.
        unsafe { self.view.bytes_mut(bytes) }
    }

    /// Gives the pages the rights of the image and publishes its code.
    pub(super) fn seal(&mut self, plan: &Plan<'_>, rights: &Rights) -> Result<(), MemoryError> {
        if self.is_drafted {
            self.copy_draft(plan, rights).map_err(failed(MemoryOperation::Write))?;
        }
        self.view.change(rights).map_err(failed(MemoryOperation::Protect))?;
        publish(rights, self.view.address(), self.view.address());
        Ok(())
    }

    /// Makes the writable segments what the draft is.
    fn copy_draft(&mut self, plan: &Plan<'_>, rights: &Rights) -> Result<(), Refusal> {
        let refusal = Refusal { offset: 0, bytes: plan.span(), error: Errno::INVAL };
        let draft = self.draft.as_ref().filter(|draft| draft.is_of(plan)).ok_or(refusal)?;
        for (_, pages) in writable(plan) {
            for run in rights.accessible() {
                let part = pages.start.max(run.offset)..pages.end.min(run.offset + run.bytes);
                if part.is_empty() {
                    continue;
                }
                let wanted = draft.read(part.clone()).ok_or(refusal)?;
                if self.view.constant_bytes(part.clone()) == Some(wanted) {
                    continue;
                }
                let access = Protection::READ | Protection::WRITE;
                let opened = self.view.rights().and_then(|now| now.with(&part, access));
                self.view.change(&opened.ok_or(refusal)?)?;
                // SAFETY: the view is being loaded into: no code of it runs, and nothing else lends it.
                let memory = unsafe { self.view.bytes_mut(part) }.ok_or(refusal)?;
                memory.copy_from_slice(wanted);
            }
        }
        Ok(())
    }

    /// Tells whether it can be loaded again, after it was released.
    pub(super) fn is_usable(&mut self) -> bool {
        if self.view.rights().is_some() {
            return true;
        }
        // A change of rights has failed half way.
        self.is_mapped = false;
        report("take the mappings of", self.view.blank(0..self.view.bytes()))
    }
}

/// The writable segments of an image, and their pages.
fn writable<'p>(plan: &'p Plan<'_>) -> impl Iterator<Item = (&'p Segment, Range<usize>)> {
    let segments = plan.segments().iter();
    segments
        .filter(|segment| segment.protection.contains(Protection::WRITE))
        .map(|segment| (segment, plan.pages_of(segment).1))
}

/// Bytes of the pages of writable segments.
fn writable_bytes(plan: &Plan<'_>) -> usize {
    writable(plan).map(|(_, pages)| pages.len()).sum()
}

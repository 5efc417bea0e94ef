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
//!  later ones     data: writable, as in the file, zeros ─▶ relocate ─▶ seal
//! ```

use core::ops::Range;

use aicpu_executor::loader::{MemoryError, MemoryOperation, Plan, Protection, Segment};
use rustix::fd::{AsFd, OwnedFd};
use rustix::io::Errno;

use super::failure::{failed, report};
use super::publish;
use super::rights::Rights;
use super::segment_mapping::{MapPages, map_segments};
use super::view::{Refusal, View};

/// Bytes of writable pages up to which they are written again; more are mapped anew, which is cheaper
/// than to write zeros over what was never touched.
const REFILLED_MAX: usize = 64 << 10;

/// Address space, and what it holds of one sealed image.
#[derive(Debug)]
pub struct ImageInstance {
    view: View,
    file: ImageFile,
    /// Where the bytes are that plans of the image are made of.
    planned: Range<usize>,
    /// Whether the segments are mapped.
    is_mapped: bool,
}

/// The file, open until its segments are mapped for good.
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
        Self { view, file: ImageFile(file), planned, is_mapped: false }
    }

    /// Tells whether a plan is one of this image.
    pub(super) fn is_of(&self, plan: &Plan<'_>) -> bool {
        let image = plan.image().as_ptr_range();
        (image.start.addr()..image.end.addr()) == self.planned
    }

    /// Puts the segments in place, with the data of the file; returns the address of the image.
    pub(super) fn place(&mut self, plan: &Plan<'_>) -> Result<u64, MemoryError> {
        let failed = failed(MemoryOperation::MapFile);
        if !(self.is_mapped && refill(&mut self.view, plan).map_err(&failed)?) {
            if core::mem::take(&mut self.is_mapped) {
                self.view.blank(0..self.view.bytes()).map_err(&failed)?;
            }
            map_segments(&mut self.view, plan, Some(&self.file)).map_err(&failed)?;
            self.is_mapped = true;
        }
        Ok(self.view.address())
    }

    /// Lends bytes of the image, between placing and sealing.
    pub(super) fn lend(&mut self, bytes: Range<usize>) -> Option<&mut [u8]> {
        // SAFETY: the view is lent here alone, and no code of it runs while an image is being loaded
        // into it. Writable pages are private.
        unsafe { self.view.bytes_mut(bytes) }
    }

    /// Gives the pages the rights of the image and publishes its code.
    pub(super) fn seal(&mut self, rights: &Rights) -> Result<(), MemoryError> {
        self.view.change(rights).map_err(failed(MemoryOperation::Protect))?;
        publish(rights, self.view.address(), self.view.address());
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

/// Makes the writable segments of an image that was loaded what they are in its file. False, and nothing
/// is done, where that is more work than mapping them again.
fn refill(view: &mut View, plan: &Plan<'_>) -> Result<bool, Refusal> {
    let refusal = Refusal { offset: 0, bytes: plan.span(), error: Errno::INVAL };
    let bytes: usize = writable(plan).map(|(_, _, pages)| pages.len()).sum();
    let Some(mut rights) = view.rights().cloned().filter(|_| bytes <= REFILLED_MAX) else {
        return Ok(false);
    };
    for (_, _, pages) in writable(plan) {
        let access = Protection::READ | Protection::WRITE;
        rights = rights.with(&pages, access).ok_or(refusal)?;
    }
    view.change(&rights)?;
    for (segment, lead, pages) in writable(plan) {
        let file = plan.file_bytes(segment);
        // SAFETY: the view is being loaded into: no code of it runs, and nothing else lends it.
        let memory = unsafe { view.bytes_mut(pages) }.ok_or(refusal)?;
        let (front, rest) = memory.split_at_mut_checked(lead).ok_or(refusal)?;
        let (body, back) = rest.split_at_mut_checked(file.len()).ok_or(refusal)?;
        front.fill(0);
        body.copy_from_slice(file);
        back.fill(0);
    }
    Ok(true)
}

/// The writable segments of an image, with the bytes in front of them in their first page, and their pages.
fn writable<'p>(plan: &'p Plan<'_>) -> impl Iterator<Item = (&'p Segment, usize, Range<usize>)> {
    let segments = plan.segments().iter();
    segments.filter(|segment| segment.protection.contains(Protection::WRITE)).map(|segment| {
        let (lead, pages) = plan.pages_of(segment);
        (segment, lead, pages)
    })
}

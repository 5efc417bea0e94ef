//! The writable segments of an image while it is bound: private memory that is never executable.
//!
//! It exists apart because what it holds of one image must not reach the next: each segment's pages
//! are filled or zeroed wholly before any byte is lent. Read-only segments are not in it.
//!
//! ```text
//!  image   │ headers, code, constants │ gap │ data │ zeros      │
//!  draft   │ no memory                │     │ copy │ no memory until written
//!                                                 ▲ from here on, pages are zero: `touched`
//! ```

use core::ops::Range;

use aicpu_executor::loader::{Plan, Protection, Segment};
use rustix::io::Errno;
use rustix::param::page_size;

use super::rights::Rights;
use super::view::{Refusal, View};

/// Segments an image may have.
const MAX_SEGMENTS: usize = 16;

/// The memory, and which pages of the image it holds.
#[derive(Debug)]
pub(super) struct Draft {
    view: View,
    /// Bytes from the start that may be something else than zero.
    touched: usize,
    /// The pages of the writable segments.
    held: heapless::Vec<Range<usize>, MAX_SEGMENTS>,
}

impl Draft {
    /// Private memory as large as a slot, without any rights.
    pub(super) const fn new(view: View) -> Self {
        Self { view, touched: 0, held: heapless::Vec::new() }
    }

    /// Returns where it is.
    #[cfg(test)]
    pub(super) fn address(&self) -> u64 {
        self.view.address()
    }

    /// Copies the writable segments in, at the offsets that they have in the image.
    pub(super) fn fill(&mut self, plan: &Plan<'_>) -> Result<(), Refusal> {
        let refusal = Refusal { offset: 0, bytes: plan.span(), error: Errno::INVAL };
        self.held.clear();
        for (_, pages) in writable(plan) {
            self.held.push(pages).map_err(|_| refusal)?;
        }
        let end = self.held.iter().map(|pages| pages.end).max().unwrap_or(page_size());
        if self.view.rights().is_none_or(|rights| rights.end() < end) {
            // It only grows, so that the next image asks for no change.
            self.view.change(&Rights::writable(end).ok_or(refusal)?)?;
        }
        let touched = self.touched;
        self.touched = touched.max(end);
        if self.held.is_empty() {
            // Fails where there is no draft: in a child process.
            self.view.populate(0..end)?;
        }
        for (segment, pages) in writable(plan) {
            let (lead, file) = (plan.pages_of(segment).0, plan.file_bytes(segment));
            let filled = filled_end(&pages, lead + file.len());
            let cold = pages.start.max(touched)..filled;
            if !cold.is_empty() {
                self.view.populate(cold)?;
            }
            // Pages behind what was touched are zero.
            let memory = self.lend(pages.start..filled.max(touched).min(pages.end));
            let memory = memory.ok_or(refusal)?;
            let (front, rest) = memory.split_at_mut_checked(lead).ok_or(refusal)?;
            let (body, back) = rest.split_at_mut_checked(file.len()).ok_or(refusal)?;
            front.fill(0);
            body.copy_from_slice(file);
            back.fill(0);
        }
        Ok(())
    }

    /// Tells whether the draft holds the writable segments of an image: pages, not contents.
    pub(super) fn is_of(&self, plan: &Plan<'_>) -> bool {
        writable(plan).map(|(_, pages)| pages).eq(self.held.iter().cloned())
    }

    /// Lends bytes to be changed.
    pub(super) fn lend(&mut self, bytes: Range<usize>) -> Option<&mut [u8]> {
        // SAFETY: private memory that is lent by this value alone; no code of an image is in it or
        // knows of it.
        unsafe { self.view.bytes_mut(bytes) }
    }

    /// Lends bytes to be read.
    pub(super) fn read(&self, bytes: Range<usize>) -> Option<&[u8]> {
        // SAFETY: as in `lend`.
        unsafe { self.view.bytes_ref(bytes) }
    }

    /// Gives memory behind the first `kept` bytes back. Nothing of an image is held then.
    pub(super) fn give_back(&mut self, kept: usize) -> Result<(), Refusal> {
        self.held.clear();
        if self.touched > kept {
            self.view.forget(kept..self.touched)?;
            self.touched = kept;
        }
        Ok(())
    }
}

/// The writable segments of an image, and their pages.
fn writable<'p>(plan: &'p Plan<'_>) -> impl Iterator<Item = (&'p Segment, Range<usize>)> {
    let segments = plan.segments().iter();
    segments
        .filter(|segment| segment.protection.contains(Protection::WRITE))
        .map(|segment| (segment, plan.pages_of(segment).1))
}

/// The end of the pages of a segment that have file bytes: `bytes` counted from the first page.
pub(super) fn filled_end(pages: &Range<usize>, bytes: usize) -> usize {
    // Cannot wrap: at most the pages of a segment.
    pages.end.min(pages.start + bytes.next_multiple_of(page_size()))
}

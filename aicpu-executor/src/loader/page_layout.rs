//! Which rights each page of a sealed image has, as a short list of runs.
//!
//! It exists apart because it is what a [`CodeMemory`](super::CodeMemory) needs to know of an
//! image, and because two images with equal layouts can follow each other in the same pages
//! without a single change of rights.

use super::code_memory::Protection;
use super::segment::{MAX_SEGMENTS, Pages, Segments};

/// Runs a layout may have: a gap and a segment for each segment, and RELRO cuts two of them.
const MAX_RUNS: usize = 2 * MAX_SEGMENTS + 2;

/// Neighbouring pages with the same rights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageRun {
    /// First byte, counted from the first byte of the image; a multiple of the page size.
    pub offset: usize,
    /// Bytes, a multiple of the page size, at least one page.
    pub bytes: usize,
    /// Rights after sealing: empty between segments, read-only for RELRO, never writable and
    /// executable.
    pub protection: Protection,
}

/// The runs of an image, ascending, without gaps, from its first byte to its last page.
///
/// Neighbouring runs differ in their rights, so that equal rights give equal lists.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PageLayout {
    runs: heapless::Vec<PageRun, MAX_RUNS>,
}

impl PageLayout {
    /// Derives the layout of checked segments with an optional RELRO range inside one of them.
    pub(super) fn new(segments: &Segments<'_>, relro: Option<Pages>) -> Self {
        let mut layout = Self::default();
        for segment in segments.as_slice() {
            let pages = segments.pages(segment);
            let end = pages.vaddr.wrapping_add(pages.bytes);
            layout.extend(segments, pages.vaddr, Protection::empty());
            if let Some(relro) = relro.filter(|each| pages.holds(each)) {
                layout.extend(segments, relro.vaddr, segment.protection);
                let relro_end = relro.vaddr.wrapping_add(relro.bytes);
                layout.extend(segments, relro_end, Protection::READ);
            }
            layout.extend(segments, end, segment.protection);
        }
        layout
    }

    /// Appends pages up to the address `end`, as linked.
    fn extend(&mut self, segments: &Segments<'_>, end: u64, protection: Protection) {
        // CAST: addresses of segments lie inside the span, which is a usize.
        let (offset, end) = (self.end(), end.wrapping_sub(segments.start()) as usize);
        let bytes = end.saturating_sub(offset);
        match self.runs.last_mut() {
            _ if bytes == 0 => {}
            Some(last) if last.protection == protection => last.bytes += bytes,
            // Cannot fail: there is room for the most runs that segments can have.
            _ => drop(self.runs.push(PageRun { offset, bytes, protection })),
        }
    }

    /// Returns the bytes that all runs cover.
    fn end(&self) -> usize {
        self.runs.last().map_or(0, |last| last.offset + last.bytes)
    }

    /// Returns the runs, ascending.
    #[must_use]
    pub fn runs(&self) -> &[PageRun] {
        &self.runs
    }
}

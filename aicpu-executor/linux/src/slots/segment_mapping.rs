//! Puts the segments of an image into a slot by mapping them from the file that holds it.
//!
//! It exists apart because it is the same for a file in a folder and for one in memory. A page is
//! copied only when it is written: by relocations, or by the image.
//!
//! ```text
//!  segment    │ file bytes …          │ bytes up to the page end │ further pages │
//!  comes from │ private file mapping  │ zeroed, if it has .bss   │ fresh memory  │
//! ```
//!
//! A segment that cannot be mapped is copied into fresh memory: its place in the file is not
//! congruent to its address, or it is read-only and longer than its file bytes.

use core::ops::Range;

use aicpu_executor::loader::{Plan, Protection, Segment};
use rustix::io::Errno;
use rustix::param::page_size;

use super::view::{Refusal, View};

/// Rights of pages that are still written to.
const WRITABLE: Protection = Protection::READ.union(Protection::WRITE);

/// Maps pages of the file, from an offset in it, into a view.
pub(super) trait MapPages {
    /// Maps them privately.
    ///
    /// # Errors
    ///
    /// The system's refusal; the pages have no rights then.
    fn map(
        &self,
        view: &mut View,
        pages: Range<usize>,
        offset: u64,
        protection: Protection,
    ) -> Result<(), Refusal>;
}

/// Puts all segments in place, mapped where there is a source.
///
/// Writable ones are writable then; the others have their final rights or, if they were copied,
/// are writable until the image is sealed.
pub(super) fn map_segments(
    view: &mut View,
    plan: &Plan<'_>,
    source: Option<&dyn MapPages>,
) -> Result<(), Refusal> {
    plan.segments().iter().try_for_each(|segment| {
        let (lead, pages) = plan.pages_of(segment);
        match (source, mappable(segment, lead, &pages)) {
            (Some(source), Some((mapped, offset))) => {
                let is_writable = segment.protection.contains(Protection::WRITE);
                let protection = if is_writable { WRITABLE } else { segment.protection };
                source.map(view, mapped.clone(), offset, protection)?;
                if is_writable && is_dense(plan, &mapped) {
                    view.populate(mapped.clone())?;
                }
                fresh(view, mapped.end..pages.end)?;
                // CAST: segments lie in the span, which is a usize.
                let start = pages.start + lead + segment.file_bytes as usize;
                let has_rest = segment.memory_bytes > segment.file_bytes;
                if has_rest { fill(view, start..mapped.end, &[]) } else { Ok(()) }
            }
            _ => {
                fresh(view, pages.clone())?;
                fill(view, pages.start + lead..pages.end, plan.file_bytes(segment))
            }
        }
    })
}

/// The pages of a segment that can be mapped, and where they are in the file; `None` if the segment
/// must be copied.
fn mappable(segment: &Segment, lead: usize, pages: &Range<usize>) -> Option<(Range<usize>, u64)> {
    let page = page_size();
    let is_writable = segment.protection.contains(Protection::WRITE);
    if segment.file_bytes == 0 || (!is_writable && segment.file_bytes < segment.memory_bytes) {
        return None;
    }
    // CAST: usize is 64 bits on the supported targets.
    let offset = segment.offset.checked_sub(lead as u64)?;
    let bytes = lead.checked_add(usize::try_from(segment.file_bytes).ok()?)?;
    let mapped = pages.start..pages.start.checked_add(bytes.next_multiple_of(page))?;
    offset.is_multiple_of(page as u64).then_some((mapped, offset))
}

/// Tells whether relocations write to most of many pages: bringing all of them in with one call is
/// cheaper then than a fault each, by an eighth of the load of an image with 50,000 relocations.
///
/// Relocations of the whole image are taken for the segment's; few images have two writable ones.
fn is_dense(plan: &Plan<'_>, pages: &Range<usize>) -> bool {
    /// Words of a page that are relocated, on average, where few pages have none.
    const DENSE_WORDS: usize = 64;
    /// Pages below which the call costs more than the faults.
    const MANY: usize = 16;
    let count = pages.len() / page_size();
    count >= MANY && plan.relocations() / DENSE_WORDS >= count
}

/// Makes pages of fresh memory writable.
fn fresh(view: &mut View, pages: Range<usize>) -> Result<(), Refusal> {
    if pages.is_empty() {
        return Ok(());
    }
    let refusal = Refusal { offset: pages.start, bytes: pages.len(), error: Errno::INVAL };
    let rights = view.rights().and_then(|now| now.with(&pages, WRITABLE)).ok_or(refusal)?;
    view.change(&rights)
}

/// Writes bytes to the front of a writable range, and zeroes behind them.
fn fill(view: &mut View, range: Range<usize>, bytes: &[u8]) -> Result<(), Refusal> {
    let refusal = Refusal { offset: range.start, bytes: range.len(), error: Errno::INVAL };
    // SAFETY: the view is being loaded into: no code of it runs, and nothing else lends it.
    let memory = unsafe { view.bytes_mut(range) }.ok_or(refusal)?;
    let (front, back) = memory.split_at_mut_checked(bytes.len()).ok_or(refusal)?;
    front.copy_from_slice(bytes);
    back.fill(0);
    Ok(())
}

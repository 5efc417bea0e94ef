//! The loadable segments: what they map, with which rights, and where an address lies in the file.
//!
//! It exists apart because every later check asks it the same few questions: is this range
//! file-backed, writable, executable? Hostile classes 6 to 11, 19, 22 and 28 end here.

use core::ops::Range;

use super::code_memory::Protection;
use super::elf::{self, ProgramHeader, file_range};
use super::error::PlanError;

/// Loadable segments an image may have; linkers write two to five.
pub(super) const MAX_SEGMENTS: usize = 16;

/// Largest alignment of a segment: the largest page size of AArch64.
const MAX_ALIGN: u64 = 0x1_0000;

/// A checked loadable segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment {
    /// Index of its program header.
    pub header: u16,
    /// First address, as linked.
    pub vaddr: u64,
    /// Bytes in memory; those behind `file_bytes` are zero.
    pub memory_bytes: u64,
    /// Position of its first byte in the file.
    pub offset: u64,
    /// Bytes in the file.
    pub file_bytes: u64,
    /// Rights after sealing. Never writable and executable.
    pub protection: Protection,
}

impl Segment {
    /// Returns the address behind the last byte. Cannot wrap: checked when the segment was read.
    #[must_use]
    pub const fn end(&self) -> u64 {
        self.vaddr.wrapping_add(self.memory_bytes)
    }

    /// Returns the end of the segment's code if `vaddr` is code in the file.
    pub(super) fn end_of_code(&self, vaddr: u64) -> Option<u64> {
        let is_code =
            self.protection.contains(Protection::EXECUTE) && self.holds(vaddr, 1, self.file_bytes);
        // Cannot wrap: not past the end of the segment.
        is_code.then_some(self.vaddr.wrapping_add(self.file_bytes))
    }

    /// Tells whether `bytes` bytes at `vaddr` lie within the first `limit` bytes of the segment.
    fn holds(&self, vaddr: u64, bytes: u64, limit: u64) -> bool {
        vaddr
            .checked_sub(self.vaddr)
            .and_then(|offset| offset.checked_add(bytes))
            .is_some_and(|end| end <= limit)
    }
}

/// All loadable segments of an image, ascending, on pages of their own.
#[derive(Debug, Clone)]
pub(super) struct Segments<'a> {
    image: &'a [u8],
    page_bytes: u64,
    list: heapless::Vec<Segment, MAX_SEGMENTS>,
    /// Largest alignment of a segment, at least a page.
    align: u64,
    /// First address, rounded down to `align`.
    start: u64,
    /// End of the last page.
    end: u64,
}

impl<'a> Segments<'a> {
    /// Reads the `PT_LOAD` headers.
    ///
    /// `page_bytes` is a power of two.
    ///
    /// # Errors
    ///
    /// A segment violates one of the rules 6 to 11, or the whole needs more than `span_limit`.
    pub(super) fn read(
        image: &'a [u8],
        headers: &[ProgramHeader],
        page_bytes: u64,
        span_limit: usize,
    ) -> Result<Self, PlanError> {
        let list = heapless::Vec::new();
        let mut segments = Self { image, page_bytes, list, align: page_bytes, start: 0, end: 0 };
        for (index, header) in (0_u16..).zip(headers) {
            if header.kind.get() == elf::PT_LOAD && header.memory_bytes.get() != 0 {
                segments.append(index, header)?;
            } else if header.kind.get() == elf::PT_LOAD && header.file_bytes.get() != 0 {
                return Err(PlanError::FileBytesExceedMemory {
                    header: index,
                    file_bytes: header.file_bytes.get(),
                    memory_bytes: 0,
                });
            }
        }
        let Some(first) = segments.list.first() else {
            return Err(PlanError::MissingHeader { kind: "PT_LOAD" });
        };
        segments.start = first.vaddr & !(segments.align - 1);
        let bytes = segments.end.saturating_sub(segments.start);
        // Positions in an image are kept in 32 bits, whatever the limit.
        if u32::try_from(bytes).map_or(true, |bytes| bytes as usize > span_limit) {
            return Err(PlanError::SpanTooLarge { bytes, limit: span_limit });
        }
        Ok(segments)
    }

    /// Checks one non-empty `PT_LOAD` by itself and against the one before, and keeps it.
    fn append(&mut self, index: u16, header: &ProgramHeader) -> Result<(), PlanError> {
        let segment = check_alone(self.image, index, header)?;
        let align = header.align.get().max(1);
        let page_end = segment
            .vaddr
            .checked_add(segment.memory_bytes)
            .and_then(|end| end.checked_next_multiple_of(self.page_bytes))
            .ok_or(PlanError::AddressWraps {
                header: index,
                vaddr: segment.vaddr,
                bytes: segment.memory_bytes,
            })?;
        if let Some(previous) = self.list.last() {
            if segment.vaddr < previous.vaddr {
                return Err(PlanError::SegmentsUnordered {
                    header: index,
                    vaddr: segment.vaddr,
                    previous: previous.vaddr,
                });
            }
            if segment.vaddr < previous.end() {
                return Err(PlanError::SegmentsOverlap {
                    header: index,
                    vaddr: segment.vaddr,
                    previous_end: previous.end(),
                });
            }
            let page = segment.vaddr & !(self.page_bytes - 1);
            if page < self.end {
                return Err(PlanError::PageShared {
                    header: index,
                    page,
                    // CAST: a page size up to 64 KiB, given as usize by the caller.
                    page_bytes: self.page_bytes as usize,
                });
            }
        }
        self.align = self.align.max(align);
        self.end = page_end;
        self.list
            .push(segment)
            .map_err(|_| PlanError::TooManySegments { header: index, limit: MAX_SEGMENTS })
    }

    /// Asks for checked branch targets in all code.
    pub(super) fn guard_branches(&mut self) {
        for segment in &mut self.list {
            let is_code = segment.protection.contains(Protection::EXECUTE);
            segment.protection.set(Protection::BRANCH_TARGETS, is_code);
        }
    }

    /// Returns the segments, ascending by address.
    pub(super) fn as_slice(&self) -> &[Segment] {
        &self.list
    }

    /// Returns the first address, rounded down to [`align`](Self::align).
    pub(super) const fn start(&self) -> u64 {
        self.start
    }

    /// Returns the bytes from the start to the end of the last page.
    pub(super) const fn span(&self) -> u64 {
        self.end - self.start
    }

    /// Returns the alignment the start needs in memory: a power of two, at least a page.
    pub(super) const fn align(&self) -> u64 {
        self.align
    }

    /// Returns the position in the file of a range that lies in the file-backed part of one
    /// segment.
    pub(super) fn file_offset(&self, vaddr: u64, bytes: u64) -> Option<u64> {
        let segment = self.list.iter().find(|each| each.holds(vaddr, bytes, each.file_bytes))?;
        // Neither can wrap: `holds` has shown vaddr >= segment.vaddr, and the range is in the file.
        Some(segment.offset.wrapping_add(vaddr.wrapping_sub(segment.vaddr)))
    }

    /// Returns the file bytes of a range that lies in the file-backed part of one segment.
    pub(super) fn file_bytes(&self, vaddr: u64, bytes: u64) -> Option<&'a [u8]> {
        file_range(self.image, self.file_offset(vaddr, bytes)?, bytes)
    }

    /// Returns the file bytes from `vaddr` to the end of the file-backed part of its segment.
    pub(super) fn file_bytes_from(&self, vaddr: u64) -> Option<&'a [u8]> {
        let segment = self.list.iter().find(|each| each.holds(vaddr, 0, each.file_bytes))?;
        self.file_bytes(vaddr, segment.file_bytes - vaddr.wrapping_sub(segment.vaddr))
    }

    /// Tells whether a range lies in one writable segment.
    pub(super) fn is_writable(&self, vaddr: u64, bytes: u64) -> bool {
        self.writable_segment(vaddr, bytes).is_some()
    }

    /// Tells whether a range (at least one byte) is code in the file.
    pub(super) fn is_code(&self, vaddr: u64, bytes: u64) -> bool {
        self.code_around(vaddr, bytes).is_some()
    }

    /// Returns the addresses of all code of the segment in which a range (at least one byte) is
    /// code in the file.
    pub(super) fn code_around(&self, vaddr: u64, bytes: u64) -> Option<Range<u64>> {
        let segment = self.list.iter().find(|each| {
            each.protection.contains(Protection::EXECUTE)
                && each.holds(vaddr, bytes.max(1), each.file_bytes)
        })?;
        // No overflow: the end of every segment was computed with a check.
        Some(segment.vaddr..segment.vaddr.wrapping_add(segment.file_bytes))
    }

    /// Tells whether a range lies in one segment; an empty one may lie directly behind it.
    pub(super) fn holds(&self, vaddr: u64, bytes: u64) -> bool {
        self.list.iter().any(|each| each.holds(vaddr, bytes, each.memory_bytes))
    }

    /// Rounds a `PT_GNU_RELRO` range to the pages that may become read-only.
    ///
    /// Rounds inward, except where the rest of the page is padding of the same segment: there is
    /// nothing else on it, and the linker counts on its being sealed.
    ///
    /// # Errors
    ///
    /// The range is not inside one writable segment.
    pub(super) fn relro_pages(&self, vaddr: u64, bytes: u64) -> Result<Option<Pages>, PlanError> {
        let segment = self
            .list
            .iter()
            .find(|each| {
                each.protection.contains(Protection::WRITE)
                    // GNU ld counts up to the page end, which may be behind the last byte.
                    && each.holds(vaddr, bytes, each.memory_bytes.saturating_add(self.padding(each)))
            })
            .ok_or(PlanError::RelroOutsideSegment { vaddr, bytes })?;
        let mask = self.page_bytes - 1;
        // No overflow: the page end of every segment was computed with a check.
        let end = vaddr.wrapping_add(bytes);
        let first = if vaddr == segment.vaddr { vaddr & !mask } else { (vaddr + mask) & !mask };
        let last = if end >= segment.end() { (end + mask) & !mask } else { end & !mask };
        Ok((first < last).then_some(Pages { vaddr: first, bytes: last - first }))
    }

    /// Returns the pages of a segment.
    pub(super) const fn pages(&self, segment: &Segment) -> Pages {
        let mask = self.page_bytes - 1;
        let first = segment.vaddr & !mask;
        // No overflow: the page end of every segment was computed with a check.
        let end = segment.end().wrapping_add(mask) & !mask;
        Pages { vaddr: first, bytes: end.wrapping_sub(first) }
    }

    /// Returns the file.
    pub(super) const fn image(&self) -> &'a [u8] {
        self.image
    }

    /// Returns the writable segment that holds a word, for the cache of whoever asks for many.
    pub(super) fn writable_segment(&self, vaddr: u64, bytes: u64) -> Option<&Segment> {
        self.list.iter().find(|each| {
            each.protection.contains(Protection::WRITE)
                && each.holds(vaddr, bytes, each.memory_bytes)
        })
    }

    /// Returns the bytes between the end of a segment and the end of its last page.
    const fn padding(&self, segment: &Segment) -> u64 {
        segment.end().wrapping_neg() & (self.page_bytes - 1)
    }
}

/// Whole pages of the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pages {
    /// First address, as linked.
    pub(super) vaddr: u64,
    /// Bytes.
    pub(super) bytes: u64,
}

impl Pages {
    /// Tells whether `other` lies within.
    pub(super) fn holds(&self, other: &Self) -> bool {
        other
            .vaddr
            .checked_sub(self.vaddr)
            .and_then(|offset| offset.checked_add(other.bytes))
            .is_some_and(|end| end <= self.bytes)
    }
}

/// Returns the file bytes of a program header of any kind, `what`: rules 6 and 7.
///
/// # Errors
///
/// It has more bytes in the file than in memory, or the file does not have them.
pub(super) fn check_file_range<'a>(
    image: &'a [u8],
    index: u16,
    header: &ProgramHeader,
    what: &'static str,
) -> Result<&'a [u8], PlanError> {
    let (file_bytes, memory_bytes) = (header.file_bytes.get(), header.memory_bytes.get());
    if file_bytes > memory_bytes {
        return Err(PlanError::FileBytesExceedMemory { header: index, file_bytes, memory_bytes });
    }
    let offset = header.offset.get();
    file_range(image, offset, file_bytes).ok_or(PlanError::OutsideFile {
        what,
        offset,
        bytes: file_bytes,
        file_bytes: image.len(),
    })
}

/// Checks a `PT_LOAD` by itself: rules 6, 7, 8, 10 and 11.
fn check_alone(image: &[u8], index: u16, header: &ProgramHeader) -> Result<Segment, PlanError> {
    let (offset, vaddr) = (header.offset.get(), header.vaddr.get());
    let (file_bytes, memory_bytes) = (header.file_bytes.get(), header.memory_bytes.get());
    check_file_range(image, index, header, "loadable segment")?;
    let align = header.align.get();
    if align > 1 {
        if !align.is_power_of_two() || align > MAX_ALIGN {
            return Err(PlanError::SegmentAlignment { header: index, align });
        }
        if (offset ^ vaddr) & (align - 1) != 0 {
            return Err(PlanError::SegmentIncongruent { header: index, offset, vaddr, align });
        }
    }
    let flags = header.flags.get();
    if flags & elf::PF_W != 0 && flags & elf::PF_X != 0 {
        return Err(PlanError::WritableExecutable { header: index, vaddr });
    }
    // Hardware has no write-only and mostly no execute-only pages, so both imply reading.
    let mut protection = Protection::empty();
    protection.set(Protection::READ, flags & (elf::PF_R | elf::PF_W | elf::PF_X) != 0);
    protection.set(Protection::WRITE, flags & elf::PF_W != 0);
    protection.set(Protection::EXECUTE, flags & elf::PF_X != 0);
    Ok(Segment { header: index, vaddr, memory_bytes, offset, file_bytes, protection })
}

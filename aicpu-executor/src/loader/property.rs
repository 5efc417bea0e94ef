//! Properties noted in an image: whether its code can be guarded against stray indirect jumps.
//!
//! AArch64 processors with branch target identification (BTI) refuse an indirect jump to an
//! instruction that does not allow it, on pages that ask for that. The linker notes that all code
//! of an image was compiled for it. Other properties, and all those of x86-64, change nothing here
//! and are not read. Hostile class 29: sizes, alignment, order and number are bounded.
//!
//! Sources: AAELF64 §"Program Property"; Linux Extensions to gABI, ".note.gnu.property".

use core::mem::size_of;

use zerocopy::FromBytes;
use zerocopy::little_endian::U32;

use super::elf::{self, ProgramHeader};
use super::error::PlanError;
use super::note::{GNU_NAME, MAX_NOTES, Note, Notes, bad};

/// Properties of one note that are looked at; linkers write one or two.
const MAX_PROPERTIES: usize = 64;

/// `NT_GNU_PROPERTY_TYPE_0`.
const NT_GNU_PROPERTY_TYPE_0: u32 = 5;
/// `GNU_PROPERTY_AARCH64_FEATURE_1_AND`: features that all code of the image has.
const AARCH64_FEATURE_1_AND: u32 = 0xc000_0000;
/// `GNU_PROPERTY_AARCH64_FEATURE_1_BTI`.
const AARCH64_FEATURE_1_BTI: u32 = 1;

/// Alignment of properties, and of the notes that hold them, in 64-bit files.
const ALIGN: usize = 8;
/// Type and size in front of each property.
const HEADER_BYTES: usize = size_of::<[U32; 2]>();

/// Tells whether an AArch64 image says that all its code marks its branch targets.
///
/// Asks the segment of properties (`PT_GNU_PROPERTY`), or, where a linker wrote none, the notes
/// that are aligned as properties have to be. If there are several, all of them must say so.
///
/// # Errors
///
/// A note or property does not fit what holds it, is out of order, or there are too many.
pub(super) fn marks_branch_targets(
    image: &[u8],
    headers: &[ProgramHeader],
) -> Result<bool, PlanError> {
    let has = |kind| headers.iter().any(|each| each.kind.get() == kind);
    let kind = if has(elf::PT_GNU_PROPERTY) { elf::PT_GNU_PROPERTY } else { elf::PT_NOTE };
    let mut features = None;
    let mut count = 0;
    for (index, header) in (0_u16..).zip(headers) {
        let is_aligned = kind != elf::PT_NOTE || header.align.get() == ALIGN as u64;
        if header.kind.get() != kind || !is_aligned {
            continue;
        }
        let mut notes = Notes::aligned(image, index, header, ALIGN)?;
        while let Some(note) = notes.advance()? {
            count += 1;
            if count > MAX_NOTES {
                return Err(bad(note.offset, "number", count));
            }
            if note.kind == NT_GNU_PROPERTY_TYPE_0 && note.name == GNU_NAME {
                features = Some(aarch64_features(&note)? & features.unwrap_or(u32::MAX));
            }
        }
    }
    Ok(features.unwrap_or(0) & AARCH64_FEATURE_1_BTI != 0)
}

/// Returns the features that a note of properties gives, none if it does not say.
fn aarch64_features(note: &Note<'_>) -> Result<u32, PlanError> {
    let mut features = 0;
    let mut at = 0;
    let mut last = None;
    for count in 1.. {
        let rest = note.body.get(at..).unwrap_or_default();
        if rest.is_empty() {
            break;
        }
        let offset = note.body_offset.wrapping_add(at as u64);
        if count > MAX_PROPERTIES {
            return Err(bad(offset, "number of properties", count));
        }
        let (header, rest) = <[U32; 2]>::ref_from_prefix(rest)
            .map_err(|_| bad(offset, "property header size", rest.len()))?;
        let [kind, bytes] = header.map(|word| word.get() as usize);
        // Ascending and so never twice, as the kernel asks too.
        if last.is_some_and(|last| kind <= last) {
            return Err(bad(offset, "property type", kind));
        }
        last = Some(kind);
        // The padding counts: without it the next property would be misaligned.
        let padded = bytes.checked_next_multiple_of(ALIGN).filter(|padded| *padded <= rest.len());
        let padded = padded.ok_or(bad(offset, "property size", bytes))?;
        if kind == AARCH64_FEATURE_1_AND as usize {
            let word = rest.get(..bytes).and_then(|value| U32::read_from_bytes(value).ok());
            features = word.ok_or(bad(offset, "property size", bytes))?.get();
        }
        at = at.saturating_add(HEADER_BYTES).saturating_add(padded);
    }
    Ok(features)
}

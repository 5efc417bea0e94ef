//! Notes: finds the Build-ID.
//!
//! The Build-ID is metadata for logs and debuggers, never proof that two images are equal
//! (design loader §3.3). Hostile class 29: sizes, alignment and number of notes are bounded.

use core::mem::size_of;

use zerocopy::FromBytes;
use zerocopy::little_endian::U32;

use super::elf::{self, FileHeader, ProgramHeader, file_range};
use super::error::PlanError;
use super::header::MAX_PROGRAM_HEADERS;
use super::segment;

/// Notes that are looked at; linkers write two or three.
pub(super) const MAX_NOTES: usize = 64;

/// Bytes of a Build-ID; the longest in use (SHA-256) has 32.
pub(super) const MAX_BUILD_ID_BYTES: usize = 64;

/// `Elf64_Nhdr`: sizes of name and body, and the type.
const HEADER_BYTES: usize = size_of::<[U32; 3]>();

/// The name of the notes that GNU tools define.
pub(super) const GNU_NAME: &[u8] = b"GNU\0";

/// `NT_GNU_BUILD_ID`.
const NT_GNU_BUILD_ID: u32 = 3;

/// Walks all notes and returns the first Build-ID.
///
/// # Errors
///
/// A note does not fit its segment, there are too many, or the Build-ID is too long.
pub(super) fn build_id<'a>(
    image: &'a [u8],
    headers: &[ProgramHeader],
) -> Result<Option<&'a [u8]>, PlanError> {
    let mut found = None;
    let mut count = 0;
    for (index, header) in (0_u16..).zip(headers) {
        if header.kind.get() != elf::PT_NOTE {
            continue;
        }
        // The gABI says 8 for 64-bit files, GNU writes 4 except for property notes.
        let align = if header.align.get() == 8 { 8 } else { 4 };
        let mut notes = Notes::aligned(image, index, header, align)?;
        while let Some(note) = notes.advance()? {
            count += 1;
            if count > MAX_NOTES {
                return Err(bad(note.offset, "number", count));
            }
            if note.kind != NT_GNU_BUILD_ID || note.name != GNU_NAME || note.body.is_empty() {
                continue;
            }
            if note.body.len() > MAX_BUILD_ID_BYTES {
                return Err(bad(note.offset, "Build-ID size", note.body.len()));
            }
            found = found.or(Some(note.body));
        }
    }
    Ok(found)
}

/// Returns the Build-ID of a file that need not be an image that can be loaded.
///
/// For messages about a file that was refused: whatever is wrong with it, notes that can be read
/// are read, whatever machine and type of ELF64 file it is.
pub(super) fn build_id_of_any_file(file: &[u8]) -> Option<&[u8]> {
    let (header, _) = FileHeader::ref_from_prefix(file).ok()?;
    let is_elf = header.magic == elf::ELF_MAGIC
        && header.class == elf::ELF_CLASS_64
        && header.data == elf::ELF_DATA_LITTLE
        && usize::from(header.program_entry_bytes.get()) == size_of::<ProgramHeader>();
    let count = header.program_count.get().min(MAX_PROGRAM_HEADERS);
    let bytes = u64::from(count) * size_of::<ProgramHeader>() as u64;
    let table = is_elf.then(|| file_range(file, header.program_offset.get(), bytes))??;
    let headers = <[ProgramHeader]>::ref_from_bytes(table).ok()?;
    headers.iter().find_map(|each| build_id(file, core::slice::from_ref(each)).ok()?)
}

/// One note.
pub(super) struct Note<'a> {
    /// Position of its header in the file.
    pub(super) offset: u64,
    pub(super) kind: u32,
    /// With the NUL at its end.
    pub(super) name: &'a [u8],
    /// Position of its body in the file.
    pub(super) body_offset: u64,
    pub(super) body: &'a [u8],
}

/// The notes of one segment.
pub(super) struct Notes<'a> {
    rest: &'a [u8],
    /// Position of `rest` in the file.
    offset: u64,
    align: usize,
}

impl<'a> Notes<'a> {
    /// Starts at the first note of a segment in which parts of notes are aligned to `align`.
    ///
    /// # Errors
    ///
    /// The segment is not inside the file, or larger there than in memory.
    pub(super) fn aligned(
        image: &'a [u8],
        index: u16,
        header: &ProgramHeader,
        align: usize,
    ) -> Result<Self, PlanError> {
        let is_note = header.kind.get() == elf::PT_NOTE;
        let what = if is_note { "PT_NOTE" } else { "PT_GNU_PROPERTY" };
        let rest = segment::check_file_range(image, index, header, what)?;
        let offset = header.offset.get();
        Ok(Self { rest, offset, align })
    }

    /// Returns the next note, `None` at the end.
    ///
    /// # Errors
    ///
    /// It does not fit the segment.
    pub(super) fn advance(&mut self) -> Result<Option<Note<'a>>, PlanError> {
        let (rest, offset) = (self.rest, self.offset);
        if rest.is_empty() {
            return Ok(None);
        }
        let (header, _) = <[U32; 3]>::ref_from_prefix(rest)
            .map_err(|_| bad(offset, "header size", rest.len()))?;
        let [name_bytes, body_bytes, kind] = header.map(U32::get);
        let (name, name_end) = part(rest, HEADER_BYTES, name_bytes).ok_or(bad(
            offset,
            "n_namesz",
            name_bytes as usize,
        ))?;
        let (body, body_end) = name_end
            .checked_next_multiple_of(self.align)
            .and_then(|start| part(rest, start, body_bytes))
            .ok_or(bad(offset, "n_descsz", body_bytes as usize))?;
        // The last note of a segment may lack its padding.
        let end = body_end.checked_next_multiple_of(self.align).unwrap_or(body_end).min(rest.len());
        self.rest = rest.get(end..).unwrap_or_default();
        self.offset = offset.wrapping_add(end as u64);
        let body_offset = offset.wrapping_add((body_end - body.len()) as u64);
        Ok(Some(Note { offset, kind, name, body_offset, body }))
    }
}

/// Cuts `length` bytes at `start` out of `bytes`; returns them and where they end.
fn part(bytes: &[u8], start: usize, length: u32) -> Option<(&[u8], usize)> {
    let end = start.checked_add(usize::try_from(length).ok()?)?;
    Some((bytes.get(start..end)?, end))
}

/// Builds the error of a note.
pub(super) const fn bad(offset: u64, field: &'static str, value: usize) -> PlanError {
    PlanError::Note { offset, field, value: value as u64 }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::vec::Vec;

    use zerocopy::FromZeros;

    use super::*;

    /// Builds a note padded to `align`.
    fn note(kind: u32, name: &[u8], body: &[u8], align: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        for word in [name.len() as u32, body.len() as u32, kind] {
            bytes.extend(word.to_le_bytes());
        }
        for part in [name, body] {
            bytes.extend(part);
            bytes.resize(bytes.len().next_multiple_of(align), 0);
        }
        bytes
    }

    /// Finds the Build-ID in one segment of notes.
    fn find(bytes: &[u8], align: u64) -> Result<Option<&[u8]>, PlanError> {
        let mut header = ProgramHeader::new_zeroed();
        header.kind.set(elf::PT_NOTE);
        header.file_bytes.set(bytes.len() as u64);
        header.memory_bytes.set(bytes.len() as u64);
        header.align.set(align);
        build_id(bytes, &[header])
    }

    #[test]
    fn steps_over_notes_of_either_alignment() {
        for align in [4, 8] {
            let property = note(5, b"GNU\0", &[1; 16], align);
            let other = note(3, b"Go\0\0", &[2; 5], align);
            let id = note(3, b"GNU\0", &[3; 13], align);
            let second = note(3, b"GNU\0", &[4; 20], align);
            let bytes = [property, other, id, second].concat();
            assert_eq!(find(&bytes, align as u64), Ok(Some(&[3; 13][..])), "{align}");
        }
    }

    #[test]
    fn an_empty_or_absent_id_is_none() {
        assert_eq!(find(&[], 4), Ok(None));
        assert_eq!(find(&note(3, b"GNU\0", &[], 4), 4), Ok(None));
        assert_eq!(find(&note(3, b"GNU", &[1; 20], 4), 4), Ok(None));
        assert_eq!(find(&note(1, b"GNU\0", &[1; 20], 4), 4), Ok(None));
    }

    #[test]
    fn the_last_note_may_lack_its_padding() {
        let mut bytes = note(3, b"GNU\0", &[7; 5], 4);
        bytes.truncate(12 + 4 + 5);
        assert_eq!(find(&bytes, 4), Ok(Some(&[7; 5][..])));
        bytes.pop();
        let expected = PlanError::Note { offset: 0, field: "n_descsz", value: 5 };
        assert_eq!(find(&bytes, 4), Err(expected));
    }

    #[test]
    fn refuses_ids_longer_than_the_limit() {
        for (length, accepted) in [(63, true), (64, true), (65, false)] {
            let bytes = note(3, b"GNU\0", &std::vec![9; length], 4);
            assert_eq!(find(&bytes, 4).is_ok(), accepted, "{length}");
        }
    }
}

//! The GNU Build-ID of an image, read with goblin.
//!
//! It is metadata: it names a build in logs and warnings, and nothing is shared or refused because
//! of it. So whatever a hostile image makes of it is harmless, and only the work is bounded: not
//! the whole file is parsed but its header, the first program headers, and so many bytes of notes:
//! 0.3 µs for what a linker writes, 0.03 ms at worst.
//!
//! Where the project's other readers differ, they have reasons: the executor refuses images whose
//! notes are damaged, and `protocol::build_id` reads as the reference does, with parts aligned to 4
//! in segments that say 8 (spec callable §1.10).

use aicpu_executor::loader::{BuildId, ImageLabel, SymbolName};
use goblin::container::{Container, Ctx, Endian};
use goblin::elf::header::{EI_CLASS, EI_DATA, ELFCLASS64, ELFDATA2LSB};
use goblin::elf::note::{NT_GNU_BUILD_ID, NoteDataIterator};
use goblin::elf::program_header::PT_NOTE;
use goblin::elf::{Elf, ProgramHeader};
use goblin::elf64::program_header::SIZEOF_PHDR;

/// Program headers looked at. Linkers write about ten; the loader refuses images with more.
const HEADERS_MAX: u16 = 64;
/// Bytes of notes looked at, of all segments together. Linkers write about a hundred; without a
/// limit a small file could name the same notes in every header, and a large one name itself.
const NOTE_BYTES_MAX: usize = 16 * 1024;

/// Returns the first GNU Build-ID of 1 to 64 bytes in the notes of an image.
///
/// `None` where there is none, or where `image` is no 64-bit little-endian ELF file. Sections are
/// not looked at. No input makes it panic; the cost is bounded whatever the size of `image` is.
pub fn read(image: &[u8]) -> Option<BuildId> {
    let header = Elf::parse_header(image).ok()?;
    if (header.e_ident[EI_CLASS], header.e_ident[EI_DATA]) != (ELFCLASS64, ELFDATA2LSB) {
        return None;
    }
    // What goblin steps by.
    if usize::from(header.e_phentsize) != SIZEOF_PHDR {
        return None;
    }
    let context = Ctx::new(Container::Big, Endian::Little);
    let table = usize::try_from(header.e_phoff).ok()?;
    let count = usize::from(header.e_phnum.min(HEADERS_MAX));
    let headers = ProgramHeader::parse(image, table, count, context).ok()?;
    let mut left = NOTE_BYTES_MAX;
    headers.iter().filter(|each| each.p_type == PT_NOTE).find_map(|segment| {
        let notes = within(image, segment.p_offset, segment.p_filesz)?;
        let notes = &notes[..notes.len().min(left)];
        left -= notes.len();
        first_in(notes, segment.p_align, context)
    })
}

/// How registration names an image in logs and errors: by its Build-ID, without reading more of it.
pub fn label(image: &[u8]) -> ImageLabel {
    ImageLabel { soname: SymbolName::EMPTY, build_id: read(image) }
}

/// The first usable Build-ID among the notes of a segment; a damaged note ends the search there.
fn first_in(notes: &[u8], align: u64, context: Ctx) -> Option<BuildId> {
    let align = usize::try_from(align).ok()?;
    NoteDataIterator { data: notes, size: notes.len(), offset: 0, ctx: (align, context) }
        .map_while(Result::ok)
        .filter(|note| note.n_type == NT_GNU_BUILD_ID && note.name == "GNU")
        .find_map(|note| BuildId::new(note.desc))
}

/// The part of `image` that a header names, if all of it is there.
fn within(image: &[u8], offset: u64, bytes: u64) -> Option<&[u8]> {
    let start = usize::try_from(offset).ok()?;
    image.get(start..start.checked_add(usize::try_from(bytes).ok()?)?)
}

#[cfg(test)]
pub(in crate::registry) mod images;
#[cfg(test)]
mod tests;

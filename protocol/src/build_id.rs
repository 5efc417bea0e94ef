//! Identity of an image: its Build-ID, or a hash of its bytes.
//!
//! Linkers note a hash of what they linked in the image; where that note is missing or the image
//! is damaged, a hash of all bytes takes its place, so that every byte sequence has an identity
//! (spec callable §1.10). Unlike the reference, no offset in the image can overflow or leave it.
//!
//! Eight bytes identify, they do not prove: who skips work because of an equal identity must
//! compare the bytes.

use crate::wire;

/// `\x7fELF`, and class 64 bits.
const ELF64_MAGIC: [u8; 5] = *b"\x7fELF\x02";
/// Bytes of the header of a 64-bit ELF image.
const ELF64_HEADER_BYTES: usize = 64;
/// Bytes of a program header.
const PROGRAM_HEADER_BYTES: u16 = 56;
/// Type of a segment that holds notes.
const PT_NOTE: u32 = 4;
/// Type of a GNU Build-ID note.
const NT_GNU_BUILD_ID: u32 = 3;
/// Notes looked at, of all segments together. Linkers write two or three; without a limit a small
/// file could name the same notes in thousands of headers.
const NOTES_MAX: usize = 1024;
/// Shorter descriptors cannot fill an identity.
const DESCRIPTOR_BYTES_MIN: usize = 8;

/// Returns the Build-ID noted in an ELF image, if it has one of at least 8 bytes.
///
/// Looks at 64-bit little-endian images only, through the program headers; sections are ignored.
/// Costs one pass over the notes, of which it looks at the first 1,024.
pub fn find_build_id(image: &[u8]) -> Option<&[u8]> {
    if !image.starts_with(&ELF64_MAGIC) || image.len() < ELF64_HEADER_BYTES {
        return None;
    }
    let table = usize::try_from(u64_at(image, 32)?).ok()?;
    let entry_bytes = u16_at(image, 54)?;
    let count = usize::from(u16_at(image, 56)?);
    if table == 0 || entry_bytes < PROGRAM_HEADER_BYTES {
        return None;
    }
    let entry_bytes = usize::from(entry_bytes);
    let table = part(image, table, count.checked_mul(entry_bytes)?)?;
    let mut left = NOTES_MAX;
    table.chunks_exact(entry_bytes).find_map(|header| {
        let notes = note_segment(image, header)?;
        build_id_note(notes, &mut left)
    })
}

/// Returns a number that identifies the image: equal images have equal ones.
///
/// The first 8 bytes of the Build-ID, or else FNV-1a over the whole image.
pub fn identity_hash(image: &[u8]) -> u64 {
    match find_build_id(image).and_then(|id| id.first_chunk()) {
        Some(prefix) => u64::from_le_bytes(*prefix),
        None => fnv1a(image),
    }
}

/// FNV-1a over `bytes`, 64 bits.
fn fnv1a(bytes: &[u8]) -> u64 {
    const OFFSET_BASIS: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0000_0100_0000_01b3;
    bytes.iter().fold(OFFSET_BASIS, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(PRIME))
}

/// Returns the notes that a program header points at, if it is for notes inside the image.
fn note_segment<'a>(image: &'a [u8], header: &[u8]) -> Option<&'a [u8]> {
    if u32_at(header, 0)? != PT_NOTE {
        return None;
    }
    let offset = usize::try_from(u64_at(header, 8)?).ok()?;
    let bytes = usize::try_from(u64_at(header, 32)?).ok()?;
    part(image, offset, bytes)
}

/// Returns the first usable Build-ID among `notes`; stops at a note that runs past the end, and
/// when no more notes are `left` to look at.
fn build_id_note<'a>(mut notes: &'a [u8], left: &mut usize) -> Option<&'a [u8]> {
    while !notes.is_empty() {
        *left = left.checked_sub(1)?;
        let name_bytes = wire::widen(u32_at(notes, 0)?);
        let descriptor_bytes = wire::widen(u32_at(notes, 4)?);
        let kind = u32_at(notes, 8)?;
        let name = part(notes, 12, name_bytes)?;
        let descriptor_at = name_bytes.checked_next_multiple_of(4)?.checked_add(12)?;
        let descriptor = part(notes, descriptor_at, descriptor_bytes)?;
        if kind == NT_GNU_BUILD_ID && name == b"GNU\0" && descriptor_bytes >= DESCRIPTOR_BYTES_MIN {
            return Some(descriptor);
        }
        let next = descriptor_bytes.checked_next_multiple_of(4)?.checked_add(descriptor_at)?;
        notes = notes.get(next..)?;
    }
    None
}

fn part(bytes: &[u8], offset: usize, len: usize) -> Option<&[u8]> {
    bytes.get(offset..offset.checked_add(len)?)
}

fn u16_at(bytes: &[u8], offset: usize) -> Option<u16> {
    Some(u16::from_le_bytes(*bytes.get(offset..)?.first_chunk()?))
}

fn u32_at(bytes: &[u8], offset: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(offset..)?.first_chunk()?))
}

fn u64_at(bytes: &[u8], offset: usize) -> Option<u64> {
    Some(u64::from_le_bytes(*bytes.get(offset..)?.first_chunk()?))
}

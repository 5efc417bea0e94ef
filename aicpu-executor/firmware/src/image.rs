//! What this image is: where it was loaded, and its Build-ID. By this a host finds the texts of its log frames.

use aicpu_executor::log::area::ImageIdentity;
use protocol::find_build_id;

/// Bytes of an ELF header, and of a program header.
const HEADER_BYTES: (usize, usize) = (64, 56);
/// Type of a segment that is in memory.
const PT_LOAD: u32 = 1;

unsafe extern "C" {
    /// Defined by the linker: the first byte of the image.
    static __ehdr_start: u8;
}

/// This image's identity.
pub(crate) fn identity() -> ImageIdentity {
    let start = &raw const __ehdr_start;
    let build_id = first_segment(start).and_then(find_build_id).and_then(|id| id.first_chunk());
    // The image is linked to address 0, so that its start is what was added when it was loaded.
    ImageIdentity { bias: start.addr() as u64, build_id: build_id.copied().unwrap_or_default() }
}

/// The segment that begins with the image: the headers and the notes are in it, as far in as in the file.
fn first_segment<'a>(start: *const u8) -> Option<&'a [u8]> {
    let (header_bytes, entry_bytes) = HEADER_BYTES;
    // SAFETY: the linker puts the ELF header there, in memory that is loaded and never written.
    let header = unsafe { core::slice::from_raw_parts(start, header_bytes) };
    let table = usize::try_from(u64::from_le_bytes(*header.get(32..)?.first_chunk()?)).ok()?;
    let count = usize::from(u16::from_le_bytes(*header.get(56..)?.first_chunk()?));
    // SAFETY: the program headers follow the header in the same segment, or the loader had not loaded it.
    let entries = unsafe { core::slice::from_raw_parts(start.add(table), count * entry_bytes) };
    let bytes = entries.chunks_exact(entry_bytes).find_map(|entry| {
        let kind = u32::from_le_bytes(*entry.first_chunk()?);
        let offset = u64::from_le_bytes(*entry.get(8..)?.first_chunk()?);
        let bytes = u64::from_le_bytes(*entry.get(32..)?.first_chunk()?);
        (kind == PT_LOAD && offset == 0).then_some(bytes)
    })?;
    // SAFETY: so many bytes of the file are loaded from there on, read-only.
    Some(unsafe { core::slice::from_raw_parts(start, usize::try_from(bytes).ok()?) })
}

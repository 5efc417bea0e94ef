//! ELF files of program headers and notes alone, for tests.

/// `PT_LOAD`: its bytes are no notes.
pub(in crate::registry) const LOAD: u32 = 1;
/// `PT_NOTE`.
pub(in crate::registry) const NOTE: u32 = 4;

/// A segment: type, alignment and bytes.
pub(in crate::registry) type Segment = (u32, u64, Vec<u8>);

/// A note whose parts are padded to `align`.
pub(in crate::registry) fn note(align: usize, kind: u32, name: &str, body: &[u8]) -> Vec<u8> {
    let sizes = [name.len(), body.len()].map(|bytes| u32::try_from(bytes).unwrap());
    let words = [sizes[0], sizes[1], kind];
    let mut note: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    for part in [name.as_bytes(), body] {
        note.extend(part);
        note.resize(note.len().next_multiple_of(align), 0);
    }
    note
}

/// A Build-ID note.
pub(in crate::registry) fn build_id_note(id: &[u8]) -> Vec<u8> {
    note(4, 3, "GNU\0", id)
}

/// A file with these segments, one after the other.
pub(in crate::registry) fn elf(segments: &[Segment]) -> Vec<u8> {
    let mut file = b"\x7fELF\x02\x01\x01".to_vec();
    file.resize(64, 0);
    file[32] = 64;
    file[54] = 56;
    file[56..58].copy_from_slice(&u16::try_from(segments.len()).unwrap().to_le_bytes());
    let mut offset = (64 + 56 * segments.len()) as u64;
    for (kind, align, bytes) in segments {
        let size = bytes.len() as u64;
        file.extend(kind.to_le_bytes());
        // No rights; then offset, two addresses, two sizes, alignment.
        file.extend(0_u32.to_le_bytes());
        file.extend([offset, 0, 0, size, size, *align].iter().flat_map(|word| word.to_le_bytes()));
        offset += size;
    }
    file.extend(segments.iter().flat_map(|(_, _, bytes)| bytes));
    file
}

/// A file with one segment of notes.
pub(in crate::registry) fn with_notes(notes: Vec<u8>) -> Vec<u8> {
    elf(&[(NOTE, 4, notes)])
}

//! Breaks the headers, segments and notes of a valid image, one word at a time.
//!
//! Classes are those of design loader §4.1. Offsets in the expectations are the ELF64 structure
//! offsets, written out.

#[path = "support/support.rs"]
mod support;

use aicpu_executor::loader::PlanError::{
    AddressWraps, DuplicateHeader, DynamicMisplaced, DynamicOutsideSegment, DynamicUnterminated,
    ExecutableStack, FileBytesExceedMemory, MissingHeader, NotElf, NotSharedObject, Note,
    OutsideFile, PageShared, ProgramHeaderCount, RelroOutsideSegment, SegmentAlignment,
    SegmentIncongruent, SegmentsOverlap, SegmentsUnordered, SpanTooLarge, ThreadLocal,
    UnsupportedField, UnwindTable, WritableExecutable, WrongMachine,
};
use aicpu_executor::loader::{Machine, PlanError, SymbolName};
use support::hostile::{Row, check};
use support::image_builder::{PT_TLS, RELRO, TestImage};

const FILE_BYTES: usize = 0x3100;

/// Changes a field of the file header that has one supported value.
fn field(
    image: &mut TestImage,
    (field, offset, bytes): (&'static str, usize, usize),
    value: u64,
    expected: u64,
) -> PlanError {
    image.put(offset, &value.to_le_bytes()[..bytes]);
    UnsupportedField { field, offset: offset as u64, value, expected }
}

const FILE_ROWS: &[Row] = &[
    (1, "file of one byte too few for its header", |image| {
        image.bytes.truncate(63);
        OutsideFile { what: "file header", offset: 0, bytes: 64, file_bytes: 63 }
    }),
    (1, "file cut inside the last segment", |image| {
        image.bytes.pop();
        let file_bytes = FILE_BYTES - 1;
        OutsideFile { what: "loadable segment", offset: 0x2000, bytes: 0x1100, file_bytes }
    }),
    (2, "magic", |image| {
        image.bytes[3] = b'f';
        NotElf { magic: *b"\x7fELf" }
    }),
    (2, "32-bit class", |image| field(image, ("EI_CLASS", 4, 1), 1, 2)),
    (2, "big endian", |image| field(image, ("EI_DATA", 5, 1), 2, 1)),
    (2, "identification version", |image| field(image, ("EI_VERSION", 6, 1), 0, 1)),
    (2, "operating system", |image| field(image, ("EI_OSABI", 7, 1), 9, 0)),
    (2, "version of the operating system's ABI", |image| {
        field(image, ("EI_ABIVERSION", 8, 1), 1, 0)
    }),
    (2, "version", |image| field(image, ("e_version", 20, 4), 2, 1)),
    (3, "32-bit machine", |image| {
        image.put16(18, 3);
        WrongMachine { value: 3, expected: image.machine }
    }),
    (3, "the other machine", |image| {
        let (value, other) = match image.machine {
            Machine::X86_64 => (183, 183),
            Machine::Aarch64 => (62, 62),
        };
        image.put16(18, other);
        WrongMachine { value, expected: image.machine }
    }),
    (4, "relocatable object", |image| {
        image.put16(16, 1);
        NotSharedObject { kind: 1, flags_1: 0 }
    }),
    (4, "executable", |image| {
        image.put16(16, 2);
        NotSharedObject { kind: 2, flags_1: 0 }
    }),
    (4, "core file", |image| {
        image.put16(16, 4);
        NotSharedObject { kind: 4, flags_1: 0 }
    }),
    (4, "position-independent executable", |image| {
        image.set_dynamic(0x6fff_fffb, 0x0800_0001);
        NotSharedObject { kind: 3, flags_1: 0x0800_0001 }
    }),
    (5, "size of the file header", |image| field(image, ("e_ehsize", 52, 2), 52, 64)),
    (5, "size of a program header", |image| field(image, ("e_phentsize", 54, 2), 57, 56)),
    (5, "no program headers", |image| {
        image.put16(56, 0);
        ProgramHeaderCount { count: 0, limit: 64 }
    }),
    (5, "one program header too many", |image| {
        image.put16(56, 65);
        ProgramHeaderCount { count: 65, limit: 64 }
    }),
    (5, "PN_XNUM", |image| {
        image.put16(56, 0xffff);
        ProgramHeaderCount { count: 0xffff, limit: 64 }
    }),
    (5, "program headers behind the file", |image| {
        let offset = FILE_BYTES as u64 - 8 * 56 + 8;
        image.put64(32, offset);
        let (bytes, file_bytes) = (8 * 56, FILE_BYTES);
        OutsideFile { what: "program header table", offset, bytes, file_bytes }
    }),
    (5, "position of the program headers wraps", |image| {
        image.put64(32, u64::MAX - 7);
        let (offset, bytes) = (u64::MAX - 7, 8 * 56);
        OutsideFile { what: "program header table", offset, bytes, file_bytes: FILE_BYTES }
    }),
    (5, "program headers misaligned", |image| {
        image.put64(32, 65);
        UnsupportedField { field: "e_phoff modulo 8", offset: 32, value: 1, expected: 0 }
    }),
];

const SEGMENT_ROWS: &[Row] = &[
    (6, "more bytes in the file than in memory", |image| {
        image.set_program(1, 40, 0xff);
        FileBytesExceedMemory { header: 1, file_bytes: 0x100, memory_bytes: 0xff }
    }),
    (6, "file bytes of a segment without memory", |image| {
        image.set_program(1, 40, 0);
        FileBytesExceedMemory { header: 1, file_bytes: 0x100, memory_bytes: 0 }
    }),
    (7, "segment behind the file", |image| {
        image.set_program(2, 8, 0x10_0000);
        let (offset, bytes) = (0x10_0000, 0x1100);
        OutsideFile { what: "loadable segment", offset, bytes, file_bytes: FILE_BYTES }
    }),
    (7, "position of a segment wraps", |image| {
        image.set_program(2, 8, 0u64.wrapping_sub(0x1000));
        let (offset, bytes) = (0u64.wrapping_sub(0x1000), 0x1100);
        OutsideFile { what: "loadable segment", offset, bytes, file_bytes: FILE_BYTES }
    }),
    (7, "position of the notes wraps", |image| {
        image.set_program(4, 8, 0u64.wrapping_sub(1 << 40));
        image.set_program(4, 32, (1 << 40) + 64);
        let (offset, bytes) = (0u64.wrapping_sub(1 << 40), (1 << 40) + 64);
        OutsideFile { what: "PT_NOTE", offset, bytes, file_bytes: FILE_BYTES }
    }),
    (7, "dynamic section behind the file", |image| {
        image.set_program(3, 8, 0x3100);
        let (offset, bytes) = (0x3100, 27 * 16);
        OutsideFile { what: "PT_DYNAMIC", offset, bytes, file_bytes: FILE_BYTES }
    }),
    (7, "RELRO behind the file", |image| {
        image.set_program(7, 32, u64::MAX);
        let (offset, bytes) = (0x2000, u64::MAX);
        OutsideFile { what: "PT_GNU_RELRO", offset, bytes, file_bytes: FILE_BYTES }
    }),
    (7, "unwind table behind the file", |image| {
        image.set_program(5, 8, 0x3100 - 8);
        let (offset, bytes) = (0x3100 - 8, 12);
        OutsideFile { what: "PT_GNU_EH_FRAME", offset, bytes, file_bytes: FILE_BYTES }
    }),
    (7, "unwind table outside the segments", |image| {
        image.set_program(5, 16, 0x1000);
        UnwindTable { vaddr: 0x1000, field: "size", value: 12 }
    }),
    (7, "pointer of the unwind table", |image| {
        image.put32(image.at.eh_frame_hdr + 4, 0x1000);
        let vaddr = image.at.eh_frame_hdr as u64;
        UnwindTable { vaddr, field: "pointer to .eh_frame", value: vaddr + 4 + 0x1000 }
    }),
    (7, "encoding of the unwind table", |image| {
        image.bytes[image.at.eh_frame_hdr + 1] = 0x9b;
        let vaddr = image.at.eh_frame_hdr as u64;
        UnwindTable { vaddr, field: "pointer encoding", value: 0x9b }
    }),
    (7, "version of the unwind table", |image| {
        image.bytes[image.at.eh_frame_hdr] = 2;
        UnwindTable { vaddr: image.at.eh_frame_hdr as u64, field: "version", value: 2 }
    }),
    (8, "addresses wrap", |image| {
        image.set_program(2, 40, 0u64.wrapping_sub(RELRO));
        AddressWraps { header: 2, vaddr: RELRO, bytes: 0u64.wrapping_sub(RELRO) }
    }),
    (8, "last page wraps", |image| {
        image.set_program(2, 40, 0u64.wrapping_sub(RELRO + 1));
        AddressWraps { header: 2, vaddr: RELRO, bytes: 0u64.wrapping_sub(RELRO + 1) }
    }),
    (8, "span of one page too many", |image| {
        image.set_program(2, 40, (16 << 20) - RELRO + 1);
        SpanTooLarge { bytes: (16 << 20) + 0x1000, limit: 16 << 20 }
    }),
    (9, "segments in the wrong order", |image| {
        image.set_program(2, 16, 0x1000);
        SegmentsUnordered { header: 2, vaddr: 0x1000, previous: 0x2000 }
    }),
    (9, "segments overlap", |image| {
        image.set_program(1, 40, 0x2001);
        SegmentsOverlap { header: 2, vaddr: RELRO, previous_end: RELRO + 1 }
    }),
    (9, "segments share a page", |image| {
        image.set_program(2, 8, 0x1800);
        image.set_program(2, 16, 0x2800);
        PageShared { header: 2, page: 0x2000, page_bytes: 4096 }
    }),
    (10, "alignment of three", |image| {
        image.set_program(1, 48, 3);
        SegmentAlignment { header: 1, align: 3 }
    }),
    (10, "alignment above the largest page", |image| {
        image.set_program(1, 48, 0x2_0000);
        SegmentAlignment { header: 1, align: 0x2_0000 }
    }),
    (10, "position and address differ modulo the alignment", |image| {
        image.set_program(1, 48, 0x2000);
        SegmentIncongruent { header: 1, offset: 0x1000, vaddr: 0x2000, align: 0x2000 }
    }),
    (11, "writable text", |image| {
        image.set_program(1, 4, 7);
        WritableExecutable { header: 1, vaddr: 0x2000 }
    }),
    (11, "executable data without reading", |image| {
        image.set_program(2, 4, 3);
        WritableExecutable { header: 2, vaddr: RELRO }
    }),
    (13, "executable stack", |image| {
        image.set_program(6, 4, 7);
        ExecutableStack { header: 6 }
    }),
    (23, "thread-local segment", |image| {
        image.set_program(6, 0, PT_TLS.into());
        ThreadLocal { name: SymbolName::EMPTY }
    }),
    (28, "RELRO over read-only memory", |image| {
        image.set_program(7, 16, 0x2000);
        RelroOutsideSegment { vaddr: 0x2000, bytes: 0x1000 }
    }),
    (28, "RELRO past the last page", |image| {
        image.set_program(7, 40, 0x2001);
        RelroOutsideSegment { vaddr: RELRO, bytes: 0x2001 }
    }),
    (28, "RELRO wraps", |image| {
        image.set_program(7, 40, u64::MAX);
        RelroOutsideSegment { vaddr: RELRO, bytes: u64::MAX }
    }),
];

const DYNAMIC_AND_NOTE_ROWS: &[Row] = &[
    (14, "no dynamic section", |image| {
        image.set_program(3, 0, 0);
        MissingHeader { kind: "PT_DYNAMIC" }
    }),
    (14, "two dynamic sections", |image| {
        image.set_program(6, 0, 2);
        DuplicateHeader { kind: "PT_DYNAMIC", header: 6 }
    }),
    (14, "dynamic section in a hole", |image| {
        image.set_program(3, 16, 0x3000);
        DynamicOutsideSegment { vaddr: 0x3000, bytes: 27 * 16 }
    }),
    (14, "dynamic section in .bss", |image| {
        image.set_program(3, 16, 0x5100 - 27 * 16 + 8);
        DynamicOutsideSegment { vaddr: 0x5100 - 27 * 16 + 8, bytes: 27 * 16 }
    }),
    (14, "dynamic section at two places", |image| {
        image.set_program(3, 8, 0x2110);
        DynamicMisplaced { offset: 0x2110, expected: 0x2100 }
    }),
    (14, "dynamic section without end", |image| {
        image.set_program(3, 32, 26 * 16);
        DynamicUnterminated { entries: 26 }
    }),
    (29, "note with a name behind its segment", |image| {
        image.put32(image.at.note, 25);
        Note { offset: image.at.note as u64, field: "n_namesz", value: 25 }
    }),
    (29, "note with a name that wraps", |image| {
        image.put32(image.at.note, u32::MAX);
        Note { offset: image.at.note as u64, field: "n_namesz", value: u32::MAX.into() }
    }),
    (29, "note with a body behind its segment", |image| {
        image.put32(image.at.note + 4, 21);
        Note { offset: image.at.note as u64, field: "n_descsz", value: 21 }
    }),
    (29, "rest too small for a note", |image| {
        image.set_program(4, 32, 36 + 11);
        Note { offset: image.at.note as u64 + 36, field: "header size", value: 11 }
    }),
    (29, "Build-ID longer than 64 bytes", |image| {
        image.set_program(4, 8, 0x2f00);
        image.set_program(4, 32, 16 + 65);
        image.put(0x2f00, b"\x04\0\0\0\x41\0\0\0\x03\0\0\0GNU\0");
        Note { offset: 0x2f00, field: "Build-ID size", value: 65 }
    }),
    (29, "65 empty notes", |image| {
        image.set_program(4, 8, 0x2c00);
        image.set_program(4, 32, 65 * 12);
        Note { offset: 0x2c00 + 64 * 12, field: "number", value: 65 }
    }),
];

#[test]
fn refuses_each_broken_file_header_by_name() {
    check(FILE_ROWS, &[1, 2, 3, 4, 5]);
}

#[test]
fn refuses_each_broken_segment_by_name() {
    check(SEGMENT_ROWS, &[6, 7, 8, 9, 10, 11, 13, 23, 28]);
}

#[test]
fn refuses_each_broken_dynamic_header_and_note_by_name() {
    check(DYNAMIC_AND_NOTE_ROWS, &[14, 29]);
}

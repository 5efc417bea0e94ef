//! Why an image is refused.
//!
//! One flat enumeration, so that a caller can match and a test can name the exact reason. Each
//! variant carries where in the file or image the offence is and the value found; the sentences
//! are in `error/text.rs`.

mod text;

use super::elf::Tag;
use super::machine::Machine;
use super::name::SymbolName;

/// Why [`plan`](super::plan()) refuses an image.
///
/// `offset` is always a byte position in the file, `vaddr` always an address as the image was
/// linked (0-based), `header` the index of a program header, `tag` an entry of the dynamic section,
/// `value` what was found and `expected` or `limit` what it was compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the fields mean the same in each variant; see the text above")]
pub enum PlanError {
    /// The limits given by the caller are unusable: page size not a power of two within 4–64 KiB.
    PageSize { bytes: usize },
    /// The file is larger than the limit.
    ImageTooLarge { bytes: usize, limit: usize },
    /// A range of the file ends behind its last byte (or wraps around).
    OutsideFile { what: &'static str, offset: u64, bytes: u64, file_bytes: usize },
    /// The first four bytes are not `\x7fELF`.
    NotElf { magic: [u8; 4] },
    /// A field of a header has a value other than the only one supported.
    UnsupportedField { field: &'static str, offset: u64, value: u64, expected: u64 },
    /// The image is built for another instruction set.
    WrongMachine { value: u16, expected: Machine },
    /// The image is not a shared object (`ET_DYN`), or a position-independent executable.
    NotSharedObject { kind: u16, flags_1: u64 },
    /// There are no program headers, or too many.
    ProgramHeaderCount { count: u16, limit: u16 },
    /// The image has none of a program header it needs.
    MissingHeader { kind: &'static str },
    /// The image has two of a program header that may occur once.
    DuplicateHeader { kind: &'static str, header: u16 },
    /// There are more loadable segments than the plan has room for.
    TooManySegments { header: u16, limit: usize },
    /// A segment has more bytes in the file than in memory.
    FileBytesExceedMemory { header: u16, file_bytes: u64, memory_bytes: u64 },
    /// A range of addresses runs past the end of the address space.
    AddressWraps { header: u16, vaddr: u64, bytes: u64 },
    /// The image needs more address space than the limit.
    SpanTooLarge { bytes: u64, limit: usize },
    /// Loadable segments are not in ascending order.
    SegmentsUnordered { header: u16, vaddr: u64, previous: u64 },
    /// Two loadable segments claim the same address.
    SegmentsOverlap { header: u16, vaddr: u64, previous_end: u64 },
    /// Two loadable segments need the same page.
    PageShared { header: u16, page: u64, page_bytes: usize },
    /// The alignment of a segment is not a power of two up to 64 KiB.
    SegmentAlignment { header: u16, align: u64 },
    /// File position and address of a segment differ modulo its alignment.
    SegmentIncongruent { header: u16, offset: u64, vaddr: u64, align: u64 },
    /// A segment is both writable and executable.
    WritableExecutable { header: u16, vaddr: u64 },
    /// The image asks for an executable stack.
    ExecutableStack { header: u16 },
    /// The image has relocations in read-only segments.
    TextRelocations { tag: Tag, value: u64 },
    /// The RELRO range is not inside one writable segment.
    RelroOutsideSegment { vaddr: u64, bytes: u64 },
    /// The dynamic section is not inside the file-backed part of one segment.
    DynamicOutsideSegment { vaddr: u64, bytes: u64 },
    /// The file position of the dynamic section is not the one its address stands for.
    DynamicMisplaced { offset: u64, expected: u64 },
    /// The dynamic section has no `DT_NULL` within its bytes or the first 1,024 entries.
    DynamicUnterminated { entries: usize },
    /// The dynamic section has an entry twice that may occur once.
    DuplicateTag { tag: Tag, entry: usize },
    /// The dynamic section lacks an entry.
    MissingTag { tag: Tag },
    /// The dynamic section asks for something the loader does not do.
    UnsupportedTag { tag: Tag, value: u64 },
    /// An entry size differs from the only one there is.
    EntrySize { tag: Tag, value: u64, expected: u64 },
    /// The size of a table is not a multiple of its entry size.
    TableSize { tag: Tag, bytes: u64, entry: u64 },
    /// A table of function pointers is not aligned to 8.
    TableMisaligned { tag: Tag, vaddr: u64 },
    /// A table is not inside the file-backed part of one segment.
    TableOutsideSegment { tag: Tag, vaddr: u64, bytes: u64 },
    /// The string table is empty or its last byte is not NUL.
    StringTableUnterminated { vaddr: u64, bytes: u64 },
    /// A name starts behind the end of the string table.
    StringOutsideTable { what: &'static str, index: u64, string: u64, table_bytes: usize },
    /// A name is longer than 4,096 bytes.
    NameTooLong { what: &'static str, index: u64, limit: usize },
    /// The image has neither `DT_GNU_HASH` nor `DT_HASH`, so its symbols cannot be counted.
    NoHashTable,
    /// A word of a hash table contradicts the rest of the table.
    HashTable { tag: Tag, field: &'static str, index: u64, value: u64, limit: u64 },
    /// A record of the symbol versions contradicts the others or leaves its segment.
    VersionRecord { tag: Tag, field: &'static str, record: u64, value: u64, limit: u64 },
    /// A symbol has a version number that no record explains.
    SymbolVersion { symbol: u32, version: u16 },
    /// A symbol is defined outside the image.
    SymbolOutsideImage { symbol: u32, value: u64 },
    /// A symbol is in a reserved section other than `SHN_ABS`.
    SymbolSection { symbol: u32, section: u16 },
    /// The image wants to be called when a thread ends, after it may be gone.
    ThreadExitFunction { symbol: u32, name: SymbolName },
    /// The image registers destructors with the C library, and nothing takes them back at unload.
    ExitFunctionsStay { symbol: u32 },
    /// A symbol is defined by a function to be called while binding (IFUNC).
    IndirectFunction { symbol: u32, name: SymbolName },
    /// The image has thread-local variables; the name is that of one of them, empty if the file was
    /// stripped of their names.
    ThreadLocal { name: SymbolName },
    /// A relocation names a symbol past the end of the symbol table.
    SymbolIndex { offset: u64, symbol: u32, count: usize },
    /// A relocation has a number the loader does not know.
    RelocationType { offset: u64, number: u32, machine: Machine },
    /// A relocation writes outside the writable segments.
    RelocationTarget { offset: u64, vaddr: u64 },
    /// A relocation copies a variable out of another image.
    CopyRelocation { offset: u64, vaddr: u64 },
    /// A relocation calls a resolver function while binding.
    IndirectRelocation { offset: u64, resolver: u64 },
    /// A packed (RELR) relocation is a bitmap without an address before it, or an odd address.
    PackedRelocation { offset: u64, value: u64 },
    /// There are more relocations than the limit.
    TooManyRelocations { limit: usize },
    /// An initialiser or finaliser is not inside an executable segment.
    FunctionOutsideText { tag: Tag, vaddr: u64 },
    /// An array of initialisers or finalisers has more entries than a loaded image keeps.
    TooManyFunctions { tag: Tag, count: u64, limit: usize },
    /// A needed library is named by a path.
    NeededPath { name: SymbolName },
    /// A needed library is not among those that the loader's symbols stand for.
    NeededNotAllowed { name: SymbolName },
    /// A note is malformed, or there are more than 64, or a Build-ID has more than 64 bytes.
    Note { offset: u64, field: &'static str, value: u64 },
    /// The header of the unwind tables is malformed or points outside the image.
    UnwindTable { vaddr: u64, field: &'static str, value: u64 },
}

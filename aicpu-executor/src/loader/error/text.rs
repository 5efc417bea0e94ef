//! The sentences of [`PlanError`]: what is wrong, where, and what to do where that is not obvious.

use core::fmt;

use super::PlanError;

impl fmt::Display for PlanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Groups, so that no function grows past a screen.
        header(*self, f)
            .or_else(|| segment(*self, f))
            .or_else(|| range(*self, f))
            .or_else(|| dynamic(*self, f))
            .or_else(|| symbol(*self, f))
            .or_else(|| relocation(*self, f))
            .unwrap_or_else(|| fmt::Debug::fmt(self, f))
    }
}

impl core::error::Error for PlanError {}

/// Texts about the file and its headers; `None` for any other error.
fn header(error: PlanError, f: &mut fmt::Formatter<'_>) -> Option<fmt::Result> {
    use PlanError as E;
    Some(match error {
        E::PageSize { bytes } => {
            write!(f, "page size {bytes} is not a power of two from 4096 to 65536")
        }
        E::ImageTooLarge { bytes, limit } => {
            write!(f, "image has {bytes} bytes, more than the limit of {limit}; strip it")
        }
        E::OutsideFile { what, offset, bytes, file_bytes } => write!(
            f,
            "{what} at offset {offset:#x} with {bytes:#x} bytes is not inside the file of \
             {file_bytes:#x} bytes; is the file cut?"
        ),
        E::NotElf { magic } => write!(f, "not an ELF file: it starts with {magic:02x?}"),
        E::UnsupportedField { field, offset, value, expected } => {
            write!(f, "{field} at offset {offset:#x} is {value:#x}, must be {expected:#x}")
        }
        E::WrongMachine { value, expected } => write!(
            f,
            "image is for machine {value}, must be {} ({expected})",
            expected.elf_number()
        ),
        E::NotSharedObject { kind, flags_1 } => write!(
            f,
            "not a shared object: e_type is {kind}, DT_FLAGS_1 is {flags_1:#x}; link with -shared"
        ),
        E::ProgramHeaderCount { count, limit } => {
            write!(f, "e_phnum is {count}, must be from 1 to {limit}")
        }
        E::MissingHeader { kind } => write!(f, "the image has no {kind} program header"),
        E::DuplicateHeader { kind, header } => {
            write!(f, "program header {header} is a second {kind}")
        }
        E::TooManySegments { header, limit } => {
            write!(f, "program header {header} is loadable segment number {}", limit + 1)
        }
        _ => return None,
    })
}

/// Texts about loadable segments; `None` for any other error.
fn segment(error: PlanError, f: &mut fmt::Formatter<'_>) -> Option<fmt::Result> {
    use PlanError as E;
    Some(match error {
        E::FileBytesExceedMemory { header, file_bytes, memory_bytes } => write!(
            f,
            "program header {header}: p_filesz {file_bytes:#x} is more than p_memsz \
             {memory_bytes:#x}"
        ),
        E::AddressWraps { header, vaddr, bytes } => write!(
            f,
            "program header {header}: {bytes:#x} bytes at address {vaddr:#x} run past the end of \
             the address space"
        ),
        E::SpanTooLarge { bytes, limit } => {
            write!(
                f,
                "the image needs {bytes:#x} bytes of memory, more than the limit of {limit:#x}"
            )
        }
        E::SegmentsUnordered { header, vaddr, previous } => write!(
            f,
            "program header {header}: segment at {vaddr:#x} comes after the one at {previous:#x}"
        ),
        E::SegmentsOverlap { header, vaddr, previous_end } => write!(
            f,
            "program header {header}: segment at {vaddr:#x} overlaps the one that ends at \
             {previous_end:#x}"
        ),
        E::PageShared { header, page, page_bytes } => write!(
            f,
            "program header {header}: the segment shares the page at {page:#x} ({page_bytes} \
             bytes) with the one before; link with -z separate-code and a large enough \
             -z max-page-size"
        ),
        E::SegmentAlignment { header, align } => write!(
            f,
            "program header {header}: p_align {align:#x} is not a power of two up to 0x10000"
        ),
        E::SegmentIncongruent { header, offset, vaddr, align } => write!(
            f,
            "program header {header}: p_offset {offset:#x} and p_vaddr {vaddr:#x} differ modulo \
             p_align {align:#x}"
        ),
        E::WritableExecutable { header, vaddr } => {
            write!(f, "program header {header}: segment at {vaddr:#x} is writable and executable")
        }
        E::ExecutableStack { header } => write!(
            f,
            "program header {header}: the image asks for an executable stack; link with \
             -z noexecstack"
        ),
        _ => return None,
    })
}

/// Texts about ranges that program headers give; `None` for any other error.
fn range(error: PlanError, f: &mut fmt::Formatter<'_>) -> Option<fmt::Result> {
    use PlanError as E;
    Some(match error {
        E::RelroOutsideSegment { vaddr, bytes } => write!(
            f,
            "PT_GNU_RELRO at {vaddr:#x} with {bytes:#x} bytes is not inside one writable segment"
        ),
        E::DynamicOutsideSegment { vaddr, bytes } => write!(
            f,
            "PT_DYNAMIC at {vaddr:#x} with {bytes:#x} bytes is not inside the file-backed part of \
             one segment"
        ),
        E::DynamicMisplaced { offset, expected } => write!(
            f,
            "PT_DYNAMIC is at offset {offset:#x}, but its address stands for offset {expected:#x}"
        ),
        E::Note { offset, field, value } => {
            write!(f, "note at offset {offset:#x}: {field} is {value:#x}, which does not fit")
        }
        E::UnwindTable { vaddr, field, value } => write!(
            f,
            "unwind table header at {vaddr:#x}: {field} is {value:#x}, which is not supported or \
             not inside the image"
        ),
        _ => return None,
    })
}

/// Texts about the dynamic section and its tables; `None` for any other error.
fn dynamic(error: PlanError, f: &mut fmt::Formatter<'_>) -> Option<fmt::Result> {
    use PlanError as E;
    Some(match error {
        E::TextRelocations { tag, value } => write!(
            f,
            "{tag} {value:#x} announces relocations in read-only segments; compile with -fPIC"
        ),
        E::DynamicUnterminated { entries } => {
            write!(f, "the dynamic section has no DT_NULL in its {entries} entries")
        }
        E::DuplicateTag { tag, entry } => {
            write!(f, "entry {entry} of the dynamic section is a second {tag}")
        }
        E::MissingTag { tag } => write!(f, "the dynamic section has no {tag}"),
        E::UnsupportedTag { tag, value } => {
            write!(f, "{tag} ({value:#x}) of the dynamic section is not supported")
        }
        E::EntrySize { tag, value, expected } => write!(f, "{tag} is {value}, must be {expected}"),
        E::TableSize { tag, bytes, entry } => {
            write!(f, "{tag} is {bytes:#x}, not a multiple of the entry size {entry}")
        }
        E::TableMisaligned { tag, vaddr } => {
            write!(f, "{tag} is at {vaddr:#x}, not a multiple of 8")
        }
        E::TableOutsideSegment { tag, vaddr, bytes } => write!(
            f,
            "{tag} at {vaddr:#x} with {bytes:#x} bytes is not inside the file-backed part of one \
             segment"
        ),
        E::StringTableUnterminated { vaddr, bytes } => write!(
            f,
            "the string table at {vaddr:#x} with {bytes:#x} bytes does not end with a NUL"
        ),
        E::StringOutsideTable { what, index, string, table_bytes } => write!(
            f,
            "the name of {what} {index} starts at {string:#x} of a string table of \
             {table_bytes:#x} bytes"
        ),
        E::NameTooLong { what, index, limit } => {
            write!(f, "the name of {what} {index} is longer than {limit} bytes")
        }
        E::NoHashTable => write!(f, "the dynamic section has neither DT_GNU_HASH nor DT_HASH"),
        E::HashTable { tag, field, index, value, limit } => {
            write!(f, "{tag}: {field} {index} is {value:#x}, which contradicts {limit:#x}")
        }
        E::VersionRecord { tag, field, record, value, limit } => {
            write!(
                f,
                "{tag}: {field} of record {record} is {value:#x}, which contradicts {limit:#x}"
            )
        }
        E::FunctionOutsideText { tag, vaddr } => {
            write!(f, "{tag} names a function at {vaddr:#x}, outside the executable segments")
        }
        E::TooManyFunctions { tag, count, limit } => {
            write!(f, "{tag} stands for {count} functions, more than {limit}")
        }
        E::NeededPath { name } => write!(f, "DT_NEEDED \"{name}\" is a path, must be a bare name"),
        E::NeededNotAllowed { name } => {
            write!(f, "DT_NEEDED \"{name}\" is not among the libraries offered; link it statically")
        }
        _ => return None,
    })
}

/// Texts about symbols; `None` for any other error.
fn symbol(error: PlanError, f: &mut fmt::Formatter<'_>) -> Option<fmt::Result> {
    use PlanError as E;
    Some(match error {
        E::SymbolOutsideImage { symbol, value } => {
            write!(f, "symbol {symbol} is at {value:#x}, outside the image")
        }
        E::SymbolSection { symbol, section } => {
            write!(f, "symbol {symbol} is in reserved section {section:#x}")
        }
        E::SymbolVersion { symbol, version } => write!(
            f,
            "symbol {symbol} has version {version}, which no record of the image explains"
        ),
        E::ThreadExitFunction { symbol, name } => write!(
            f,
            "symbol {symbol} \"{name}\" asks for calls into the image when a thread ends, after it \
             may be gone; use no thread_local objects"
        ),
        E::ExitFunctionsStay { symbol } => write!(
            f,
            "symbol {symbol} \"__cxa_atexit\" registers destructors, and the image does not import \
             \"__cxa_finalize\" to take them back at unload; link with the start files of the compiler"
        ),
        E::IndirectFunction { symbol, name } => write!(
            f,
            "symbol {symbol} \"{name}\" is an indirect function (IFUNC), which is not supported"
        ),
        E::ThreadLocal { name } if name.is_empty() => {
            write!(
                f,
                "the image has thread-local variables, which are not supported; it was stripped of \
                 their names: link it without -s to see them"
            )
        }
        E::ThreadLocal { name } => write!(
            f,
            "the image has thread-local variables, which are not supported; one is \"{name}\": \
             make it an ordinary variable"
        ),
        _ => return None,
    })
}

/// Texts about relocations; `None` for any other error.
fn relocation(error: PlanError, f: &mut fmt::Formatter<'_>) -> Option<fmt::Result> {
    use PlanError as E;
    Some(match error {
        E::SymbolIndex { offset, symbol, count } => write!(
            f,
            "relocation at offset {offset:#x} names symbol {symbol} of a table of {count}"
        ),
        E::RelocationType { offset, number, machine } => {
            write!(f, "relocation at offset {offset:#x} has number {number}, unknown for {machine}")
        }
        E::RelocationTarget { offset, vaddr } => write!(
            f,
            "relocation at offset {offset:#x} writes 8 bytes at {vaddr:#x}, which are not inside \
             one writable segment"
        ),
        E::CopyRelocation { offset, vaddr } => write!(
            f,
            "relocation at offset {offset:#x} copies a variable to {vaddr:#x}; only executables may"
        ),
        E::IndirectRelocation { offset, resolver } => write!(
            f,
            "relocation at offset {offset:#x} calls a resolver at {resolver:#x} (IFUNC), which is \
             not supported"
        ),
        E::PackedRelocation { offset, value } => write!(
            f,
            "packed relocation at offset {offset:#x} is {value:#x}: an odd address, or a bitmap \
             without an address before it"
        ),
        E::TooManyRelocations { limit } => write!(f, "more than {limit} relocations"),
        _ => return None,
    })
}

//! A small ELF file, only ever in memory, that tells gdb the functions of loaded code.
//!
//! ```text
//!  header │ section headers │ .eh_frame │ .symtab │ .strtab │ .shstrtab
//! ```
//!
//! `.text` has no bytes in the file: gdb reads those from the process. Sections and symbols have
//! their run-time addresses, so nothing in it is to be relocated. `.eh_frame` is a copy of the
//! image's at the address of the original, from which its pointers count; with it gdb unwinds
//! frames as a throw would.
//!
//! Source: System V gABI chapter 4; GDB manual, "JIT Compilation Interface".

use aicpu_executor::loader::{Plan, Protection};

use super::functions::ListedFunction;

/// Bytes of the header and of a section header.
const HEADER_BYTES: usize = 64;
/// Bytes of a symbol.
const SYMBOL_BYTES: usize = 24;
/// Shared object: gdb takes addresses as they stand.
const ET_DYN: u16 = 3;
const SHT_PROGBITS: u32 = 1;
const SHT_SYMTAB: u32 = 2;
const SHT_STRTAB: u32 = 3;
const SHT_NOBITS: u32 = 8;
const SHF_ALLOC: u64 = 2;
const SHF_EXECINSTR: u64 = 4;
/// Section index of symbols that have no section.
const SHN_ABS: u16 = 0xfff1;
/// `st_info`: local source file; local and global function.
const LOCAL_FILE: u8 = 4;
const LOCAL_FUNCTION: u8 = 2;
const GLOBAL_FUNCTION: u8 = 0x12;

/// A section: its header without name and position, and its bytes.
#[derive(Debug, Default)]
struct Section {
    name: &'static str,
    kind: u32,
    flags: u64,
    address: u64,
    /// Bytes in memory; those of a section with contents are counted instead.
    memory_bytes: u64,
    link: usize,
    info: u32,
    align: u64,
    entry_bytes: u64,
    contents: Vec<u8>,
}

/// Builds the object for a planned image that is loaded with `bias`.
///
/// `callable` is its source file as far as gdb is concerned.
pub(super) fn build(
    callable: &str,
    plan: &Plan<'_>,
    bias: u64,
    functions: &[ListedFunction<'_>],
) -> Vec<u8> {
    let mut sections = vec![Section::default()];
    sections.extend(code_sections(plan, bias));
    let texts = 1..sections.len();
    sections.extend(unwind_section(plan, bias));
    let text_of = |address: u64| {
        let holds = |index: &usize| {
            let text = &sections[*index];
            address.wrapping_sub(text.address) < text.memory_bytes
        };
        texts.clone().find(holds)
    };
    let mut table = SymbolTable::new(callable);
    let (global, local): (Vec<_>, Vec<_>) = functions.iter().partition(|each| each.is_global);
    for function in &local {
        table.function(function, text_of(function.address), LOCAL_FUNCTION);
    }
    let first_global = table.count();
    for function in &global {
        table.function(function, text_of(function.address), GLOBAL_FUNCTION);
    }
    sections.push(Section {
        name: ".symtab",
        kind: SHT_SYMTAB,
        link: sections.len() + 1,
        info: first_global,
        align: 8,
        // CAST: a small constant.
        entry_bytes: SYMBOL_BYTES as u64,
        contents: table.symbols,
        ..Section::default()
    });
    sections.push(strings(".strtab", table.names));
    assemble(plan.machine().elf_number(), sections)
}

/// The executable segments, without contents.
fn code_sections(plan: &Plan<'_>, bias: u64) -> Vec<Section> {
    let code = plan.segments().iter().filter(|each| each.protection.contains(Protection::EXECUTE));
    let section = |segment: &aicpu_executor::loader::Segment| Section {
        name: ".text",
        kind: SHT_NOBITS,
        flags: SHF_ALLOC | SHF_EXECINSTR,
        address: bias.wrapping_add(segment.vaddr),
        memory_bytes: segment.memory_bytes,
        align: 16,
        ..Section::default()
    };
    code.map(section).collect()
}

/// A copy of the unwind tables, if the image says where they end.
fn unwind_section(plan: &Plan<'_>, bias: u64) -> Option<Section> {
    let tables = plan.eh_frame()?;
    let bytes = tables.frame_bytes?;
    let segment = plan.segments().iter().find(|each| {
        each.vaddr <= tables.frame_vaddr
            && tables.frame_vaddr < each.vaddr.wrapping_add(each.file_bytes)
    })?;
    let start = usize::try_from(tables.frame_vaddr - segment.vaddr).ok()?;
    let end = start.checked_add(usize::try_from(bytes).ok()?)?;
    Some(Section {
        name: ".eh_frame",
        kind: SHT_PROGBITS,
        flags: SHF_ALLOC,
        address: bias.wrapping_add(tables.frame_vaddr),
        align: 8,
        contents: plan.file_bytes(segment).get(start..end)?.to_vec(),
        ..Section::default()
    })
}

/// Symbols and their names, under construction.
#[derive(Debug)]
struct SymbolTable {
    symbols: Vec<u8>,
    names: Vec<u8>,
}

impl SymbolTable {
    /// Starts with the null symbol and the source file.
    fn new(file: &str) -> Self {
        let mut table = Self { symbols: vec![0; SYMBOL_BYTES], names: vec![0] };
        // A NUL would end the name early.
        let file = file.replace('\0', "?");
        table.push(file.as_bytes(), LOCAL_FILE, SHN_ABS, (0, 0));
        table
    }

    /// Number of symbols so far.
    fn count(&self) -> u32 {
        // CAST: images are at most some megabytes, so there are far fewer symbols than 2^32.
        (self.symbols.len() / SYMBOL_BYTES) as u32
    }

    /// Adds a function in the section with index `text`.
    fn function(&mut self, function: &ListedFunction<'_>, text: Option<usize>, info: u8) {
        // CAST: an image has at most a few segments.
        let section = text.map_or(SHN_ABS, |index| index as u16);
        self.push(function.name, info, section, (function.address, function.bytes));
    }

    /// Adds a symbol: name, `st_info`, section, address and size.
    fn push(&mut self, name: &[u8], info: u8, section: u16, (value, size): (u64, u64)) {
        // CAST: as for `count`.
        self.symbols.extend((self.names.len() as u32).to_le_bytes());
        self.symbols.extend([info, 0]);
        self.symbols.extend(section.to_le_bytes());
        self.symbols.extend(value.to_le_bytes());
        self.symbols.extend(size.to_le_bytes());
        self.names.extend(name);
        self.names.push(0);
    }
}

/// A section of names.
fn strings(name: &'static str, contents: Vec<u8>) -> Section {
    Section { name, kind: SHT_STRTAB, align: 1, contents, ..Section::default() }
}

/// Lays header, section headers and contents out one behind the other.
fn assemble(machine: u16, mut sections: Vec<Section>) -> Vec<u8> {
    let mut names = Vec::new();
    let mut name_offsets = Vec::new();
    for name in sections.iter().map(|each| each.name).chain([".shstrtab"]) {
        name_offsets.push(names.len());
        names.extend(name.bytes().chain([0]));
    }
    sections.push(strings(".shstrtab", names));

    let mut file = file_header(machine, sections.len());
    let mut contents = Vec::new();
    for (section, name) in sections.into_iter().zip(name_offsets) {
        contents.resize(contents.len().next_multiple_of(8), 0);
        let bytes = match section.kind {
            SHT_NOBITS => section.memory_bytes,
            // CAST: (all below) usize is at most 64 bits, and there are a handful of sections with
            // short names.
            _ => section.contents.len() as u64,
        };
        file.extend((name as u32).to_le_bytes());
        file.extend(section.kind.to_le_bytes());
        file.extend(section.flags.to_le_bytes());
        file.extend(section.address.to_le_bytes());
        file.extend((contents.len() as u64).to_le_bytes());
        file.extend(bytes.to_le_bytes());
        file.extend((section.link as u32).to_le_bytes());
        file.extend(section.info.to_le_bytes());
        file.extend(section.align.to_le_bytes());
        file.extend(section.entry_bytes.to_le_bytes());
        contents.extend(section.contents);
    }
    // Positions were counted from the end of the headers.
    let start = file.len() as u64;
    for header in file[HEADER_BYTES..].chunks_exact_mut(HEADER_BYTES) {
        let kind = &header[4..8];
        if kind != [0; 4] {
            let (_, rest) = header.split_at_mut(24);
            if let Some((offset, _)) = rest.split_first_chunk_mut::<8>() {
                *offset = u64::from_le_bytes(*offset).wrapping_add(start).to_le_bytes();
            }
        }
    }
    file.extend(contents);
    file
}

/// The ELF header of a file whose section headers follow at once.
fn file_header(machine: u16, sections: usize) -> Vec<u8> {
    // 64 bits, little endian, version 1.
    let mut header = b"\x7fELF\x02\x01\x01".to_vec();
    header.resize(16, 0);
    header.extend(ET_DYN.to_le_bytes());
    header.extend(machine.to_le_bytes());
    header.extend(1_u32.to_le_bytes());
    // No entry, no program headers.
    header.extend([0; 16]);
    header.extend((HEADER_BYTES as u64).to_le_bytes());
    header.extend([0; 4]);
    // CAST: (all) a handful of sections.
    let halves = [HEADER_BYTES, 0, 0, HEADER_BYTES, sections, sections - 1];
    header.extend(halves.iter().flat_map(|half| (*half as u16).to_le_bytes()));
    header
}

//! Finds every range of a valid image that a loader may read, by what it is.

use std::ops::Range;

use super::elf_numbers::{
    DT_FINI_ARRAY, DT_FINI_ARRAYSZ, DT_GNU_HASH, DT_HASH, DT_INIT_ARRAY, DT_INIT_ARRAYSZ,
    DT_JMPREL, DT_NULL, DT_PLTRELSZ, DT_RELA, DT_RELASZ, DT_RELR, DT_RELRSZ, DT_STRSZ, DT_STRTAB,
    DT_SYMTAB, DT_VERDEF, DT_VERNEED, DT_VERSYM, PT_DYNAMIC, PT_GNU_EH_FRAME, PT_GNU_PROPERTY,
    PT_LOAD, PT_NOTE,
};

/// Bytes looked at of a table whose size is written nowhere.
const UNKNOWN_BYTES: usize = 512;

/// Bytes looked at of the unwind records.
const UNWIND_BYTES: usize = 1024;

/// A range of the file that means something.
#[derive(Clone)]
pub struct Region {
    pub name: &'static str,
    pub range: Range<usize>,
    /// Bytes of one record; 1 for text.
    pub record: usize,
}

/// Reads the word at a place.
pub fn word(bytes: &[u8], place: usize) -> u64 {
    u64::from_le_bytes(bytes[place..place + 8].try_into().expect("eight bytes"))
}

/// Reads the half word at a place.
pub fn half(bytes: &[u8], place: usize) -> u32 {
    u32::from_le_bytes(bytes[place..place + 4].try_into().expect("four bytes"))
}

/// Reads the quarter word at a place.
pub fn quarter(bytes: &[u8], place: usize) -> usize {
    usize::from(u16::from_le_bytes([bytes[place], bytes[place + 1]]))
}

/// A program header, as far as it is needed here.
struct Program {
    kind: u32,
    offset: u64,
    vaddr: u64,
    file_bytes: u64,
}

/// Returns all regions of a valid image, none of them empty.
pub fn regions(bytes: &[u8]) -> Vec<Region> {
    let table = word(bytes, 32) as usize;
    let programs: Vec<Program> = (0..quarter(bytes, 56))
        .map(|index| table + 56 * index)
        .map(|place| Program {
            kind: half(bytes, place),
            offset: word(bytes, place + 8),
            vaddr: word(bytes, place + 16),
            file_bytes: word(bytes, place + 32),
        })
        .collect();
    let mut all = vec![
        Region { name: "file header", range: 0..64, record: 2 },
        Region { name: "program headers", range: table..table + 56 * programs.len(), record: 56 },
    ];
    for program in &programs {
        let (name, record) = match program.kind {
            PT_DYNAMIC => ("dynamic section", 16),
            PT_NOTE => ("notes", 4),
            PT_GNU_PROPERTY => ("properties", 4),
            PT_GNU_EH_FRAME => ("unwind header", 4),
            _ => continue,
        };
        let start = program.offset as usize;
        all.push(Region { name, range: start..start + program.file_bytes as usize, record });
        if program.kind == PT_DYNAMIC {
            tables(bytes, &programs, start, &mut all);
        }
        if program.kind == PT_GNU_EH_FRAME {
            // The pointer, relative to itself, in four bytes: what every linker writes.
            let place = start as i64 + 4 + i64::from(half(bytes, start + 4).cast_signed());
            let end = (place as usize + UNWIND_BYTES).min(bytes.len());
            all.push(Region { name: "unwind records", range: place as usize..end, record: 4 });
        }
    }
    sections(bytes, &mut all);
    all.retain(|region| !region.range.is_empty() && region.range.end <= bytes.len());
    all
}

/// Adds the tables that the dynamic section at `start` locates.
fn tables(bytes: &[u8], programs: &[Program], start: usize, all: &mut Vec<Region>) {
    let entries: Vec<(u64, u64)> = (start..)
        .step_by(16)
        .map(|entry| (word(bytes, entry), word(bytes, entry + 8)))
        .take_while(|(tag, _)| *tag != DT_NULL)
        .collect();
    let value = |tag| entries.iter().find(|(known, _)| *known == tag).map(|(_, value)| *value);
    let place = |vaddr: u64| {
        programs
            .iter()
            .filter(|each| each.kind == PT_LOAD)
            .find(|each| (each.vaddr..each.vaddr + each.file_bytes).contains(&vaddr))
            .map(|each| (vaddr - each.vaddr + each.offset) as usize)
    };
    let symbols = value(DT_STRTAB).zip(value(DT_SYMTAB)).map(|(end, start)| end - start);
    for (name, address, size, record) in [
        ("strings", DT_STRTAB, value(DT_STRSZ), 1),
        ("symbols", DT_SYMTAB, symbols, 24),
        ("SysV hash table", DT_HASH, None, 4),
        ("GNU hash table", DT_GNU_HASH, None, 4),
        ("relocations", DT_RELA, value(DT_RELASZ), 24),
        ("function slots", DT_JMPREL, value(DT_PLTRELSZ), 24),
        ("packed relocations", DT_RELR, value(DT_RELRSZ), 8),
        ("initialisers", DT_INIT_ARRAY, value(DT_INIT_ARRAYSZ), 8),
        ("finalisers", DT_FINI_ARRAY, value(DT_FINI_ARRAYSZ), 8),
        ("symbol versions", DT_VERSYM, symbols.map(|bytes| bytes / 12), 2),
        ("needed versions", DT_VERNEED, None, 16),
        ("defined versions", DT_VERDEF, None, 20),
    ] {
        let Some(start) = value(address).and_then(place) else { continue };
        let length = size.map_or(UNKNOWN_BYTES, |bytes| bytes as usize);
        let end = (start + length).min(bytes.len());
        all.push(Region { name, range: start..end, record });
    }
}

/// Adds the section headers, and the sections that only they locate.
fn sections(bytes: &[u8], all: &mut Vec<Region>) {
    let (table, count) = (word(bytes, 40) as usize, quarter(bytes, 60));
    if table == 0 || count == 0 {
        return;
    }
    all.push(Region { name: "section headers", range: table..table + 64 * count, record: 64 });
    for place in (0..count).map(|index| table + 64 * index) {
        let (kind, flags) = (half(bytes, place + 4), word(bytes, place + 8));
        let start = word(bytes, place + 24) as usize;
        let range = start..start + word(bytes, place + 32) as usize;
        match (kind, flags & 2) {
            (2, _) => all.push(Region { name: "full symbol table", range, record: 24 }),
            // Strings that are not loaded.
            (3, 0) => all.push(Region { name: "section strings", range, record: 1 }),
            _ => {}
        }
    }
}

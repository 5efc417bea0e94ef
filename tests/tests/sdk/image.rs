//! Reads from a shared object what the loader will care about.
//!
//! A second, small reading of the ELF format, so that the checks do not depend on the project's own
//! loader or on installed tools. Trusts the file: the compiler has just written it.

use std::fs;
use std::path::Path;

/// Program header type of a thread-local segment.
const PT_TLS: u32 = 7;
/// Section header type of the dynamic symbol table.
const SHT_DYNSYM: u32 = 11;
/// Symbol binding of symbols that may stay undefined.
const STB_WEAK: u8 = 2;
/// Symbol binding of GNU "unique" symbols.
const STB_GNU_UNIQUE: u8 = 10;

/// What a shared object exports and asks for.
pub(crate) struct Image {
    /// Names of the defined dynamic symbols, sorted.
    pub(crate) exports: Vec<String>,
    /// Names of the undefined dynamic symbols that are not weak, sorted.
    pub(crate) imports: Vec<String>,
    /// Whether there is thread-local storage.
    pub(crate) has_thread_locals: bool,
    /// Names of the symbols with unique binding.
    pub(crate) unique: Vec<String>,
}

struct Bytes(Vec<u8>);

impl Bytes {
    fn u16(&self, at: usize) -> usize {
        usize::from(u16::from_le_bytes(self.0[at..at + 2].try_into().expect("two bytes")))
    }

    fn u32(&self, at: usize) -> u32 {
        u32::from_le_bytes(self.0[at..at + 4].try_into().expect("four bytes"))
    }

    fn u64(&self, at: usize) -> usize {
        let value = u64::from_le_bytes(self.0[at..at + 8].try_into().expect("eight bytes"));
        usize::try_from(value).expect("a 64-bit machine")
    }

    fn name(&self, at: usize) -> String {
        let length = self.0[at..].iter().position(|byte| *byte == 0).expect("a terminated name");
        String::from_utf8_lossy(&self.0[at..at + length]).into_owned()
    }
}

/// Reads a file.
pub(crate) fn read(path: &Path) -> Image {
    parse(fs::read(path).expect("the compiler wrote the file"))
}

/// Reads a 64-bit little-endian ELF file (System V gABI, chapters 4 and 5).
pub(crate) fn parse(bytes: Vec<u8>) -> Image {
    let bytes = Bytes(bytes);
    assert_eq!(&bytes.0[..6], b"\x7fELF\x02\x01", "not what the compiler writes");
    let mut image = Image {
        exports: Vec::new(),
        imports: Vec::new(),
        has_thread_locals: false,
        unique: Vec::new(),
    };

    let (segments, segment_bytes, segment_count) = (bytes.u64(32), bytes.u16(54), bytes.u16(56));
    image.has_thread_locals =
        (0..segment_count).any(|i| bytes.u32(segments + i * segment_bytes) == PT_TLS);

    let (sections, section_bytes, section_count) = (bytes.u64(40), bytes.u16(58), bytes.u16(60));
    let section = |index: usize| sections + index * section_bytes;
    let table = (0..section_count)
        .map(section)
        .find(|header| bytes.u32(header + 4) == SHT_DYNSYM)
        .expect("a shared object has dynamic symbols");
    let names = bytes.u64(section(bytes.u32(table + 40) as usize) + 24);
    let (symbols, size) = (bytes.u64(table + 24), bytes.u64(table + 32));
    for symbol in (symbols..symbols + size).step_by(24) {
        let name = bytes.name(names + bytes.u32(symbol) as usize);
        let is_defined = bytes.u16(symbol + 6) != 0;
        let binding = bytes.0[symbol + 4] >> 4;
        if binding == STB_GNU_UNIQUE {
            image.unique.push(name.clone());
        }
        if name.is_empty() {
            continue;
        }
        if is_defined {
            image.exports.push(name);
        } else if binding != STB_WEAK {
            image.imports.push(name);
        }
    }
    image.exports.sort();
    image.imports.sort();
    image
}

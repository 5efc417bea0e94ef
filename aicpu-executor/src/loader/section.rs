//! The section headers, for one thing only: `.symtab`, which names what `.dynsym` leaves out.
//!
//! It exists apart because it is the one part of a file that a load does not depend on: it may be
//! stripped, cut off or wrong without any harm. So there are no errors here; what is not entirely
//! well-formed counts as absent. Static functions and hidden variables then have no name.

use core::mem::size_of;

use zerocopy::FromBytes;

use super::elf::{self, FileHeader, SectionHeader, Symbol, file_range};
use super::string_table::StringTable;
use super::symbol::kind_of;

/// The variable with which g++ guards the dynamic initialisation of a file's other ones.
const TLS_GUARD: &[u8] = b"__tls_guard";

/// `.symtab` with its names. The symbols themselves are not checked.
#[derive(Debug, Clone, Copy)]
pub(super) struct FullSymbols<'a> {
    /// All symbols, the null symbol included.
    pub(super) symbols: &'a [Symbol],
    pub(super) strings: StringTable<'a>,
}

impl<'a> FullSymbols<'a> {
    /// Finds the table; `None` if there is none, more than one, or anything is wrong with it.
    pub(super) fn find(image: &'a [u8]) -> Option<Self> {
        let sections = sections(image)?;
        let mut tables = sections.iter().filter(|each| each.kind.get() == elf::SHT_SYMTAB);
        let table = tables.next()?;
        if tables.next().is_some() || table.entry_bytes.get() != size_of::<Symbol>() as u64 {
            return None;
        }
        let names = sections.get(usize::try_from(table.link.get()).ok()?)?;
        if names.kind.get() != elf::SHT_STRTAB {
            return None;
        }
        Some(Self {
            symbols: <[Symbol]>::ref_from_bytes(bytes_of(image, table)?).ok()?,
            strings: StringTable::from_bytes(bytes_of(image, names)?)?,
        })
    }

    /// Returns the name of a thread-local variable, if there is one with a name.
    ///
    /// The first that a programmer wrote; the compiler's guard only if there is no other.
    pub(super) fn thread_local(&self) -> Option<&'a [u8]> {
        let mut names = self
            .symbols
            .iter()
            .filter(|each| kind_of(each) == elf::STT_TLS)
            .filter_map(|each| self.strings.get(each.name.get().into(), "symbol", 0).ok())
            .filter(|name| !name.is_empty());
        let first = names.next()?;
        if first == TLS_GUARD {
            names.find(|name| *name != TLS_GUARD).or(Some(first))
        } else {
            Some(first)
        }
    }
}

/// Returns the section headers, if the file header places a table of them inside the file.
///
/// More than 65,279 sections, which need another way of counting, are not looked at.
fn sections(image: &[u8]) -> Option<&[SectionHeader]> {
    let (header, _) = FileHeader::ref_from_prefix(image).ok()?;
    if usize::from(header.section_entry_bytes.get()) != size_of::<SectionHeader>() {
        return None;
    }
    let bytes = u64::from(header.section_count.get()) * size_of::<SectionHeader>() as u64;
    <[SectionHeader]>::ref_from_bytes(file_range(image, header.section_offset.get(), bytes)?).ok()
}

/// Returns the bytes of a section, if they are in the file and not compressed.
fn bytes_of<'a>(image: &'a [u8], section: &SectionHeader) -> Option<&'a [u8]> {
    let is_plain = section.flags.get() & elf::SHF_COMPRESSED == 0;
    is_plain.then(|| file_range(image, section.offset.get(), section.bytes.get()))?
}

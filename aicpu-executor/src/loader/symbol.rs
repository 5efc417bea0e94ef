//! The dynamic symbol table: what an image defines and what it wants.
//!
//! How many symbols there are is written nowhere; it is derived once from the hash table and every
//! index is compared with it (hostile class 17).

use core::fmt;
use core::mem::size_of;

use zerocopy::FromBytes;

use super::dynamic::Dynamic;
use super::elf::{self, Symbol, Tag};
use super::error::PlanError;
use super::gnu_hash::GnuHash;
use super::import::{Import, LaterCalls};
use super::name::SymbolName;
use super::segment::Segments;
use super::string_table::StringTable;
use super::sysv_hash::SysvHash;
use super::version::Versions;

/// What an exported symbol is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SymbolKind {
    /// `STT_FUNC`.
    Function,
    /// `STT_OBJECT` or another kind of data.
    Object,
    /// `STT_NOTYPE`: hand-written assembly leaves the type out.
    NoType,
}

/// A symbol that an image defines and shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Export {
    /// Address, as linked.
    pub vaddr: u64,
    /// What it is.
    pub kind: SymbolKind,
    /// Bytes, 0 if unknown.
    pub size: u64,
}

/// Why a name is not a function that can be called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExportError {
    /// The image does not export the name.
    Missing,
    /// The name is no function (`STT_FUNC`); holds the type number of the symbol.
    NotFunction(u8),
    /// The symbol is a number, not an address in the image.
    Absolute {
        /// The number.
        value: u64,
    },
    /// The function is not inside an executable segment.
    OutsideText {
        /// Where it starts, as linked.
        vaddr: u64,
        /// Its bytes.
        size: u64,
    },
}

impl fmt::Display for ExportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Missing => f.write_str("the image does not export this name"),
            Self::NotFunction(kind) => write!(f, "the symbol is no function (type {kind})"),
            Self::Absolute { value } => write!(f, "the symbol is the number {value:#x}"),
            Self::OutsideText { vaddr, size } => write!(
                f,
                "the function of {size:#x} bytes at {vaddr:#x} is not inside an executable segment"
            ),
        }
    }
}

impl core::error::Error for ExportError {}

/// What a relocation that names a symbol binds to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Binding {
    /// An address of this image, as linked.
    Image(u64),
    /// A number, independent of where the image lies.
    Absolute(u64),
    /// Something outside.
    Import,
}

/// The checked symbol table with its names, versions and hash tables.
#[derive(Debug, Clone)]
pub(super) struct SymbolTable<'a> {
    symbols: &'a [Symbol],
    strings: StringTable<'a>,
    versions: Versions<'a>,
    gnu: Option<GnuHash<'a>>,
    sysv: Option<SysvHash<'a>>,
}

impl<'a> SymbolTable<'a> {
    /// Locates the table and its hash tables, and checks every symbol.
    ///
    /// # Errors
    ///
    /// A table is missing or malformed, or a symbol is one that [`check_symbol`] refuses.
    pub(super) fn read(
        dynamic: &Dynamic<'a>,
        segments: &Segments<'a>,
        strings: StringTable<'a>,
    ) -> Result<Self, PlanError> {
        let hash_bytes = |tag| {
            dynamic.get(tag).map(|vaddr| {
                let outside = PlanError::TableOutsideSegment { tag, vaddr, bytes: 0 };
                segments.file_bytes_from(vaddr).ok_or(outside)
            })
        };
        let gnu = match hash_bytes(Tag::GNU_HASH) {
            Some(bytes) => Some(GnuHash::read(bytes?)?),
            None => None,
        };
        let sysv = match hash_bytes(Tag::HASH) {
            Some(bytes) => Some(SysvHash::read(bytes?)?),
            None => None,
        };
        let vaddr = dynamic.require(Tag::SYMTAB)?;
        let entry = dynamic.require(Tag::SYMENT)?;
        if entry != size_of::<Symbol>() as u64 {
            let expected = size_of::<Symbol>() as u64;
            return Err(PlanError::EntrySize { tag: Tag::SYMENT, value: entry, expected });
        }
        let count = match (sysv, gnu.map(|table| table.symbol_count())) {
            (None, None) => return Err(PlanError::NoHashTable),
            (Some(sysv), gnu) => reconcile(sysv.symbol_count(), gnu.flatten())?,
            (None, Some(Some(count))) => count,
            (None, Some(None)) => room(dynamic, segments, vaddr),
        };
        let bytes = count.saturating_mul(size_of::<Symbol>() as u64);
        let symbols = segments
            .file_bytes(vaddr, bytes)
            .and_then(|bytes| <[Symbol]>::ref_from_bytes(bytes).ok())
            .ok_or(PlanError::TableOutsideSegment { tag: Tag::SYMTAB, vaddr, bytes })?;
        let versions = Versions::read(dynamic, segments, strings, symbols.len())?;
        let table = Self { symbols, strings, versions, gnu, sysv };
        let mut later_calls = LaterCalls::default();
        for (index, symbol) in (0_u32..).zip(symbols).skip(1) {
            table.check_symbol(index, symbol, segments)?;
            if symbol.section.get() == elf::SHN_UNDEF
                && strings.begins(symbol.name.get(), LaterCalls::PREFIX)
            {
                later_calls.note(index, table.name(index, symbol)?)?;
            }
        }
        later_calls.check()?;
        Ok(table)
    }

    /// Checks one symbol: its name, its kind and where it is.
    ///
    /// Names of definitions are only ever compared, which is safe once they start in the table, so
    /// their length does not matter here.
    fn check_symbol(
        &self,
        index: u32,
        symbol: &Symbol,
        segments: &Segments<'_>,
    ) -> Result<(), PlanError> {
        let (section, value) = (symbol.section.get(), symbol.value.get());
        let kind = kind_of(symbol);
        self.versions.check_symbol(index, section != elf::SHN_UNDEF)?;
        if section == elf::SHN_UNDEF || kind == elf::STT_TLS {
            self.strings.check(symbol.name.get(), "symbol", index.into())?;
            return match kind {
                elf::STT_TLS => {
                    let name = SymbolName::new(self.name(index, symbol)?);
                    Err(PlanError::ThreadLocal { name })
                }
                _ => Ok(()),
            };
        }
        self.strings.check_start(symbol.name.get(), "symbol", index.into())?;
        if section == elf::SHN_ABS {
            return Ok(());
        }
        if section >= elf::SHN_LORESERVE {
            return Err(PlanError::SymbolSection { symbol: index, section });
        }
        if kind == elf::STT_GNU_IFUNC {
            let name = self.name(index, symbol)?;
            return Err(PlanError::IndirectFunction { symbol: index, name: SymbolName::new(name) });
        }
        // Linkers define `_end` and the like a few bytes behind the last segment, so the whole
        // span counts as the image here.
        if value.checked_sub(segments.start()).is_none_or(|offset| offset > segments.span()) {
            return Err(PlanError::SymbolOutsideImage { symbol: index, value });
        }
        Ok(())
    }

    /// Returns how many symbols there are, the null symbol included.
    pub(super) const fn count(&self) -> usize {
        self.symbols.len()
    }

    /// Returns the symbols and their names.
    pub(super) const fn parts(&self) -> (&'a [Symbol], StringTable<'a>) {
        (self.symbols, self.strings)
    }

    /// Returns what symbol `index` binds to; `None` if there is no such symbol.
    pub(super) fn binding(&self, index: u32) -> Option<Binding> {
        let symbol = self.symbols.get(usize::try_from(index).ok()?)?;
        let value = symbol.value.get();
        Some(match symbol.section.get() {
            // The null symbol stands for "no symbol" in relocations: value 0.
            _ if index == 0 => Binding::Absolute(0),
            elf::SHN_UNDEF => Binding::Import,
            elf::SHN_ABS => Binding::Absolute(value),
            _ => Binding::Image(value),
        })
    }

    /// Describes undefined symbol `index`.
    pub(super) fn import_at(&self, index: u32) -> Option<Import<'a>> {
        self.import(index, self.symbols.get(usize::try_from(index).ok()?)?)
    }

    /// Iterates over the undefined symbols.
    pub(super) fn imports(&self) -> ImportIter<'_> {
        ImportIter { table: self, next: 1 }
    }

    /// Describes an undefined symbol; `None` if its name cannot be read, which planning excludes.
    fn import(&self, index: u32, symbol: &Symbol) -> Option<Import<'a>> {
        let name = self.name(index, symbol).ok()?;
        let weak = binding_of(symbol) == elf::STB_WEAK;
        Some(Import { name, weak, version: self.versions.wanted(index) })
    }

    /// Reads the name of a symbol.
    fn name(&self, index: u32, symbol: &Symbol) -> Result<&'a [u8], PlanError> {
        self.strings.get(symbol.name.get().into(), "symbol", index.into())
    }

    /// Iterates over the symbols that are visible from outside, with their names.
    pub(super) fn visible(&self) -> impl Iterator<Item = (&'a [u8], &'a Symbol)> + use<'_, 'a> {
        (0_u32..).zip(self.symbols).filter_map(move |(index, symbol)| {
            let name = self.name(index, symbol).ok()?;
            let is_shown = self.is_export(symbol, name) && !self.versions.is_hidden(index);
            is_shown.then_some((name, symbol))
        })
    }

    /// Finds a symbol that the image shows under `name`.
    ///
    /// Of several versions of a name that is the default one. A name that exists in hidden
    /// versions only is not found, as with `dlsym`.
    fn find(&self, name: &[u8]) -> Option<&'a Symbol> {
        let symbol = |index| self.symbols.get(usize::try_from(index).ok()?);
        let accept = |index| {
            symbol(index).is_some_and(|each| self.is_export(each, name))
                && !self.versions.is_hidden(index)
        };
        let index = match (&self.gnu, &self.sysv) {
            (Some(gnu), _) => gnu.find(name, accept)?,
            (None, Some(sysv)) => sysv.find(name, accept)?,
            (None, None) => return None,
        };
        symbol(index)
    }

    /// Tells whether a symbol is defined, visible from outside and called `name`.
    fn is_export(&self, symbol: &Symbol, name: &[u8]) -> bool {
        let visibility = symbol.other & 3;
        symbol.section.get() != elf::SHN_UNDEF
            && matches!(binding_of(symbol), elf::STB_GLOBAL | elf::STB_WEAK | elf::STB_GNU_UNIQUE)
            && visibility != elf::STV_HIDDEN
            && visibility != elf::STV_INTERNAL
            && self.strings.is(symbol.name.get(), name)
    }

    /// Returns the exported symbol called `name`, whatever it is.
    pub(super) fn export(&self, name: &[u8]) -> Option<Export> {
        export_of(self.find(name)?)
    }

    /// Returns the exported function called `name`.
    ///
    /// # Errors
    ///
    /// There is none, or it is not a function inside an executable segment.
    pub(super) fn exported_function(
        &self,
        name: &[u8],
        segments: &Segments<'_>,
    ) -> Result<Export, ExportError> {
        let symbol = self.find(name).ok_or(ExportError::Missing)?;
        let (vaddr, size) = (symbol.value.get(), symbol.size.get());
        if symbol.section.get() == elf::SHN_ABS {
            return Err(ExportError::Absolute { value: vaddr });
        }
        if kind_of(symbol) != elf::STT_FUNC {
            return Err(ExportError::NotFunction(kind_of(symbol)));
        }
        if !segments.is_code(vaddr, size) {
            return Err(ExportError::OutsideText { vaddr, size });
        }
        Ok(Export { vaddr, kind: SymbolKind::Function, size })
    }
}

/// Compares the counts of two hash tables: the System V table counts all symbols, the GNU table
/// those up to the last defined one, which is the last of all.
fn reconcile(sysv: u64, gnu: Option<u64>) -> Result<u64, PlanError> {
    match gnu {
        Some(gnu) if gnu != sysv => Err(PlanError::HashTable {
            tag: Tag::HASH,
            field: "symbol count",
            index: 0,
            value: sysv,
            limit: gnu,
        }),
        _ => Ok(sysv),
    }
}

/// Returns how many symbols fit between the symbol table and whatever follows it.
///
/// For images that define nothing: their GNU hash table is empty and does not count the undefined
/// symbols. Any index below this is safe to read, and linkers put no gap there.
fn room(dynamic: &Dynamic<'_>, segments: &Segments<'_>, vaddr: u64) -> u64 {
    let to_end = segments.file_bytes_from(vaddr).map_or(0, |bytes| bytes.len() as u64);
    let to_next = dynamic.next_table(vaddr).map_or(u64::MAX, |next| next - vaddr);
    to_end.min(to_next) / size_of::<Symbol>() as u64
}

/// Describes a defined symbol; `None` if it is a number, not an address in the image.
pub(super) fn export_of(symbol: &Symbol) -> Option<Export> {
    let kind = match kind_of(symbol) {
        elf::STT_FUNC => SymbolKind::Function,
        elf::STT_NOTYPE => SymbolKind::NoType,
        _ => SymbolKind::Object,
    };
    let is_address = symbol.section.get() != elf::SHN_ABS;
    is_address.then(|| Export { vaddr: symbol.value.get(), kind, size: symbol.size.get() })
}

/// Returns the type of a symbol (`STT_…`).
pub(super) const fn kind_of(symbol: &Symbol) -> u8 {
    symbol.info & 0xf
}

/// Returns the binding of a symbol (`STB_…`).
pub(super) const fn binding_of(symbol: &Symbol) -> u8 {
    symbol.info >> 4
}

/// Iterates over the symbols an image wants from outside, in the order of its symbol table.
#[derive(Debug, Clone)]
pub struct ImportIter<'a> {
    table: &'a SymbolTable<'a>,
    next: u32,
}

impl<'a> Iterator for ImportIter<'a> {
    type Item = Import<'a>;

    fn next(&mut self) -> Option<Import<'a>> {
        self.next_indexed().map(|(_, import)| import)
    }
}

impl<'a> ImportIter<'a> {
    /// Returns the next import with its index in the symbol table.
    pub(super) fn next_indexed(&mut self) -> Option<(u32, Import<'a>)> {
        while let Some(symbol) = self.table.symbols.get(usize::try_from(self.next).ok()?) {
            let index = self.next;
            self.next = index.checked_add(1)?;
            if symbol.section.get() == elf::SHN_UNDEF {
                return Some((index, self.table.import(index, symbol)?));
            }
        }
        None
    }
}

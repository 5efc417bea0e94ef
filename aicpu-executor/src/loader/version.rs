//! Symbol versions: which version of a name an image wants, and which of its own names it hides.
//!
//! ```text
//!  DT_VERSYM   one number per symbol; bit 15: hidden
//!     │ 0, 1: no version
//!     ├──▶ DT_VERNEED   library ─▶ (number, version name) …    ─▶ next library …
//!     └──▶ DT_VERDEF    number ─▶ version name, its parents …  ─▶ next definition …
//! ```
//!
//! Everything is checked once (hostile class 26): records follow each other forwards inside one
//! segment, as many as announced, each with a number of its own, so no chain is a loop or longer
//! than 64; and every symbol has a number that some record gave. Afterwards the version of an
//! import is one look-up in a table. The hashes of names in the records are not compared: nothing
//! here uses them.
//!
//! Sources: Linux Standard Base Core 5.0, chapter 10.7 "Symbol Versioning".

use core::mem::size_of;

use zerocopy::little_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, KnownLayout, Unaligned};

use super::dynamic::Dynamic;
use super::elf::Tag;
use super::error::PlanError;
use super::segment::Segments;
use super::string_table::{StringRange, StringTable};

/// Version numbers an image may use, the two without meaning included; a library as large as
/// libstdc++ uses 57.
const MAX_VERSIONS: usize = 64;

/// `VER_NDX_GLOBAL`: the highest number that stands for no version.
const GLOBAL: u16 = 1;
/// `VERSYM_HIDDEN`: the symbol is found only by those who ask for its version.
const HIDDEN: u16 = 0x8000;
/// `VER_NEED_CURRENT` and `VER_DEF_CURRENT`.
const RECORD_VERSION: u16 = 1;

/// The version of a symbol that an image was linked against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SymbolVersion<'a> {
    /// Name, such as `GLIBC_2.14`.
    ///
    /// The library that the linker saw it in is not kept: names move between libraries of one
    /// project, and the version stays.
    pub name: &'a [u8],
}

/// `Elf64_Verneed`.
#[derive(FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct Need {
    version: U16,
    count: U16,
    file: U32,
    aux: U32,
    next: U32,
}

/// `Elf64_Vernaux`.
#[derive(FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct NeedAux {
    hash: U32,
    flags: U16,
    number: U16,
    name: U32,
    next: U32,
}

/// `Elf64_Verdef`.
#[derive(FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct Definition {
    version: U16,
    flags: U16,
    number: U16,
    count: U16,
    hash: U32,
    aux: U32,
    next: U32,
}

/// `Elf64_Verdaux`.
#[derive(FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct DefinitionAux {
    name: U32,
    next: U32,
}

/// The checked versions of an image.
#[derive(Debug, Clone)]
pub(super) struct Versions<'a> {
    /// The number of each symbol; empty if the image has no versions.
    numbers: &'a [U16],
    strings: StringTable<'a>,
    /// The names of what it wants from others, by number; empty where nothing is wanted.
    needed: [StringRange; MAX_VERSIONS],
    /// The numbers of its own versions, as bits.
    defined: u64,
}

impl<'a> Versions<'a> {
    /// Locates and checks all three tables. `symbol_count` is that of the symbol table.
    ///
    /// # Errors
    ///
    /// A table is not inside one segment, a record contradicts the others, or a name is outside
    /// the string table.
    pub(super) fn read(
        dynamic: &Dynamic<'a>,
        segments: &Segments<'a>,
        strings: StringTable<'a>,
        symbol_count: usize,
    ) -> Result<Self, PlanError> {
        let needed = [StringRange::default(); MAX_VERSIONS];
        let mut versions = Self { numbers: &[], strings, needed, defined: 0 };
        if let Some(vaddr) = dynamic.get(Tag::VERSYM) {
            // CAST: the symbols are in the file, 24 bytes each, so this cannot wrap.
            let bytes = symbol_count as u64 * size_of::<U16>() as u64;
            versions.numbers = segments
                .file_bytes(vaddr, bytes)
                .and_then(|bytes| <[U16]>::ref_from_bytes(bytes).ok())
                .ok_or(PlanError::TableOutsideSegment { tag: Tag::VERSYM, vaddr, bytes })?;
        }
        if let Some(chain) = Chain::find(dynamic, segments, Tag::VERDEF, Tag::VERDEFNUM)? {
            versions.read_definitions(&chain)?;
        }
        if let Some(chain) = Chain::find(dynamic, segments, Tag::VERNEED, Tag::VERNEEDNUM)? {
            versions.read_needs(&chain)?;
        }
        Ok(versions)
    }

    /// Reads `DT_VERNEED`.
    fn read_needs(&mut self, chain: &Chain<'_>) -> Result<(), PlanError> {
        let mut at = 0;
        // Bounded: each record has at least one version, each version takes a number.
        for index in 0..chain.count {
            let need: &Need = chain.record(at, index)?;
            chain.check_head("vn_version", index, need.version)?;
            self.strings.check(need.file.get(), "library of versions", index)?;
            let mut aux_at = chain.step("vn_aux", index, at, need.aux)?;
            let count = chain.check_count("vn_cnt", index, need.count)?;
            for left in (0..count).rev() {
                let aux: &NeedAux = chain.record(aux_at, index)?;
                let number = aux.number.get() & !HIDDEN;
                let name = self.strings.range(aux.name.get(), "version", number.into())?;
                let slot = self.free_number(chain, "vna_other", index, number)?;
                if name.is_empty() {
                    return Err(chain.bad("vna_name", index, aux.name.get().into(), 1));
                }
                *slot = name;
                if left != 0 {
                    aux_at = chain.step("vna_next", index, aux_at, aux.next)?;
                }
            }
            if index + 1 != chain.count {
                at = chain.step("vn_next", index, at, need.next)?;
            }
        }
        Ok(())
    }

    /// Reads `DT_VERDEF`.
    fn read_definitions(&mut self, chain: &Chain<'_>) -> Result<(), PlanError> {
        let mut at = 0;
        // Bounded: each record takes a number.
        for index in 0..chain.count {
            let definition: &Definition = chain.record(at, index)?;
            chain.check_head("vd_version", index, definition.version)?;
            let number = definition.number.get();
            self.free_number(chain, "vd_ndx", index, number)?;
            self.defined |= 1 << number;
            let mut aux_at = chain.step("vd_aux", index, at, definition.aux)?;
            let count = chain.check_count("vd_cnt", index, definition.count)?;
            for left in (0..count).rev() {
                let aux: &DefinitionAux = chain.record(aux_at, index)?;
                self.strings.range(aux.name.get(), "version", number.into())?;
                if left != 0 {
                    aux_at = chain.step("vda_next", index, aux_at, aux.next)?;
                }
            }
            if index + 1 != chain.count {
                at = chain.step("vd_next", index, at, definition.next)?;
            }
        }
        Ok(())
    }

    /// Returns the place of a number that no record before has taken.
    fn free_number(
        &mut self,
        chain: &Chain<'_>,
        field: &'static str,
        index: u64,
        number: u16,
    ) -> Result<&mut StringRange, PlanError> {
        let lowest = if chain.tag == Tag::VERDEF { GLOBAL } else { GLOBAL + 1 };
        let limit = MAX_VERSIONS as u64;
        let defined = self.defined;
        self.needed
            .get_mut(usize::from(number))
            .filter(|slot| number >= lowest && defined >> number & 1 == 0 && slot.is_empty())
            .ok_or(chain.bad(field, index, number.into(), limit))
    }

    /// Checks that the number of symbol `index` stands for something.
    ///
    /// # Errors
    ///
    /// No record gave it: a version of others for an undefined symbol, its own or (as the linker
    /// leaves it where it copied a variable) one of others for a defined one.
    #[inline]
    pub(super) fn check_symbol(&self, index: u32, is_defined: bool) -> Result<(), PlanError> {
        let number = self.number(index) & !HIDDEN;
        let is_needed =
            || self.needed.get(usize::from(number)).is_some_and(|name| !name.is_empty());
        let is_own = || self.defined.checked_shr(number.into()).unwrap_or(0) & 1 != 0;
        if number <= GLOBAL || is_needed() || is_defined && is_own() {
            return Ok(());
        }
        Err(PlanError::SymbolVersion { symbol: index, version: number })
    }

    /// Returns the number of a symbol, without version if the image has none.
    fn number(&self, index: u32) -> u16 {
        let number = usize::try_from(index).ok().and_then(|index| self.numbers.get(index));
        number.map_or(GLOBAL, |number| number.get())
    }

    /// Returns the version that symbol `index` is wanted in.
    #[inline]
    pub(super) fn wanted(&self, index: u32) -> Option<SymbolVersion<'a>> {
        let number = self.number(index) & !HIDDEN;
        let name = self.needed.get(usize::from(number)).filter(|name| !name.is_empty())?;
        Some(SymbolVersion { name: self.strings.slice(*name)? })
    }

    /// Tells whether symbol `index` is found only by those who ask for its version.
    pub(super) fn is_hidden(&self, index: u32) -> bool {
        self.number(index) & HIDDEN != 0
    }
}

/// Records that point at each other, and how many of them the image announces.
struct Chain<'a> {
    tag: Tag,
    /// From the first record to the end of the segment's bytes in the file.
    bytes: &'a [u8],
    count: u64,
}

impl<'a> Chain<'a> {
    /// Locates a chain; `None` if the image has none.
    ///
    /// # Errors
    ///
    /// It is not inside a segment, or there is a chain without a count or the other way round.
    fn find(
        dynamic: &Dynamic<'a>,
        segments: &Segments<'a>,
        tag: Tag,
        count_tag: Tag,
    ) -> Result<Option<Self>, PlanError> {
        let (vaddr, count) = match (dynamic.get(tag), dynamic.get(count_tag)) {
            (None, None | Some(0)) => return Ok(None),
            (None, Some(_)) => return Err(PlanError::MissingTag { tag }),
            (Some(_), None) => return Err(PlanError::MissingTag { tag: count_tag }),
            (Some(vaddr), Some(count)) => (vaddr, count),
        };
        let outside = PlanError::TableOutsideSegment { tag, vaddr, bytes: 0 };
        let bytes = segments.file_bytes_from(vaddr).ok_or(outside)?;
        Ok(Some(Self { tag, bytes, count }))
    }

    /// Reads the record at `at`, a part of record `index` of the chain.
    fn record<T>(&self, at: usize, index: u64) -> Result<&'a T, PlanError>
    where
        T: FromBytes + Immutable + KnownLayout + Unaligned,
    {
        let rest = self.bytes.get(at..).unwrap_or_default();
        let record = T::ref_from_prefix(rest).map(|(record, _)| record);
        record.map_err(|_| self.bad("position", index, at as u64, self.bytes.len() as u64))
    }

    /// Follows a link, which leads forwards past at least the smallest record.
    fn step(
        &self,
        field: &'static str,
        index: u64,
        at: usize,
        link: U32,
    ) -> Result<usize, PlanError> {
        let least = size_of::<DefinitionAux>();
        let step = usize::try_from(link.get()).ok().filter(|step| *step >= least);
        step.and_then(|step| at.checked_add(step)).ok_or(self.bad(
            field,
            index,
            link.get().into(),
            least as u64,
        ))
    }

    /// Checks the version of a record's own form.
    fn check_head(&self, field: &'static str, index: u64, found: U16) -> Result<(), PlanError> {
        if found.get() == RECORD_VERSION {
            return Ok(());
        }
        Err(self.bad(field, index, found.get().into(), RECORD_VERSION.into()))
    }

    /// Checks how many parts a record has.
    fn check_count(&self, field: &'static str, index: u64, count: U16) -> Result<u16, PlanError> {
        let limit = MAX_VERSIONS as u64;
        match count.get() {
            0 => Err(self.bad(field, index, 0, limit)),
            count if u64::from(count) > limit => Err(self.bad(field, index, count.into(), limit)),
            count => Ok(count),
        }
    }

    /// Builds the error of record `index`.
    const fn bad(&self, field: &'static str, index: u64, value: u64, limit: u64) -> PlanError {
        PlanError::VersionRecord { tag: self.tag, field, record: index, value, limit }
    }
}

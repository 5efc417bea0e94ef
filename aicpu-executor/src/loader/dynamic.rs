//! The dynamic section: one value per known tag, and the tables they locate.
//!
//! It exists apart because the section is a list with rules of its own (terminated, no duplicates,
//! address/size/entry triples) that every table shares. Hostile classes 12, 14, 15 and 25 begin
//! here; tags the loader does not know are skipped, as the gABI asks.

use core::mem::size_of;

use zerocopy::{FromBytes, Immutable, KnownLayout};

use super::elf::{self, DynamicEntry, ProgramHeader, Tag};
use super::error::PlanError;
use super::segment::Segments;

/// Entries a dynamic section may have; linkers write about thirty.
const MAX_ENTRIES: usize = 1024;

/// Tags that are kept and may occur once.
const SINGLE: [Tag; 29] = [
    Tag::PLTRELSZ,
    Tag::HASH,
    Tag::STRTAB,
    Tag::SYMTAB,
    Tag::RELA,
    Tag::RELASZ,
    Tag::RELAENT,
    Tag::STRSZ,
    Tag::SYMENT,
    Tag::INIT,
    Tag::FINI,
    Tag::SONAME,
    Tag::PLTREL,
    Tag::JMPREL,
    Tag::INIT_ARRAY,
    Tag::FINI_ARRAY,
    Tag::INIT_ARRAYSZ,
    Tag::FINI_ARRAYSZ,
    Tag::FLAGS,
    Tag::FLAGS_1,
    Tag::RELR,
    Tag::RELRSZ,
    Tag::RELRENT,
    Tag::GNU_HASH,
    Tag::VERSYM,
    Tag::VERDEF,
    Tag::VERNEED,
    Tag::VERDEFNUM,
    Tag::VERNEEDNUM,
];

/// Tags below this are found in [`SINGLE`] without searching.
const LOW_TAGS: usize = 64;

/// Where the tags below [`LOW_TAGS`] are in [`SINGLE`]; behind its end if they are not.
const LOW_POSITIONS: [u8; LOW_TAGS] = {
    let mut positions = [u8::MAX; LOW_TAGS];
    let mut position = 0;
    while position < SINGLE.len() {
        let tag = SINGLE[position].0;
        if tag < LOW_TAGS as u64 {
            // CAST: both are small, as just compared and by the length of the list.
            positions[tag as usize] = position as u8;
        }
        position += 1;
    }
    positions
};

/// Returns where a tag is in [`SINGLE`]; behind its end if it is not.
fn position(tag: Tag) -> usize {
    match usize::try_from(tag.0).ok().and_then(|low| LOW_POSITIONS.get(low)) {
        Some(position) => usize::from(*position),
        None => SINGLE.iter().position(|known| *known == tag).unwrap_or(usize::MAX),
    }
}

/// Tags whose values are addresses of tables.
const TABLES: [Tag; 12] = [
    Tag::HASH,
    Tag::STRTAB,
    Tag::SYMTAB,
    Tag::RELA,
    Tag::JMPREL,
    Tag::INIT_ARRAY,
    Tag::FINI_ARRAY,
    Tag::RELR,
    Tag::GNU_HASH,
    Tag::VERSYM,
    Tag::VERDEF,
    Tag::VERNEED,
];

/// Tags that would change what the image means, so that skipping them would be wrong.
const UNSUPPORTED: [Tag; 10] = [
    Tag::REL,
    Tag::RELSZ,
    Tag::RELENT,
    Tag::PREINIT_ARRAY,
    Tag::PREINIT_ARRAYSZ,
    Tag::ANDROID_REL,
    Tag::ANDROID_RELA,
    Tag::ANDROID_RELR,
    Tag::AUXILIARY,
    Tag::FILTER,
];

/// The dynamic section of an image.
#[derive(Debug, Clone, Copy)]
pub(super) struct Dynamic<'a> {
    /// The entries up to and without `DT_NULL`.
    entries: &'a [DynamicEntry],
    /// The value of each tag of [`SINGLE`].
    values: [Option<u64>; SINGLE.len()],
}

/// A range of addresses that the dynamic section gives for a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TableRange {
    /// First address, as linked.
    pub(super) vaddr: u64,
    /// Bytes.
    pub(super) bytes: u64,
}

/// The tags that describe one table.
#[derive(Debug, Clone, Copy)]
pub(super) struct TableTags {
    /// Holds the address.
    pub(super) address: Tag,
    /// Holds the bytes.
    pub(super) size: Tag,
    /// Holds the bytes of an entry; `None` if the table has no such tag.
    pub(super) entry: Option<Tag>,
}

impl<'a> Dynamic<'a> {
    /// Reads the section that `header` (`PT_DYNAMIC`) locates.
    ///
    /// # Errors
    ///
    /// It is not inside one segment's file bytes, not terminated, has a tag twice, or asks for
    /// something that is not supported.
    pub(super) fn read(header: &ProgramHeader, segments: &Segments<'a>) -> Result<Self, PlanError> {
        let (vaddr, bytes) = (header.vaddr.get(), header.file_bytes.get());
        let outside = PlanError::DynamicOutsideSegment { vaddr, bytes };
        let expected = segments.file_offset(vaddr, bytes).ok_or(outside)?;
        if header.offset.get() != expected {
            let offset = header.offset.get();
            return Err(PlanError::DynamicMisplaced { offset, expected });
        }
        let section = segments.file_bytes(vaddr, bytes).ok_or(outside)?;
        let entry = size_of::<DynamicEntry>();
        let whole = section.get(..section.len() - section.len() % entry).unwrap_or_default();
        let all = <[DynamicEntry]>::ref_from_bytes(whole).unwrap_or_default();
        let count = all
            .iter()
            .take(MAX_ENTRIES)
            .position(|each| Tag(each.tag.get()) == Tag::NULL)
            .ok_or(PlanError::DynamicUnterminated { entries: all.len().min(MAX_ENTRIES) })?;
        let mut dynamic =
            Self { entries: all.get(..count).unwrap_or_default(), values: [None; SINGLE.len()] };
        for (index, each) in dynamic.entries.iter().enumerate() {
            dynamic.keep(index, Tag(each.tag.get()), each.value.get())?;
        }
        dynamic.check_flags()?;
        Ok(dynamic)
    }

    /// Keeps one entry, or refuses it.
    fn keep(&mut self, index: usize, tag: Tag, value: u64) -> Result<(), PlanError> {
        if tag == Tag::TEXTREL {
            return Err(PlanError::TextRelocations { tag, value });
        }
        if UNSUPPORTED.contains(&tag) {
            return Err(PlanError::UnsupportedTag { tag, value });
        }
        match self.values.get_mut(position(tag)) {
            Some(slot @ None) => *slot = Some(value),
            Some(_) => return Err(PlanError::DuplicateTag { tag, entry: index }),
            None => {}
        }
        Ok(())
    }

    /// Refuses the flags that change what the image means.
    fn check_flags(&self) -> Result<(), PlanError> {
        let flags = self.get(Tag::FLAGS).unwrap_or(0);
        if flags & elf::DF_TEXTREL != 0 {
            return Err(PlanError::TextRelocations { tag: Tag::FLAGS, value: flags });
        }
        let flags_1 = self.get(Tag::FLAGS_1).unwrap_or(0);
        if flags_1 & elf::DF_1_PIE != 0 {
            return Err(PlanError::NotSharedObject { kind: elf::ET_DYN, flags_1 });
        }
        match self.get(Tag::PLTREL) {
            Some(value) if value != Tag::RELA.0 => {
                Err(PlanError::UnsupportedTag { tag: Tag::PLTREL, value })
            }
            _ => Ok(()),
        }
    }

    /// Tells whether the image says that its thread-local variables need the initial TLS block.
    pub(super) fn wants_static_tls(&self) -> bool {
        self.get(Tag::FLAGS).unwrap_or(0) & elf::DF_STATIC_TLS != 0
    }

    /// Returns the entries up to and without `DT_NULL`.
    pub(super) const fn entries(&self) -> &'a [DynamicEntry] {
        self.entries
    }

    /// Returns the value of a tag that may occur once.
    pub(super) fn get(&self, tag: Tag) -> Option<u64> {
        *self.values.get(position(tag))?
    }

    /// Returns the value of a tag that must occur.
    ///
    /// # Errors
    ///
    /// It does not.
    pub(super) fn require(&self, tag: Tag) -> Result<u64, PlanError> {
        self.get(tag).ok_or(PlanError::MissingTag { tag })
    }

    /// Returns the lowest address above `vaddr` at which a table starts.
    pub(super) fn next_table(&self, vaddr: u64) -> Option<u64> {
        TABLES.iter().filter_map(|tag| self.get(*tag)).filter(|start| *start > vaddr).min()
    }

    /// Returns the range of a table, empty if the image has none.
    ///
    /// # Errors
    ///
    /// One of the tags is missing or contradicts `entry_bytes`.
    pub(super) fn table(
        &self,
        tags: TableTags,
        entry_bytes: u64,
    ) -> Result<Option<TableRange>, PlanError> {
        let bytes = match (self.get(tags.address), self.get(tags.size)) {
            (None, None | Some(0)) => return Ok(None),
            (None, Some(_)) => return Err(PlanError::MissingTag { tag: tags.address }),
            (Some(_), None) => return Err(PlanError::MissingTag { tag: tags.size }),
            (Some(_), Some(bytes)) => bytes,
        };
        if let Some(tag) = tags.entry {
            let value = self.require(tag)?;
            if value != entry_bytes {
                return Err(PlanError::EntrySize { tag, value, expected: entry_bytes });
            }
        }
        if bytes % entry_bytes != 0 {
            return Err(PlanError::TableSize { tag: tags.size, bytes, entry: entry_bytes });
        }
        let vaddr = self.require(tags.address)?;
        Ok((bytes != 0).then_some(TableRange { vaddr, bytes }))
    }

    /// Returns the records of a table, empty if the image has none.
    ///
    /// # Errors
    ///
    /// As [`table`](Self::table), or the table is not in the file bytes of one segment.
    pub(super) fn records<T>(
        &self,
        tags: TableTags,
        segments: &Segments<'a>,
    ) -> Result<Records<'a, T>, PlanError>
    where
        T: FromBytes + Immutable + KnownLayout + zerocopy::Unaligned,
    {
        let Some(range) = self.table(tags, size_of::<T>() as u64)? else {
            return Ok(Records { offset: 0, records: &[] });
        };
        let outside = PlanError::TableOutsideSegment {
            tag: tags.address,
            vaddr: range.vaddr,
            bytes: range.bytes,
        };
        let offset = segments.file_offset(range.vaddr, range.bytes).ok_or(outside)?;
        let bytes = segments.file_bytes(range.vaddr, range.bytes).ok_or(outside)?;
        let records = <[T]>::ref_from_bytes(bytes).map_err(|_| outside)?;
        Ok(Records { offset, records })
    }
}

/// The records of a table and where they are in the file.
#[derive(Debug)]
pub(super) struct Records<'a, T> {
    /// Position of the first record in the file.
    pub(super) offset: u64,
    /// The records.
    pub(super) records: &'a [T],
}

impl<T> Clone for Records<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Records<'_, T> {}

impl<T> Records<'_, T> {
    /// Returns the position of a record in the file.
    pub(super) const fn position(&self, index: usize) -> u64 {
        // Wrapping: the table is inside the file, so it cannot.
        self.offset.wrapping_add((index as u64).wrapping_mul(size_of::<T>() as u64))
    }
}

//! A string table: that of the dynamic section, or that of `.symtab`.
//!
//! The last byte is checked to be NUL once, so that a name is safe as soon as it starts inside
//! (hostile class 16).

use core::ffi::CStr;

use super::dynamic::Dynamic;
use super::elf::Tag;
use super::error::PlanError;
use super::segment::Segments;

/// Bytes a name may have. Long C++ names reach a few hundred; the limit bounds the work a hostile
/// table can cause to 4 KiB per symbol.
pub(super) const MAX_NAME_BYTES: usize = 4096;

/// A name in the table, found and measured: reading it again costs no search.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct StringRange {
    start: u32,
    bytes: u16,
}

impl StringRange {
    /// Tells whether the name has no bytes.
    pub(super) const fn is_empty(self) -> bool {
        self.bytes == 0
    }
}

/// `DT_STRTAB` or the names of `.symtab`: not empty and ending with NUL.
#[derive(Debug, Clone, Copy)]
pub(super) struct StringTable<'a> {
    bytes: &'a [u8],
}

impl<'a> StringTable<'a> {
    /// Locates and checks the table.
    ///
    /// # Errors
    ///
    /// It is missing, not in the file bytes of one segment, or does not end with NUL.
    pub(super) fn read(dynamic: &Dynamic<'a>, segments: &Segments<'a>) -> Result<Self, PlanError> {
        let vaddr = dynamic.require(Tag::STRTAB)?;
        let bytes = dynamic.require(Tag::STRSZ)?;
        let table = segments.file_bytes(vaddr, bytes).ok_or(PlanError::TableOutsideSegment {
            tag: Tag::STRTAB,
            vaddr,
            bytes,
        })?;
        Self::from_bytes(table).ok_or(PlanError::StringTableUnterminated { vaddr, bytes })
    }

    /// Wraps the bytes of a table; `None` if they do not end with NUL.
    pub(super) fn from_bytes(bytes: &'a [u8]) -> Option<Self> {
        (bytes.last() == Some(&0)).then_some(Self { bytes })
    }

    /// Returns the name at `string`; `what` and `index` say whose it is.
    ///
    /// # Errors
    ///
    /// It starts outside the table or is too long.
    pub(super) fn get(
        &self,
        string: u64,
        what: &'static str,
        index: u64,
    ) -> Result<&'a [u8], PlanError> {
        let outside =
            || PlanError::StringOutsideTable { what, index, string, table_bytes: self.bytes.len() };
        let start = usize::try_from(string).map_err(|_| outside())?;
        let rest = self.bytes.get(start..).filter(|rest| !rest.is_empty()).ok_or_else(outside)?;
        let window = rest.get(..=MAX_NAME_BYTES).unwrap_or(rest);
        CStr::from_bytes_until_nul(window).map(CStr::to_bytes).map_err(|_| PlanError::NameTooLong {
            what,
            index,
            limit: MAX_NAME_BYTES,
        })
    }

    /// Checks that a name starts inside the table.
    ///
    /// # Errors
    ///
    /// It does not.
    pub(super) fn check_start(
        &self,
        string: u32,
        what: &'static str,
        index: u64,
    ) -> Result<(), PlanError> {
        let (string, table_bytes) = (u64::from(string), self.bytes.len());
        if string < table_bytes as u64 {
            return Ok(());
        }
        Err(PlanError::StringOutsideTable { what, index, string, table_bytes })
    }

    /// Checks a name without measuring it where the rest of the table is short enough.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    pub(super) fn check(
        &self,
        string: u32,
        what: &'static str,
        index: u64,
    ) -> Result<(), PlanError> {
        self.check_start(string, what, index)?;
        if self.bytes.len() - string as usize <= MAX_NAME_BYTES {
            return Ok(());
        }
        self.get(string.into(), what, index).map(|_| ())
    }

    /// Finds and measures the name at `string`; `what` and `index` say whose it is.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    pub(super) fn range(
        &self,
        string: u32,
        what: &'static str,
        index: u64,
    ) -> Result<StringRange, PlanError> {
        let name = self.get(string.into(), what, index)?;
        // CAST: at most MAX_NAME_BYTES.
        Ok(StringRange { start: string, bytes: name.len() as u16 })
    }

    /// Returns a name that [`range`](Self::range) of this table has found.
    pub(super) fn slice(&self, range: StringRange) -> Option<&'a [u8]> {
        let start = usize::try_from(range.start).ok()?;
        self.bytes.get(start..start.checked_add(usize::from(range.bytes))?)
    }

    /// Tells whether the name at `string` begins with `prefix`, in which there is no NUL.
    pub(super) fn begins(&self, string: u32, prefix: &[u8]) -> bool {
        let rest = usize::try_from(string).ok().and_then(|start| self.bytes.get(start..));
        rest.is_some_and(|rest| rest.starts_with(prefix))
    }

    /// Tells whether the name at `string` is `name`; costs no more than the length of `name`.
    pub(super) fn is(&self, string: u32, name: &[u8]) -> bool {
        let rest = usize::try_from(string).ok().and_then(|start| self.bytes.get(start..));
        // A name with a NUL in it would match two neighbours of the table.
        !name.contains(&0)
            && rest
                .and_then(|rest| rest.strip_prefix(name))
                .is_some_and(|tail| tail.first() == Some(&0))
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::vec;

    use super::*;

    #[test]
    fn reads_names_up_to_the_last_byte_of_the_table() {
        let table = StringTable::from_bytes(b"\0ab\0c\0").unwrap();
        for (string, expected) in [(0, &b""[..]), (1, b"ab"), (2, b"b"), (4, b"c"), (5, b"")] {
            assert_eq!(table.get(string, "symbol", 7), Ok(expected));
        }
        for string in [6, 7, u64::MAX] {
            let expected =
                PlanError::StringOutsideTable { what: "symbol", index: 7, string, table_bytes: 6 };
            assert_eq!(table.get(string, "symbol", 7), Err(expected));
        }
    }

    #[test]
    fn refuses_names_longer_than_the_limit() {
        for (length, accepted) in [(4095, true), (4096, true), (4097, false)] {
            let mut bytes = vec![b'x'; length];
            bytes.push(0);
            let table = StringTable::from_bytes(&bytes).unwrap();
            let found = table.get(0, "symbol", 1).map(<[u8]>::len);
            let refused = Err(PlanError::NameTooLong { what: "symbol", index: 1, limit: 4096 });
            assert_eq!(found, if accepted { Ok(length) } else { refused });
        }
    }

    #[test]
    fn compares_whole_names_only() {
        let table = StringTable::from_bytes(b"\0entry\0").unwrap();
        let rows = [
            (1, "entry", true),
            (1, "entr", false),
            (1, "entry2", false),
            (0, "\0entry", false),
            (7, "", false),
        ];
        for (string, name, expected) in rows {
            assert_eq!(table.is(string, name.as_bytes()), expected, "{string} {name}");
        }
        assert!(table.is(0, b"") && !table.is(u32::MAX, b"entry"));
    }
}

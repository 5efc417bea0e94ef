//! Walks packed relative relocations (`DT_RELR`).
//!
//! An even word is an address to relocate; each odd word is a bitmap of the 63 words behind the
//! last one covered. Source: gABI, "Relocation", RELR (2022); hostile class 24.

use zerocopy::little_endian::U64;

use super::dynamic::Records;
use super::error::PlanError;
use super::relocation::WORD_BYTES;

/// Words that one bitmap covers.
const BITMAP_WORDS: u64 = 63;

/// Walks the table: the file position of the entry and the address of each word to relocate.
///
/// An item is an error if a bitmap comes first or an address wraps around; nothing follows it.
pub(super) const fn words(table: Records<'_, U64>) -> Words<'_> {
    Words { table, index: 0, bits: 0, start: None, failed: false }
}

/// Iterates over the words that packed relocations name.
#[derive(Debug, Clone)]
pub(super) struct Words<'a> {
    table: Records<'a, U64>,
    /// The next entry.
    index: usize,
    /// What is left of the bitmap before it, bit 0 for the word at `start`.
    bits: u64,
    /// The word behind the last one covered; `None` before the first address or when it wraps.
    start: Option<u64>,
    failed: bool,
}

impl Words<'_> {
    /// Position in the file and value of an entry.
    fn entry(&self, index: usize) -> Option<(u64, u64)> {
        let word = self.table.records.get(index)?;
        Some((self.table.position(index), word.get()))
    }

    /// Returns the next word, or an error with the entry that is to blame.
    fn advance(&mut self) -> Option<Result<(u64, u64), PlanError>> {
        loop {
            if self.bits != 0 {
                let (offset, value) = self.entry(self.index.wrapping_sub(1))?;
                let index = u64::from(self.bits.trailing_zeros());
                let word = self.start.and_then(|start| start.checked_add(WORD_BYTES * index));
                self.bits &= self.bits - 1;
                if self.bits == 0 {
                    self.skip_bitmap();
                }
                let word = word.ok_or(PlanError::PackedRelocation { offset, value });
                return Some(word.map(|word| (offset, word)));
            }
            let (offset, value) = self.entry(self.index)?;
            self.index += 1;
            if value & 1 == 0 {
                self.start = value.checked_add(WORD_BYTES);
                return Some(Ok((offset, value)));
            }
            if self.start.is_none() {
                return Some(Err(PlanError::PackedRelocation { offset, value }));
            }
            self.bits = value >> 1;
            if self.bits == 0 {
                self.skip_bitmap();
            }
        }
    }

    /// Moves behind the words of a bitmap.
    fn skip_bitmap(&mut self) {
        self.start = self.start.and_then(|start| start.checked_add(WORD_BYTES * BITMAP_WORDS));
    }
}

impl Iterator for Words<'_> {
    type Item = Result<(u64, u64), PlanError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let item = self.advance();
        self.failed = matches!(item, Some(Err(_)));
        item
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::vec::Vec;

    use super::*;

    /// Walks `words`, which start at file position 0x40.
    fn walk(words: &[u64]) -> Result<Vec<(u64, u64)>, PlanError> {
        let words: Vec<U64> = words.iter().map(|word| U64::new(*word)).collect();
        super::words(Records { offset: 0x40, records: &words }).collect()
    }

    #[test]
    fn bitmaps_continue_behind_the_last_word_covered() {
        let found = walk(&[0x1000, 0b101, 1 | 1 << 63, 0b11, 0x2000]);
        let expected = [
            (0x40, 0x1000),
            // Bit 2 is the second word behind the address.
            (0x48, 0x1008 + 8),
            // The first bitmap has covered 63 words from 0x1008.
            (0x50, 0x1008 + 8 * (63 + 62)),
            (0x58, 0x1008 + 8 * 126),
            (0x60, 0x2000),
        ];
        assert_eq!(found.unwrap(), expected);
    }

    #[test]
    fn refuses_bitmaps_without_address_and_addresses_that_wrap() {
        let bad = |offset, value| Err(PlanError::PackedRelocation { offset, value });
        assert_eq!(walk(&[1]), bad(0x40, 1));
        assert_eq!(walk(&[u64::MAX - 7, 3]), bad(0x48, 3));
        assert_eq!(walk(&[u64::MAX - 23, 1 << 3 | 1]), bad(0x48, 9));
        assert_eq!(walk(&[u64::MAX - 23, 1, 3]), bad(0x50, 3));
        // An empty bitmap at the end of the address space relocates nothing.
        assert_eq!(walk(&[u64::MAX - 23, 1]).map(|seen| seen.len()), Ok(1));
    }

    #[test]
    fn nothing_follows_a_failure() {
        let words = [U64::new(1), U64::new(0x2000)];
        let mut walk = super::words(Records { offset: 0, records: &words });
        assert!(matches!(walk.next(), Some(Err(_))));
        assert_eq!(walk.next(), None);
    }
}

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

/// The words that one entry names, in at most [`BITMAP_WORDS`] neighbouring places.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Group {
    /// Position of the entry in the file.
    pub(super) offset: u64,
    /// Address of the place that bit 0 stands for.
    first: u64,
    /// Which places hold a word to relocate; not 0.
    bits: u64,
}

impl Group {
    /// Returns how many words there are.
    pub(super) const fn count(self) -> usize {
        // CAST: at most 64.
        self.bits.count_ones() as usize
    }

    /// Returns the lowest and the highest address; neither wraps.
    pub(super) const fn range(self) -> (u64, u64) {
        (self.place(self.bits.trailing_zeros()), self.place(self.bits.ilog2()))
    }

    /// Iterates over the addresses, ascending.
    pub(super) fn words(self) -> impl Iterator<Item = u64> {
        let mut bits = self.bits;
        core::iter::from_fn(move || {
            let bit = (bits != 0).then(|| bits.trailing_zeros())?;
            bits &= bits - 1;
            Some(self.place(bit))
        })
    }

    /// Returns the address of a place.
    const fn place(self, bit: u32) -> u64 {
        // Wrapping: the highest place was checked when the entry was read.
        self.first.wrapping_add(WORD_BYTES * bit as u64)
    }
}

/// Walks the table entry by entry.
///
/// An item is an error if a bitmap comes first or an address wraps around; nothing follows it.
pub(super) fn groups(
    table: Records<'_, U64>,
) -> impl Iterator<Item = Result<Group, PlanError>> + use<'_> {
    // The place that bit 1 of the next bitmap stands for; none before the first address.
    let mut next: Option<u64> = None;
    let mut failed = false;
    let group = move |(index, word): (usize, &U64)| {
        let (offset, value) = (table.position(index), word.get());
        let bad = PlanError::PackedRelocation { offset, value };
        if value & 1 == 0 {
            next = value.checked_add(WORD_BYTES);
            return Some(Ok(Group { offset, first: value, bits: 1 }));
        }
        let Some(first) = next else { return Some(Err(bad)) };
        next = first.checked_add(WORD_BYTES * BITMAP_WORDS);
        let bits = value >> 1;
        let highest = u64::from(bits.checked_ilog2()?);
        let fits = first.checked_add(WORD_BYTES * highest).is_some();
        Some(if fits { Ok(Group { offset, first, bits }) } else { Err(bad) })
    };
    let groups = table.records.iter().enumerate().filter_map(group);
    groups.take_while(move |item| !core::mem::replace(&mut failed, item.is_err()))
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::vec::Vec;

    use super::*;

    /// Walks `words`, which start at file position 0x40.
    fn walk(words: &[u64]) -> Result<Vec<(u64, u64)>, PlanError> {
        let words: Vec<U64> = words.iter().map(|word| U64::new(*word)).collect();
        let mut seen = Vec::new();
        for group in groups(Records { offset: 0x40, records: &words }) {
            let group = group?;
            let found: Vec<_> = group.words().collect();
            assert_eq!(found.len(), group.count());
            assert_eq!(
                (found.first(), found.last()),
                (Some(&group.range().0), Some(&group.range().1))
            );
            seen.extend(found.into_iter().map(|word| (group.offset, word)));
        }
        Ok(seen)
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
        let mut walk = groups(Records { offset: 0, records: &words });
        assert!(matches!(walk.next(), Some(Err(_))));
        assert!(walk.next().is_none());
    }
}

//! Walks packed relative relocations (`DT_RELR`).
//!
//! An even word is an address to relocate; each odd word is a bitmap of the 63 words behind the
//! last one covered. Source: gABI, "Relocation", RELR (2022); hostile class 24.

use zerocopy::little_endian::U64;

use super::dynamic::Records;
use super::error::PlanError;

/// Words that one bitmap covers.
const BITMAP_WORDS: u64 = 63;

/// Calls `visit` with the file position of the entry and the address of each word to relocate.
///
/// # Errors
///
/// A bitmap comes first, an address wraps around, or `visit` fails.
pub(super) fn for_each<E: From<PlanError>>(
    table: Records<'_, U64>,
    mut visit: impl FnMut(u64, u64) -> Result<(), E>,
) -> Result<(), E> {
    // The address that bit 1 of the next bitmap stands for; none before the first address.
    let mut next: Option<u64> = None;
    for (offset, word) in table.positioned() {
        let word = word.get();
        let bad = PlanError::PackedRelocation { offset, value: word };
        if word & 1 == 0 {
            visit(offset, word)?;
            next = word.checked_add(8);
            continue;
        }
        let start = next.ok_or(bad)?;
        let mut bits = word >> 1;
        while bits != 0 {
            let index = u64::from(bits.trailing_zeros());
            visit(offset, start.checked_add(8 * index).ok_or(bad)?)?;
            bits &= bits - 1;
        }
        next = start.checked_add(8 * BITMAP_WORDS);
    }
    Ok(())
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
        for_each(Records { offset: 0x40, records: &words }, |offset, vaddr| {
            seen.push((offset, vaddr));
            Ok(())
        })?;
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
    fn stops_at_the_first_failure_of_the_visitor() {
        let words = [U64::new(0x1000), U64::new(0x2000)];
        let refused = PlanError::NoHashTable;
        let mut calls = 0;
        let result = for_each(Records { offset: 0, records: &words }, |_, _| {
            calls += 1;
            Err::<(), _>(refused)
        });
        assert_eq!((result, calls), (Err(refused), 1));
    }
}

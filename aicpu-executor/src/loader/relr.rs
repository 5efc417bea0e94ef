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

//! The GNU hash table (`DT_GNU_HASH`): finds defined symbols and counts the symbol table.
//!
//! Checked as a whole once (hostile class 18): after [`GnuHash::read`] every chain that starts at
//! a bucket ends inside the table, because the last chain does and chains lie one behind another.

use core::mem::size_of;

use zerocopy::FromBytes;
use zerocopy::little_endian::{U32, U64};

use super::elf::Tag;
use super::error::PlanError;

/// A checked GNU hash table.
#[derive(Debug, Clone, Copy)]
pub(super) struct GnuHash<'a> {
    bloom: &'a [U64],
    bloom_shift: u32,
    buckets: &'a [U32],
    /// One word per symbol from `first_symbol` on; an odd word ends a chain.
    chains: &'a [U32],
    first_symbol: u32,
}

impl<'a> GnuHash<'a> {
    /// Checks the table at the start of `bytes`, which may be longer than it.
    ///
    /// # Errors
    ///
    /// Any word contradicts the others or the size of `bytes`.
    pub(super) fn read(bytes: &'a [u8]) -> Result<Self, PlanError> {
        let have = bytes.len() as u64;
        let short = |field, value| bad(field, 0, value, have);
        let (header, rest) =
            <[U32; 4]>::ref_from_prefix(bytes).map_err(|_| short("header size", 16))?;
        let [bucket_count, first_symbol, bloom_words, bloom_shift] = header.map(U32::get);
        if bucket_count == 0 {
            return Err(bad("bucket count", 0, 0, 1));
        }
        if !bloom_words.is_power_of_two() {
            return Err(bad("bloom filter size", 0, bloom_words.into(), 1));
        }
        if bloom_shift > 31 {
            return Err(bad("bloom filter shift", 0, bloom_shift.into(), 31));
        }
        let (bloom, rest) = split::<U64>(rest, bloom_words)
            .ok_or_else(|| short("bloom filter size", bloom_words.into()))?;
        let (buckets, rest) = split::<U32>(rest, bucket_count)
            .ok_or_else(|| short("bucket count", bucket_count.into()))?;
        let words = u32::try_from(rest.len() / size_of::<U32>()).unwrap_or(u32::MAX);
        let (words, _) = split::<U32>(rest, words).ok_or_else(|| short("chains", 0))?;
        let mut last = None;
        for (index, bucket) in (0_u64..).zip(buckets) {
            match bucket.get() {
                0 => {}
                symbol if symbol < first_symbol => {
                    return Err(bad("bucket", index, symbol.into(), first_symbol.into()));
                }
                symbol => last = last.max(Some(symbol)),
            }
        }
        let chain_words = match last {
            Some(symbol) => chain_end(words, symbol, first_symbol)?,
            None => 0,
        };
        let chains = words.get(..chain_words).unwrap_or_default();
        Ok(Self { bloom, bloom_shift, buckets, chains, first_symbol })
    }

    /// Returns how many symbols the symbol table has, or `None` if the table holds none at all:
    /// then nothing in it says how many undefined symbols there are.
    pub(super) fn symbol_count(&self) -> Option<u64> {
        (!self.chains.is_empty()).then(|| u64::from(self.first_symbol) + self.chains.len() as u64)
    }

    /// Returns the first symbol with the hash of `name` that `accept` takes.
    pub(super) fn find(&self, name: &[u8], mut accept: impl FnMut(u32) -> bool) -> Option<u32> {
        let hash = hash(name);
        let filter = self.bloom.get((hash as usize / 64) & (self.bloom.len() - 1))?.get();
        let bits = 1_u64 << (hash % 64) | 1_u64 << ((hash >> self.bloom_shift) % 64);
        if filter & bits != bits {
            return None;
        }
        let start = self.buckets.get(hash as usize % self.buckets.len())?.get();
        let offset = start.checked_sub(self.first_symbol)? as usize;
        for (symbol, word) in (start..).zip(self.chains.get(offset..)?) {
            // The lowest bit is the end mark, so the hashes are compared without it.
            if (word.get() ^ hash) >> 1 == 0 && accept(symbol) {
                return Some(symbol);
            }
            if word.get() & 1 != 0 {
                break;
            }
        }
        None
    }
}

/// Returns how many chain words there are if the last chain starts at `symbol`.
fn chain_end(words: &[U32], symbol: u32, first_symbol: u32) -> Result<usize, PlanError> {
    let start = symbol.saturating_sub(first_symbol) as usize;
    words
        .get(start..)
        .and_then(|chain| chain.iter().position(|word| word.get() & 1 != 0))
        .and_then(|length| start.checked_add(length)?.checked_add(1))
        .ok_or(bad("chain of symbol", symbol.into(), symbol.into(), words.len() as u64))
}

/// Splits `count` records off the front.
fn split<T>(bytes: &[u8], count: u32) -> Option<(&[T], &[u8])>
where
    T: FromBytes + zerocopy::Immutable + zerocopy::KnownLayout,
{
    <[T]>::ref_from_prefix_with_elems(bytes, usize::try_from(count).ok()?).ok()
}

/// Builds the error of this table.
const fn bad(field: &'static str, index: u64, value: u64, limit: u64) -> PlanError {
    PlanError::HashTable { tag: Tag::GNU_HASH, field, index, value, limit }
}

/// The hash function of the GNU table: `h = h * 33 + byte`, from 5381.
fn hash(name: &[u8]) -> u32 {
    name.iter().fold(5381, |hash: u32, &byte| hash.wrapping_mul(33).wrapping_add(byte.into()))
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::vec::Vec;

    use super::*;

    fn words(words: &[u32]) -> Vec<u8> {
        words.iter().flat_map(|word| word.to_le_bytes()).collect()
    }

    #[test]
    fn hashes_as_published() {
        // Computed apart from this crate, by the formula written out step by step.
        let rows = [
            ("", 0x0000_1505),
            ("printf", 0x156b_2bb8),
            ("exit", 0x7c96_7e3f),
            ("syscall", 0xbac2_12a0),
            ("a_longer.name", 0x3618_a37b),
        ];
        for (name, expected) in rows {
            assert_eq!(hash(name.as_bytes()), expected, "{name}");
        }
    }

    /// One bucket, first symbol 5, a filter that lets everything pass, then `chains`.
    fn table(first: u32, chains: &[u32]) -> Vec<u8> {
        words(&[&[1, 5, 1, 0, u32::MAX, u32::MAX, first][..], chains].concat())
    }

    #[test]
    fn walks_one_chain_up_to_its_end_mark() {
        let (printf, exit) = (0x156b_2bb8_u32, 0x7c96_7e3f_u32);
        // The third word would match as well, but the chain ends before it.
        let bytes = table(5, &[printf & !1, exit | 1, 0x1505 & !1]);
        let table = GnuHash::read(&bytes).unwrap();
        assert_eq!(table.symbol_count(), Some(7));
        assert_eq!(table.find(b"printf", |_| true), Some(5));
        assert_eq!(table.find(b"exit", |_| true), Some(6));
        assert_eq!(table.find(b"", |_| true), None);
        // The caller compares names: a hash alone proves nothing.
        assert_eq!(table.find(b"printf", |_| false), None);
    }

    #[test]
    fn does_not_walk_into_the_chain_of_the_next_bucket() {
        // printf is even, so its bucket is the first one; its hash is in the second one's chain.
        let (printf, other) = (0x156b_2bb8_u32, 0x1000_0000_u32);
        let bytes = words(&[2, 5, 1, 0, u32::MAX, u32::MAX, 5, 6, other | 1, printf | 1]);
        let table = GnuHash::read(&bytes).unwrap();
        assert_eq!(table.symbol_count(), Some(7));
        assert_eq!(table.find(b"printf", |_| true), None);
    }

    #[test]
    fn an_empty_table_counts_nothing() {
        let bytes = table(0, &[]);
        let table = GnuHash::read(&bytes).unwrap();
        assert_eq!(table.symbol_count(), None);
        assert_eq!(table.find(b"printf", |_| true), None);
    }

    #[test]
    fn the_filter_alone_can_say_no() {
        let mut bytes = table(5, &[0x156b_2bb9]);
        assert_eq!(GnuHash::read(&bytes).unwrap().find(b"printf", |_| true), Some(5));
        bytes[16..24].fill(0);
        assert_eq!(GnuHash::read(&bytes).unwrap().find(b"printf", |_| true), None);
    }

    #[test]
    fn a_table_cut_anywhere_is_refused() {
        let bytes = table(6, &[0, 2, 4, 7]);
        assert_eq!(GnuHash::read(&bytes).unwrap().symbol_count(), Some(9));
        for length in 0..bytes.len() {
            assert!(GnuHash::read(&bytes[..length]).is_err(), "{length}");
        }
    }
}

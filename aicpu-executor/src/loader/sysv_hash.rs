//! The System V hash table (`DT_HASH`): finds symbols and counts the symbol table.
//!
//! Checked as a whole once (hostile class 18): every index is below the count, and all chains
//! together are no longer than the table, so none of them is a loop.

use zerocopy::FromBytes;
use zerocopy::little_endian::U32;

use super::elf::Tag;
use super::error::PlanError;

/// A checked System V hash table.
#[derive(Debug, Clone, Copy)]
pub(super) struct SysvHash<'a> {
    buckets: &'a [U32],
    /// For each symbol the next one of its chain; 0 ends it.
    chains: &'a [U32],
}

impl<'a> SysvHash<'a> {
    /// Checks the table at the start of `bytes`, which may be longer than it.
    ///
    /// # Errors
    ///
    /// Any word contradicts the others or the size of `bytes`.
    pub(super) fn read(bytes: &'a [u8]) -> Result<Self, PlanError> {
        let have = bytes.len() as u64;
        let (header, rest) =
            <[U32; 2]>::ref_from_prefix(bytes).map_err(|_| bad("header size", 0, 8, have))?;
        let [bucket_count, symbol_count] = header.map(U32::get);
        if bucket_count == 0 {
            return Err(bad("bucket count", 0, 0, 1));
        }
        let split = |bytes: &'a [u8], count: u32| {
            <[U32]>::ref_from_prefix_with_elems(bytes, usize::try_from(count).ok()?).ok()
        };
        let (buckets, rest) = split(rest, bucket_count)
            .ok_or_else(|| bad("bucket count", 0, bucket_count.into(), have))?;
        let (chains, _) = split(rest, symbol_count)
            .ok_or_else(|| bad("symbol count", 0, symbol_count.into(), have))?;
        let table = Self { buckets, chains };
        table.check_indices()?;
        table.check_chains()?;
        Ok(table)
    }

    /// Checks that all indices are below the count.
    fn check_indices(&self) -> Result<(), PlanError> {
        let count = self.chains.len() as u64;
        for (field, words) in [("bucket", self.buckets), ("chain", self.chains)] {
            for (index, word) in (0_u64..).zip(words) {
                // 0 ends a chain, so it is right even in an empty table.
                if word.get() != 0 && u64::from(word.get()) >= count {
                    return Err(bad(field, index, word.get().into(), count));
                }
            }
        }
        Ok(())
    }

    /// Checks that all chains together have no more links than there are symbols.
    fn check_chains(&self) -> Result<(), PlanError> {
        let count = self.chains.len();
        let mut links = 0;
        for (index, bucket) in (0_u64..).zip(self.buckets) {
            let mut symbol = bucket.get();
            while symbol != 0 {
                links += 1;
                if links > count {
                    return Err(bad("chain of bucket", index, symbol.into(), count as u64));
                }
                symbol = self.next(symbol);
            }
        }
        Ok(())
    }

    /// Returns the symbol behind `symbol` in its chain, 0 at the end.
    fn next(&self, symbol: u32) -> u32 {
        self.chains.get(symbol as usize).map_or(0, |word| word.get())
    }

    /// Returns how many symbols the symbol table has.
    pub(super) const fn symbol_count(&self) -> u64 {
        self.chains.len() as u64
    }

    /// Returns the first symbol in the chain of `name` that `accept` takes.
    pub(super) fn find(&self, name: &[u8], mut accept: impl FnMut(u32) -> bool) -> Option<u32> {
        let mut symbol = self.buckets.get(hash(name) as usize % self.buckets.len())?.get();
        while symbol != 0 {
            if accept(symbol) {
                return Some(symbol);
            }
            symbol = self.next(symbol);
        }
        None
    }
}

/// Builds the error of this table.
const fn bad(field: &'static str, index: u64, value: u64, limit: u64) -> PlanError {
    PlanError::HashTable { tag: Tag::HASH, field, index, value, limit }
}

/// The hash function of the gABI, figure 5-13.
fn hash(name: &[u8]) -> u32 {
    name.iter().fold(0, |hash: u32, &byte| {
        let hash = (hash << 4).wrapping_add(byte.into());
        let high = hash & 0xf000_0000;
        (hash ^ high >> 24) & !high
    })
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
        // Computed apart from this crate, by the loop of the gABI.
        let rows = [
            ("", 0x0000_0000),
            ("printf", 0x0779_05a6),
            ("exit", 0x0006_cf04),
            ("syscall", 0x0b09_985c),
            ("a_longer.name", 0x0b38_2485),
        ];
        for (name, expected) in rows {
            assert_eq!(hash(name.as_bytes()), expected, "{name}");
        }
    }

    #[test]
    fn follows_the_chain_of_a_bucket() {
        // printf is even and exit is even: bucket 0 holds 3 -> 1, bucket 1 holds 2.
        let bytes = words(&[2, 4, 3, 2, 0, 0, 0, 1]);
        let table = SysvHash::read(&bytes).unwrap();
        assert_eq!(table.symbol_count(), 4);
        let mut seen = Vec::new();
        let found = table.find(b"printf", |symbol| {
            seen.push(symbol);
            symbol == 1
        });
        assert_eq!((found, seen), (Some(1), Vec::from([3, 1])));
        assert_eq!(table.find(b"exit", |_| false), None);
    }

    #[test]
    fn an_empty_table_is_valid() {
        let bytes = words(&[1, 1, 0, 0]);
        let table = SysvHash::read(&bytes).unwrap();
        assert_eq!((table.symbol_count(), table.find(b"exit", |_| true)), (1, None));
    }

    #[test]
    fn a_table_cut_anywhere_is_refused() {
        let bytes = words(&[2, 4, 3, 2, 0, 0, 0, 1]);
        for length in 0..bytes.len() {
            assert!(SysvHash::read(&bytes[..length]).is_err(), "{length}");
        }
    }

    #[test]
    fn two_buckets_may_not_share_a_chain_without_end() {
        // 1 -> 2 -> 1, reached from both buckets.
        assert!(SysvHash::read(&words(&[2, 3, 1, 2, 0, 2, 1])).is_err());
        // Shared but finite chains cost no more than one walk over the table.
        assert!(SysvHash::read(&words(&[2, 3, 1, 2, 0, 2, 0])).is_ok());
    }
}

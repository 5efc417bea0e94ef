//! Ranges of memory that are free, joined where they touch.

use std::collections::{BTreeMap, BTreeSet};

/// Free ranges. What is taken comes from the start of the smallest that is large enough, the lowest
/// of several: a choice that depends on the ranges only.
#[derive(Debug, Default)]
pub(super) struct FreeRanges {
    /// Bytes by start.
    by_start: BTreeMap<u64, u64>,
    /// Bytes and start.
    by_bytes: BTreeSet<(u64, u64)>,
}

impl FreeRanges {
    /// Forgets all of them.
    pub(super) fn clear(&mut self) {
        self.by_start.clear();
        self.by_bytes.clear();
    }

    /// Takes `bytes` bytes and returns where they start; `None` if no range is large enough.
    pub(super) fn take(&mut self, bytes: u64) -> Option<u64> {
        let &(have, start) = self.by_bytes.range((bytes, 0)..).next()?;
        self.remove(start, have);
        if have > bytes {
            self.insert(start + bytes, have - bytes);
        }
        Some(start)
    }

    /// Adds a range that overlaps none of them.
    pub(super) fn give(&mut self, start: u64, bytes: u64) {
        let (mut start, mut end) = (start, start + bytes);
        let before =
            self.by_start.range(..start).next_back().map(|(&start, &bytes)| (start, bytes));
        if let Some((lower, bytes)) = before.filter(|(lower, bytes)| lower + bytes == start) {
            self.remove(lower, bytes);
            start = lower;
        }
        if let Some(&bytes) = self.by_start.get(&end) {
            self.remove(end, bytes);
            end += bytes;
        }
        self.insert(start, end - start);
    }

    fn insert(&mut self, start: u64, bytes: u64) {
        self.by_start.insert(start, bytes);
        self.by_bytes.insert((bytes, start));
    }

    fn remove(&mut self, start: u64, bytes: u64) {
        self.by_start.remove(&start);
        self.by_bytes.remove(&(bytes, start));
    }
}

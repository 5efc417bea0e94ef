//! Order statistics of timed operations.
//!
//! No means: one operation that the machine interrupts for 10 ms would outweigh a thousand others.

/// What is kept of many timed operations, in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Summary {
    /// Half of the operations took at most this long; of an even number the lower middle one.
    pub(crate) median: u64,
    /// 90 % took at most this long.
    pub(crate) p90: u64,
    /// The fastest.
    pub(crate) min: u64,
    /// The slowest, which is noise of the machine more often than not.
    pub(crate) max: u64,
    /// How many were timed.
    pub(crate) rounds: usize,
}

impl Summary {
    /// Summarises `nanoseconds`, in any order; `None` if there are none.
    pub(crate) fn of(nanoseconds: &[u64]) -> Option<Self> {
        let mut sorted = nanoseconds.to_vec();
        sorted.sort_unstable();
        let (&min, &max) = (sorted.first()?, sorted.last()?);
        let (median, p90) = (nearest_rank(&sorted, 50)?, nearest_rank(&sorted, 90)?);
        Some(Self { median, p90, min, max, rounds: sorted.len() })
    }
}

/// The smallest value that at least `percent` of the sorted values do not exceed.
fn nearest_rank(sorted: &[u64], percent: usize) -> Option<u64> {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.checked_sub(1)?).copied()
}

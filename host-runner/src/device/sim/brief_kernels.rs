//! Which kernels are known to be brief: those may run on the thread that hands out the tasks.
//!
//! A kernel that takes long, or waits for another core, must not keep that thread from handing out more.
//! So every kernel runs on the pool first, where it takes a thread of its own; once it was
//! seen to be brief, it runs where it was dispatched, which costs no hand-over. A kernel that
//! turns out to take long goes back, and one that has asked for what it shares with other cores stays there for good.
//!
//! A small table by address: kernels that meet in a cell take turns in it, and are unknown meanwhile.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// How long a brief kernel takes at most: so much that a hand-over to another thread, which takes
/// microseconds, is worth while beyond it.
pub const BRIEF_NANOSECONDS: u64 = 20_000;

/// How long a kernel takes at most that is not worth a second thread: about what it costs to bring the dozen cache lines
/// of a task from one processor to another.
const SLIGHT_NANOSECONDS: u32 = 500;

/// Cells of the table.
const CELLS: usize = 256;
/// Marks a kernel that waits for others; addresses do not reach that far.
const WAITS: u64 = 1 << 63;

/// What is known of a kernel.
#[derive(Debug)]
struct Cell {
    /// Its entry, if it is brief or waits for others; else 0.
    function: AtomicU64,
    /// About how long it takes.
    nanoseconds: AtomicU32,
}

impl Cell {
    const fn new() -> Self {
        Self { function: AtomicU64::new(0), nanoseconds: AtomicU32::new(0) }
    }
}

/// The table.
#[derive(Debug)]
pub struct BriefKernels {
    cells: [Cell; CELLS],
    /// About how long the kernels of late took that were measured; 0 before the first one.
    typical: AtomicU32,
}

impl Default for BriefKernels {
    fn default() -> Self {
        Self { cells: [const { Cell::new() }; CELLS], typical: AtomicU32::new(0) }
    }
}

impl BriefKernels {
    /// About how many nanoseconds the kernel with this entry takes; `None` unless it is known to be brief.
    #[inline]
    pub fn time_of(&self, function: u64) -> Option<u32> {
        let cell = self.cell(function);
        // ORDERING: Relaxed (all of this file): what is known of a kernel is nothing to rely on.
        let is_known = cell.function.load(Ordering::Relaxed) == function && function != 0;
        is_known.then(|| cell.nanoseconds.load(Ordering::Relaxed))
    }

    /// Whether kernels take so little time, of late, that a second thread costs more than it does: what it would need to
    /// know of each task is in the cache of the thread that has submitted it.
    pub fn are_slight(&self) -> bool {
        let typical = self.typical.load(Ordering::Relaxed);
        typical != 0 && typical <= SLIGHT_NANOSECONDS
    }

    /// A call of the kernel took this long.
    pub fn took(&self, function: u64, nanoseconds: u64) {
        let typical = self.typical.load(Ordering::Relaxed);
        let now = u32::try_from(nanoseconds).unwrap_or(u32::MAX).max(1);
        let next = if typical == 0 { now } else { (typical - typical / 8).saturating_add(now / 8) };
        self.typical.store(next, Ordering::Relaxed);
        let cell = self.cell(function);
        let known = cell.function.load(Ordering::Relaxed);
        match u32::try_from(nanoseconds) {
            Ok(nanoseconds) if u64::from(nanoseconds) <= BRIEF_NANOSECONDS => {
                if known == function {
                    let average = cell.nanoseconds.load(Ordering::Relaxed);
                    let next = (average - average / 4).saturating_add(nanoseconds / 4);
                    cell.nanoseconds.store(next, Ordering::Relaxed);
                } else if known != function | WAITS {
                    cell.nanoseconds.store(nanoseconds, Ordering::Relaxed);
                    cell.function.store(function, Ordering::Relaxed);
                }
            }
            _ => self.forget(function),
        }
    }

    /// The kernel is no brief one, for now.
    pub fn forget(&self, function: u64) {
        let cell = self.cell(function);
        if cell.function.load(Ordering::Relaxed) == function {
            cell.function.store(0, Ordering::Relaxed);
        }
    }

    /// The kernel waits for other cores.
    pub fn waits(&self, function: u64) {
        self.cell(function).function.store(function | WAITS, Ordering::Relaxed);
    }

    #[inline]
    fn cell(&self, function: u64) -> &Cell {
        // Entries are aligned to 16 as a rule, and libraries to pages.
        let hash = (function >> 4) ^ (function >> 12) ^ (function >> 20);
        // PANIC: the remainder is below the length. CAST: likewise.
        &self.cells[(hash % CELLS as u64) as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_is_brief_when_it_was_seen_to_be_and_as_long_as_it_is() {
        let kernels = BriefKernels::default();
        assert_eq!((kernels.time_of(0x1000), kernels.time_of(0)), (None, None));
        kernels.took(0x1000, BRIEF_NANOSECONDS);
        assert_eq!(kernels.time_of(0x1000), Some(20_000));
        assert_eq!(kernels.time_of(0x2000), None);
        kernels.took(0x1000, 0);
        assert_eq!(kernels.time_of(0x1000), Some(15_000));
        kernels.took(0x1000, BRIEF_NANOSECONDS + 1);
        assert_eq!(kernels.time_of(0x1000), None);
        kernels.took(0x1000, u64::MAX);
        assert_eq!(kernels.time_of(0x1000), None);
    }

    #[test]
    fn kernels_are_slight_when_those_of_late_were() {
        let kernels = BriefKernels::default();
        assert!(!kernels.are_slight(), "nobody knows");
        kernels.took(0x1000, 100);
        assert!(kernels.are_slight());
        kernels.took(0x2000, 10_000);
        assert!(!kernels.are_slight());
        (0..20).for_each(|_| kernels.took(0x1000, 100));
        assert!(kernels.are_slight());
        kernels.took(0x3000, u64::MAX);
        assert!(!kernels.are_slight());
    }

    #[test]
    fn a_kernel_that_waits_for_others_never_is() {
        let kernels = BriefKernels::default();
        kernels.took(0x1000, 1);
        kernels.waits(0x1000);
        kernels.took(0x1000, 1);
        assert_eq!(kernels.time_of(0x1000), None);
    }
}

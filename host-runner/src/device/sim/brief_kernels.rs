//! Which kernels are known to be brief: those may run on the thread that hands out the tasks.
//!
//! A kernel that takes long, or waits for another core, must not keep that thread from handing out more.
//! So every kernel runs on the pool first, where it takes a thread of its own; once it was
//! seen to be brief, it runs where it was dispatched, which costs no hand-over. A kernel that
//! turns out to take long goes back, and one that has asked for what it shares with other cores stays there for good.
//!
//! A small table by address: kernels that meet in a cell take turns in it, and are unknown meanwhile.

use std::sync::atomic::{AtomicU64, Ordering};

/// How long a brief kernel takes at most: so much that a hand-over to another thread, which takes
/// microseconds, is worth while beyond it.
pub const BRIEF_NANOSECONDS: u64 = 20_000;

/// Cells of the table.
const CELLS: usize = 256;
/// Marks a kernel that waits for others; addresses do not reach that far.
const WAITS: u64 = 1 << 63;

/// The table.
#[derive(Debug)]
pub struct BriefKernels {
    cells: [AtomicU64; CELLS],
}

impl Default for BriefKernels {
    fn default() -> Self {
        Self { cells: [const { AtomicU64::new(0) }; CELLS] }
    }
}

impl BriefKernels {
    /// Whether the kernel with this entry is known to be brief.
    #[inline]
    pub fn contains(&self, function: u64) -> bool {
        // ORDERING: Relaxed (all of this file): what is known of a kernel is nothing to rely on.
        self.cell(function).load(Ordering::Relaxed) == function
    }

    /// A call of the kernel took this long.
    pub fn took(&self, function: u64, nanoseconds: u64) {
        let cell = self.cell(function);
        let known = cell.load(Ordering::Relaxed);
        if nanoseconds > BRIEF_NANOSECONDS {
            self.forget(function);
        } else if known != function && known != function | WAITS {
            cell.store(function, Ordering::Relaxed);
        }
    }

    /// The kernel is no brief one, for now.
    pub fn forget(&self, function: u64) {
        let cell = self.cell(function);
        if cell.load(Ordering::Relaxed) == function {
            cell.store(0, Ordering::Relaxed);
        }
    }

    /// The kernel waits for other cores.
    pub fn waits(&self, function: u64) {
        self.cell(function).store(function | WAITS, Ordering::Relaxed);
    }

    fn cell(&self, function: u64) -> &AtomicU64 {
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
        assert!(!kernels.contains(0x1000));
        kernels.took(0x1000, BRIEF_NANOSECONDS);
        assert!(kernels.contains(0x1000) && !kernels.contains(0x2000));
        kernels.took(0x1000, BRIEF_NANOSECONDS + 1);
        assert!(!kernels.contains(0x1000));
    }

    #[test]
    fn a_kernel_that_waits_for_others_never_is() {
        let kernels = BriefKernels::default();
        kernels.took(0x1000, 1);
        kernels.waits(0x1000);
        kernels.took(0x1000, 1);
        assert!(!kernels.contains(0x1000));
    }
}

//! The roll of a run: who takes part, who is too many, and that nobody takes part twice.
//!
//! ```text
//!   free ──arrive──▶ run r, 1 … count arrived ──close──▶ free (no number)
//!    ▲                        │                          ended r: a later thread of r is surplus
//!    └──── another number ◀───┴── surplus, busy: no change         │
//!          starts from "ended" as from "free" ◀────────────────────┘
//! ```
//!
//! A launch starts more threads than a run has places (spec trb §7.3 item 6), and a surplus one may
//! come when the run is over. Our own host numbers its runs, so such a thread finds the number of a
//! run that has ended. A host that gives no number keeps surplus threads away by itself.

use crate::sync::{AtomicU32, AtomicU64, Ordering};

/// In the place of the count: the run of this number has ended.
const ENDED: u32 = u32::MAX;

/// What a thread is to a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Arrival {
    /// The `index`-th to arrive.
    Member {
        /// 0 for the thread that sets up.
        index: usize,
    },
    /// All places are taken, or were: the run may have ended.
    Surplus,
    /// A run of another number has not ended.
    Busy,
}

/// Counts the threads of a run in and out.
#[derive(Debug, Default)]
pub(super) struct Roll {
    /// The number of the run in the upper half; below it how many have arrived, or [`ENDED`].
    word: AtomicU64,
    departed: AtomicU32,
}

impl Roll {
    /// Counts a thread in. `run` is the number of its run, 0 if it has none; `count` the places.
    pub(super) fn arrive(&self, run: u32, count: usize) -> Arrival {
        // ORDERING: Relaxed: a guess; what is acted upon is the exchange below. Who is sent away
        // looks at nothing else.
        let mut word = self.word.load(Ordering::Relaxed);
        loop {
            let (current, arrived) = parts(word);
            let index = match (current == run, arrived) {
                (true, ENDED) => return Arrival::Surplus,
                (true, arrived) => arrived,
                (false, 0 | ENDED) => 0,
                (false, _) => return Arrival::Busy,
            };
            if index as usize >= count {
                return Arrival::Surplus;
            }
            // ORDERING: AcqRel: with the Release in `close`, the first thread of a run sees what
            // the last one of the run before has left. The others read from its exchange.
            match self.word.compare_exchange(
                word,
                joined(run, index + 1),
                Ordering::AcqRel,
                Ordering::Relaxed,
            ) {
                Ok(_) => return Arrival::Member { index: index as usize },
                Err(changed) => word = changed,
            }
        }
    }

    /// Counts a thread out; true for the last one.
    pub(super) fn depart(&self, count: usize) -> bool {
        // ORDERING: AcqRel: the last thread sees what all the others did.
        self.departed.fetch_add(1, Ordering::AcqRel) as usize + 1 == count
    }

    /// Ends the run `run`. Only the thread that was the last to depart.
    pub(super) fn close(&self, run: u32) {
        // ORDERING: Relaxed, then Release on what `arrive` looks at.
        self.departed.store(0, Ordering::Relaxed);
        // Without a number, a late thread cannot be told from the first one of the next run.
        let arrived = if run == 0 { 0 } else { ENDED };
        self.word.store(joined(run, arrived), Ordering::Release);
    }
}

/// Number and count.
fn parts(word: u64) -> (u32, u32) {
    // CAST: the halves of the word.
    ((word >> 32) as u32, word as u32)
}

fn joined(run: u32, arrived: u32) -> u64 {
    u64::from(run) << 32 | u64::from(arrived)
}

#[cfg(all(test, loom))]
mod models;
#[cfg(all(test, not(loom)))]
mod tests;

//! The roll of a run: who takes part, who is too many, and that nobody takes part twice.
//!
//! ```text
//!   free ──arrive──▶ run r: a arrived, d departed ──last one departs──▶ leaving ──close──▶ free (no number)
//!    ▲                        │                                                            ended r
//!    └──── another number ◀───┴── surplus, busy: no change                                    │
//!          starts from "ended" as from "free" ◀───────────────────────────────────────────────┘
//! ```
//!
//! A launch starts more threads than a run has places (spec trb §7.3 item 6), and a surplus one may
//! come when the run is over. Our own host numbers its runs, so such a thread finds the number of a
//! run that has ended. A host that gives no number keeps surplus threads away by itself.
//!
//! Nobody leaves before the run is over, so a run with a number ends when nobody is inside any more, however
//! many of its threads have arrived by then: the others find it ended. Without a number they could
//! not be told from those of the next run, so all of them are waited for.

use crate::sync::{AtomicU64, Ordering};

/// In the place of the counts: the run of this number has ended.
const ENDED: u32 = u32::MAX;
/// The last thread of the run is tidying up.
const LEAVING: u32 = u32::MAX - 1;
/// One thread that has departed; those that have arrived are counted below.
const ONE_DEPARTED: u32 = 1 << 16;
/// Far above the threads of any device, and far below what fits.
const ARRIVALS_MAX: usize = 1 << 10;

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
    /// The number of the run in the upper half; below it how many have departed and arrived, or
    /// [`LEAVING`], or [`ENDED`].
    word: AtomicU64,
}

impl Roll {
    /// Counts a thread in. `run` is the number of its run, 0 if it has none; `count` the places.
    pub(super) fn arrive(&self, run: u32, count: usize) -> Arrival {
        self.come(run, count, true)
    }

    /// Counts a thread in that has no place of its own, if the run is under way.
    pub(super) fn join(&self, run: u32) -> Arrival {
        self.come(run, ARRIVALS_MAX, false)
    }

    fn come(&self, run: u32, count: usize, may_begin: bool) -> Arrival {
        // ORDERING: Relaxed: a guess; what is acted upon is the exchange below. Who is sent away
        // looks at nothing else.
        let mut word = self.word.load(Ordering::Relaxed);
        loop {
            let (current, counts) = parts(word);
            let counts = match (current == run, counts) {
                (true, ENDED | LEAVING) => return Arrival::Surplus,
                (true, counts) => counts,
                (false, 0 | ENDED) => 0,
                (false, _) => return Arrival::Busy,
            };
            let index = arrived(counts);
            if index >= count || (index == 0 && !may_begin) {
                return Arrival::Surplus;
            }
            // ORDERING: AcqRel: with the Release in `close`, the first thread of a run sees what
            // the last one of the run before has left. The others read from its exchange.
            match self.word.compare_exchange(
                word,
                joined(run, counts + 1),
                Ordering::AcqRel,
                Ordering::Relaxed,
            ) {
                Ok(_) => return Arrival::Member { index },
                Err(changed) => word = changed,
            }
        }
    }

    /// How many threads of a run have arrived, which has not ended.
    pub(super) fn arrivals(&self, run: u32) -> usize {
        // ORDERING: Relaxed: who arrives later than the word was read sees by itself what there is to see.
        let (current, counts) = parts(self.word.load(Ordering::Relaxed));
        debug_assert_eq!(current, run);
        arrived(counts)
    }

    /// Counts a thread out; true for the last one, who has the run for itself from then on.
    pub(super) fn depart(&self, run: u32, count: usize) -> bool {
        // ORDERING: Relaxed: a guess, as in `come`.
        let mut word = self.word.load(Ordering::Relaxed);
        loop {
            let counts = parts(word).1 + ONE_DEPARTED;
            let expected = if run == 0 { count } else { arrived(counts) };
            let is_last = departed(counts) == expected;
            let next = joined(run, if is_last { LEAVING } else { counts });
            // ORDERING: AcqRel: the last thread sees what all the others did.
            match self.word.compare_exchange(word, next, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) => return is_last,
                Err(changed) => word = changed,
            }
        }
    }

    /// Ends the run `run`. Only the thread that was the last to depart.
    pub(super) fn close(&self, run: u32) {
        // Without a number, a late thread cannot be told from the first one of the next run.
        let counts = if run == 0 { 0 } else { ENDED };
        // ORDERING: Release: see `come`.
        self.word.store(joined(run, counts), Ordering::Release);
    }
}

/// How many threads have arrived.
fn arrived(counts: u32) -> usize {
    // CAST: 16 bits.
    (counts % ONE_DEPARTED) as usize
}

/// How many threads have departed.
fn departed(counts: u32) -> usize {
    // CAST: 16 bits.
    (counts / ONE_DEPARTED) as usize
}

/// Number and counts.
fn parts(word: u64) -> (u32, u32) {
    // CAST: the halves of the word.
    ((word >> 32) as u32, word as u32)
}

fn joined(run: u32, counts: u32) -> u64 {
    u64::from(run) << 32 | u64::from(counts)
}

#[cfg(all(test, loom))]
mod models;
#[cfg(all(test, not(loom)))]
mod tests;

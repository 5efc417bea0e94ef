//! The turn of a caller whom nobody is before and nobody waits behind: one word, without the lock.
//!
//! ```text
//!            begin                      take_over, under the lock
//!  Free ◀──────────▶ thread's number ─────────────────────▶ In the line
//!    ▲        end                                               │ open, under the lock:
//!    └──────────────────────────────────────────────────────────┘ nobody is in the line
//! ```
//!
//! Whoever takes the lock of the line takes the word over first, so the line always knows of the
//! turn in progress, and says how it ends.

#[cfg(loom)]
use loom::sync::atomic::{AtomicU64, Ordering};
#[cfg(loom)]
use loom::thread_local;
#[cfg(not(loom))]
use std::sync::atomic::{AtomicU64, Ordering};
#[cfg(not(loom))]
use std::thread_local;

/// Nobody has the turn, and nobody is in line.
const FREE: u64 = 0;

/// The line says who has the turn, if anybody.
const IN_LINE: u64 = 1;

/// A thread of this process, as no other thread before or after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ThreadNumber(u64);

thread_local! {
    static OWN: ThreadNumber = ThreadNumber::draw();
}

/// Who has the turn, if the line need not know.
#[derive(Debug)]
pub(super) struct QuickTurn(AtomicU64);

impl ThreadNumber {
    /// The number of this thread.
    pub(super) fn own() -> Self {
        OWN.with(|own| *own)
    }

    pub(super) fn value(self) -> u64 {
        self.0
    }

    fn draw() -> Self {
        static NEXT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(IN_LINE + 1);
        // ORDERING: Relaxed: only its being unique matters.
        Self(NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed))
    }
}

impl QuickTurn {
    /// Nobody has the turn.
    pub(super) fn new() -> Self {
        Self(AtomicU64::new(FREE))
    }

    /// Begins a turn where nobody has it and nobody is in line.
    pub(super) fn begin(&self, thread: ThreadNumber) -> bool {
        // ORDERING: Acquire: what the turns before it did is done. Relaxed on failure: the lock of
        // the line says more.
        self.0.compare_exchange(FREE, thread.0, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }

    /// Ends the turn; false where the line has taken it over, and has to end it.
    pub(super) fn end(&self, thread: ThreadNumber) -> bool {
        // ORDERING: Release: the next turn comes after all of this one. Relaxed on failure: the lock
        // of the line orders it.
        self.0.compare_exchange(thread.0, FREE, Ordering::Release, Ordering::Relaxed).is_ok()
    }

    /// Lets the line say who has the turn from now on; who has it now, if the line does not know.
    /// Under the lock of the line.
    pub(super) fn take_over(&self) -> Option<ThreadNumber> {
        // ORDERING: Relaxed: only who has the lock writes or ends this value.
        if self.0.load(Ordering::Relaxed) == IN_LINE {
            return None;
        }
        // ORDERING: Acquire: a turn that the line gives next comes after those that ended here.
        match self.0.swap(IN_LINE, Ordering::Acquire) {
            FREE | IN_LINE => None,
            thread => Some(ThreadNumber(thread)),
        }
    }

    /// Takes [`take_over`](Self::take_over) back: nobody has the turn, and nobody is in line. Under
    /// the lock of the line.
    pub(super) fn open(&self) {
        // ORDERING: Release: the next turn comes after those of the line.
        self.0.store(FREE, Ordering::Release);
    }
}

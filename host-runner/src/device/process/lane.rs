//! One lane between the two processes: a request at a time, and its answer.
//!
//! ```text
//!  host:    bytes written ─▶ REQUEST ─────────────▶ waits ─▶ bytes read ─▶ (next request)
//!  program:                   └▶ bytes read, done, bytes written ─▶ ANSWER ┘
//! ```
//!
//! Who waits looks for a while and then sleeps on the word; who changes the word wakes a sleeper. As in
//! [`parking`](crate::device::sim::parking), but across processes.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};
use std::time::{Duration, Instant};

use rustix::thread::futex;

use super::layout::{PAYLOAD_BYTES, Payload};

/// Words of a message of fixed size.
pub(super) const WORDS: usize = 16;
/// Looks between two glances at the clock.
const LOOKS_PER_CLOCK_READ: u32 = 64;

/// What stands in the word of a lane when the host has asked.
const REQUEST: u32 = 1;
/// When the program has answered.
const ANSWER: u32 = 2;

/// A lane; zeros are one in which nothing was asked.
#[repr(C, align(128))]
#[derive(Debug)]
pub(super) struct Lane {
    word: AtomicU32,
    /// 1 while the one who waits sleeps, or is about to. One of the two waits at a time, as they take turns; for
    /// each its own, since one may still be waking up when the other lies down.
    sleeps: [AtomicU32; 2],
    bytes: AtomicU32,
    words: [AtomicU64; WORDS],
    payload: Payload,
}

/// Who looks at a lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// The host, which waits for answers.
    Host,
    /// The program, which waits for requests.
    Program,
}

impl End {
    /// What it waits for.
    const fn awaits(self) -> u32 {
        match self {
            Self::Host => ANSWER,
            Self::Program => REQUEST,
        }
    }

    const fn other(self) -> Self {
        match self {
            Self::Host => Self::Program,
            Self::Program => Self::Host,
        }
    }
}

impl Lane {
    /// Writes a message of fixed size; what is missing is as it was. In turn.
    pub(super) fn put_words(&self, words: &[u64]) {
        for (place, word) in self.words.iter().zip(words) {
            // ORDERING: Relaxed: `hand_over` publishes it.
            place.store(*word, Ordering::Relaxed);
        }
    }

    /// The message of fixed size. In turn.
    pub(super) fn words(&self) -> [u64; WORDS] {
        // ORDERING: Relaxed: `wait` has seen what published it.
        std::array::from_fn(|index| self.words[index].load(Ordering::Relaxed))
    }

    /// Writes bytes; false where they are too many. In turn.
    pub(super) fn put_bytes(&self, bytes: &[u8]) -> bool {
        if bytes.len() > PAYLOAD_BYTES {
            return false;
        }
        // SAFETY: as many fit, and it is the caller's turn.
        unsafe {
            self.payload.0.get().cast::<u8>().copy_from_nonoverlapping(bytes.as_ptr(), bytes.len());
        }
        // CAST: at most `PAYLOAD_BYTES`.
        // ORDERING: Relaxed: `hand_over` publishes it.
        self.bytes.store(bytes.len() as u32, Ordering::Relaxed);
        true
    }

    /// A copy of the bytes. In turn.
    pub(super) fn bytes(&self) -> Vec<u8> {
        // CAST: usize is at least 32 bits.
        let count = (self.bytes.load(Ordering::Relaxed) as usize).min(PAYLOAD_BYTES);
        let mut bytes = vec![0; count];
        // SAFETY: at most as many are there, and it is the caller's turn.
        unsafe {
            self.payload.0.get().cast::<u8>().copy_to_nonoverlapping(bytes.as_mut_ptr(), count);
        }
        bytes
    }

    /// Ends the turn of one end: what it has written is the other's.
    pub(super) fn hand_over(&self, from: End) {
        let other = from.other();
        // ORDERING: SeqCst: publishes what was written, and see `sleep`.
        self.word.store(other.awaits(), Ordering::SeqCst);
        // ORDERING: SeqCst: see `sleep`.
        if self.sleeps[other as usize].load(Ordering::SeqCst) != 0 {
            self.wake();
        }
    }

    /// Whether it is the turn of this end.
    #[inline]
    pub(super) fn is_turn_of(&self, end: End) -> bool {
        // ORDERING: Acquire: sees what the other has written.
        self.word.load(Ordering::Acquire) == end.awaits()
    }

    /// Looks for the turn of this end for a while; whether it has come.
    pub(super) fn look(&self, end: End, how_long: Duration) -> bool {
        let start = Instant::now();
        loop {
            for _ in 0..LOOKS_PER_CLOCK_READ {
                if self.is_turn_of(end) {
                    return true;
                }
                core::hint::spin_loop();
            }
            if start.elapsed() >= how_long {
                return false;
            }
            // Whoever is to do it may want this processor.
            std::thread::yield_now();
        }
    }

    /// Sleeps until it is the turn of this end, or somebody wakes, or for the time given.
    pub(super) fn sleep(&self, end: End, at_most: Duration) {
        // ORDERING: Relaxed, then a SeqCst fence: what `hand_over` writes comes before it or after in the one order
        // of all that is SeqCst. If before, the look below sees it; if after, `hand_over` sees the sleeper.
        self.sleeps[end as usize].store(1, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        let seen = self.word.load(Ordering::SeqCst);
        if seen != end.awaits() {
            let bound = futex::Timespec::try_from(at_most).ok();
            // Woken, timed out, interrupted or changed meanwhile: the caller looks in any case.
            let _reason = futex::wait(&self.word, futex::Flags::empty(), seen, bound.as_ref());
        }
        // ORDERING: Relaxed: only a needless wake-up depends on it.
        self.sleeps[end as usize].store(0, Ordering::Relaxed);
    }

    /// Wakes whoever sleeps here.
    pub(super) fn wake(&self) {
        // Nobody is served by an error about a wake-up; sleepers look again by themselves.
        let _woken = futex::wake(&self.word, futex::Flags::empty(), u32::MAX >> 1);
    }
}

//! Which function of an orchestration a thread is in, and since when: two words.
//!
//! The thread that makes the call writes; anybody may look, at any time. That is how a hang is
//! named: code that does not return cannot say so itself.
//!
//! | field | writer | readers |
//! |---|---|---|
//! | `word` | the one thread that runs code of the slot | watchers |
//! | `since` | same, while `word` names no function | same, checked by a second look at `word` |
//!
//! Constructors and destructors have their slot for themselves, and an executor has one run at a
//! time, so there is one writer. `word` carries the number of the call, so that a watcher never
//! puts the time of one call to the name of another: it would have to sleep through exactly 2^24
//! calls between two loads, and would then misjudge a time in a message.

use crate::sync::{AtomicU64, Ordering};

/// Where the number of the call starts in the word; below is the function.
const SEQUENCE_SHIFT: u32 = 40;
const FUNCTION_MASK: u64 = (1 << SEQUENCE_SHIFT) - 1;

/// The two words of one slot.
#[derive(Debug, Default)]
pub(crate) struct CallRecord {
    word: AtomicU64,
    /// Start of the call, in ticks of the platform.
    since: AtomicU64,
}

impl CallRecord {
    /// No call.
    #[cfg(not(loom))]
    pub(crate) const fn new() -> Self {
        Self { word: AtomicU64::new(0), since: AtomicU64::new(0) }
    }

    /// The thread of the slot is about to call `function`, a number of 40 bits that is not 0.
    pub(crate) fn begin(&self, function: u64, ticks: u64) {
        // ORDERING: Relaxed: one writer, which reads what it wrote.
        let sequence = (self.word.load(Ordering::Relaxed) >> SEQUENCE_SHIFT).wrapping_add(1);
        let sequence = sequence << SEQUENCE_SHIFT;
        // ORDERING: Relaxed: published by the Release store of `since`.
        self.word.store(sequence, Ordering::Relaxed);
        // ORDERING: Release: a watcher that reads this time in place of the one it looked for
        // (`current`) also sees that the word has moved on.
        self.since.store(ticks, Ordering::Release);
        // ORDERING: Release: who sees the name of the call finds its time.
        self.word.store(sequence | (function & FUNCTION_MASK), Ordering::Release);
    }

    /// The call has returned, and the thread is about to call another function, with no time in between that counts:
    /// the one is told to have begun with the other.
    pub(crate) fn go_on(&self, function: u64) {
        // ORDERING: Relaxed: as in `begin`.
        let sequence = self.word.load(Ordering::Relaxed) & !FUNCTION_MASK;
        // ORDERING: Release: as in `begin`, for who sees only this store.
        self.word.store(sequence | (function & FUNCTION_MASK), Ordering::Release);
    }

    /// The call has returned.
    pub(crate) fn end(&self) {
        // ORDERING: Relaxed (both): as in `begin`; no call has no time that could be wrong.
        let word = self.word.load(Ordering::Relaxed);
        self.word.store(word & !FUNCTION_MASK, Ordering::Relaxed);
    }

    /// The call that is running, and its start in ticks.
    pub(crate) fn current(&self) -> Option<(u64, u64)> {
        loop {
            // ORDERING: Acquire: see `begin`.
            let word = self.word.load(Ordering::Acquire);
            let function = word & FUNCTION_MASK;
            if function == 0 {
                return None;
            }
            // ORDERING: Acquire: see `begin`; it also keeps the second look at the word behind it.
            let since = self.since.load(Ordering::Acquire);
            // ORDERING: Relaxed: see above.
            if self.word.load(Ordering::Relaxed) == word {
                return Some((function, since));
            }
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn the_record_names_the_last_call_that_began_and_none_after_its_end() {
        let record = CallRecord::new();
        assert_eq!(record.current(), None);
        for (function, ticks) in [(1, 1 << 50), (FUNCTION_MASK, 0), (4, u64::MAX)] {
            record.begin(function, ticks);
            assert_eq!(record.current(), Some((function, ticks)));
            record.go_on(5);
            assert_eq!(record.current(), Some((5, ticks)));
            record.end();
            assert_eq!(record.current(), None, "{function}");
        }
    }

    #[test]
    fn the_number_of_the_call_wraps_without_touching_its_name() {
        let record = CallRecord::new();
        record.word.store(!FUNCTION_MASK, Ordering::Relaxed);
        record.begin(4, 7);
        assert_eq!(record.current(), Some((4, 7)));
        assert_eq!(record.word.load(Ordering::Relaxed), 4);
    }
}

#[cfg(all(test, loom))]
mod loom_tests {
    use super::*;
    use loom::sync::Arc;

    /// A watcher sees no call, or a call with its own start: function n starts at 100 n, and function n + 4 with
    /// it. Seen to fail with either Release store of `begin`, and with either Acquire load, weakened to Relaxed.
    #[test]
    fn a_watcher_never_mixes_two_calls() {
        loom::model(|| {
            let record = Arc::new(CallRecord::default());
            // The watcher is the spawned thread: loom does not go back to a load of one thread for
            // a store of another if that one has loaded the same word in between.
            let watcher = {
                let record = Arc::clone(&record);
                loom::thread::spawn(move || {
                    if let Some((function, since)) = record.current() {
                        assert_eq!(since, 100 * (function % 4));
                    }
                })
            };
            for function in 1..=2 {
                record.begin(function, 100 * function);
                record.go_on(function + 4);
                record.end();
            }
            watcher.join().unwrap();
            assert_eq!(record.current(), None);
        });
    }
}

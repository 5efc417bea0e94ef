//! Who holds a task slot, and whether its task is complete: one word.
//!
//! The last two things that happen to a slot are the release of its last reference and the mark that
//! its task is complete, in any order and by several threads. Both are in one word, so that the
//! orchestrator, which alone retires slots, sees them with one load, and the slot's memory may be used
//! again when it does.

use crate::sync::{AtomicU32, Ordering};

/// Set once the task is complete.
const COMPLETED: u32 = 1 << 31;

/// The word.
#[derive(Debug)]
pub(crate) struct References(AtomicU32);

impl References {
    /// A slot of nobody.
    #[cfg(all(test, loom))]
    pub(crate) fn new() -> Self {
        Self(AtomicU32::new(0))
    }

    /// No reference yet. The caller is the orchestrator, on a slot it has just taken.
    pub(crate) fn open(&self, completed: bool) {
        // ORDERING: Relaxed: the slot belongs to the orchestrator alone until it is published.
        self.0.store(if completed { COMPLETED } else { 0 }, Ordering::Relaxed);
    }

    /// Takes a reference. Only the orchestrator may, and only on a slot it has not retired.
    pub(crate) fn retain(&self) {
        // ORDERING: Relaxed: the one thread that could retire the slot is the caller.
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// Gives a reference back.
    pub(crate) fn release(&self) {
        // ORDERING: Release: what the releasing task read from the producer's outputs is done
        // before the orchestrator can see the count drop and reuse the memory.
        self.0.fetch_sub(1, Ordering::Release);
    }

    /// Marks the task complete.
    pub(crate) fn mark_completed(&self) {
        // ORDERING: Release pairs with the Acquire in `is_completed` and `is_retirable`: the
        // outputs and everything the completing thread did with the slot come before.
        self.0.fetch_or(COMPLETED, Ordering::Release);
    }

    /// Whether the task is complete; if so its outputs are visible to the caller.
    pub(crate) fn is_completed(&self) -> bool {
        // ORDERING: Acquire: see `mark_completed`.
        self.0.load(Ordering::Acquire) & COMPLETED != 0
    }

    /// References held now; meaningful to the orchestrator, which alone can add to them.
    pub(crate) fn count(&self) -> u32 {
        // ORDERING: Acquire: pairs with `release`.
        self.0.load(Ordering::Acquire) & !COMPLETED
    }

    /// Whether the task is complete and nobody holds a reference.
    pub(crate) fn is_retirable(&self) -> bool {
        // ORDERING: Acquire: pairs with `mark_completed` and with every `release`.
        self.0.load(Ordering::Acquire) == COMPLETED
    }
}

#[cfg(all(test, loom))]
mod loom_tests {
    use loom::cell::UnsafeCell;
    use loom::sync::Arc;
    use loom::thread;

    use super::*;

    /// A slot with the memory of its task's output.
    struct Slot {
        references: References,
        output: UnsafeCell<u32>,
    }

    // SAFETY: what the model checks: the references order all accesses to the cell, or loom stops.
    unsafe impl Sync for Slot {}

    impl Slot {
        fn read(&self) -> u32 {
            // SAFETY: loom checks that nobody writes.
            self.output.with(|output| unsafe { *output })
        }

        fn write(&self, value: u32) {
            // SAFETY: loom checks that nobody else is there.
            self.output.with_mut(|output| unsafe { *output = value });
        }
    }

    /// A ring advances over a slot: one thread completes the producer, another has read its output and
    /// releases it, while the orchestrator retires. When it does, the memory is
    /// its own again: nobody reads it any more, and nobody is still going to.
    ///
    /// Seen to fail with `release`, `mark_completed` or `is_retirable` Relaxed, with a slot that is
    /// retired when it is complete or when it is unreferenced, and with a completing thread that looks
    /// at the slot after its mark.
    #[test]
    fn a_retired_slot_is_complete_and_nobody_reads_it() {
        loom::model(|| {
            let slot = Arc::new(Slot { references: References::new(), output: UnsafeCell::new(0) });
            slot.write(7);
            slot.references.open(false);
            // The edge of the consumer, which has been told that the output is there.
            slot.references.retain();
            let consumer = {
                let slot = Arc::clone(&slot);
                thread::spawn(move || {
                    assert_eq!(slot.read(), 7);
                    slot.references.release();
                })
            };
            let completer = {
                let slot = Arc::clone(&slot);
                thread::spawn(move || {
                    // Its record, for the producers that it releases.
                    assert_eq!(slot.read(), 7);
                    slot.references.mark_completed();
                })
            };
            if slot.references.is_retirable() {
                slot.write(8);
            }
            consumer.join().unwrap();
            completer.join().unwrap();
            assert!(slot.references.is_retirable(), "nothing is lost");
            assert!(slot.references.is_completed() && slot.references.count() == 0);
        });
    }

    /// The orchestrator reads an element that a task has written as soon as the task is complete.
    ///
    /// Seen to fail with `mark_completed` or `is_completed` Relaxed.
    #[test]
    fn who_sees_a_task_complete_sees_what_it_wrote() {
        loom::model(|| {
            let slot = Arc::new(Slot { references: References::new(), output: UnsafeCell::new(0) });
            slot.references.open(false);
            let completer = {
                let slot = Arc::clone(&slot);
                thread::spawn(move || {
                    slot.write(7);
                    slot.references.mark_completed();
                })
            };
            if slot.references.is_completed() {
                assert_eq!(slot.read(), 7);
            }
            completer.join().unwrap();
        });
    }
}

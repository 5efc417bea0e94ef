//! The consumers of a task: those that wait for it, those that keep it, and whether it is complete; one
//! word.
//!
//! The orchestrator adds the edges of new consumers to a lock-free list; the thread that completes the
//! task closes the list and walks what it took. A task whose list is closed is complete: an edge that
//! comes later is refused, which tells the orchestrator that there is nothing to wait for, so there
//! is no window in which an edge is neither notified nor refused.
//!
//! A consumer, refused or not, keeps the task until it is complete itself. The orchestrator, which alone
//! retires slots, sees with one load that a task is complete and that nobody keeps it: that the list
//! is closed is the last that happens to a slot by its own task's doing, and the slot's memory may be used
//! again when the last consumer has let go.
//!
//! ```text
//! bits 63..32                              31..0
//!      newest edge, or EMPTY, or CLOSED    consumers that keep the task
//! ```
//!
//! Edges only ever enter one at a time and leave all at once, so a reused edge cannot be confused
//! with an older one (no ABA): between the load of the head and the exchange nobody pops.

use crate::sync::{AtomicU32, AtomicU64, Ordering};

/// End of the list.
pub(crate) const EMPTY: u32 = CLOSED - 1;
/// Head of a list whose task is complete. All ones: closing sets bits, whatever was there.
const CLOSED: u32 = u32::MAX;

/// Where the head is.
const HEAD_SHIFT: u32 = 32;
/// The word of a task that is complete and that nobody keeps.
const RETIRABLE: u64 = (CLOSED as u64) << HEAD_SHIFT;
/// The other half.
const COUNT_MASK: u64 = u32::MAX as u64;

/// The word.
#[derive(Debug)]
pub(crate) struct Consumers(AtomicU64);

impl Consumers {
    /// Those of a task that is not complete and has none.
    #[cfg(test)]
    pub(crate) fn new() -> Self {
        Self(AtomicU64::new(u64::from(EMPTY) << HEAD_SHIFT))
    }

    /// None yet, of a task that is complete or not. The caller is the orchestrator, on a slot it has
    /// just taken.
    #[inline]
    pub(crate) fn reset(&self, completed: bool) {
        let head = if completed { CLOSED } else { EMPTY };
        // ORDERING: Relaxed: the slot belongs to the orchestrator alone until it publishes the task.
        self.0.store(u64::from(head) << HEAD_SHIFT, Ordering::Relaxed);
    }

    /// Has a consumer keep the task. Only the orchestrator may, and only on a slot it has not
    /// retired.
    #[inline]
    pub(crate) fn retain(&self) {
        // ORDERING: Relaxed: the one thread that could retire the slot is the caller.
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// Adds an edge, whose consumer keeps the task from now on or does already (`is_retained`); `next` is
    /// the link inside that edge. Returns `false` if the task is complete; it is kept then all the same.
    /// As for [`retain`](Self::retain).
    #[inline]
    pub(crate) fn push(&self, edge: u32, next: &AtomicU32, is_retained: bool) -> bool {
        let kept = u64::from(!is_retained);
        // ORDERING: Acquire: whoever finds the list closed sees all the task did before (pairs with
        // the AcqRel in `close`).
        let mut word = self.0.load(Ordering::Acquire);
        loop {
            // CAST: the high half.
            let head = (word >> HEAD_SHIFT) as u32;
            if head == CLOSED {
                if !is_retained {
                    self.retain();
                }
                return false;
            }
            // ORDERING: Relaxed: published by the exchange below.
            next.store(head, Ordering::Relaxed);
            let pushed = (u64::from(edge) << HEAD_SHIFT) | ((word & COUNT_MASK) + kept);
            // ORDERING: Release on success publishes the edge (its link, its consumer) to `close`;
            // Acquire on failure for the reason given at the load.
            match self.0.compare_exchange_weak(word, pushed, Ordering::Release, Ordering::Acquire) {
                Ok(_) => return true,
                Err(now) => word = now,
            }
        }
    }

    /// Lets go of the task: a consumer is complete.
    #[inline]
    pub(crate) fn release(&self) {
        // ORDERING: Release: what the consumer read from the task's outputs is done before the
        // orchestrator can see the count drop and reuse the memory.
        self.0.fetch_sub(1, Ordering::Release);
    }

    /// Marks the task complete, and returns the first edge of those that wait for it, or [`EMPTY`].
    /// The last access of a scheduler to the slot as its runner.
    ///
    /// The caller reads an edge's link before it notifies that edge's consumer: from then on the
    /// edge may be reused.
    #[inline]
    pub(crate) fn close(&self) -> u32 {
        // ORDERING: Acquire takes over the pushed edges (pairs with the Release in `push`); Release
        // lets a late `push`, `is_completed` and `is_retirable` see what the task wrote, and that
        // the completing thread is done with the slot.
        // CAST: the high half.
        (self.0.fetch_or(RETIRABLE, Ordering::AcqRel) >> HEAD_SHIFT) as u32
    }

    /// The same on the orchestrator's thread, with two plain accesses: until a list is closed, nobody else changes the
    /// word. A consumer lets go of the task when it has run, so it was notified before, which is after the closing, or refused.
    #[inline]
    pub(crate) fn close_as_orchestrator(&self) -> u32 {
        // ORDERING: Relaxed: the edges are this thread's.
        let word = self.0.load(Ordering::Relaxed);
        // ORDERING: Release: as `close`, for whoever sees the consumers let go afterwards.
        self.0.store(word | RETIRABLE, Ordering::Release);
        // CAST: the high half.
        (word >> HEAD_SHIFT) as u32
    }

    /// Whether the task is complete; if so its outputs are visible to the caller.
    #[inline]
    pub(crate) fn is_completed(&self) -> bool {
        // ORDERING: Acquire: see `close`.
        self.0.load(Ordering::Acquire) >= RETIRABLE
    }

    /// Consumers that keep the task; meaningful to the orchestrator, which alone can add to them.
    #[inline]
    pub(crate) fn count(&self) -> u32 {
        // ORDERING: Acquire: pairs with `release`.
        // CAST: the low half.
        (self.0.load(Ordering::Acquire) & COUNT_MASK) as u32
    }

    /// Whether the task is complete and nobody keeps it.
    #[inline]
    pub(crate) fn is_retirable(&self) -> bool {
        // ORDERING: Acquire: pairs with `close` and with every `release`.
        self.0.load(Ordering::Acquire) == RETIRABLE
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn returns_pushed_edges_newest_first_and_refuses_after_closing() {
        let list = Consumers::new();
        let next = [AtomicU32::new(0), AtomicU32::new(0)];
        assert!(list.push(0, &next[0], false));
        assert!(list.push(1, &next[1], false));
        assert_eq!(list.close(), 1);
        let links = next.each_ref().map(|link| link.load(Ordering::Relaxed));
        assert_eq!(links, [EMPTY, 0]);
        assert!(!list.push(0, &next[0], false));
        assert_eq!(list.count(), 3, "who was refused keeps the task as well");
    }

    #[test]
    fn a_list_reset_as_closed_refuses_the_first_push() {
        let list = Consumers::new();
        list.reset(true);
        assert!(!list.push(0, &AtomicU32::new(0), false));
        list.reset(false);
        assert_eq!(list.close(), EMPTY);
    }

    #[test]
    fn a_consumer_that_keeps_the_task_already_is_not_counted_again() {
        let (list, next) = (Consumers::new(), AtomicU32::new(0));
        list.retain();
        assert!(list.push(0, &next, true));
        assert_eq!((list.close(), list.count()), (0, 1));
        assert!(list.is_completed() && !list.is_retirable());
        list.retain();
        assert!(!list.push(0, &next, true));
        list.release();
        list.release();
        assert!(list.is_retirable());
    }
}

#[cfg(all(test, loom))]
mod loom_tests {
    use super::*;
    use loom::cell::UnsafeCell;
    use loom::sync::Arc;
    use loom::thread;
    use std::vec::Vec;

    /// What the orchestrator and the completing thread share.
    struct Shared {
        list: Consumers,
        next: [AtomicU32; 2],
        /// What each edge says. Plain memory, as the edges are.
        consumer: [UnsafeCell<u32>; 2],
        /// What the completed task wrote.
        output: UnsafeCell<u32>,
    }

    // SAFETY: what the model checks: the list orders all accesses to the cells, or loom stops.
    unsafe impl Sync for Shared {}

    /// One orchestrator pushes two edges while a scheduler completes the producer: each edge is
    /// either in the closed list or was refused, exactly once; what it says is visible to who took it, and
    /// who was refused sees what the task wrote.
    ///
    /// Seen to fail with the exchange of `push` Relaxed on success (the edge's words race), with its first
    /// load Relaxed (the output races) or its failure ordering Relaxed, with `close` only Acquire or only Release, and with a `close`
    /// that loads and then stores (an edge is lost).
    #[test]
    fn every_edge_is_either_taken_by_the_closing_or_refused() {
        loom::model(|| {
            let shared = Arc::new(Shared {
                list: Consumers::new(),
                next: [AtomicU32::new(0), AtomicU32::new(0)],
                consumer: [UnsafeCell::new(0), UnsafeCell::new(0)],
                output: UnsafeCell::new(0),
            });
            let completer = {
                let shared = Arc::clone(&shared);
                loom::thread::spawn(move || {
                    // SAFETY: loom checks that nobody else is there.
                    shared.output.with_mut(|output| unsafe { *output = 7 });
                    let mut taken = Vec::new();
                    let mut edge = shared.list.close();
                    while edge != EMPTY {
                        let index = edge as usize;
                        // SAFETY: loom checks that nobody writes.
                        let consumer = shared.consumer[index].with(|consumer| unsafe { *consumer });
                        taken.push((edge, consumer));
                        edge = shared.next[index].load(Ordering::Relaxed);
                    }
                    taken
                })
            };
            let mut refused = Vec::new();
            for edge in [0_u32, 1] {
                let index = edge as usize;
                // SAFETY: loom checks that nobody else is there.
                shared.consumer[index].with_mut(|consumer| unsafe { *consumer = edge + 10 });
                if !shared.list.push(edge, &shared.next[index], false) {
                    // SAFETY: loom checks that nobody writes.
                    assert_eq!(shared.output.with(|output| unsafe { *output }), 7);
                    refused.push((edge, edge + 10));
                }
            }
            let mut seen = completer.join().unwrap();
            seen.extend(refused);
            seen.sort_unstable();
            assert_eq!(seen, [(0, 10), (1, 11)]);
            assert_eq!(shared.list.count(), 2, "both keep the task");
        });
    }

    /// A slot with the memory of its task's output.
    struct Slot {
        consumers: Consumers,
        output: UnsafeCell<u32>,
    }

    // SAFETY: what the model checks: the consumers' word orders all accesses to the cell, or loom stops.
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
    /// Seen to fail with `release` Relaxed, `close` only Acquire, `is_retirable` Relaxed, with a slot that is
    /// retired when it is complete or when it is unreferenced, and with a completing thread that looks
    /// at the slot after its mark.
    #[test]
    fn a_retired_slot_is_complete_and_nobody_reads_it() {
        loom::model(|| {
            let slot = Arc::new(Slot { consumers: Consumers::new(), output: UnsafeCell::new(0) });
            slot.write(7);
            slot.consumers.reset(false);
            // The edge of the consumer, which has been told that the output is there.
            slot.consumers.retain();
            let consumer = {
                let slot = Arc::clone(&slot);
                thread::spawn(move || {
                    assert_eq!(slot.read(), 7);
                    slot.consumers.release();
                })
            };
            let completer = {
                let slot = Arc::clone(&slot);
                thread::spawn(move || {
                    // Its record, for the producers that it releases.
                    assert_eq!(slot.read(), 7);
                    slot.consumers.close();
                })
            };
            if slot.consumers.is_retirable() {
                slot.write(8);
            }
            consumer.join().unwrap();
            completer.join().unwrap();
            assert!(slot.consumers.is_retirable(), "nothing is lost");
            assert!(slot.consumers.is_completed() && slot.consumers.count() == 0);
        });
    }

    /// A task that the orchestrator completes itself, with a consumer on another thread that is told after the closing, or
    /// already before.
    fn complete_as_orchestrator(is_told_after: bool) {
        loom::model(move || {
            let slot = Arc::new(Slot { consumers: Consumers::new(), output: UnsafeCell::new(0) });
            let (next, told) =
                ([AtomicU32::new(0), AtomicU32::new(0)], Arc::new(AtomicU32::new(0)));
            slot.write(7);
            assert!(slot.consumers.push(0, &next[0], false));
            let consumer = {
                let (slot, told) = (Arc::clone(&slot), Arc::clone(&told));
                thread::spawn(move || {
                    // As it comes out of a ready queue.
                    if told.load(Ordering::Acquire) == 0 {
                        return false;
                    }
                    assert_eq!(slot.read(), 7);
                    slot.consumers.release();
                    true
                })
            };
            if !is_told_after {
                told.store(1, Ordering::Release);
            }
            assert_eq!(slot.consumers.close_as_orchestrator(), 0);
            told.store(1, Ordering::Release);
            // A further consumer, which keeps the task until its thread, here this one, lets go.
            assert!(!slot.consumers.push(1, &next[1], false), "nothing is lost");
            slot.consumers.release();
            if slot.consumers.is_retirable() {
                slot.write(8);
            }
            if !consumer.join().unwrap() {
                slot.consumers.release();
            }
            assert!(slot.consumers.is_retirable(), "nothing is lost");
        });
    }

    /// The orchestrator completes a task with plain accesses while its consumer lets go of it on another thread: no
    /// reference is lost, and a slot that is retired is read by nobody.
    #[test]
    fn the_orchestrator_may_close_without_an_exchange() {
        complete_as_orchestrator(true);
    }

    /// That the model would see it if a consumer could let go before.
    #[test]
    #[should_panic(expected = "nothing is lost")]
    fn a_consumer_that_lets_go_before_the_closing_would_be_lost() {
        complete_as_orchestrator(false);
    }

    /// The orchestrator reads an element that a task has written as soon as the task is complete.
    ///
    /// Seen to fail with `close` only Acquire or `is_completed` Relaxed.
    #[test]
    fn who_sees_a_task_complete_sees_what_it_wrote() {
        loom::model(|| {
            let slot = Arc::new(Slot { consumers: Consumers::new(), output: UnsafeCell::new(0) });
            slot.consumers.reset(false);
            let completer = {
                let slot = Arc::clone(&slot);
                thread::spawn(move || {
                    slot.write(7);
                    slot.consumers.close();
                })
            };
            if slot.consumers.is_completed() {
                assert_eq!(slot.read(), 7);
            }
            completer.join().unwrap();
        });
    }
}

//! The tasks that wait for a task: a lock-free list that closes once.
//!
//! The orchestrator pushes the edges of new consumers; the thread that completes the producer
//! closes the list and walks what it took. A push that comes after the closing is refused, which
//! tells the orchestrator that the producer is done: there is no window in which an edge is
//! neither notified nor refused.
//!
//! Edges only ever enter one at a time and leave all at once, so a reused edge cannot be confused
//! with an older one (no ABA): between the load of the head and the exchange nobody pops.

use crate::sync::{AtomicU32, Ordering};

/// End of the list.
pub(crate) const EMPTY: u32 = u32::MAX;
/// Head of a list whose producer has completed.
const CLOSED: u32 = u32::MAX - 1;

/// Head of the list of edges that wait for one producer.
#[derive(Debug)]
pub(crate) struct ConsumerList {
    head: AtomicU32,
}

impl ConsumerList {
    /// An open list without edges.
    #[cfg(test)]
    pub(crate) fn new() -> Self {
        Self { head: AtomicU32::new(EMPTY) }
    }

    /// Makes the list open and empty, or closed, for a task that is about to be published.
    pub(crate) fn reset(&self, open: bool) {
        // ORDERING: Relaxed: the orchestrator owns the slot until it publishes the task, and is
        // the only one to push.
        self.head.store(if open { EMPTY } else { CLOSED }, Ordering::Relaxed);
    }

    /// Adds an edge; `next` is the link inside that edge. Returns `false` if the list is closed.
    pub(crate) fn push(&self, edge: u32, next: &AtomicU32) -> bool {
        // ORDERING: Acquire: whoever finds the list closed sees all the producer did before it
        // closed it (pairs with the AcqRel swap in `close`).
        let mut head = self.head.load(Ordering::Acquire);
        loop {
            if head == CLOSED {
                return false;
            }
            // ORDERING: Relaxed: published by the exchange below.
            next.store(head, Ordering::Relaxed);
            // ORDERING: Release on success publishes the edge (its link, its consumer) to `close`;
            // Acquire on failure for the reason given at the load.
            match self.head.compare_exchange_weak(head, edge, Ordering::Release, Ordering::Acquire)
            {
                Ok(_) => return true,
                Err(now) => head = now,
            }
        }
    }

    /// Closes the list and returns its first edge, or [`EMPTY`].
    ///
    /// The caller reads an edge's link before it notifies that edge's consumer: from then on the
    /// edge may be reused.
    pub(crate) fn close(&self) -> u32 {
        // ORDERING: Acquire takes over the pushed edges (pairs with the Release in `push`);
        // Release lets a late `push` see what the completed task wrote.
        self.head.swap(CLOSED, Ordering::AcqRel)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn returns_pushed_edges_newest_first_and_refuses_after_closing() {
        let list = ConsumerList::new();
        let next = [AtomicU32::new(0), AtomicU32::new(0)];
        assert!(list.push(0, &next[0]));
        assert!(list.push(1, &next[1]));
        assert_eq!(list.close(), 1);
        let links = next.each_ref().map(|link| link.load(Ordering::Relaxed));
        assert_eq!(links, [EMPTY, 0]);
        assert!(!list.push(0, &next[0]));
    }

    #[test]
    fn a_list_reset_as_closed_refuses_the_first_push() {
        let list = ConsumerList::new();
        list.reset(false);
        assert!(!list.push(0, &AtomicU32::new(0)));
        list.reset(true);
        assert_eq!(list.close(), EMPTY);
    }
}

#[cfg(all(test, loom))]
mod loom_tests {
    use super::*;
    use loom::cell::UnsafeCell;
    use loom::sync::Arc;
    use std::vec::Vec;

    /// What the orchestrator and the completing thread share.
    struct Shared {
        list: ConsumerList,
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
                list: ConsumerList::new(),
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
                if !shared.list.push(edge, &shared.next[index]) {
                    // SAFETY: loom checks that nobody writes.
                    assert_eq!(shared.output.with(|output| unsafe { *output }), 7);
                    refused.push((edge, edge + 10));
                }
            }
            let mut seen = completer.join().unwrap();
            seen.extend(refused);
            seen.sort_unstable();
            assert_eq!(seen, [(0, 10), (1, 11)]);
        });
    }
}

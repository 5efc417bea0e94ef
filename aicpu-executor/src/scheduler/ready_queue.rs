//! A ready queue: bounded, first in first out, many producers, many consumers.
//!
//! A cell is one word: the value in the low half and, in the high half, the *lap* in which it was
//! written (position ÷ capacity, and a bit that says that the cell was written at all). A consumer
//! reads the cell at the head, sees by the lap whether it was published, and claims it by moving the
//! head. No producer can write that cell again before the head has moved past it, so what a
//! successful claimer has read is right, and a cell needs no second word and no reset.
//!
//! Both ends take any number of values at once, for one exchange. A producer need not look at the head,
//! whose line the consumers keep writing: beside the tail is the head as some producer last saw it,
//! which is enough to know that there is room until that is used up.
//!
//! Positions never restart, also not between runs, and what a failed run has left is skipped. So one
//! queue serves several arrays of cells, one at a time: those of the region, and those of each graph.
//! An array is zeroed once; whatever was written into it since carries the lap of an earlier position.
//!
//! A lap is 31 bits: it repeats after 2^31 times the capacity. Within a run nobody sees that: at a push
//! each nanosecond and the smallest capacity it takes seconds of *uninterrupted* pushes while one
//! consumer stands still inside `pop`; the head has moved by then, so its claim fails and it reads
//! again. An array that the queue comes back to after so long is zeroed again
//! ([`has_come_round`](ReadyQueue::has_come_round)).

use crate::sync::{AtomicU64, CacheAligned, Ordering};

#[cfg(all(test, loom))]
mod models;

/// Marks a cell that was written: no lap is that of a zeroed cell.
const WRITTEN: u64 = 1 << 31;

/// Laps after which an array of cells is zeroed before it is used again: half of those there are,
/// so that the run that begins then does not see any of them again either.
const LAPS_KEPT: u64 = 1 << 30;

/// The queue's positions; the cells are given to each call (they live in the region).
#[derive(Debug, Default)]
pub(crate) struct ReadyQueue {
    head: CacheAligned<AtomicU64>,
    tail: CacheAligned<Tail>,
}

/// The producers' end.
#[derive(Debug, Default)]
struct Tail {
    position: AtomicU64,
    /// Where the head was or had been when a producer looked; never beyond it.
    head_seen: AtomicU64,
}

/// A push into a queue whose cells are all in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct QueueFull;

impl ReadyQueue {
    /// Skips what is in the queue: what a run that failed has left. Only while nobody uses it.
    pub(crate) fn skip_all(&self) {
        // ORDERING: Relaxed (both): the gate of the run publishes them.
        self.head.0.store(self.position(), Ordering::Relaxed);
    }

    /// The position of the next push. Only while nobody uses the queue.
    pub(crate) fn position(&self) -> u64 {
        // ORDERING: Relaxed: the gate of a run has ordered all pushes before.
        self.tail.0.position.load(Ordering::Relaxed)
    }

    /// Whether `cells` must be zeroed before this queue uses them: it last did so up to the position
    /// `left_at`, and laps may repeat by now. So may those of another queue. Only while nobody uses it.
    pub(crate) fn has_come_round(&self, left_at: u64, cells: &[AtomicU64]) -> bool {
        // A position of a queue that has gone further than this one is not its own.
        self.position().wrapping_sub(left_at) >= LAPS_KEPT.saturating_mul(cells.len() as u64)
    }

    /// Appends values, all or none. `cells.len()` is a power of two, the same at every call.
    #[inline(always)]
    pub(crate) fn push(&self, cells: &[AtomicU64], values: &[u32]) -> Result<(), QueueFull> {
        let (capacity, count) = (cells.len() as u64, values.len() as u64);
        // ORDERING: Relaxed: only a claim ticket; the values are published through their cells.
        let mut tail = self.tail.0.position.load(Ordering::Relaxed);
        loop {
            if !self.has_room(tail, count, capacity) {
                return Err(QueueFull);
            }
            // ORDERING: Relaxed: see the load.
            match self.tail.0.position.compare_exchange_weak(
                tail,
                tail + count,
                Ordering::Relaxed,
                Ordering::Relaxed,
            ) {
                Ok(_) => break,
                Err(now) => tail = now,
            }
        }
        for (position, value) in (tail..).zip(values) {
            let Some(cell) = cells.get(index(position, capacity)) else { return Err(QueueFull) };
            // ORDERING: Release publishes what the pusher wrote (the task) to the popper.
            cell.store((lap(position, capacity) << 32) | u64::from(*value), Ordering::Release);
        }
        Ok(())
    }

    /// Whether `count` cells from position `tail` are free.
    #[inline]
    fn has_room(&self, tail: u64, count: u64, capacity: u64) -> bool {
        // A stale tail may lie behind the head; the exchange that follows then fails.
        let is_free = |head: u64| tail.saturating_sub(head).saturating_add(count) <= capacity;
        // ORDERING: Acquire pairs with the Release in `look_at_head`, and so with that in `pop`: a cell
        // that counts as free has been read by its consumer.
        is_free(self.tail.0.head_seen.load(Ordering::Acquire)) || self.look_at_head(is_free)
    }

    /// Looks at the head, and notes for other producers where it is.
    #[cold]
    fn look_at_head(&self, is_free: impl Fn(u64) -> bool) -> bool {
        // ORDERING: Acquire pairs with the Release in `pop`.
        let mut head = self.head.0.load(Ordering::Acquire);
        if !is_free(head) {
            // A stale head makes the queue look fuller than it is, so a refusal needs its latest
            // value, which only a read-modify-write is sure to get.
            head = self.head.0.fetch_add(0, Ordering::AcqRel);
        }
        // ORDERING: Release: see `has_room`. An older value than another producer's is no harm.
        self.tail.0.head_seen.store(head, Ordering::Release);
        is_free(head)
    }

    /// Takes the oldest values, up to as many as there is room for in `into`; returns how many. None
    /// if there is none, or the push of the oldest is not finished yet.
    pub(crate) fn pop(&self, cells: &[AtomicU64], into: &mut [u32]) -> usize {
        let capacity = cells.len() as u64;
        // ORDERING: Relaxed: the exchange below confirms it.
        let mut head = self.head.0.load(Ordering::Relaxed);
        loop {
            let mut count = 0;
            for (position, place) in (head..).zip(&mut *into) {
                let Some(cell) = cells.get(index(position, capacity)) else { break };
                // ORDERING: Acquire pairs with the Release of the cell in `push`.
                let cell = cell.load(Ordering::Acquire);
                if cell >> 32 != lap(position, capacity) {
                    break;
                }
                // CAST: the low half is the value.
                *place = cell as u32;
                count += 1;
            }
            if count == 0 {
                // Nothing there, or a stale head: look once more if it has moved.
                // ORDERING: Relaxed: as the first load.
                let now = self.head.0.load(Ordering::Relaxed);
                if now == head {
                    return 0;
                }
                head = now;
                continue;
            }
            // ORDERING: Release: the cells were read before a producer may see them as free; Relaxed
            // on failure: only a new candidate.
            match self.head.0.compare_exchange_weak(
                head,
                head + count,
                Ordering::Release,
                Ordering::Relaxed,
            ) {
                // CAST: at most the length of `into`.
                Ok(_) => return count as usize,
                Err(now) => head = now,
            }
        }
    }

    /// Whether the oldest value seems to be there for [`pop`](Self::pop).
    pub(crate) fn has_value(&self, cells: &[AtomicU64]) -> bool {
        let capacity = cells.len() as u64;
        // ORDERING: Relaxed (both): a hint.
        let head = self.head.0.load(Ordering::Relaxed);
        let cell = cells.get(index(head, capacity));
        cell.is_some_and(|cell| cell.load(Ordering::Relaxed) >> 32 == lap(head, capacity))
    }

    /// Whether there seems to be one value at most; another thread may change that at once.
    pub(crate) fn has_one_at_most(&self) -> bool {
        // ORDERING: Relaxed (both): a hint.
        let head = self.head.0.load(Ordering::Relaxed);
        self.tail.0.position.load(Ordering::Relaxed) <= head.wrapping_add(1)
    }

    /// Whether the queue looks empty; another thread may change that at once.
    pub(crate) fn is_empty(&self) -> bool {
        // ORDERING: Relaxed: a hint.
        self.head.0.load(Ordering::Relaxed) >= self.tail.0.position.load(Ordering::Relaxed)
    }
}

/// Cell of a position.
#[inline]
fn index(position: u64, capacity: u64) -> usize {
    // CAST: below the number of cells.
    (position & capacity.wrapping_sub(1)) as usize
}

/// What the upper half of a cell says that was written at a position; never 0.
#[inline]
fn lap(position: u64, capacity: u64) -> u64 {
    // The capacity is a power of two.
    position.wrapping_shr(capacity.trailing_zeros()) & (WRITTEN - 1) | WRITTEN
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn cells(count: usize) -> std::vec::Vec<AtomicU64> {
        (0..count).map(|_| AtomicU64::new(0)).collect()
    }

    fn pop(queue: &ReadyQueue, cells: &[AtomicU64]) -> Option<u32> {
        let mut value = [0];
        (queue.pop(cells, &mut value) == 1).then_some(value[0])
    }

    #[test]
    fn takes_and_gives_several_at_once_as_far_as_there_is_room() {
        let (queue, cells) = (ReadyQueue::default(), cells(4));
        let mut taken = [0; 8];
        for round in 0..20 {
            let first = round * 3;
            queue.push(&cells, &[first, first + 1, first + 2]).unwrap();
            assert_eq!(queue.push(&cells, &[7, 8]), Err(QueueFull), "all or none");
            assert_eq!(queue.push(&cells, &[]), Ok(()));
            assert_eq!(queue.pop(&cells, &mut taken[..2]), 2);
            assert_eq!(queue.pop(&cells, &mut taken[2..]), 1);
            assert_eq!(taken[..3], [first, first + 1, first + 2]);
            assert_eq!(queue.pop(&cells, &mut taken), 0);
        }
    }

    #[test]
    fn is_first_in_first_out_over_many_laps() {
        let (queue, cells) = (ReadyQueue::default(), cells(4));
        let mut expected = 0;
        for value in 0..100 {
            queue.push(&cells, &[value]).unwrap();
            if value % 3 == 2 {
                for _ in 0..3 {
                    assert_eq!(pop(&queue, &cells), Some(expected));
                    expected += 1;
                }
            }
        }
        assert_eq!(pop(&queue, &cells), Some(99));
        assert_eq!(pop(&queue, &cells), None);
        assert!(queue.is_empty());
    }

    #[test]
    fn refuses_a_push_when_every_cell_is_in_use_and_takes_it_after_a_pop() {
        let (queue, cells) = (ReadyQueue::default(), cells(2));
        assert_eq!(queue.push(&cells, &[1]), Ok(()));
        assert_eq!(queue.push(&cells, &[2]), Ok(()));
        assert_eq!(queue.push(&cells, &[3]), Err(QueueFull));
        assert_eq!(pop(&queue, &cells), Some(1));
        assert_eq!(queue.push(&cells, &[3]), Ok(()));
        assert_eq!((pop(&queue, &cells), pop(&queue, &cells)), (Some(2), Some(3)));
    }

    /// The cells of a run that failed, those of another store in between, and the first ones again.
    #[test]
    fn one_queue_serves_several_arrays_and_skips_what_a_run_has_left() {
        let (queue, arrays) = (ReadyQueue::default(), [cells(4), cells(1), cells(8)]);
        for round in 0..50 {
            let array = &arrays[round % 3];
            for value in 0..array.len() as u32 {
                queue.push(array, &[value]).unwrap();
            }
            let taken = round % (array.len() + 1);
            for value in 0..taken as u32 {
                assert_eq!(pop(&queue, array), Some(value), "round {round}");
            }
            queue.skip_all();
            assert!(queue.is_empty());
            assert!(arrays.iter().all(|array| pop(&queue, array).is_none()), "round {round}");
        }
    }

    #[test]
    fn zeroed_cells_are_of_no_lap_and_those_of_long_ago_must_be_zeroed() {
        for (position, capacity) in [(0, 1), (1 << 31, 1), ((1 << 35) - 16, 16), (u64::MAX, 4)] {
            assert_ne!(lap(position, capacity), 0);
        }
        assert_eq!(lap(5, 1), lap(5 + (1 << 31), 1), "laps repeat");
        let (queue, array) = (ReadyQueue::default(), cells(2));
        let at = |position| queue.tail.0.position.store(position, Ordering::Relaxed);
        for (position, left_at, comes_round) in [
            (7, 7, false),
            (7 + (1 << 31) - 1, 7, false),
            (7 + (1 << 31), 7, true),
            // Left by a queue that had gone further.
            (7, 8, true),
        ] {
            at(position);
            assert_eq!(queue.has_come_round(left_at, &array), comes_round, "{position} {left_at}");
        }
    }

    #[test]
    fn every_value_arrives_once_with_two_producers_and_two_consumers() {
        const EACH: u32 = 20_000;
        let (queue, cells) = (ReadyQueue::default(), cells(64));
        let taken: std::vec::Vec<u32> = std::thread::scope(|scope| {
            for producer in 0..2 {
                let (queue, cells) = (&queue, &cells);
                scope.spawn(move || {
                    for value in 0..EACH {
                        while queue.push(cells, &[producer * EACH + value]).is_err() {
                            std::thread::yield_now();
                        }
                    }
                });
            }
            let consumers: std::vec::Vec<_> = (0..2)
                .map(|_| {
                    scope.spawn(|| {
                        let mut taken = std::vec::Vec::new();
                        while taken.len() < EACH as usize {
                            match pop(&queue, &cells) {
                                Some(value) => taken.push(value),
                                None => std::thread::yield_now(),
                            }
                        }
                        taken
                    })
                })
                .collect();
            consumers.into_iter().flat_map(|consumer| consumer.join().unwrap()).collect()
        });
        let mut sorted = taken;
        sorted.sort_unstable();
        assert!(sorted.iter().copied().eq(0..2 * EACH));
    }
}

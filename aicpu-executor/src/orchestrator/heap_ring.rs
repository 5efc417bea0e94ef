//! The heap ring: output memory of tasks, taken and given back in task order.
//!
//! What is in use is a queue of *runs*: stretches of memory, each taken from its begin to its end and
//! given back in the same order. A task's outputs are one contiguous piece of the newest run. Where that
//! cannot go on, a new run begins somewhere else: at the start of the memory if there is room, which is
//! tried long before the end is reached. So memory that is in some cache, and that the system has given
//! pages to, is used again before any other.
//!
//! Positions count bytes ever taken and never wrap; what is in use is between two of them.

use core::cmp::Reverse;

/// Bytes from the start of the memory up to which a run goes on without a look for room before it.
const SOFT_BYTES: u64 = 1 << 20;

/// Free bytes for which a run that could go on ends, if they are before it.
const RUN_BYTES: u64 = SOFT_BYTES / 4;

/// Bytes that a run goes on for beyond those, until the next look for room before it.
const LOOK_BYTES: u64 = SOFT_BYTES / 16;

/// Runs that can be in use at a time. An open scope holds a part of one; the newest may then be before
/// it, then behind it, and once more in what is left before it.
///
/// One more is kept for a run that ends early, because there is much room before it.
const RUNS_MAX: usize = 5;

/// Runs in use with which none ends early any more.
const RUNS_MANY: usize = RUNS_MAX - 2;

/// A stretch of memory that is taken piece by piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Run {
    /// Position of its first byte that is in use, or was when the run became the oldest.
    position: u64,
    /// Offset of that byte in the memory.
    offset: u64,
}

/// One ring's output memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct HeapRing {
    base: u64,
    capacity: u64,
    head: u64,
    tail: u64,
    /// The runs before the newest, oldest first.
    older: [Run; RUNS_MAX - 1],
    older_count: usize,
    newest: Run,
    /// Offset up to which the newest run may go on without a further look.
    limit: u64,
}

impl HeapRing {
    /// A ring over `capacity` bytes at device address `base`.
    pub(crate) fn new(base: u64, capacity: u64) -> Self {
        Self { base, capacity, limit: capacity.min(SOFT_BYTES), ..Self::default() }
    }

    /// Bytes in use.
    pub(crate) fn used(&self) -> u64 {
        self.head - self.tail
    }

    /// Position behind what was taken last: what the task's note keeps for [`give_back`].
    ///
    /// [`give_back`]: Self::give_back
    pub(crate) fn position(&self) -> u64 {
        self.head
    }

    /// Takes `bytes` and returns their device address; `None` if they are not free now.
    ///
    /// Zero bytes take nothing. A piece of the whole capacity fits whenever the ring is empty.
    #[cfg(test)]
    pub(crate) fn take(&mut self, bytes: u64) -> Option<u64> {
        if self.find_room(bytes) { self.take_at_once(bytes) } else { None }
    }

    /// Takes `bytes` if that needs no look for room.
    #[inline(always)]
    pub(crate) fn take_at_once(&mut self, bytes: u64) -> Option<u64> {
        let offset = self.newest.offset + (self.head - self.newest.position);
        let end = offset.checked_add(bytes)?;
        if end > self.limit && bytes != 0 {
            return None;
        }
        self.head += bytes;
        Some(self.base + offset)
    }

    /// Looks for room for `bytes`. Returns whether there is some:
    /// [`take_at_once`](Self::take_at_once) takes it then.
    pub(crate) fn find_room(&mut self, bytes: u64) -> bool {
        let here = self.newest.offset + (self.head - self.newest.position);
        if bytes == 0 || here.checked_add(bytes).is_some_and(|end| end <= self.limit) {
            return true;
        }
        if self.head == self.tail {
            self.older_count = 0;
            self.newest = Run { position: self.head, offset: 0 };
            self.limit = self.capacity.min(SOFT_BYTES.max(bytes));
            return bytes <= self.capacity;
        }
        // Back to where much is free, if that is before this place.
        if self.older_count + 1 < RUNS_MANY
            && let Some(start) =
                self.lowest_start(bytes.max(RUN_BYTES)).filter(|start| *start < here)
        {
            return self.begin_run(start, bytes);
        }
        if self.end_of_room(here) - here >= bytes {
            self.limit = self.next_look(here, bytes);
            return true;
        }
        // Much room if there is such a place: there can only be so many runs, and each is to last.
        let start = self.lowest_start(bytes.max(RUN_BYTES)).or_else(|| self.widest_start(bytes));
        start.is_some_and(|start| self.begin_run(start, bytes))
    }

    /// The place at which most is free, if that is as much as `bytes`; the lowest of several.
    fn widest_start(&self, bytes: u64) -> Option<u64> {
        let room = |start: u64| (self.end_of_room(start) - start, Reverse(start));
        let widest = self.offsets().map(|(_, end)| room(end)).chain([room(0)]).max();
        widest.filter(|(room, _)| *room >= bytes).map(|(_, Reverse(start))| start)
    }

    /// The lowest place at which `bytes` are free: the start of the memory, or the end of a run.
    fn lowest_start(&self, bytes: u64) -> Option<u64> {
        let ends = self.offsets().map(|(_, end)| end);
        let fits = |start: &u64| self.end_of_room(*start) - *start >= bytes;
        ends.chain([0]).filter(fits).min()
    }

    /// How far a run that goes on at `offset` with `bytes` may go before the next look for a better place:
    /// not far, so that what is given back meanwhile is used soon.
    fn next_look(&self, offset: u64, bytes: u64) -> u64 {
        self.end_of_room(offset).min(offset + bytes.max(LOOK_BYTES))
    }

    /// Lets a new run begin. Returns `false` if there are too many.
    fn begin_run(&mut self, offset: u64, bytes: u64) -> bool {
        let Some(place) = self.older.get_mut(self.older_count) else { return false };
        *place = self.newest;
        self.older_count += 1;
        self.newest = Run { position: self.head, offset };
        self.limit = self.next_look(offset, bytes);
        true
    }

    /// What each run has in use, as offsets.
    fn offsets(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        let older = self.older.iter().take(self.older_count);
        let ends = older.clone().skip(1).chain([&self.newest]).map(|next| next.position);
        older.zip(ends).chain([(&self.newest, self.head)]).map(|(run, end)| {
            let begin = self.tail.max(run.position);
            (run.offset + (begin - run.position), run.offset + (end - run.position))
        })
    }

    /// Where the free memory that begins at `start` ends; `start` itself if none does.
    fn end_of_room(&self, start: u64) -> u64 {
        let in_use = |(begin, end): (u64, u64)| begin < end;
        let next = |(begin, end): (u64, u64)| if end <= start { None } else { Some(begin) };
        let end = self.offsets().filter(|run| in_use(*run)).filter_map(next).min();
        end.unwrap_or(self.capacity).max(start)
    }

    /// A capacity, a power of two, with which [`take`](Self::take) would have had room for `bytes`
    /// beside what is in use; `None` if 64 bits do not hold it.
    ///
    /// A ring that has given nothing back yet would look the same, but for its end. In any other
    /// the pieces may lie elsewhere, and between the runs there are gaps that are too small.
    pub(crate) fn sufficient(&self, bytes: u64) -> Option<u64> {
        let gaps = match self.tail {
            0 => 0,
            _ => self.used().max(bytes).checked_mul(RUNS_MAX as u64)?,
        };
        self.used().checked_add(bytes)?.checked_add(gaps)?.checked_next_power_of_two()
    }

    /// Gives back everything up to a position that [`position`](Self::position) returned.
    pub(crate) fn give_back(&mut self, position: u64) {
        self.tail = self.tail.max(position).min(self.head);
        while self.older_count > 0 {
            let next = self.older.get(1).filter(|_| self.older_count > 1).unwrap_or(&self.newest);
            if next.position > self.tail {
                break;
            }
            self.older.copy_within(1.., 0);
            self.older_count -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn takes_in_order_wraps_whole_pieces_and_gives_back() {
        let mut heap = HeapRing::new(0x1000, 256);
        assert_eq!(heap.take(128), Some(0x1000));
        let first = heap.position();
        assert_eq!(heap.take(64), Some(0x1080));
        let second = heap.position();
        // 64 bytes are left at the end, 128 are not.
        assert_eq!(heap.take(128), None);
        heap.give_back(first);
        assert_eq!(heap.take(128), Some(0x1000));
        // What is left at the end, and then nothing is.
        assert_eq!(heap.take(64), Some(0x10c0));
        assert_eq!(heap.take(64), None);
        heap.give_back(second);
        assert_eq!(heap.used(), 128 + 64);
        assert_eq!(heap.take(64), Some(0x1080));
    }

    #[test]
    fn a_piece_of_the_whole_capacity_fits_whenever_the_ring_is_empty() {
        let mut heap = HeapRing::new(0, 256);
        for _ in 0..3 {
            assert_eq!(heap.take(64), Some(0));
            assert_eq!(heap.take(256), None);
            heap.give_back(heap.position());
            assert_eq!(heap.take(256), Some(0));
            assert_eq!(heap.take(1), None);
            heap.give_back(heap.position());
        }
        assert_eq!(heap.take(257), None);
    }

    #[test]
    fn the_sufficient_capacity_has_room_wherever_the_pieces_lie() {
        // Nothing given back: exactly what is needed.
        let mut fresh = HeapRing::new(0, 4096);
        assert_eq!(fresh.take(3072), Some(0));
        assert_eq!((fresh.take(2048), fresh.sufficient(2048)), (None, Some(8192)));
        assert_eq!(fresh.sufficient(u64::MAX), None);

        // Every state of two live pieces behind one that was given back, in every capacity that is
        // named: the third piece fits.
        for (gone, one, other, want) in (0..6_u64.pow(4)).map(|n| {
            let piece = |power: u32| (n / 6_u64.pow(power) % 6) * 512;
            (piece(0), piece(1), piece(2), piece(3))
        }) {
            let replay = |capacity| {
                let mut heap = HeapRing::new(0, capacity);
                let taken = heap.take(gone);
                let position = heap.position();
                let (first, second) = (heap.take(one), heap.take(other));
                heap.give_back(position);
                (taken.and(first).and(second).is_some(), heap.take(want).is_some(), heap)
            };
            let (fits, wanted, heap) = replay(4096);
            if !fits || wanted {
                continue;
            }
            let named = heap.sufficient(want).unwrap();
            assert!(replay(named).1, "{gone} {one} {other} {want}: {named}");
        }
    }

    proptest! {
        /// Whatever is taken and given back: no two pieces share a byte, each lies in the memory, and the
        /// whole of it is there again in the end.
        #[test]
        fn pieces_that_are_in_use_are_apart(
            steps in prop::collection::vec((0_u64..700, 0_usize..6), 1..400),
        ) {
            let capacity = 4 * SOFT_BYTES;
            let mut heap = HeapRing::new(0, capacity);
            let mut pieces: VecDeque<(u64, u64, u64)> = VecDeque::new();
            for (kilobytes, gone) in steps {
                let bytes = kilobytes * 1024;
                for _ in 0..gone.min(pieces.len()).min(3) {
                    let (_, _, position) = pieces.pop_front().unwrap();
                    heap.give_back(position);
                }
                let at_once = heap.clone().take_at_once(bytes).is_some();
                let taken = heap.take(bytes);
                prop_assert!(taken.is_some() || !at_once);
                prop_assert!(taken.is_some() || !pieces.is_empty());
                let Some(begin) = taken else { continue };
                let end = begin + bytes;
                prop_assert!(end <= capacity);
                let is_apart = |(b, e, _): &(u64, u64, u64)| bytes == 0 || b == e || end <= *b || *e <= begin;
                prop_assert!(pieces.iter().all(is_apart), "{begin}..{end} in {pieces:?}");
                pieces.push_back((begin, end, heap.position()));
                prop_assert_eq!(heap.used(), pieces.iter().map(|(b, e, _)| e - b).sum::<u64>());
            }
            heap.give_back(heap.position());
            prop_assert_eq!(heap.take(capacity), Some(0));
        }
    }

    proptest! {
        /// A ring of which little is in use has room, however its pieces came and went, and although the oldest stay
        /// for long now and then, as those of an open scope do.
        #[test]
        fn a_ring_of_which_little_is_in_use_has_room(
            capacity in 20_u32..24,
            steps in prop::collection::vec((1_u64..64, 0_u64..100), 200..2000),
        ) {
            let capacity = 1 << capacity;
            let mut heap = HeapRing::new(0, capacity);
            let mut pieces: VecDeque<(u64, u64)> = VecDeque::new();
            for (share, kept) in steps {
                let bytes = capacity / 4096 * share;
                // Given back until that share is left, or not at all for a while.
                let keep = capacity / 800 * kept;
                if kept % 3 != 0 || heap.used() + bytes > capacity / 8 {
                    while heap.used() > keep {
                        heap.give_back(pieces.pop_front().unwrap().1);
                    }
                }
                prop_assert!(heap.take(bytes).is_some(), "{bytes} beside {} of {capacity}", heap.used());
                pieces.push_back((bytes, heap.position()));
            }
        }
    }

    #[test]
    fn a_ring_of_short_lived_pieces_stays_at_the_start_of_its_memory() {
        let mut heap = HeapRing::new(0, 256 << 20);
        let mut positions = VecDeque::new();
        for _ in 0..100_000 {
            assert!(heap.take(1024).unwrap() < 2 * SOFT_BYTES);
            positions.push_back(heap.position());
            if positions.len() > 500 {
                heap.give_back(positions.pop_front().unwrap());
            }
        }
    }

    /// Whatever is in use for a while, a few pieces or many: memory is touched in proportion, and a run
    /// that began after others does not go on to the end of it.
    #[test]
    fn a_ring_touches_no_more_than_a_few_times_what_is_in_use() {
        let mut heap = HeapRing::new(0, 256 << 20);
        let mut positions = VecDeque::new();
        for alive in [16_000_usize, 100, 8_000, 50, 16_000, 3_000, 100] {
            let many = 16_000 * 1024;
            for step in 0..100_000 {
                let offset = heap.take(1024).unwrap();
                let is_settled = step > 50_000;
                let most = if is_settled { alive as u64 * 1024 + 2 * SOFT_BYTES } else { many };
                assert!(offset < 3 * most, "{alive} alive, step {step}: at {offset}");
                positions.push_back(heap.position());
                // Given back some at a time, as the orchestrator looks.
                if positions.len() > alive + 64 {
                    let gone = positions.len() - alive;
                    heap.give_back(positions.drain(..gone).next_back().unwrap());
                }
            }
        }
    }

    #[test]
    fn what_an_open_scope_holds_is_no_wall() {
        let mut heap = HeapRing::new(0, 8 * SOFT_BYTES);
        let pieces: VecDeque<_> =
            (0..4).map(|_| (heap.take(SOFT_BYTES / 4).unwrap(), heap.position())).collect();
        heap.give_back(pieces[2].1);
        // The fourth stays. What is before it, and then all that is behind it.
        assert_eq!(heap.take(SOFT_BYTES / 2), Some(0));
        assert_eq!(heap.take(SOFT_BYTES / 2), Some(SOFT_BYTES));
        assert_eq!(heap.take(6 * SOFT_BYTES + SOFT_BYTES / 2), Some(SOFT_BYTES + SOFT_BYTES / 2));
        assert_eq!(heap.take(SOFT_BYTES / 4), Some(SOFT_BYTES / 2));
        assert_eq!(heap.take(1), None);
    }

    #[test]
    fn zero_bytes_take_nothing_and_give_back_nothing_twice() {
        let mut heap = HeapRing::new(0x1000, 256);
        assert_eq!(heap.take(0), Some(0x1000));
        let empty = heap.position();
        assert_eq!(heap.take(256), Some(0x1000));
        let full = heap.position();
        heap.give_back(empty);
        assert_eq!(heap.used(), 256);
        heap.give_back(full);
        heap.give_back(empty);
        assert_eq!(heap.used(), 0);
    }
}

//! The heap ring: output memory of tasks, taken and given back in task order.
//!
//! Positions count bytes ever taken and never wrap; a position's place is its remainder by the
//! capacity. One task's outputs are one contiguous piece, so a piece that would cross the end
//! starts at the next multiple of the capacity, and what is skipped belongs to that piece. Two
//! counters that only grow leave nothing to tell apart between full and empty.

/// One ring's output memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct HeapRing {
    base: u64,
    capacity: u64,
    head: u64,
    tail: u64,
}

impl HeapRing {
    /// A ring over `capacity` bytes at device address `base`.
    pub(crate) fn new(base: u64, capacity: u64) -> Self {
        Self { base, capacity, head: 0, tail: 0 }
    }

    /// Bytes taken, skipped ones included.
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
    pub(crate) fn take(&mut self, bytes: u64) -> Option<u64> {
        if bytes == 0 {
            return Some(self.base + self.head % self.capacity.max(1));
        }
        if bytes > self.capacity {
            return None;
        }
        if self.head == self.tail {
            let start = self.head.next_multiple_of(self.capacity);
            (self.head, self.tail) = (start, start);
        }
        let place = self.head % self.capacity;
        let start = if place + bytes <= self.capacity {
            self.head
        } else {
            self.head.next_multiple_of(self.capacity)
        };
        let end = start + bytes;
        if end - self.tail > self.capacity {
            return None;
        }
        self.head = end;
        Some(self.base + start % self.capacity)
    }

    /// A capacity, a power of two, with which [`take`](Self::take) would have had room for `bytes`
    /// beside what is in use; `None` if 64 bits do not hold it.
    ///
    /// A ring that has given nothing back yet would look the same, but for its end. In any other
    /// the pieces may lie elsewhere, and the jump over the end costs less than the largest piece.
    pub(crate) fn sufficient(&self, bytes: u64) -> Option<u64> {
        let jump = if self.tail == 0 { 0 } else { self.used().max(bytes) };
        self.used().checked_add(bytes)?.checked_add(jump)?.checked_next_power_of_two()
    }

    /// Gives back everything up to a position that [`position`](Self::position) returned.
    pub(crate) fn give_back(&mut self, position: u64) {
        self.tail = self.tail.max(position).min(self.head);
    }
}

#[cfg(test)]
mod tests {
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
        assert_eq!(heap.take(64), None);
        heap.give_back(second);
        assert_eq!(heap.used(), 64 + 128);
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

//! Log records of the program on their way to the host, and what the host wants to have of them.
//!
//! ```text
//!  program: record ─▶ length and bytes ─▶ written        host: read ─▶ record ─▶ event, as of its own devices
//!           threshold ◀────────────────────────────────────── threshold
//! ```
//!
//! One thread of each side at a time: both lock, each for itself. The host looks whenever it has an answer and
//! while it waits for one, so that what was said comes before what came of it. A program that has crashed has
//! said what is here. It never waits: what finds no room is counted.

use std::cell::UnsafeCell;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// Bytes of records that the host has not read: some hundred of them.
const BYTES: usize = 256 << 10;

/// Set in a threshold that the host has given.
const GIVEN: u32 = 1 << 16;

/// The lane; zeros are an empty one.
#[repr(C, align(128))]
pub(super) struct RecordLane {
    /// Position behind the last record. Written by the program.
    written: AtomicU64,
    /// Records that found no room. Written by the program.
    dropped: AtomicU64,
    /// Severity, and tier from the ninth bit on, as the numbers that users set. Written by the host.
    threshold: AtomicU32,
    /// Position before which everything was read. Written by the host.
    read: AtomicU64,
    bytes: UnsafeCell<[u8; BYTES]>,
}

// SAFETY: bytes before `written` are the host's, the others the program's; raw pointers only.
unsafe impl Sync for RecordLane {}

impl RecordLane {
    /// The host wants to have records from this severity and tier on.
    pub(super) fn set_threshold(&self, (level, tier): (u32, u32)) {
        // ORDERING: Relaxed: a record more or less does not matter.
        self.threshold.store(level | tier << 8 | GIVEN, Ordering::Relaxed);
    }

    /// What the host wants to have, if it has said so.
    pub(super) fn threshold(&self) -> Option<(u32, u32)> {
        // ORDERING: Relaxed: as in `set_threshold`.
        let word = self.threshold.load(Ordering::Relaxed);
        (word & GIVEN != 0).then_some((word & 0xFF, word >> 8 & 0xFF))
    }

    /// Writes a record. Of the program, one thread at a time.
    pub(super) fn put(&self, record: &[u8]) {
        // ORDERING: Relaxed: this side's own.
        let written = self.written.load(Ordering::Relaxed);
        // ORDERING: Acquire pairs with `take`: what the host has read, it does not read again.
        let used = written.wrapping_sub(self.read.load(Ordering::Acquire));
        let length = u32::try_from(record.len()).unwrap_or(u32::MAX).to_le_bytes();
        let needed = length.len() + record.len();
        if used.saturating_add(needed as u64) > BYTES as u64 {
            // ORDERING: Relaxed: a number for people.
            self.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        self.copy_in(written, &length);
        self.copy_in(written.wrapping_add(length.len() as u64), record);
        // ORDERING: Release: who sees the position sees the bytes before it.
        self.written.store(written.wrapping_add(needed as u64), Ordering::Release);
    }

    /// Whether there is nothing to read: two loads.
    pub(super) fn is_empty(&self) -> bool {
        // ORDERING: Relaxed: whoever wants to know for sure takes.
        self.written.load(Ordering::Relaxed) == self.read.load(Ordering::Relaxed)
    }

    /// Takes all records. Of the host, one thread at a time.
    ///
    /// Positions and lengths that cannot be cost what is there, and nothing else.
    pub(super) fn take(&self) -> Vec<Vec<u8>> {
        // ORDERING: Acquire: see `put`.
        let written = self.written.load(Ordering::Acquire);
        // ORDERING: Relaxed: this side's own.
        let mut at = self.read.load(Ordering::Relaxed);
        let mut records = Vec::new();
        let mut left = written.wrapping_sub(at);
        while left >= 4 && left <= BYTES as u64 {
            let mut length = [0; 4];
            self.copy_out(at, &mut length);
            let length = u64::from(u32::from_le_bytes(length));
            if length > left - 4 {
                break;
            }
            // CAST: at most `BYTES`.
            let mut record = vec![0; length as usize];
            self.copy_out(at.wrapping_add(4), &mut record);
            records.push(record);
            at = at.wrapping_add(4 + length);
            left -= 4 + length;
        }
        // ORDERING: Release: see `put`.
        self.read.store(written, Ordering::Release);
        records
    }

    /// Records that found no room so far.
    pub(super) fn dropped(&self) -> u64 {
        // ORDERING: Relaxed: a number for people.
        self.dropped.load(Ordering::Relaxed)
    }

    fn copy_in(&self, position: u64, bytes: &[u8]) {
        let (start, first) = place(position, bytes.len());
        let to = self.bytes.get().cast::<u8>();
        // SAFETY: inside the lane by `place`, and this side's by `put`.
        unsafe {
            to.add(start).copy_from_nonoverlapping(bytes.as_ptr(), first);
            to.copy_from_nonoverlapping(bytes.as_ptr().add(first), bytes.len() - first);
        }
    }

    fn copy_out(&self, position: u64, bytes: &mut [u8]) {
        let (start, first) = place(position, bytes.len());
        let from = self.bytes.get().cast::<u8>().cast_const();
        // SAFETY: inside the lane by `place`, and this side's by `take`.
        unsafe {
            bytes.as_mut_ptr().copy_from_nonoverlapping(from.add(start), first);
            bytes.as_mut_ptr().add(first).copy_from_nonoverlapping(from, bytes.len() - first);
        }
    }
}

/// Where bytes at a position begin, and how many of them are before the end of the lane.
fn place(position: u64, bytes: usize) -> (usize, usize) {
    debug_assert!(bytes <= BYTES);
    // CAST: below `BYTES`.
    let start = (position % BYTES as u64) as usize;
    (start, bytes.min(BYTES - start))
}

impl std::fmt::Debug for RecordLane {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RecordLane")
            .field("written", &self.written)
            .field("read", &self.read)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lane() -> Box<RecordLane> {
        Box::new(RecordLane {
            written: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
            threshold: AtomicU32::new(0),
            read: AtomicU64::new(0),
            bytes: UnsafeCell::new([0; BYTES]),
        })
    }

    #[test]
    fn records_come_whole_and_in_order_across_the_end_of_the_lane() {
        let lane = lane();
        for round in 0..100_u8 {
            let records = [vec![round; 5000], Vec::new(), vec![round, 1]];
            for record in &records {
                lane.put(record);
            }
            assert_eq!(lane.take(), records, "round {round}");
            assert!(lane.is_empty());
        }
        assert_eq!(lane.dropped(), 0);
    }

    #[test]
    fn what_finds_no_room_is_counted_and_what_is_there_stays() {
        let lane = lane();
        lane.put(&vec![1; BYTES - 4 - 10]);
        lane.put(&[2; 7]);
        lane.put(&[3; 6]);
        lane.put(&[]);
        assert_eq!(lane.dropped(), 2);
        let lengths: Vec<_> = lane.take().iter().map(Vec::len).collect();
        assert_eq!(lengths, [BYTES - 14, 6]);
    }

    #[test]
    fn positions_and_lengths_that_cannot_be_cost_what_is_there() {
        for written in [3, BYTES as u64 + 1, u64::MAX] {
            let lane = lane();
            lane.written.store(written, Ordering::Relaxed);
            assert_eq!(lane.take(), Vec::<Vec<u8>>::new());
            assert!(lane.is_empty());
        }
        let lane = lane();
        lane.put(b"good");
        lane.put(b"bad");
        lane.copy_in(8, &u32::MAX.to_le_bytes());
        assert_eq!(lane.take(), [b"good".to_vec()]);
    }

    #[test]
    fn a_threshold_is_there_once_it_is_given() {
        let lane = lane();
        assert_eq!(lane.threshold(), None);
        for threshold in [(0, 0), (4, 9), (1, 5)] {
            lane.set_threshold(threshold);
            assert_eq!(lane.threshold(), Some(threshold));
        }
    }
}

//! The cores whose tasks wait for the thread that has dispatched them, a set for each such thread.
//!
//! A thread takes from its own set first. Others may take from it too, so nothing waits for a thread that does not
//! come back from a kernel or from code of the user. A core is in one set at most: it enters one as it becomes `Queued`
//! (`run_state`), and whoever takes it out steps it.

use std::sync::atomic::{AtomicU64, Ordering};

/// Cores that the sets have room for.
pub const CORES_MAX: usize = 128;
/// Sets: more than AICPU threads of any chip.
pub const SEATS: usize = 8;

const WORDS: usize = CORES_MAX / 64;

/// One thread's set, on cache lines of its own.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Seat {
    words: [AtomicU64; WORDS],
}

/// All sets of a device.
#[derive(Debug, Default)]
pub struct InlineQueue {
    seats: [Seat; SEATS],
}

impl InlineQueue {
    /// Adds a core to a thread's set.
    #[inline]
    pub fn push(&self, seat: usize, core: usize) {
        let word = &self.seats[seat % SEATS].words[core / 64 % WORDS];
        // ORDERING: Release: who takes the core sees what was written before; `RunState` has its
        // own ordering besides.
        word.fetch_or(1 << (core % 64), Ordering::Release);
    }

    /// Takes a core out of a thread's set.
    #[inline]
    pub fn pop(&self, seat: usize) -> Option<usize> {
        for (index, word) in self.seats[seat % SEATS].words.iter().enumerate() {
            // ORDERING: Relaxed: a guess; the exchange of the bit decides.
            let mut cores = word.load(Ordering::Relaxed);
            while cores != 0 {
                let bit = cores & cores.wrapping_neg();
                // ORDERING: Acquire: see `push`.
                let before = word.fetch_and(!bit, Ordering::Acquire);
                if before & bit != 0 {
                    return Some(index * 64 + bit.trailing_zeros() as usize);
                }
                cores = before & !bit;
            }
        }
        None
    }

    /// Takes a core out of the set of any thread but this one.
    pub fn steal(&self, seat: usize) -> Option<usize> {
        (1..SEATS).find_map(|offset| self.pop(seat + offset))
    }

    /// How many cores are in the sets.
    pub fn count(&self) -> u32 {
        // ORDERING: Relaxed: a hint.
        let words = self.seats.iter().flat_map(|seat| &seat.words);
        words.map(|word| word.load(Ordering::Relaxed).count_ones()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_thread_has_put_in_comes_out_once_for_it_or_for_another() {
        let queue = InlineQueue::default();
        for core in [0, 63, 64, 107] {
            queue.push(2, core);
        }
        assert_eq!((queue.count(), queue.pop(1)), (4, None));
        assert_eq!((queue.pop(2), queue.steal(1), queue.steal(2)), (Some(0), Some(63), None));
        assert_eq!((queue.pop(2), queue.pop(2), queue.pop(2)), (Some(64), Some(107), None));
    }

    #[test]
    fn of_two_threads_that_take_each_core_goes_to_one() {
        let queue = InlineQueue::default();
        for _ in 0..200 {
            (0..72).for_each(|core| queue.push(0, core));
            let take = |seat| {
                let mut cores = Vec::new();
                while let Some(core) = if seat == 0 { queue.pop(0) } else { queue.steal(seat) } {
                    cores.push(core);
                }
                cores
            };
            let mut all = std::thread::scope(|scope| {
                let other = scope.spawn(|| take(1));
                let mut own = take(0);
                own.extend(other.join().unwrap());
                own
            });
            all.sort_unstable();
            assert_eq!(all, (0..72).collect::<Vec<_>>());
        }
    }
}

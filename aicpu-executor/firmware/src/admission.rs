//! Which threads of a launch take part in its run, for a host that does not number its runs.
//!
//! A launch starts more threads than a run has places (six or seven, for up to four or seven), so that
//! enough of them are on processors that are near each other. The first that come take part, the others
//! leave at once, as in the reference (spec callable §3.7). Of a host that numbers its runs nobody is sent away here:
//! the executor knows by the number who is late.
//!
//! The count begins anew with each launch that says so ([`Admission::begin`]), and after as many threads as a
//! launch has.

use core::sync::atomic::{AtomicU32, Ordering};

use protocol::Chip;

use crate::this_chip::ThisChip;

/// Threads of a launch.
// CAST: a handful of threads.
const LAUNCHED: u32 = ThisChip::LAUNCHED_AICPU_THREADS as u32;

/// The count of this process.
pub(crate) static ADMISSION: Admission = Admission::new();

/// Counts the threads of a launch.
#[derive(Debug)]
pub(crate) struct Admission {
    /// Threads of this launch that have come.
    arrived: AtomicU32,
}

impl Admission {
    /// As before the first launch.
    pub(crate) const fn new() -> Self {
        Self { arrived: AtomicU32::new(0) }
    }

    /// A launch begins: its first thread is the first.
    pub(crate) fn begin(&self) {
        // ORDERING: Relaxed: who launches orders this before the threads of the launch.
        self.arrived.store(0, Ordering::Relaxed);
    }

    /// Counts a thread of a run with `places` places, and says whether it has one.
    ///
    /// A number of places that there cannot be keeps nobody out: the executor says what is wrong.
    pub(crate) fn admits(&self, places: i32) -> bool {
        let next = |arrived: u32| Some((arrived + 1) % LAUNCHED);
        // ORDERING: Relaxed: the executor orders what the threads of a run do.
        let counted = self.arrived.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next);
        // The closure always gives a number; both variants hold the one before.
        let (Ok(index) | Err(index)) = counted;
        u32::try_from(places).map_or(true, |places| places == 0 || index < places)
    }
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;

    fn admitted(admission: &Admission, places: i32, threads: u32) -> Vec<bool> {
        (0..threads).map(|_| admission.admits(places)).collect()
    }

    #[test]
    fn the_first_threads_of_each_launch_have_places() {
        let admission = Admission::new();
        for places in [1, 3, 4] {
            let expected: Vec<bool> = (0..LAUNCHED).map(|index| index < places).collect();
            // CAST: see above.
            assert_eq!(admitted(&admission, places as i32, LAUNCHED), expected, "{places}");
        }
    }

    #[test]
    fn a_launch_that_says_so_begins_with_the_first_place_whatever_came_before() {
        let admission = Admission::new();
        assert_eq!(admitted(&admission, 2, 2), [true, true]);
        assert_eq!(admitted(&admission, 2, 1), [false]);
        admission.begin();
        assert_eq!(admitted(&admission, 2, 3), [true, true, false]);
    }

    #[test]
    fn an_impossible_number_of_places_is_left_to_the_executor() {
        for places in [0, -1, i32::MIN] {
            let all = admitted(&Admission::new(), places, 2 * LAUNCHED);
            assert!(all.iter().all(|&admitted| admitted), "{places}");
        }
    }
}

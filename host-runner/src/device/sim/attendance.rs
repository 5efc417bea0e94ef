//! Who is carrying out an order: one word that says which order it is and how many threads are in it.
//!
//! ```text
//!   over (0 inside) ──begin(m)──▶ order g, m inside ──join──▶ one more ──leave──▶ one less … 0: over
//! ```
//!
//! The members of an order are counted from its beginning. Others may join as long as somebody is
//! inside; who comes too late, or for another order, is turned away before it has looked at anything.

#[cfg(loom)]
use loom::sync::atomic::{AtomicU64, Ordering};
#[cfg(not(loom))]
use std::sync::atomic::{AtomicU64, Ordering};

/// The word: the order's number in the upper half, how many are inside in the lower.
#[derive(Debug)]
pub struct Attendance(AtomicU64);

impl Default for Attendance {
    fn default() -> Self {
        Self(AtomicU64::new(0))
    }
}

impl Attendance {
    /// Begins the next order with `members` threads inside; its number. The last one must be over.
    pub fn begin(&self, members: u32) -> u32 {
        // ORDERING: Relaxed: only this caller begins orders, and it has seen the last one end.
        let (last, inside) = parts(self.0.load(Ordering::Relaxed));
        debug_assert_eq!(inside, 0);
        let order = last.wrapping_add(1);
        // ORDERING: Release: who joins sees the order. Members are told otherwise.
        self.0.store(joined(order, members), Ordering::Release);
        order
    }

    /// Joins the order of this number; false if it is over.
    pub fn join(&self, order: u32) -> bool {
        // ORDERING: Relaxed: a guess; the exchange decides.
        let mut word = self.0.load(Ordering::Relaxed);
        loop {
            let (current, inside) = parts(word);
            if current != order || inside == 0 {
                return false;
            }
            let next = joined(order, inside + 1);
            // ORDERING: Acquire: see `begin`; what others have added to the word since keeps its release.
            match self.0.compare_exchange_weak(word, next, Ordering::Acquire, Ordering::Relaxed) {
                Ok(_) => return true,
                Err(now) => word = now,
            }
        }
    }

    /// Leaves the order; true for the last one.
    pub fn leave(&self) -> bool {
        // ORDERING: Release: whoever sees the order over sees what all its threads did. SeqCst: so that who
        // looks for a sleeper afterwards needs no fence (`Parking::unpark`).
        parts(self.0.fetch_sub(1, Ordering::SeqCst)).1 == 1
    }

    /// Number of the order that began last. For whoever begins orders.
    pub fn order(&self) -> u32 {
        // ORDERING: Relaxed: see `begin`.
        parts(self.0.load(Ordering::Relaxed)).0
    }

    /// How many threads are inside; 0 if the order is over.
    pub fn inside(&self) -> u32 {
        // ORDERING: Acquire: see `leave`.
        parts(self.0.load(Ordering::Acquire)).1
    }
}

/// Number and count.
fn parts(word: u64) -> (u32, u32) {
    // CAST: the halves of the word.
    ((word >> 32) as u32, word as u32)
}

fn joined(order: u32, inside: u32) -> u64 {
    u64::from(order) << 32 | u64::from(inside)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn who_comes_late_or_for_another_order_is_turned_away() {
        let attendance = Attendance::default();
        assert!(!attendance.join(0), "nothing has begun");
        let first = attendance.begin(2);
        assert!(attendance.join(first) && !attendance.join(first + 1));
        assert_eq!(attendance.inside(), 3);
        assert!(!attendance.leave() && !attendance.leave() && attendance.leave());
        assert!(!attendance.join(first));
        let second = attendance.begin(1);
        assert!(!attendance.join(first) && attendance.join(second));
    }
}

#[cfg(all(test, loom))]
#[expect(unsafe_code, reason = "the model is to show that the word orders what the caller writes")]
mod loom_tests {
    use loom::cell::UnsafeCell;
    use loom::sync::Arc;
    use loom::thread;

    use super::*;

    #[derive(Default)]
    struct Shared {
        attendance: Attendance,
        /// What the order is; written by the caller between orders.
        order: UnsafeCell<u32>,
    }

    // SAFETY: what the model checks: the word orders all accesses to the cell, or loom stops.
    unsafe impl Sync for Shared {}

    impl Shared {
        fn read(&self) -> u32 {
            // SAFETY: loom checks that nobody writes.
            self.order.with(|order| unsafe { *order })
        }
    }

    /// A helper that is called for the first order finds that order or none, and the caller writes
    /// the second one when nobody looks at the first any more.
    ///
    /// Seen to fail with `leave`, `inside`, the store of `begin` or the exchange of `join` Relaxed.
    #[test]
    fn a_helper_is_in_the_order_that_it_was_called_for_or_in_none() {
        loom::model(|| {
            let shared = Arc::new(Shared::default());
            // SAFETY: loom checks that nobody else is there.
            shared.order.with_mut(|order| unsafe { *order = 1 });
            let first = shared.attendance.begin(1);
            let helper = {
                let shared = Arc::clone(&shared);
                thread::spawn(move || {
                    if shared.attendance.join(first) {
                        assert_eq!(shared.read(), 1);
                        shared.attendance.leave();
                    }
                })
            };
            assert_eq!(shared.read(), 1);
            shared.attendance.leave();
            while shared.attendance.inside() != 0 {
                thread::yield_now();
            }
            // SAFETY: as above.
            shared.order.with_mut(|order| unsafe { *order = 2 });
            shared.attendance.begin(1);
            shared.attendance.leave();
            helper.join().unwrap();
        });
    }
}

//! What AICPU threads sleep on when polling has brought nothing for a while.
//!
//! An event count: a waiter remembers the count of its last look, polls, and then sleeps only if
//! the count is still the same. Whatever happens between look and sleep changes the count, so no
//! wake-up is lost, and the bound on the sleep is only for conditions that no core signals.

use std::cell::Cell;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use rustix::thread::futex;

thread_local! {
    /// The count at this thread's last look. One per thread is enough: a wrong one, left by
    /// another device, costs one poll or one bounded sleep.
    static SEEN: Cell<u32> = const { Cell::new(0) };
}

/// Counts what happens on the cores of a device.
#[derive(Debug, Default)]
pub struct Event {
    count: AtomicU32,
    sleepers: AtomicU32,
}

impl Event {
    /// Something happened: waiters look again.
    pub fn signal(&self) {
        // ORDERING: SeqCst with the two accesses in `wait`: either this call sees the sleeper, or
        // the sleeper's kernel check sees the new count.
        self.count.fetch_add(1, Ordering::SeqCst);
        if self.sleepers.load(Ordering::SeqCst) != 0 {
            // A failed wake-up only means that a sleep lasts until its bound.
            let _woken = futex::wake(&self.count, futex::Flags::PRIVATE, u32::MAX);
        }
    }

    /// Sleeps until something happens that this thread has not looked for yet, at most `bound`.
    pub fn wait(&self, bound: Duration) {
        let seen = SEEN.get();
        // ORDERING: Acquire: what was signalled is visible to the poll that follows.
        let now = self.count.load(Ordering::Acquire);
        if now != seen {
            SEEN.set(now);
            return;
        }
        // ORDERING: SeqCst: see `signal`.
        self.sleepers.fetch_add(1, Ordering::SeqCst);
        let bound = futex::Timespec {
            // CAST: bounds are far below a second.
            tv_sec: bound.as_secs() as i64,
            tv_nsec: i64::from(bound.subsec_nanos()),
        };
        // Woken, timed out, interrupted or changed meanwhile: the caller polls in any case.
        let _reason = futex::wait(&self.count, futex::Flags::PRIVATE, seen, Some(&bound));
        // ORDERING: Relaxed: the caller's poll has its own ordering.
        self.sleepers.fetch_sub(1, Ordering::Relaxed);
        // ORDERING: Acquire: as above.
        SEEN.set(self.count.load(Ordering::Acquire));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::time::Instant;

    #[test]
    fn a_signal_between_look_and_sleep_is_not_slept_through() {
        let event = Event::default();
        event.signal();
        event.wait(Duration::ZERO);
        event.signal();
        let start = Instant::now();
        event.wait(Duration::from_secs(5));
        assert!(start.elapsed() < Duration::from_secs(4));
    }

    #[test]
    fn a_sleeper_is_woken_by_a_signal() {
        let event = Arc::new(Event::default());
        let sleeper = std::thread::spawn({
            let event = Arc::clone(&event);
            move || {
                let start = Instant::now();
                event.wait(Duration::from_secs(5));
                start.elapsed()
            }
        });
        // ORDERING: SeqCst, as the accesses of the implementation.
        while event.sleepers.load(Ordering::SeqCst) == 0 {
            std::thread::yield_now();
        }
        event.signal();
        assert!(sleeper.join().unwrap() < Duration::from_secs(4));
    }

    #[test]
    fn a_sleep_without_signal_ends_at_its_bound() {
        let start = Instant::now();
        Event::default().wait(Duration::from_millis(2));
        assert!(start.elapsed() >= Duration::from_millis(2));
    }
}

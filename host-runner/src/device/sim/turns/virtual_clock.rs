//! The clock of a device whose threads take turns.
//!
//! In a run, time passes with the points that the run comes to, not with the time that threads
//! wait for their turn: a microsecond a point, which is more than a point's work takes. Where for
//! long nothing happens but polling, a poll is a nap and counts as a millisecond, so that a run
//! which has stalled says so after thousands of polls and not after millions. The longest time that
//! the policy starves somebody is some milliseconds of this clock.
//!
//! Between two runs it goes on with the system's clock, and it never goes back.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use super::super::clock;

/// Nanoseconds a point.
const POINT: u64 = 1_000;
/// Polls in vain after which nobody may be kept from going on any more.
const WAIT_MAX: u64 = 256;
/// Polls in vain after which a poll is a nap.
const IDLE_MAX: u64 = 2048;

/// The clock. Written by whoever has the turn; read by anybody.
#[derive(Debug, Default)]
pub(super) struct VirtualClock {
    in_run: AtomicBool,
    /// Time within a run.
    now: AtomicU64,
    /// What this clock is ahead of the system's between runs; it may be behind, by wrapping.
    ahead: AtomicU64,
    /// Polls in vain since something happened.
    idle: AtomicU64,
}

impl VirtualClock {
    // ORDERING: Relaxed throughout: the mutex of the turns orders those who write, and others read
    // a time that may be a moment old.
    pub(super) fn now(&self) -> u64 {
        if self.in_run.load(Ordering::Relaxed) {
            self.now.load(Ordering::Relaxed)
        } else {
            clock::nanoseconds().wrapping_add(self.ahead.load(Ordering::Relaxed))
        }
    }

    pub(super) fn begin(&self) {
        self.now.store(self.now(), Ordering::Relaxed);
        self.idle.store(0, Ordering::Relaxed);
        self.in_run.store(true, Ordering::Relaxed);
    }

    pub(super) fn end(&self) {
        let now = self.now.load(Ordering::Relaxed);
        self.ahead.store(now.wrapping_sub(clock::nanoseconds()), Ordering::Relaxed);
        self.in_run.store(false, Ordering::Relaxed);
    }

    /// One point; `idle` as [`Point::is_idle`](super::Point) says.
    pub(super) fn tick(&self, idle: Option<bool>) {
        match idle {
            Some(true) => self.idle.store(self.idle.load(Ordering::Relaxed) + 1, Ordering::Relaxed),
            Some(false) => self.idle.store(0, Ordering::Relaxed),
            None => {}
        }
        self.pass(Duration::from_nanos(POINT));
    }

    /// Whether the polls of some time have all been in vain.
    pub(super) fn waits(&self) -> bool {
        self.idle.load(Ordering::Relaxed) > WAIT_MAX
    }

    /// Whether nothing has happened for long.
    pub(super) fn stands_still(&self) -> bool {
        self.idle.load(Ordering::Relaxed) > IDLE_MAX
    }

    /// Lets some time pass.
    pub(super) fn pass(&self, time: Duration) {
        // CAST: 2^64 nanoseconds are more than 500 years.
        self.now.fetch_add(time.as_nanos() as u64, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passes_with_points_in_a_run_and_with_the_system_between_runs() {
        let clock = VirtualClock::default();
        clock.begin();
        let start = clock.now();
        std::thread::sleep(Duration::from_millis(2));
        assert_eq!(clock.now(), start);
        clock.tick(Some(false));
        assert_eq!(clock.now(), start + POINT);
        clock.pass(Duration::from_secs(100));
        clock.end();
        let after = clock.now();
        assert!(after >= start + POINT + 100_000_000_000, "the clock went back");
        std::thread::sleep(Duration::from_millis(2));
        assert!(clock.now() >= after + 1_000_000);
    }

    #[test]
    fn a_run_stands_still_after_thousands_of_polls_until_something_happens() {
        let clock = VirtualClock::default();
        clock.begin();
        (0..IDLE_MAX).for_each(|_| clock.tick(Some(true)));
        assert!(!clock.stands_still());
        clock.tick(None);
        assert!(!clock.stands_still());
        clock.tick(Some(true));
        assert!(clock.stands_still() && clock.waits());
        clock.tick(Some(false));
        assert!(!clock.stands_still());
    }
}

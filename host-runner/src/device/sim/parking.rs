//! Where one thread waits for another: first it looks again and again, then it sleeps.
//!
//! Waking a sleeping thread costs a system call and microseconds, looking costs a processor. So a
//! wait that is usually short looks for a while, and no thread of an idle device looks for
//! longer than [`RESIDENT_SPIN`]. Where too many would look for long at the same time, they sleep at once.
//!
//! Sleeping: the sleeper says that it sleeps and then looks once more; who has something for it
//! writes that and then looks whether it sleeps. The sleeper has a full fence in between, and what the other does
//! is sequentially consistent, so one of the two sees the other.

use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering, fence};
use std::time::{Duration, Instant};

use rustix::thread::futex;

/// How long a resident thread looks for the next order after it has ended one.
pub const RESIDENT_SPIN: Duration = Duration::from_millis(1);
/// How long any thread may look without asking whether too many do.
const UNCOUNTED_SPIN: Duration = Duration::from_micros(20);
/// Looks before anything else is thought of: two or three microseconds.
const GLANCES: u32 = 64;
/// Looks between two glances at the clock.
const LOOKS_PER_CLOCK_READ: u32 = 32;

/// Threads of this process that have been looking for longer than [`UNCOUNTED_SPIN`].
static LONG_SPINNERS: AtomicUsize = AtomicUsize::new(0);

/// A place for one sleeper.
#[derive(Debug, Default)]
pub struct Parking {
    /// 1 while somebody sleeps, or is about to.
    sleeps: AtomicU32,
}

impl Parking {
    /// Sleeps until somebody unparks, at most `bound`; not at all if there is something already.
    pub fn park(&self, has_come: impl Fn() -> bool, bound: Option<Duration>) {
        // ORDERING: Relaxed, then a SeqCst fence: what the unparking thread has written comes before it or after
        // in the one order of all that is SeqCst. If before, `has_come` sees it; if after, so does the look in
        // `unpark`, which sees the sleeper.
        self.sleeps.store(1, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        if !has_come() {
            let bound = bound.and_then(|bound| futex::Timespec::try_from(bound).ok());
            // Woken, timed out, interrupted or changed meanwhile: the caller looks in any case.
            let _reason = futex::wait(&self.sleeps, futex::Flags::PRIVATE, 1, bound.as_ref());
        }
        // ORDERING: Relaxed: `has_come` has its own ordering.
        self.sleeps.store(0, Ordering::Relaxed);
    }

    /// Wakes the sleeper, if there is one. To be called when what it waits for has been written, by a
    /// SeqCst operation.
    #[inline]
    pub fn unpark(&self) {
        // ORDERING: SeqCst: see `park`.
        if self.sleeps.load(Ordering::SeqCst) != 0 {
            self.wake();
        }
    }

    #[cold]
    fn wake(&self) {
        self.sleeps.store(0, Ordering::Relaxed);
        // There is nobody to tell if this fails.
        let _woken = futex::wake(&self.sleeps, futex::Flags::PRIVATE, 1);
    }
}

/// Looks a few times, for about as long as the briefest runs take.
#[inline]
pub fn glance(has_come: impl Fn() -> bool) -> bool {
    for _ in 0..GLANCES {
        if has_come() {
            return true;
        }
        std::hint::spin_loop();
    }
    false
}

/// Looks until `has_come`, for `at_most` that long; whether it has.
#[inline]
pub fn spin(has_come: impl Fn() -> bool, at_most: Duration) -> bool {
    for _ in 0..LOOKS_PER_CLOCK_READ {
        if has_come() {
            return true;
        }
        std::hint::spin_loop();
    }
    spin_by_the_clock(has_come, at_most)
}

#[cold]
fn spin_by_the_clock(has_come: impl Fn() -> bool, at_most: Duration) -> bool {
    let start = Instant::now();
    let mut long: Option<LongSpinner> = None;
    loop {
        for _ in 0..LOOKS_PER_CLOCK_READ {
            if has_come() {
                return true;
            }
            std::hint::spin_loop();
        }
        let passed = start.elapsed();
        if passed >= at_most {
            return has_come();
        }
        if passed >= UNCOUNTED_SPIN && long.is_none() {
            long = LongSpinner::enlist();
            if long.is_none() {
                return has_come();
            }
        }
    }
}

/// One of the threads that may look for long.
struct LongSpinner;

impl LongSpinner {
    /// `None` if as many look as there are processors.
    fn enlist() -> Option<Self> {
        // ORDERING: Relaxed: a number to go by.
        if LONG_SPINNERS.fetch_add(1, Ordering::Relaxed) < parallelism() {
            return Some(Self);
        }
        LONG_SPINNERS.fetch_sub(1, Ordering::Relaxed);
        None
    }
}

impl Drop for LongSpinner {
    fn drop(&mut self) {
        LONG_SPINNERS.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The processor that the calling thread is on at the moment.
pub fn processor() -> usize {
    rustix::thread::sched_getcpu()
}

/// How many threads the machine runs at a time.
pub fn parallelism() -> usize {
    static FOUND: AtomicUsize = AtomicUsize::new(0);
    // ORDERING: Relaxed (both): any thread finds the same number.
    match FOUND.load(Ordering::Relaxed) {
        0 => {
            let found = std::thread::available_parallelism().map_or(1, usize::from);
            FOUND.store(found, Ordering::Relaxed);
            found
        }
        found => found,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::AtomicBool;

    #[test]
    fn a_sleeper_is_woken_and_what_came_before_is_not_slept_through() {
        let shared = Arc::new((Parking::default(), AtomicBool::new(false)));
        let sleeper = std::thread::spawn({
            let shared = Arc::clone(&shared);
            move || {
                let start = Instant::now();
                while !shared.1.load(Ordering::SeqCst) {
                    shared.0.park(|| shared.1.load(Ordering::SeqCst), None);
                }
                start.elapsed()
            }
        });
        std::thread::sleep(Duration::from_millis(2));
        shared.1.store(true, Ordering::SeqCst);
        shared.0.unpark();
        assert!(sleeper.join().unwrap() < Duration::from_secs(5));
    }

    #[test]
    fn looking_and_sleeping_end_at_their_bound() {
        let start = Instant::now();
        assert!(!spin(|| false, Duration::from_millis(2)));
        Parking::default().park(|| false, Some(Duration::from_millis(2)));
        assert!(start.elapsed() >= Duration::from_millis(2));
        assert_eq!(
            LONG_SPINNERS.load(Ordering::Relaxed).min(1_000),
            LONG_SPINNERS.load(Ordering::Relaxed)
        );
    }
}

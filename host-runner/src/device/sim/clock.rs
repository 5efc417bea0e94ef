//! The simulator's clock: nanoseconds on the system's monotonic clock.

use rustix::time::{ClockId, clock_gettime};

/// Ticks a second of [`nanoseconds`].
pub const TICKS_PER_SECOND: u64 = 1_000_000_000;

/// Nanoseconds since some time before this process began.
pub fn nanoseconds() -> u64 {
    read(ClockId::Monotonic)
}

/// The same, a few milliseconds late, for a fraction of the cost.
pub fn coarse_nanoseconds() -> u64 {
    read(ClockId::MonotonicCoarse)
}

fn read(clock: ClockId) -> u64 {
    let now = clock_gettime(clock);
    // CAST (both): the clock starts at or after zero; 2^64 nanoseconds are more than 500 years.
    (now.tv_sec as u64).wrapping_mul(TICKS_PER_SECOND).wrapping_add(now.tv_nsec as u64)
}

//! The simulator's clock: nanoseconds on the system's monotonic clock since the process asked first.

use std::sync::OnceLock;
use std::time::Instant;

/// Ticks a second of [`nanoseconds`].
pub const TICKS_PER_SECOND: u64 = 1_000_000_000;

/// Nanoseconds since the first call in this process.
pub fn nanoseconds() -> u64 {
    static START: OnceLock<Instant> = OnceLock::new();
    // CAST: 2^64 nanoseconds are more than 500 years.
    START.get_or_init(Instant::now).elapsed().as_nanos() as u64
}

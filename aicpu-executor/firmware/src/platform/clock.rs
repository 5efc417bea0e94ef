//! The monotonic clock: the architectural counter where there is one with a known frequency.
//!
//! | processor | ticks | frequency |
//! |---|---|---|
//! | aarch64 | `cntvct_el0`, readable at EL0, the same on all cores | `cntfrq_el0` |
//! | x86-64 | `CLOCK_MONOTONIC` | nanoseconds: the frequency of the time stamp counter cannot be asked for portably |

/// Ticks since an arbitrary point in the past.
#[cfg(target_arch = "aarch64")]
pub(crate) fn ticks() -> u64 {
    let ticks: u64;
    // SAFETY: both instructions are allowed at EL0; the barrier keeps the read from being made
    // early.
    unsafe {
        core::arch::asm!("isb", "mrs {ticks}, cntvct_el0", ticks = out(reg) ticks, options(nostack));
    }
    ticks
}

/// Ticks a second; never 0.
#[cfg(target_arch = "aarch64")]
pub(crate) fn ticks_per_second() -> u64 {
    let hertz: u64;
    // SAFETY: the register is readable at EL0.
    unsafe {
        core::arch::asm!("mrs {hertz}, cntfrq_el0", hertz = out(reg) hertz, options(nostack, nomem));
    }
    hertz.max(1)
}

/// Ticks since an arbitrary point in the past.
#[cfg(target_arch = "x86_64")]
pub(crate) fn ticks() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    // Both parts are counted from the start of the machine and never negative.
    let (seconds, nanoseconds) = (now.tv_sec.unsigned_abs(), now.tv_nsec.unsigned_abs());
    seconds.saturating_mul(ticks_per_second()).saturating_add(nanoseconds)
}

/// Ticks a second; never 0.
#[cfg(target_arch = "x86_64")]
pub(crate) const fn ticks_per_second() -> u64 {
    1_000_000_000
}

/// Microseconds since an arbitrary point in the past.
pub(crate) fn microseconds() -> u64 {
    let scaled = u128::from(ticks()) * 1_000_000 / u128::from(ticks_per_second());
    u64::try_from(scaled).unwrap_or(u64::MAX)
}

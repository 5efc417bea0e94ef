//! What this process uses, as the system tells.

use std::fs;
use std::time::Duration;

use anyhow::{Context as _, Result};

/// Bytes of memory that are backed.
///
/// # Errors
///
/// The system does not tell.
pub(crate) fn resident_bytes() -> Result<u64> {
    kibibytes("/proc/self/smaps_rollup", "Rss:")
}

/// The most bytes that were backed since [`reset_peak`].
///
/// # Errors
///
/// The system does not tell.
pub(crate) fn peak_bytes() -> Result<u64> {
    kibibytes("/proc/self/status", "VmHWM:")
}

/// Forgets the peak so far.
///
/// # Errors
///
/// The system does not let it.
pub(crate) fn reset_peak() -> Result<()> {
    fs::write("/proc/self/clear_refs", "5").context("cannot reset the peak of memory")
}

/// A line of a file of the system's, in bytes.
fn kibibytes(file: &str, label: &str) -> Result<u64> {
    let text = fs::read_to_string(file).with_context(|| format!("cannot read {file}"))?;
    let value = text.lines().find_map(|line| {
        line.strip_prefix(label)?.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok()
    });
    Ok(value.with_context(|| format!("{file} has no {label}"))? * 1024)
}

/// Time that all threads of this process have had on processors.
///
/// # Errors
///
/// The system does not tell.
pub(crate) fn processor_time() -> Result<Duration> {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: writes the time.
    let status = unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &raw mut time) };
    anyhow::ensure!(status == 0, "no processor time: {}", std::io::Error::last_os_error());
    Ok(Duration::new(u64::try_from(time.tv_sec)?, u32::try_from(time.tv_nsec)?))
}

/// The system call that marks a place in time for whoever traces this process; nothing else here makes
/// it.
pub(crate) const MARK: libc::c_long = libc::SYS_getppid;

/// Makes it.
pub(crate) fn mark() {
    // SAFETY: asks for a number.
    unsafe { libc::syscall(MARK) };
}

/// Keeps the calling thread off a processor, as far as there is another; a wish.
pub(crate) fn avoid(processor: usize) {
    let count = std::thread::available_parallelism().map_or(1, usize::from);
    if count < 2 {
        return;
    }
    // SAFETY: plain numbers, for which zeros are values.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: writes the set.
    let status = unsafe { libc::sched_getaffinity(0, size_of_val(&set), &raw mut set) };
    // SAFETY: changes the set only; numbers that are too large are left out.
    unsafe { libc::CPU_CLR(processor, &mut set) };
    if status == 0 {
        // SAFETY: changes this thread only.
        unsafe { libc::sched_setaffinity(0, size_of_val(&set), &raw const set) };
    }
}

/// The processor that the calling thread is on at this moment.
pub(crate) fn current_processor() -> usize {
    // SAFETY: asks for a number.
    usize::try_from(unsafe { libc::sched_getcpu() }).unwrap_or_default()
}

//! The C entry points: boundary C between a host (or a launcher on the chip) and the AICPU program.
//!
//! | symbol | who calls it, when |
//! |---|---|
//! | `set_platform_regs` | the host, before the first run (spec trb §7.3) |
//! | `set_log_level`, `set_log_info_v` | the host, at any time (spec trb §7.8) |
//! | `aicpu_execute` | each AICPU thread of a run, once (spec trb §7.3) |
//! | `aicpu_drain_log`, `aicpu_log_dropped`, `aicpu_image_base` | our own host; a reference host does not know them |
//!
//! Everything that is not checked here is checked by the executor.

use aicpu_executor::log::{self, Level, LogRecord};
use protocol::{Chip, StatusCode};

use crate::log_transport;
use crate::resident::executor;
use crate::this_chip::ThisChip;

/// The run record of this image's chip.
type Runtime = <ThisChip as Chip>::Runtime;

/// Takes part in a run. Returns 0, or minus the status code of the run's first fault.
///
/// As many threads call it for a run as the record says (`sche_cpu_num`), or more if the host numbers
/// its runs; the gate of a host that does not sends surplus threads away before (spec trb §7.3).
///
/// # Safety
///
/// `runtime` is null, or points at the run record, which stays as it is until all threads of the
/// run have returned.
#[unsafe(no_mangle)]
unsafe extern "C" fn aicpu_execute(runtime: *const Runtime) -> i32 {
    if runtime.is_null() || !runtime.is_aligned() {
        log::emit(&LogRecord {
            level: Level::Error,
            verbosity: 9,
            origin: "aicpu_execute",
            message: format_args!("a run record at {runtime:p}, which is null or misaligned"),
        });
        return -StatusCode::InvalidArgs.code();
    }
    // SAFETY: not null, aligned, and the rest is the caller's promise.
    executor().execute(unsafe { &*runtime })
}

/// Tells where the cores' register blocks are: the address of an array of their addresses, one
/// `u64` for each physical core id. 0 takes the array away.
#[unsafe(no_mangle)]
extern "C" fn set_platform_regs(table: u64) {
    executor().platform().set_register_table(table);
}

/// Sets the lowest severity that is logged: 0 debug, 1 info, 2 warning, 3 error, 4 nothing.
#[unsafe(no_mangle)]
extern "C" fn set_log_level(level: i32) {
    let level = match level {
        ..=0 => Some(Level::Debug),
        1 => Some(Level::Info),
        2 => Some(Level::Warn),
        3 => Some(Level::Error),
        4.. => None,
    };
    log::set_level(level);
}

/// Sets the lowest verbosity tier of info records that is logged, 0 (all) to 9.
#[unsafe(no_mangle)]
extern "C" fn set_log_info_v(verbosity: i32) {
    // CAST: clamped to 0..=9.
    log::set_verbosity(verbosity.clamp(0, 9) as u8);
}

/// Moves encoded log bytes to `to` and returns how many; the rest stays for the next call.
///
/// The bytes are a stream of defmt frames (rzCOBS); a call may end within a frame, so one
/// thread drains.
///
/// # Safety
///
/// `to` is writable for `capacity` bytes.
#[unsafe(no_mangle)]
unsafe extern "C" fn aicpu_drain_log(to: *mut u8, capacity: usize) -> usize {
    if to.is_null() || capacity == 0 {
        return 0;
    }
    let capacity = capacity.min(log_transport::RING_BYTES);
    // SAFETY: not null, and writable by the caller's promise; the bytes are initialised first.
    let bytes = unsafe {
        to.write_bytes(0, capacity);
        core::slice::from_raw_parts_mut(to, capacity)
    };
    log_transport::drain(bytes)
}

/// Returns how many log records were dropped so far because nobody drained the ring.
#[unsafe(no_mangle)]
extern "C" fn aicpu_log_dropped() -> u64 {
    log_transport::dropped()
}

/// Returns the address at which this image lies in memory.
///
/// A frame names its text by the low 16 bits of a symbol's address; a decoder that reads the
/// symbols from the file adds this number first.
#[unsafe(no_mangle)]
extern "C" fn aicpu_image_base() -> u64 {
    unsafe extern "C" {
        /// Defined by the linker: the first byte of the image.
        static __ehdr_start: u8;
    }
    (&raw const __ehdr_start).addr() as u64
}

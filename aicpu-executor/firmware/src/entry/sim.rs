//! What a simulator host looks up and calls, all in its own process (spec trb §7.3).
//!
//! | symbol | when |
//! |---|---|
//! | `set_platform_regs` | before the first run |
//! | `set_log_level`, `set_log_info_v` | at any time (spec trb §7.8) |
//! | `aicpu_execute` | each AICPU thread of a run, once |
//! | the other `set_*` | before a run: where diagnostics of the reference are to go, and which |
//!
//! Such a host refuses an image that lacks one of them. The reference's diagnostics are not among what this
//! executor does: whoever switches them on is told so in the log.

use aicpu_executor::log::{self, Level, LogRecord, Place};

use super::{Runtime, record, set_level, set_verbosity, take_part};
use crate::resident::executor;

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
    // SAFETY: the caller's promise.
    match unsafe { record("aicpu_execute", "run record", runtime) } {
        // SAFETY: the caller's promise.
        Ok(runtime) => unsafe { take_part(runtime) },
        Err(status) => status,
    }
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
    set_level(u32::try_from(level).unwrap_or(0));
}

/// Sets the lowest verbosity tier of info records that is logged, 0 (all) to 9.
#[unsafe(no_mangle)]
extern "C" fn set_log_info_v(verbosity: i32) {
    set_verbosity(u32::try_from(verbosity).unwrap_or(0));
}

/// Tells where tensors would be dumped.
#[unsafe(no_mangle)]
extern "C" fn set_platform_dump_base(_base: u64) {}

/// Switches the dump of tensors on (not 0) or off.
#[unsafe(no_mangle)]
extern "C" fn set_dump_tensor_enabled(enabled: u8) {
    note_diagnostics(enabled, "tensors are not dumped");
}

/// Tells where times of tasks would be recorded.
#[unsafe(no_mangle)]
extern "C" fn set_platform_l2_perf_base(_base: u64) {}

/// Switches the recording of times of tasks on (not 0) or off.
#[unsafe(no_mangle)]
extern "C" fn set_l2_swimlane_enabled(enabled: u8) {
    note_diagnostics(enabled, "times of tasks are not recorded");
}

/// Tells where hardware counters would be recorded.
#[unsafe(no_mangle)]
extern "C" fn set_platform_pmu_base(_base: u64) {}

/// Tells where the registers of the hardware counters are.
#[cfg(not(feature = "a5"))]
#[unsafe(no_mangle)]
extern "C" fn set_platform_pmu_reg_addrs(_table: u64) {}

/// Switches the recording of hardware counters on (not 0) or off.
#[unsafe(no_mangle)]
extern "C" fn set_pmu_enabled(enabled: u8) {
    note_diagnostics(enabled, "hardware counters are not recorded");
}

/// Tells whoever switches diagnostics on what will be missing.
fn note_diagnostics(enabled: u8, what: &str) {
    if enabled == 0 {
        return;
    }
    log::emit(&LogRecord {
        level: Level::Warn,
        verbosity: 9,
        origin: "aicpu",
        place: Some(Place::here()),
        message: format_args!("{what} by this executor"),
    });
}

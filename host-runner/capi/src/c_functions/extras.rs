//! What this library offers beyond the reference: `simpler_rs_v1_…`.

use std::ffi::{c_char, c_int, c_void};
use std::time::Duration;

use host_runner::run::RunConfig;
use zerocopy::IntoBytes as _;

use super::hand_out;
use crate::client_memory::{self, Access};
use crate::context::Counters;
use crate::failure::Failure;
use crate::guard::{call, last_of_thread, with_context};
use crate::handles::CONTEXTS;
use crate::tensors::CopyRule;
use crate::variant::Variant;

/// The version in the prefix of these functions.
pub const ABI_VERSION: u32 = 1;

/// Callables can be prepared and run.
pub const CAPABILITY_RUN: u64 = 1 << 0;
/// Copies as the callable declares them.
pub const CAPABILITY_DECLARED_COPIES: u64 = 1 << 1;
/// Memory report and counters.
pub const CAPABILITY_REPORTS: u64 = 1 << 2;
/// Runs can be submitted.
pub const CAPABILITY_SUBMIT: u64 = 1 << 3;

/// `simpler_rs_v1_capabilities`.
pub fn capabilities() -> u64 {
    CAPABILITY_RUN | CAPABILITY_DECLARED_COPIES | CAPABILITY_REPORTS | CAPABILITY_SUBMIT
}

/// `simpler_rs_v1_variant`.
///
/// # Safety
///
/// The buffer is the client's to be written to.
pub unsafe fn variant(variant: Variant, buffer: *mut c_char, bytes: usize) -> usize {
    // SAFETY: as the caller promises.
    call(|| unsafe { hand_out(&variant.to_string(), buffer, bytes) })
}

/// `simpler_rs_v1_last_error`.
///
/// # Safety
///
/// As [`variant`].
pub unsafe fn last_error(context: *mut c_void, buffer: *mut c_char, bytes: usize) -> usize {
    call(|| {
        // Not `with_context`: asking for the last error is none, and changes nothing.
        let text = match CONTEXTS.find(context) {
            Some(context) => context.last_error(),
            None => last_of_thread(),
        };
        // SAFETY: as the caller promises.
        unsafe { hand_out(&text.replace('\0', " "), buffer, bytes) }
    })
}

/// `simpler_rs_v1_memory_report`.
///
/// # Safety
///
/// As [`variant`].
pub unsafe fn memory_report(context: *mut c_void, buffer: *mut c_char, bytes: usize) -> usize {
    // SAFETY: as the caller promises.
    with_context(context, |context| unsafe { hand_out(&context.memory_report(), buffer, bytes) })
}

/// `simpler_rs_v1_get_counters`.
///
/// # Safety
///
/// The `bytes` bytes at `to` are the client's to be written to.
pub unsafe fn counters(context: *mut c_void, to: *mut c_void, bytes: usize) -> c_int {
    with_context(context, |context| {
        if to.is_null() {
            return Err(Failure::refused("the counters: NULL"));
        }
        // A client of an earlier version knows fewer of them, one of a later version more.
        let known = bytes.min(size_of::<Counters>());
        client_memory::check("the counters", to, bytes, Access::Write)?;
        let counters = context.counters();
        let source = counters.as_bytes();
        // SAFETY: writable, as was just found; the source is no part of it.
        unsafe {
            to.cast::<u8>().copy_from_nonoverlapping(source.as_ptr(), known);
            to.cast::<u8>().add(known).write_bytes(0, bytes - known);
        }
        Ok(0)
    })
}

/// `simpler_rs_v1_set_copy_rule`.
pub fn set_copy_rule(context: *mut c_void, rule: c_int) -> c_int {
    with_context(context, |context| {
        let copy_rule = match rule {
            0 => CopyRule::BothWays,
            1 => CopyRule::Declared,
            _ => return Err(Failure::refused(format!("there is no copy rule {rule}; use 0 or 1"))),
        };
        context.change_settings(|settings| settings.copy_rule = copy_rule);
        Ok(0)
    })
}

/// `simpler_rs_v1_set_run_limits`.
pub fn set_run_limits(
    context: *mut c_void,
    timeout_ms: u64,
    stall_ms: u64,
    grace_ms: u64,
) -> c_int {
    with_context(context, |context| {
        let or_default = |given, default| match given {
            0 => default,
            given => Duration::from_millis(given),
        };
        let default = RunConfig::default();
        let limits = RunConfig {
            timeout: or_default(timeout_ms, default.timeout),
            stall_timeout: or_default(stall_ms, default.stall_timeout),
            grace: or_default(grace_ms, default.grace),
            ..default
        };
        let longest = limits.timeout.max(limits.stall_timeout).max(limits.grace);
        if longest > host_runner::run::TIMEOUT_MAX {
            return Err(Failure::refused(format!("a limit of {longest:?} is more than a year")));
        }
        context.change_settings(|settings| settings.limits = limits);
        Ok(0)
    })
}

/// `get_aicpu_dlopen_count`.
pub fn aicpu_loads(context: *mut c_void) -> usize {
    // CAST: the supported targets have 64 bits.
    with_context(context, |context| Ok(context.aicpu_loads() as usize))
}

/// `get_host_dlopen_count`.
pub fn host_loads(context: *mut c_void) -> usize {
    // CAST: the supported targets have 64 bits.
    with_context(context, |context| Ok(context.host_loads() as usize))
}

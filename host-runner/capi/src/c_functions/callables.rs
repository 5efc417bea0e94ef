//! Preparing, running and taking away callables (spec callable §2, §3.4, §3.6).

use std::ffi::{c_char, c_int, c_void};

use protocol::{ChipStorageTaskArgs, OUTPUT_PREFIX_BYTES};

use super::c_text;
pub use crate::context::LaunchSize;
use crate::failure::Failure;
use crate::guard::with_context;
use crate::{blob, client_memory};

/// The switches of a run's diagnostics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Diagnostics {
    /// Record when tasks run.
    pub l2_swimlane: c_int,
    /// Dump tensors.
    pub dump_tensor: c_int,
    /// Above 0: counters of this event.
    pub pmu: c_int,
    /// Where their output goes: NUL-terminated, or null.
    pub output_prefix: *const c_char,
}

/// `prepare_callable`.
///
/// # Safety
///
/// Nobody changes or unmaps the callable meanwhile.
pub unsafe fn prepare(context: *mut c_void, cid: c_int, callable: *const c_void) -> c_int {
    with_context(context, |context| {
        refuse_null("the callable", callable)?;
        // SAFETY: as the caller promises.
        context.prepare(cid, || unsafe { blob::read(callable) })?;
        Ok(0)
    })
}

/// `simpler_rs_v1_prepare_callable_sized`.
///
/// # Safety
///
/// As [`prepare`].
pub unsafe fn prepare_sized(
    context: *mut c_void,
    cid: c_int,
    callable: *const c_void,
    bytes: usize,
) -> c_int {
    with_context(context, |context| {
        refuse_null("the callable", callable)?;
        // SAFETY: as the caller promises.
        context.prepare(cid, || unsafe { blob::read_sized(callable, bytes) })?;
        Ok(0)
    })
}

/// `run_prepared`.
///
/// # Safety
///
/// Until this returns, nobody changes or unmaps the record, nobody unmaps or writes to the memory of
/// its host tensors, and nobody reads what the callable writes.
pub unsafe fn run(
    context: *mut c_void,
    runtime: *mut c_void,
    cid: c_int,
    arguments: *const c_void,
    launch: LaunchSize,
    diagnostics: Diagnostics,
) -> c_int {
    with_context(context, |context| {
        // The device has a run record of its own; this one is only asked for as the reference does.
        refuse_null("runtime_buf", runtime)?;
        refuse_null("the arguments", arguments)?;
        // SAFETY: as the caller promises.
        let record: ChipStorageTaskArgs =
            unsafe { client_memory::read("the arguments", arguments)? };
        // SAFETY: as the caller promises.
        unsafe { mention(diagnostics)? };
        // SAFETY: as the caller promises.
        unsafe { context.run(cid, &record, launch)? };
        Ok(0)
    })
}

/// `unregister_callable`.
pub fn unregister(context: *mut c_void, cid: c_int) -> c_int {
    with_context(context, |context| {
        context.unregister(cid)?;
        Ok(0)
    })
}

/// Says that diagnostics are not recorded yet, where they are asked for.
///
/// # Safety
///
/// Nobody changes or unmaps the name meanwhile.
unsafe fn mention(diagnostics: Diagnostics) -> Result<(), Failure> {
    let Diagnostics { l2_swimlane, dump_tensor, pmu, output_prefix } = diagnostics;
    if l2_swimlane == 0 && dump_tensor == 0 && pmu <= 0 {
        return Ok(());
    }
    // SAFETY: as the caller promises.
    let folder = unsafe { c_text("output_prefix", output_prefix, OUTPUT_PREFIX_BYTES)? };
    let folder = String::from_utf8_lossy(&folder);
    tracing::warn!(
        l2_swimlane,
        dump_tensor,
        pmu,
        %folder,
        "diagnostics of runs are not recorded yet; the run goes on without"
    );
    Ok(())
}

fn refuse_null(what: &str, address: *const c_void) -> Result<(), Failure> {
    if address.is_null() { Err(Failure::refused(format!("{what}: NULL"))) } else { Ok(()) }
}

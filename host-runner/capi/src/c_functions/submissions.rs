//! Runs that the client does not wait for: `simpler_rs_v1_submit` and `simpler_rs_v1_completion_…`.

use std::ffi::{c_int, c_void};
use std::sync::Arc;
use std::time::Duration;

use protocol::ChipStorageTaskArgs;

use crate::client_memory;
use crate::context::LaunchSize;
use crate::failure::Failure;
use crate::guard::{call, with_context};
use crate::handles::SUBMISSIONS;
use crate::submission::{DONE, Submission};

/// `simpler_rs_v1_submit`.
///
/// # Safety
///
/// During the call nobody changes or unmaps the record and the memory of its host tensors.
pub unsafe fn submit(
    context: *mut c_void,
    cid: c_int,
    arguments: *const c_void,
    launch: LaunchSize,
) -> *mut c_void {
    with_context(context, |context| {
        // SAFETY: as the caller promises.
        let submission = unsafe {
            let record: ChipStorageTaskArgs = client_memory::read("the arguments", arguments)?;
            context.submit(cid, &record, launch)?
        };
        Ok(SUBMISSIONS.publish(submission))
    })
}

/// `simpler_rs_v1_completion_wait`, and with 0 `simpler_rs_v1_completion_poll`.
///
/// # Safety
///
/// During the call nobody reads, changes or unmaps the memory of the run's host tensors.
pub unsafe fn wait(run: *mut c_void, timeout_ms: u64) -> c_int {
    call(|| {
        let limit = (timeout_ms != u64::MAX).then(|| Duration::from_millis(timeout_ms));
        // SAFETY: as the caller promises.
        unsafe { found(run)?.wait(limit)? };
        Ok(DONE)
    })
}

/// `simpler_rs_v1_completion_cancel`.
pub fn cancel(run: *mut c_void) -> c_int {
    call(|| {
        found(run)?.cancel()?;
        Ok(DONE)
    })
}

/// `simpler_rs_v1_completion_free`.
pub fn free(run: *mut c_void) {
    if !run.is_null() {
        call(|| match SUBMISSIONS.withdraw(run) {
            Some(run) => {
                Submission::give_back(run);
                Ok(())
            }
            None => Err(no_run(run)),
        });
    }
}

fn found(run: *mut c_void) -> Result<Arc<Submission>, Failure> {
    SUBMISSIONS.find(run).ok_or_else(|| no_run(run))
}

fn no_run(run: *mut c_void) -> Failure {
    Failure::refused(format!("{run:p} is no submitted run of this library, or it was freed"))
}

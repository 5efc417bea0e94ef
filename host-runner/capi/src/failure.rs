//! Why a call did not succeed: the number that the client gets, and the text behind it.
//!
//! Numbers are never positive (spec callable §7.3, R12), but for one: what the entry of an orchestration on
//! the host returns is the client's own number, and is handed on as it is (spec callable §3.6 step 5). A run
//! that the executor ended with a status gives minus that status; everything the host refuses is -1, as in
//! the reference.

use std::any::Any;
use std::error::Error;
use std::ffi::c_int;
use std::fmt::Write as _;

use host_runner::device::{DeviceLost, LostCause};
use host_runner::host_orchestration::BuildError;
use host_runner::run::RunError;
use protocol::StatusCode;

/// What the host refuses.
pub const REFUSED: c_int = -1;

/// The run has not ended yet; no status of the executor has this number, nor the one below.
pub const PENDING: c_int = -1001;

/// The run was cancelled before it began.
pub const CANCELLED: c_int = -1002;

/// Why a call did not succeed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Not 0. Negative, unless an entry has returned it.
    pub code: c_int,
    /// What happened and what to do about it.
    pub text: String,
}

impl Failure {
    /// The host refuses the call.
    pub fn refused(text: impl Into<String>) -> Self {
        Self { code: REFUSED, text: text.into() }
    }

    /// An error of the library below, with all its causes.
    pub fn of(error: &dyn Error) -> Self {
        Self::refused(with_causes(error))
    }

    /// How a run that failed is reported.
    pub fn of_run(error: &RunError) -> Self {
        let code = match error {
            // A status is positive, so its negative is below zero; an orchestration that reports
            // anything else has failed all the same.
            RunError::Fault(fault) if fault.status < 0 => fault.status,
            RunError::DeviceLost(lost) => lost_code(lost),
            RunError::Build(BuildError::Returned { status, .. }) if *status != 0 => *status,
            RunError::Cancelled => CANCELLED,
            _ => REFUSED,
        };
        Self { code, text: with_causes(error) }
    }

    /// A defect of this library.
    pub fn of_panic(payload: Box<dyn Any + Send>) -> Self {
        let text = payload
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| payload.downcast_ref::<&str>().copied())
            .unwrap_or("no text");
        let failure = Self::refused(format!("a defect in the library, please report it: {text}"));
        // Dropping what somebody threw could panic again.
        std::mem::forget(payload);
        failure
    }
}

/// The status by which the executor would have named what the device hangs in.
fn lost_code(lost: &DeviceLost) -> c_int {
    match lost.cause {
        LostCause::Kernel { .. } | LostCause::Orchestration | LostCause::Function(_) => {
            -StatusCode::SchedulerTimeout.code()
        }
        LostCause::Executor => REFUSED,
    }
}

/// An error and what caused it, in one line.
fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        // Writing to a string cannot fail.
        let _ = write!(text, ": {error}");
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use host_runner::run::RunFault;

    #[test]
    fn no_fault_gives_a_number_that_reads_as_success() {
        let code = |code| Failure::of_run(&RunError::Fault(RunFault::new(code, "text"))).code;
        assert_eq!(code(9), -9);
        assert_eq!(code(100), -100);
        assert_eq!(code(0), REFUSED);
        assert_eq!(code(-7), REFUSED);
    }

    #[test]
    fn no_status_has_a_number_of_the_library() {
        let own = [PENDING, CANCELLED];
        assert!(StatusCode::ALL.iter().all(|status| !own.contains(&-status.code())));
    }

    #[test]
    fn the_text_has_all_causes() {
        let error =
            RunError::Replacement(Box::new(host_runner::worker::RegisterError::Full { limit: 64 }));
        let text = Failure::of(&error).text;
        assert!(text.contains("fresh device: all 64 callable ids"), "{text}");
    }

    #[test]
    fn a_panic_becomes_its_text() {
        let text = |payload| Failure::of_panic(payload).text;
        assert!(text(Box::new("of letters")).contains("of letters"));
        assert!(text(Box::new(String::from("owned"))).contains("owned"));
        assert!(text(Box::new(7)).contains("no text"));
    }
}

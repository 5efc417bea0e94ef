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
use host_runner::host_orchestration::{BuildError, NotClosed};
use host_runner::run::RunError;
use host_runner::worker::UnregisterError;
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
            // The time limit, as where the device has not come back within it.
            RunError::EntryTooLong { .. } => -StatusCode::SchedulerTimeout.code(),
            RunError::Cancelled => CANCELLED,
            _ => REFUSED,
        };
        Self { code, text: with_causes(error) }
    }

    /// How a submitted run that failed is reported: [`PENDING`] and [`CANCELLED`] say something else there,
    /// whatever number an orchestration has made up.
    pub fn of_submitted(error: &RunError) -> Self {
        let failure = Self::of_run(error);
        let is_taken = matches!(failure.code, PENDING | CANCELLED);
        if is_taken && !matches!(error, RunError::Cancelled) {
            return Self { code: REFUSED, ..failure };
        }
        failure
    }

    /// How a callable is reported whose code does not let it end.
    pub fn of_unregistration(error: &UnregisterError) -> Self {
        let code = match error {
            UnregisterError::DeviceLost(lost) => lost_code(lost),
            UnregisterError::HostOrchestration {
                source: NotClosed::NotReturned { .. }, ..
            } => -StatusCode::SchedulerTimeout.code(),
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
        LostCause::Kernel { .. }
        | LostCause::Orchestration
        | LostCause::Function(_)
        | LostCause::NotEnded { .. } => -StatusCode::SchedulerTimeout.code(),
        LostCause::Executor
        | LostCause::Call(_)
        | LostCause::Crash(_)
        | LostCause::Ended { .. }
        | LostCause::Silent { .. } => REFUSED,
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
    use std::time::Duration;

    #[test]
    fn no_fault_gives_a_number_that_reads_as_success() {
        let code = |code| Failure::of_run(&RunError::Fault(RunFault::new(code, "text"))).code;
        assert_eq!(code(9), -9);
        assert_eq!(code(100), -100);
        assert_eq!(code(0), REFUSED);
        assert_eq!(code(-7), REFUSED);
    }

    #[test]
    fn what_an_entry_returned_is_the_number_but_for_those_that_say_how_a_submitted_run_is() {
        let returned = |status| RunError::Build(BuildError::Returned { status, mentioned: None });
        let fault = |code| RunError::Fault(RunFault::new(code, "text"));
        for status in [7, -7, c_int::MIN, c_int::MAX, REFUSED, -1000, -1003] {
            let error = returned(status);
            let failures = [Failure::of_run(&error), Failure::of_submitted(&error)];
            assert_eq!(failures.map(|failure| failure.code), [status; 2]);
        }
        for status in [PENDING, CANCELLED] {
            for error in [returned(status), fault(-status)] {
                assert_eq!(Failure::of_run(&error).code, status);
                let submitted = Failure::of_submitted(&error);
                assert_eq!(submitted.code, REFUSED);
                assert!(submitted.text.contains(&status.to_string()), "{}", submitted.text);
            }
        }
        assert_eq!(Failure::of_run(&returned(0)).code, REFUSED);
        assert_eq!(Failure::of_submitted(&RunError::Cancelled).code, CANCELLED);
    }

    #[test]
    fn an_entry_that_takes_too_long_has_the_number_of_the_time_limit() {
        let (took, limit) = (Duration::from_millis(30), Duration::from_millis(20));
        let failure = Failure::of_run(&RunError::EntryTooLong { took, limit });
        assert_eq!(failure.code, -100);
        assert!(failure.text.contains("30ms") && failure.text.contains("20ms"), "{}", failure.text);
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

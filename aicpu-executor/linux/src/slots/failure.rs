//! What the slots say when something fails: typed errors for the loader, log lines for the rest.

use aicpu_executor::loader::{MemoryError, MemoryOperation};
use aicpu_executor::log::{Level, LogRecord, Place, emit};

use super::view::Refusal;

/// The error of a range or a state that is not allowed.
pub(super) const fn refused(
    operation: MemoryOperation,
    offset: usize,
    length: usize,
) -> MemoryError {
    MemoryError { operation, offset, length, os_error: 0 }
}

/// Turns a refused call into the error of an operation.
pub(super) fn failed(operation: MemoryOperation) -> impl Fn(Refusal) -> MemoryError {
    move |refusal| MemoryError {
        operation,
        offset: refusal.offset,
        length: refusal.bytes,
        os_error: refusal.error.raw_os_error(),
    }
}

/// Logs a call that failed where no error can be returned, and tells whether it did not.
#[track_caller]
pub(super) fn report(what: &str, result: Result<(), Refusal>) -> bool {
    if let Err(Refusal { offset, bytes, error }) = result {
        warn(format_args!("cannot {what} {bytes:#x} bytes of a slot at {offset:#x}: {error}"));
    }
    result.is_ok()
}

/// Logs something to look at.
#[track_caller]
pub(super) fn warn(message: core::fmt::Arguments<'_>) {
    let place = Some(Place::here());
    emit(&LogRecord { level: Level::Warn, verbosity: 9, origin: module_path!(), place, message });
}

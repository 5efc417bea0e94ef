//! The C entry points: boundary C between a host (or a launcher on the chip) and the AICPU program.
//!
//! A host comes in two kinds, and the image is linked once for each, with the entry points of the other left
//! out. Behind both is the one resident executor.
//!
//! | module | host | how a run begins |
//! |---|---|---|
//! | [`onboard`] | the driver's server on the chip | threads are called with a launch record (spec callable §3.8) |
//! | [`sim`] | a simulator host in the same process | threads are called with the run record (spec trb §7.3) |
//!
//! Everything that is not checked here is checked by the executor.

use aicpu_executor::log::{self, Level, LogRecord, Place};
use protocol::{Chip, StatusCode};

use crate::resident::executor;
use crate::this_chip::ThisChip;

mod onboard;
mod sim;

/// The run record of this image's chip.
type Runtime = <ThisChip as Chip>::Runtime;

/// Has the calling thread take part in the run of a record. Returns 0, or minus the status code of the run's
/// first fault.
///
/// # Safety
///
/// The record stays as it is until all threads of the run have returned.
unsafe fn take_part(runtime: &Runtime) -> i32 {
    executor().execute(runtime)
}

/// What an entry point was passed, if a record can be there.
///
/// # Safety
///
/// `address` is null, misaligned, or points at such a record, which lives as long as `'a`.
unsafe fn record<'a, R>(entry: &str, what: &str, address: *const R) -> Result<&'a R, i32> {
    if address.is_null() || !address.is_aligned() {
        log::emit(&LogRecord {
            level: Level::Error,
            verbosity: 9,
            origin: entry,
            place: Some(Place::here()),
            message: format_args!("a {what} at {address:p}, which is null or misaligned"),
        });
        return Err(-StatusCode::InvalidArgs.code());
    }
    // SAFETY: not null, aligned, and the rest is the caller's promise.
    Ok(unsafe { &*address })
}

/// Sets the lowest severity that is logged: 0 debug, 1 info, 2 warning, 3 error, 4 nothing.
fn set_level(level: u32) {
    log::set_level(match level {
        0 => Some(Level::Debug),
        1 => Some(Level::Info),
        2 => Some(Level::Warn),
        3 => Some(Level::Error),
        4.. => None,
    });
}

/// Sets the lowest verbosity tier of info records that is logged, 0 (all) to 9.
fn set_verbosity(verbosity: u32) {
    // CAST: at most 9.
    log::set_verbosity(verbosity.min(9) as u8);
}

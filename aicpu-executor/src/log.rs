//! Log records of the executor and of the orchestrations it runs.
//!
//! The orchestration's log operations carry no runtime pointer (spec trb §1.3), so the sink is one
//! for the process: a function that the host or the firmware sets once. Without a sink, records
//! are dropped before they are formatted. With the `defmt` feature every record also becomes a
//! frame of the image's global logger, which needs no sink.

use core::fmt;
use core::sync::atomic::{AtomicPtr, AtomicU8, Ordering};

/// Severity of a record; the numbers are those users set (spec trb §7.8).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Level {
    /// For whoever works on the runtime.
    Debug = 0,
    /// With a verbosity of 0 (most verbose) to 9 (must be seen).
    Info = 1,
    /// Something to look at; the run goes on.
    Warn = 2,
    /// Something failed.
    Error = 3,
}

/// One record, valid for the duration of the sink's call.
#[derive(Debug, Clone, Copy)]
pub struct LogRecord<'a> {
    /// Severity.
    pub level: Level,
    /// Verbosity tier 0..=9; meaningful for [`Level::Info`], 9 otherwise.
    pub verbosity: u8,
    /// Function of the orchestration, or module of the executor, that speaks.
    pub origin: &'a str,
    /// The text.
    pub message: fmt::Arguments<'a>,
}

/// Takes records; called from any AICPU thread.
pub type LogSink = fn(&LogRecord<'_>);

/// The sink as a data pointer; null is none.
static SINK: AtomicPtr<()> = AtomicPtr::new(core::ptr::null_mut());
/// Lowest severity that is passed on.
static LEVEL: AtomicU8 = AtomicU8::new(Level::Info as u8);
/// A threshold above every severity.
const SILENT: u8 = Level::Error as u8 + 1;
/// Lowest verbosity tier of [`Level::Info`] that is passed on.
static VERBOSITY: AtomicU8 = AtomicU8::new(5);

/// Sets the process's sink.
pub fn set_sink(sink: LogSink) {
    // ORDERING: Release/Acquire with `emit`: whatever the sink's module set up before is visible
    // to the thread that calls it.
    SINK.store(sink as *mut (), Ordering::Release);
}

/// Sets what is passed on: severities from `level`, and info records from tier `verbosity`.
///
/// The defaults are [`Level::Info`] and 5, as in the reference (spec trb §7.8).
pub fn set_threshold(level: Level, verbosity: u8) {
    set_level(Some(level));
    set_verbosity(verbosity);
}

/// Sets the lowest severity that is passed on; `None` silences the log.
pub fn set_level(level: Option<Level>) {
    let threshold = level.map_or(SILENT, |level| level as u8);
    // ORDERING: Relaxed: a record more or less around the change does not matter.
    LEVEL.store(threshold, Ordering::Relaxed);
}

/// Sets the lowest verbosity tier, 0 to 9, of info records that are passed on.
pub fn set_verbosity(verbosity: u8) {
    // ORDERING: Relaxed: see `set_level`.
    VERBOSITY.store(verbosity, Ordering::Relaxed);
}

/// Whether a record of this severity and tier would reach a sink.
pub fn is_enabled(level: Level, verbosity: u8) -> bool {
    // ORDERING: Relaxed: see `set_level`.
    let threshold = LEVEL.load(Ordering::Relaxed);
    let tier = VERBOSITY.load(Ordering::Relaxed);
    level as u8 >= threshold && (level != Level::Info || verbosity >= tier)
}

/// Passes a record to the sink; with the `defmt` feature, to the global logger as well.
pub fn emit(record: &LogRecord<'_>) {
    if !is_enabled(record.level, record.verbosity) {
        return;
    }
    #[cfg(feature = "defmt")]
    emit_frame(record);
    // ORDERING: see `set_sink`.
    let sink = SINK.load(Ordering::Acquire);
    if sink.is_null() {
        return;
    }
    // SAFETY: the only non-null value ever stored is a `LogSink`.
    let sink = unsafe { core::mem::transmute::<*mut (), LogSink>(sink) };
    sink(record);
}

/// Sends a record as a defmt frame of the same severity.
///
/// What becomes frames is decided at run time, by the thresholds of this module; the image has to
/// be built with `DEFMT_LOG=trace` so that no severity is left out before that.
#[cfg(feature = "defmt")]
fn emit_frame(record: &LogRecord<'_>) {
    let LogRecord { level, verbosity, origin, message } = record;
    let message = defmt::Display2Format(message);
    match level {
        Level::Debug => defmt::debug!("{=str}: {}", origin, message),
        Level::Info => defmt::info!("V{=u8} {=str}: {}", verbosity, origin, message),
        Level::Warn => defmt::warn!("{=str}: {}", origin, message),
        Level::Error => defmt::error!("{=str}: {}", origin, message),
    }
}

macro_rules! log_at {
    ($level:ident, $($text:tt)+) => {
        $crate::log::emit(&$crate::log::LogRecord {
            level: $crate::log::Level::$level,
            verbosity: 9,
            origin: module_path!(),
            message: format_args!($($text)+),
        })
    };
}
pub(crate) use log_at;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn info_is_filtered_by_tier_and_the_rest_by_severity() {
        assert!(is_enabled(Level::Error, 0));
        assert!(is_enabled(Level::Info, 5));
        assert!(!is_enabled(Level::Info, 4));
        assert!(!is_enabled(Level::Debug, 9));
    }
}

//! Log records of the executor and of the orchestrations it runs.
//!
//! ```text
//!  log_at!, orchestration ── is anybody to hear it? ──┬─▶ the sink of the process   (a library: the simulator)
//!                             (one load, one branch)  └─▶ a defmt frame             (an image: the firmware)
//! ```
//!
//! The orchestration's log operations carry no runtime pointer (spec trb §1.3), so level and sink are one
//! for the process: numbers and a function that the host or the firmware sets. Without a sink, records
//! are dropped before they are formatted. With the `defmt` feature records become frames of the image's
//! global logger instead: a library cannot ask its users for the linker script that frames need.
//!
//! Which thread speaks, and in which run, the platform knows ([`Speaker`]).

use core::fmt;
use core::panic::Location;
use core::sync::atomic::{AtomicPtr, AtomicU32, Ordering};

pub mod area;
pub mod frame_ring;
mod ownership;
mod speaker;
pub mod threads;

pub use speaker::Speaker;

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

/// A line of a source file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place<'a> {
    /// The file, as the compiler was told of it.
    pub file: &'a str,
    /// The line, from 1.
    pub line: u32,
}

impl Place<'static> {
    /// Where this is called, or where the function is called that has `#[track_caller]` and calls this.
    #[track_caller]
    pub fn here() -> Self {
        let here = Location::caller();
        Self { file: here.file(), line: here.line() }
    }
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
    /// The statement; none for an orchestration, which gives the name of its function alone.
    pub place: Option<Place<'a>>,
    /// The text.
    pub message: fmt::Arguments<'a>,
}

/// Takes records; called from any AICPU thread.
pub type LogSink = fn(&LogRecord<'_>);

/// The sink as a data pointer; null is none.
static SINK: AtomicPtr<()> = AtomicPtr::new(core::ptr::null_mut());

/// The highest tier: what must be seen.
pub const HIGHEST_TIER: u8 = 9;
/// A threshold above every severity.
const SILENT: u32 = Level::Error as u32 + 1;
/// Lowest severity and tier that are passed on, and what follows from them.
static THRESHOLD: AtomicU32 = AtomicU32::new(threshold(Level::Info as u32, 5));
/// Where a threshold has its severity.
const LEVEL_SHIFT: u32 = 16;
/// Where a threshold has its tier.
const TIER_SHIFT: u32 = 24;
/// Bits of a threshold's severity, and of its tier.
const FIELD: u32 = 0xFF;

/// A threshold, with one bit for each kind of record that reaches it.
const fn threshold(level: u32, tier: u32) -> u32 {
    let mut kinds = 0;
    let mut info = tier;
    while info <= HIGHEST_TIER as u32 && level <= Level::Info as u32 {
        kinds |= 1 << kind(Level::Info, info as u8);
        info += 1;
    }
    if level == Level::Debug as u32 {
        kinds |= 1 << kind(Level::Debug, 0);
    }
    if level <= Level::Warn as u32 {
        kinds |= 1 << kind(Level::Warn, 0);
    }
    if level <= Level::Error as u32 {
        kinds |= 1 << kind(Level::Error, 0);
    }
    kinds | level << LEVEL_SHIFT | tier << TIER_SHIFT
}

/// Number of a kind of record, below [`LEVEL_SHIFT`].
const fn kind(level: Level, verbosity: u8) -> u32 {
    let tier = if verbosity > HIGHEST_TIER { HIGHEST_TIER } else { verbosity };
    match level {
        Level::Debug => 0,
        Level::Info => 1 + tier as u32,
        Level::Warn => 11,
        Level::Error => 12,
    }
}

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
    let level = level.map_or(SILENT, |level| level as u32);
    change_threshold(|_, tier| (level, tier));
}

/// Sets the lowest verbosity tier, 0 to 9, of info records that are passed on.
pub fn set_verbosity(verbosity: u8) {
    let tier = u32::from(verbosity.min(HIGHEST_TIER));
    change_threshold(|level, _| (level, tier));
}

/// The lowest severity that is passed on, and the lowest tier of info records.
pub fn current_threshold() -> (Option<Level>, u8) {
    // ORDERING: Relaxed: see `change_threshold`.
    let (level, tier) = fields(THRESHOLD.load(Ordering::Relaxed));
    let level = match level {
        0 => Some(Level::Debug),
        1 => Some(Level::Info),
        2 => Some(Level::Warn),
        3 => Some(Level::Error),
        _ => None,
    };
    // CAST: at most HIGHEST_TIER.
    (level, tier as u8)
}

/// Severity and tier of a threshold.
const fn fields(word: u32) -> (u32, u32) {
    (word >> LEVEL_SHIFT & FIELD, word >> TIER_SHIFT & FIELD)
}

/// Changes severity or tier.
fn change_threshold(change: impl Fn(u32, u32) -> (u32, u32)) {
    // ORDERING: Relaxed (both): a record more or less around the change does not matter.
    let _before = THRESHOLD.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |word| {
        let (level, tier) = fields(word);
        let (level, tier) = change(level, tier);
        Some(threshold(level, tier))
    });
}

/// Whether a record of this severity and tier would reach anybody: a load and a branch, where both are
/// constants.
#[inline(always)]
pub fn is_enabled(level: Level, verbosity: u8) -> bool {
    // ORDERING: Relaxed: see `change_threshold`.
    THRESHOLD.load(Ordering::Relaxed) & 1 << kind(level, verbosity) != 0
}

/// Passes a record on, if it is enabled.
pub fn emit(record: &LogRecord<'_>) {
    if is_enabled(record.level, record.verbosity) {
        pass_on(record);
    }
}

/// Sends a record as a defmt frame of the same severity.
///
/// What becomes frames is decided at run time, by the thresholds of this module; the image has to
/// be built with `DEFMT_LOG=trace` so that no severity is left out before that. The texts in front of the
/// fields tell a decoder that the frame is a record with a text of its own, and not a statement.
#[cfg(feature = "defmt")]
#[cold]
pub(crate) fn pass_on(record: &LogRecord<'_>) {
    let LogRecord { level, verbosity, origin, place, message } = record;
    let Place { file, line } = place.unwrap_or(Place { file: "", line: 0 });
    let message = defmt::Display2Format(message);
    match level {
        Level::Debug => {
            defmt::debug!(
                "record {=u8} {=str} {=str} {=u32} {}",
                verbosity,
                origin,
                file,
                line,
                message
            );
        }
        Level::Info => {
            defmt::info!(
                "record {=u8} {=str} {=str} {=u32} {}",
                verbosity,
                origin,
                file,
                line,
                message
            );
        }
        Level::Warn => {
            defmt::warn!(
                "record {=u8} {=str} {=str} {=u32} {}",
                verbosity,
                origin,
                file,
                line,
                message
            );
        }
        Level::Error => {
            defmt::error!(
                "record {=u8} {=str} {=str} {=u32} {}",
                verbosity,
                origin,
                file,
                line,
                message
            );
        }
    }
}

/// Gives a record to the sink.
#[cfg(not(feature = "defmt"))]
#[cold]
pub(crate) fn pass_on(record: &LogRecord<'_>) {
    // ORDERING: see `set_sink`.
    let sink = SINK.load(Ordering::Acquire);
    if sink.is_null() {
        return;
    }
    // SAFETY: the only non-null value ever stored is a `LogSink`.
    let sink = unsafe { core::mem::transmute::<*mut (), LogSink>(sink) };
    sink(record);
}

/// What is shown as it shows itself, in a statement that may become a frame.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shown<'a, T: ?Sized>(pub(crate) &'a T);

impl<T: fmt::Display + ?Sized> fmt::Display for Shown<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(feature = "defmt")]
impl<T: fmt::Display + ?Sized> defmt::Format for Shown<'_, T> {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "{}", defmt::Display2Format(self.0));
    }
}

/// A statement of the executor, of the highest tier: a literal with `{}` or `{:#x}`, and its arguments.
/// Those that are no number or string go through [`Shown`].
///
/// In an image the literal stays with its line in the unstripped twin, and the frame carries the arguments.
#[cfg(feature = "defmt")]
#[collapse_debuginfo(yes)]
macro_rules! log_at {
    ($level:ident, $($text:tt)+) => {
        if $crate::log::is_enabled($crate::log::Level::$level, $crate::log::HIGHEST_TIER) {
            $crate::log::frame_at!($level, $($text)+)
        }
    };
}

/// A statement of the executor, of the highest tier: a literal with `{}` or `{:#x}`, and its arguments.
/// Those that are no number or string go through [`Shown`].
#[cfg(not(feature = "defmt"))]
macro_rules! log_at {
    ($level:ident, $($text:tt)+) => {
        if $crate::log::is_enabled($crate::log::Level::$level, $crate::log::HIGHEST_TIER) {
            $crate::log::pass_on(&$crate::log::LogRecord {
                level: $crate::log::Level::$level,
                verbosity: $crate::log::HIGHEST_TIER,
                origin: module_path!(),
                place: Some($crate::log::Place { file: file!(), line: line!() }),
                message: format_args!($($text)+),
            });
        }
    };
}
pub(crate) use log_at;

/// The frame of a statement.
#[cfg(feature = "defmt")]
#[collapse_debuginfo(yes)]
macro_rules! frame_at {
    (Debug, $($text:tt)+) => { defmt::debug!($($text)+) };
    (Info, $($text:tt)+) => { defmt::info!($($text)+) };
    (Warn, $($text:tt)+) => { defmt::warn!($($text)+) };
    (Error, $($text:tt)+) => { defmt::error!($($text)+) };
}
#[cfg(feature = "defmt")]
pub(crate) use frame_at;

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

    #[test]
    fn every_threshold_lets_through_what_is_not_below_it() {
        let levels = [Level::Debug, Level::Info, Level::Warn, Level::Error];
        for least in 0..=SILENT {
            for tier in 0..=HIGHEST_TIER {
                let word = threshold(least, u32::from(tier));
                assert_eq!(fields(word), (least, u32::from(tier)));
                for level in levels {
                    for verbosity in 0..=HIGHEST_TIER {
                        let is_in = word & 1 << kind(level, verbosity) != 0;
                        let is_wanted =
                            level as u32 >= least && (level != Level::Info || verbosity >= tier);
                        assert_eq!(is_in, is_wanted, "{level:?} {verbosity} at {least} {tier}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_place_is_that_of_the_statement() {
        let (here, line) = (Place::here(), line!());
        assert_eq!(here, Place { file: file!(), line });
    }
}

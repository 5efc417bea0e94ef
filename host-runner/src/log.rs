//! What executor and orchestrations say, as events of `tracing`.
//!
//! A record is the same on every device: an event of target `aicpu` with the level of the record and these
//! fields, each only where there is one.
//!
//! | field | what |
//! |---|---|
//! | `origin` | the function of the orchestration, or the module of the executor, that speaks |
//! | `verbosity` | tier 0 to 9 of an info record |
//! | `at` | file and line of the executor's statement |
//! | `thread` | index of the AICPU thread in its run; 0 orchestrates |
//! | `callable` | id of the callable that is being run or loaded |
//!
//! By default records are those that the reference shows: warnings, errors, and info from tier 5 (spec trb §7.8).
//! [`set_level`] and [`set_tier`] change that for all devices: they are what the executor in this process goes by,
//! and what is told to those elsewhere ([`threshold`]).

use std::cell::Cell;
use std::sync::OnceLock;

use aicpu_executor::log::{LogRecord, Speaker, set_sink};
use serde::{Deserialize, Serialize};

/// Severity of a record.
pub use aicpu_executor::log::Level;

/// A line of a source file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The file.
    pub file: String,
    /// The line, from 1.
    pub line: u32,
}

/// What was said, on whatever device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Severity, as users set it: 0 debug, 1 info, 2 warn, 3 error.
    #[serde(with = "level_number")]
    pub level: Level,
    /// Verbosity tier, 0 to 9; of info records.
    pub tier: u8,
    /// The function of the orchestration, or the module of the executor, that speaks.
    pub origin: String,
    /// The executor's statement; none for an orchestration.
    pub place: Option<Place>,
    /// Index of the AICPU thread in its run; none outside of runs.
    pub aicpu_thread: Option<u8>,
    /// The callable that is being run or loaded.
    pub callable: Option<u16>,
    /// The text.
    pub text: String,
}

/// Takes records in place of `tracing`; called from any AICPU thread.
pub type Diversion = fn(Record);

/// Who takes records in place of `tracing`, if anybody does.
static DIVERSION: OnceLock<Diversion> = OnceLock::new();

thread_local! {
    /// Who the calling thread is, if it is in a run or a load.
    static SPEAKER: Cell<Option<Speaker>> = const { Cell::new(None) };
}

/// Makes `tracing` the sink of the process. Calling it again changes nothing.
pub(crate) fn forward() {
    set_sink(sink);
}

/// Lets records of every level and tier through; what is shown is then up to the subscriber.
pub fn forward_all() {
    set_level(Some(Level::Debug));
    set_tier(0);
}

/// Sets the lowest severity that devices pass on; `None` for nothing at all. Runs that are in flight elsewhere
/// go on as they were begun.
pub fn set_level(level: Option<Level>) {
    aicpu_executor::log::set_level(level);
}

/// Sets the lowest tier, 0 to 9, of info records that devices pass on.
pub fn set_tier(tier: u8) {
    aicpu_executor::log::set_verbosity(tier);
}

/// What devices pass on, as the numbers that a launch record has: severity 0 debug, 1 info, 2 warn, 3 error, 4
/// nothing, and tier 0 to 9 (`KernelArgs::log_level`, `log_info_v`; `set_log_level`, `set_log_info_v`).
pub fn threshold() -> (u32, u32) {
    let (level, tier) = aicpu_executor::log::current_threshold();
    (level.map_or(4, |level| level as u32), tier.into())
}

/// Sets severity and tier by the numbers of [`threshold`]; what is out of range is taken for the nearest that is not.
pub fn set_threshold((level, tier): (u32, u32)) {
    set_level(match level {
        0 => Some(Level::Debug),
        1 => Some(Level::Info),
        2 => Some(Level::Warn),
        3 => Some(Level::Error),
        _ => None,
    });
    set_tier(u8::try_from(tier).unwrap_or(u8::MAX));
}

/// Hands the records of devices in this process to `to`, and no longer to `tracing`: for a program that is the
/// device of another one. The first call counts.
pub fn divert(to: Diversion) {
    let _first = DIVERSION.set(to);
    forward();
}

/// The calling thread enters a run or a load, or leaves it.
pub(crate) fn set_speaker(speaker: Option<Speaker>) {
    SPEAKER.set(speaker);
}

impl Record {
    /// A record of the executor in this process, which the calling thread speaks.
    fn of(record: &LogRecord<'_>) -> Self {
        let speaker = SPEAKER.get();
        let callable = speaker.and_then(|speaker| speaker.callable);
        Self {
            level: record.level,
            tier: record.verbosity,
            origin: record.origin.to_owned(),
            place: record
                .place
                .map(|place| Place { file: place.file.to_owned(), line: place.line }),
            aicpu_thread: speaker.and_then(|speaker| speaker.aicpu_thread),
            callable: callable.and_then(|id| u16::try_from(id.raw()).ok()),
            text: record.message.to_string(),
        }
    }

    /// Makes an event of it.
    pub fn emit(&self) {
        let origin = self.origin.as_str();
        let at =
            self.place.as_ref().map(|place| format!("{}:{}", in_project(&place.file), place.line));
        let (at, thread, callable) = (at.as_deref(), self.aicpu_thread, self.callable);
        let (text, verbosity) = (&self.text, self.tier);
        match self.level {
            Level::Debug => {
                tracing::debug!(target: "aicpu", origin, at, thread, callable, "{text}")
            }
            Level::Info => {
                tracing::info!(target: "aicpu", origin, verbosity, at, thread, callable, "{text}");
            }
            Level::Warn => tracing::warn!(target: "aicpu", origin, at, thread, callable, "{text}"),
            Level::Error => {
                tracing::error!(target: "aicpu", origin, at, thread, callable, "{text}")
            }
        }
    }
}

/// The name of a file from the project's folder on, wherever that was when it was compiled.
fn in_project(file: &str) -> &str {
    file.rfind("aicpu-executor/").and_then(|start| file.get(start..)).unwrap_or(file)
}

/// What the executor in this process calls.
fn sink(record: &LogRecord<'_>) {
    match DIVERSION.get() {
        Some(divert) => divert(Record::of(record)),
        None if is_wanted(record.level) => Record::of(record).emit(),
        None => {}
    }
}

/// Whether any subscriber takes events of this level: most programs take few.
fn is_wanted(level: Level) -> bool {
    match level {
        Level::Debug => tracing::enabled!(target: "aicpu", tracing::Level::DEBUG),
        Level::Info => tracing::enabled!(target: "aicpu", tracing::Level::INFO),
        Level::Warn => tracing::enabled!(target: "aicpu", tracing::Level::WARN),
        Level::Error => tracing::enabled!(target: "aicpu", tracing::Level::ERROR),
    }
}

/// Severities as the numbers that users set.
mod level_number {
    use aicpu_executor::log::Level;
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde wants")]
    pub(super) fn serialize<S: Serializer>(level: &Level, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_u8(*level as u8)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Level, D::Error> {
        match u8::deserialize(from)? {
            0 => Ok(Level::Debug),
            1 => Ok(Level::Info),
            2 => Ok(Level::Warn),
            3 => Ok(Level::Error),
            number => Err(D::Error::custom(format_args!("{number} is no severity: 0 to 3 are"))),
        }
    }
}

#[cfg(test)]
mod tests;

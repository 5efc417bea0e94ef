//! Hands log records of executor and orchestrations on to `tracing`.
//!
//! They come as events of target `aicpu` with the speaking function as field `origin`. By default
//! they are those the reference shows: warnings, errors, and info from tier 5 (spec trb §7.8).

use aicpu_executor::log::{Level, LogRecord, set_sink, set_threshold};

/// Makes `tracing` the sink of the process. Calling it again changes nothing.
pub(crate) fn forward() {
    set_sink(sink);
}

/// Lets records of every level and tier through; what is shown is then up to the subscriber.
pub fn forward_all() {
    set_threshold(Level::Debug, 0);
}

fn sink(record: &LogRecord<'_>) {
    let LogRecord { level, verbosity, origin, message } = *record;
    match level {
        Level::Debug => tracing::debug!(target: "aicpu", origin, "{message}"),
        Level::Info => tracing::info!(target: "aicpu", origin, verbosity, "{message}"),
        Level::Warn => tracing::warn!(target: "aicpu", origin, "{message}"),
        Level::Error => tracing::error!(target: "aicpu", origin, "{message}"),
    }
}

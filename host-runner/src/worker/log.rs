//! Hands log records of executor and orchestrations on to `tracing`.

use aicpu_executor::log::{Level, LogRecord, set_sink};

/// Makes this the sink of the process. Calling it again changes nothing.
pub(super) fn forward() {
    set_sink(sink);
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

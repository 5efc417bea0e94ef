//! What a run that does not move waits for, as the end of a message.

use core::fmt;

use super::Scheduler;
use super::core_table::Suspect;
use super::deferred::notice::Notice;

/// A core whose kernel has not ended, and deferred tasks.
///
/// Prints as ": core 3 is still running the kernel of func_id 7; meanwhile 1 sub-task waits for …";
/// parts that do not apply are left out.
#[derive(Debug, Clone, Copy)]
pub(crate) struct WaitsFor {
    pub(crate) suspect: Option<Suspect>,
    pub(crate) deferred: Notice,
}

impl fmt::Display for WaitsFor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(suspect) = self.suspect {
            write!(f, ": {suspect}")?;
        }
        self.deferred.clause().fmt(f)
    }
}

impl WaitsFor {
    /// The same without the core unless that runs a task of a graph: an orchestration has more to do
    /// than to wait for its kernels.
    pub(crate) fn of_graph_or_deferred(self) -> Self {
        let suspect = self.suspect.filter(|suspect| suspect.kernel.graph_task.is_some());
        Self { suspect, ..self }
    }
}

impl Scheduler {
    /// What the run waits for now.
    pub(crate) fn waits_for(&self) -> WaitsFor {
        WaitsFor { suspect: self.running().suspect(), deferred: self.deferred.sum() }
    }
}

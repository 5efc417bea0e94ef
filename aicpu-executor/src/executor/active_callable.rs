//! Which callable the run that is under way uses, for those who watch it.

use core::sync::atomic::{AtomicU32, Ordering};

use protocol::CallableId;

/// The callable of a run, from the moment its orchestrator turns to it until the run has ended.
#[derive(Debug, Default)]
pub(super) struct ActiveCallable {
    /// 0, or the id and 1.
    id_and_one: AtomicU32,
}

impl ActiveCallable {
    /// The run uses this callable from now on. Only the orchestrator.
    pub(super) fn set(&self, id: CallableId) {
        // ORDERING: Relaxed: watchers access nothing on the strength of it.
        self.id_and_one.store(id.raw().unsigned_abs() + 1, Ordering::Relaxed);
    }

    /// The run has ended. Only its last thread.
    pub(super) fn clear(&self) {
        // ORDERING: Relaxed: as in `set`; the gate orders it before the next run.
        self.id_and_one.store(0, Ordering::Relaxed);
    }

    /// The callable, if a run has one now.
    pub(super) fn get(&self) -> Option<CallableId> {
        // ORDERING: Relaxed: as in `set`.
        let id = self.id_and_one.load(Ordering::Relaxed).checked_sub(1)?;
        CallableId::new(i64::from(id)).ok()
    }
}

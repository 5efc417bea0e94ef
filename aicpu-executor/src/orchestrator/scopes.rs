//! Scopes: brackets that keep the tasks submitted inside them alive until they close.
//!
//! A scope holds one reference on each of its tasks. The tasks form a list through their slots,
//! so a scope can hold any number without memory of its own.

use protocol::{MAX_SCOPE_DEPTH, RING_COUNT, ScopeMode};

use crate::platform::Platform;
use crate::region::{OrchestratorNote, Region, SlotHandle, TaskSlot};

/// One open scope.
#[derive(Debug, Clone, Copy)]
struct Scope {
    /// Latest task, as a raw handle, or [`OrchestratorNote::NONE`].
    latest: u32,
    /// Tasks submitted directly in it.
    tasks: u32,
    /// Whether this scope or one around it is manual.
    is_manual: bool,
}

/// Why a scope could not be opened or closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ScopeError {
    /// An automatic scope inside a manual one (spec trb §1.6).
    AutoInsideManual,
    /// [`MAX_SCOPE_DEPTH`] scopes are open.
    TooDeep,
    /// No scope is open.
    NoneOpen,
}

/// The stack of open scopes.
#[derive(Debug, Default)]
pub(crate) struct Scopes {
    open: heapless::Vec<Scope, MAX_SCOPE_DEPTH>,
}

impl Scopes {
    /// Opens a scope.
    pub(crate) fn begin(&mut self, mode: ScopeMode) -> Result<(), ScopeError> {
        let inside_manual = self.is_manual();
        if inside_manual && mode == ScopeMode::Auto {
            return Err(ScopeError::AutoInsideManual);
        }
        let is_manual = inside_manual || mode == ScopeMode::Manual;
        let scope = Scope { latest: OrchestratorNote::NONE, tasks: 0, is_manual };
        self.open.push(scope).map_err(|_| ScopeError::TooDeep)
    }

    /// Closes the innermost scope and lets go of its tasks.
    pub(crate) fn end<P: Platform>(
        &mut self,
        platform: &P,
        region: &Region<'_>,
    ) -> Result<(), ScopeError> {
        let scope = self.open.pop().ok_or(ScopeError::NoneOpen)?;
        let mut raw = scope.latest;
        while raw != OrchestratorNote::NONE {
            let Some(slot) = region.slot(SlotHandle::from_raw(raw)) else { break };
            // SAFETY: this is the orchestrator's thread.
            let mut note = unsafe { slot.note() };
            raw = note.scope_next;
            note.scope_references = 0;
            // SAFETY: as above. Written before the release: afterwards the slot may be retired,
            // though only by this thread.
            unsafe { slot.set_note(note) };
            platform.interleave();
            slot.release();
        }
        Ok(())
    }

    /// Whether explicit dependencies are the only ones here.
    pub(crate) fn is_manual(&self) -> bool {
        self.open.last().is_some_and(|scope| scope.is_manual)
    }

    /// Number of open scopes.
    pub(crate) fn depth(&self) -> usize {
        self.open.len()
    }

    /// Tasks submitted directly in the innermost scope.
    pub(crate) fn tasks_here(&self) -> u32 {
        self.open.last().map_or(0, |scope| scope.tasks)
    }

    /// Ring of the tasks submitted here: one for each depth, deeper ones share the last
    /// (spec trb §4.2). `None` outside any scope.
    pub(crate) fn ring(&self) -> Option<u8> {
        let depth = self.open.len().checked_sub(1)?;
        u8::try_from(depth.min(RING_COUNT - 1)).ok()
    }

    /// Adds a task to the innermost scope; fills the two fields of its note.
    pub(crate) fn adopt(&mut self, handle: SlotHandle, note: &mut OrchestratorNote) {
        if let Some(scope) = self.open.last_mut() {
            note.scope_next = scope.latest;
            note.scope_references = 1;
            scope.latest = handle.raw();
            scope.tasks += 1;
        }
    }

    /// Forgets all scopes without touching their tasks, after a run that failed.
    pub(crate) fn abandon(&mut self) {
        self.open.clear();
    }
}

/// Whether a task's scope still holds its reference, as a number.
///
/// The caller is the orchestrator's thread.
pub(crate) fn scope_references(slot: &TaskSlot) -> u32 {
    // SAFETY: the caller is the orchestrator's thread.
    unsafe { slot.note() }.scope_references
}

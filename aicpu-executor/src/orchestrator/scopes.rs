//! Scopes: brackets that keep the tasks submitted inside them alive until they close.
//!
//! A scope needs no more than its first task to hold all that are submitted in it: see `task_rings`.

use protocol::{MAX_SCOPE_DEPTH, RING_COUNT, ScopeMode, TaskId};

use super::task_rings::TaskRings;

/// One open scope.
#[derive(Debug, Clone, Copy)]
struct Scope {
    /// Ring of the tasks submitted here: one for each depth, deeper ones share the last (spec trb §4.2).
    ring: u8,
    /// First task; invalid as long as there is none.
    first: TaskId,
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
    /// The one in which tasks are submitted.
    innermost: Option<Scope>,
    /// Those around it.
    outer: heapless::Vec<Scope, { MAX_SCOPE_DEPTH - 1 }>,
}

impl Scopes {
    /// Forgets all scopes.
    pub(crate) fn reset(&mut self) {
        self.innermost = None;
        self.outer.clear();
    }

    /// Opens a scope.
    pub(crate) fn begin(&mut self, mode: ScopeMode) -> Result<(), ScopeError> {
        let inside_manual = self.is_manual();
        if inside_manual && mode == ScopeMode::Auto {
            return Err(ScopeError::AutoInsideManual);
        }
        let is_manual = inside_manual || mode == ScopeMode::Manual;
        // CAST: below 4.
        let ring = self.depth().min(RING_COUNT - 1) as u8;
        if let Some(around) = self.innermost {
            self.outer.push(around).map_err(|_| ScopeError::TooDeep)?;
        }
        self.innermost = Some(Scope { ring, first: TaskId::INVALID, tasks: 0, is_manual });
        Ok(())
    }

    /// Closes the innermost scope and lets go of its tasks.
    pub(crate) fn end(&mut self, rings: &mut TaskRings) -> Result<(), ScopeError> {
        let scope = self.innermost.take().ok_or(ScopeError::NoneOpen)?;
        self.innermost = self.outer.pop();
        if scope.tasks > 0 {
            rings.let_go(scope.first);
        }
        Ok(())
    }

    /// Whether explicit dependencies are the only ones here.
    #[inline]
    pub(crate) fn is_manual(&self) -> bool {
        self.innermost.is_some_and(|scope| scope.is_manual)
    }

    /// Number of open scopes.
    pub(crate) fn depth(&self) -> usize {
        self.outer.len() + usize::from(self.innermost.is_some())
    }

    /// Tasks submitted directly in the innermost scope.
    pub(crate) fn tasks_here(&self) -> u32 {
        self.innermost.map_or(0, |scope| scope.tasks)
    }

    /// Ring of the tasks submitted here; `None` outside any scope.
    #[inline]
    pub(crate) fn ring(&self) -> Option<u8> {
        self.innermost.map(|scope| scope.ring)
    }

    /// Adds a task to the innermost scope, which holds it from now on.
    #[inline]
    pub(crate) fn adopt(&mut self, id: TaskId, rings: &mut TaskRings) {
        if let Some(scope) = &mut self.innermost {
            if scope.tasks == 0 {
                scope.first = id;
                rings.hold_from(id);
            }
            scope.tasks += 1;
        }
    }

    /// Forgets all scopes, after a run that failed.
    pub(crate) fn abandon(&mut self, rings: &mut TaskRings) {
        self.innermost = None;
        self.outer.clear();
        rings.let_all_go();
    }
}

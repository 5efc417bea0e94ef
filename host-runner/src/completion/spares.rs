//! Completions that are over, whose memory the next ones use.
//!
//! ```text
//!  take ──▶ both ends ──▶ the second end that goes empties it ──▶ kept ──▶ take
//! ```

use std::fmt;
use std::mem;
use std::sync::{PoisonError, Weak};

#[cfg(loom)]
use loom::sync::{Arc, Mutex, MutexGuard};
#[cfg(not(loom))]
use std::sync::{Arc, Mutex, MutexGuard};

use super::{Completer, Completion, Shared, State, Unfinished};

#[cfg(test)]
#[cfg(not(loom))]
mod tests;

/// How many are kept. More at once are made and dropped.
const KEPT_MAX: usize = 256;

/// Completions that are over, whose memory the next ones use: who submits one thing after the other
/// allocates none.
pub(crate) struct Spares<T> {
    unfinished: fn(Unfinished) -> T,
    kept: Mutex<Vec<Arc<Shared<T>>>>,
}

/// Where a completion goes when both ends have gone; nowhere by default.
pub(super) type Home<T> = Weak<Spares<T>>;

impl<T> Spares<T> {
    /// None yet. `unfinished` is as in [`Completion::new`].
    pub(crate) fn new(unfinished: fn(Unfinished) -> T) -> std::sync::Arc<Self> {
        // With all the room at once, so that keeping one more never allocates.
        std::sync::Arc::new(Self { unfinished, kept: Mutex::new(Vec::with_capacity(KEPT_MAX)) })
    }

    /// A completion and its producer's end.
    pub(crate) fn take(self: &std::sync::Arc<Self>) -> (Completion<T>, Completer<T>) {
        let kept = self.lock().pop();
        Completion::of(kept.unwrap_or_else(|| {
            Arc::new(Shared::new(self.unfinished, std::sync::Arc::downgrade(self)))
        }))
    }

    fn keep(&self, shared: &Arc<Shared<T>>) {
        let mut kept = self.lock();
        if kept.len() < KEPT_MAX {
            kept.push(Arc::clone(shared));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Arc<Shared<T>>>> {
        // Nothing that can panic runs under the lock.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> fmt::Debug for Spares<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spares").field("kept", &self.lock().len()).finish_non_exhaustive()
    }
}

impl<T> Shared<T> {
    /// One of the two ends goes. The second one puts it back into its first state, so that the next
    /// use finds nothing of this one. The end that went first may still be about to notify those who
    /// wait: a wake-up without a cause, which waiting allows for.
    pub(super) fn leave(shared: &Arc<Self>) {
        let mut state = shared.lock();
        state.ends = state.ends.saturating_sub(1);
        if state.ends > 0 {
            return;
        }
        let over = mem::replace(&mut *state, State::new());
        drop(state);
        // The result may own anything: it goes without the lock.
        drop(over);
        if let Some(home) = shared.home.upgrade() {
            home.keep(shared);
        }
    }
}

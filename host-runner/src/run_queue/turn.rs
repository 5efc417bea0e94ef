//! The right to use the device, for as long as its guard is there.

use std::fmt;
use std::marker::PhantomData;

use super::quick_turn::ThreadNumber;

/// The device is this thread's until this is dropped.
#[must_use = "the turn ends where this is dropped"]
pub(crate) struct Turn<'a> {
    queue: &'a dyn EndTurn,
    thread: ThreadNumber,
    /// The queue knows whose turn it is by the thread, so it stays there.
    stays_here: PhantomData<*const ()>,
}

/// A queue whose turn may end, whatever its jobs are.
pub(super) trait EndTurn {
    fn end_turn(&self, thread: ThreadNumber);
}

impl<'a> Turn<'a> {
    /// The line has said that it is this thread's turn.
    pub(super) fn of(queue: &'a dyn EndTurn, thread: ThreadNumber) -> Self {
        Self { queue, thread, stays_here: PhantomData }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.queue.end_turn(self.thread);
    }
}

impl fmt::Debug for Turn<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Turn")
    }
}

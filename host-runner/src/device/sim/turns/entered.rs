//! A thread's membership in the turns: it lasts as long as the guard.

use super::{Cores, Turns};

/// A thread that takes turns; it leaves when this is dropped.
#[derive(Debug)]
pub struct Entered<'t, K: Cores> {
    turns: &'t Turns,
    cores: &'t K,
}

impl<'t, K: Cores> Entered<'t, K> {
    /// The calling thread, which has been made an actor.
    pub(super) fn new(turns: &'t Turns, cores: &'t K) -> Self {
        Self { turns, cores }
    }
}

impl<K: Cores> Drop for Entered<'_, K> {
    fn drop(&mut self) {
        self.turns.leave(self.cores);
    }
}

//! What is over, kept so that the next ones use its memory: a client that runs or submits again and again
//! allocates nothing.

use std::collections::VecDeque;
use std::sync::Mutex;

use crate::context::lock;

/// How many are kept. More at once are made and dropped.
const KEPT_MAX: usize = 64;

/// What is over, the one first that has been so for longest.
#[derive(Debug)]
pub(crate) struct Kept<T>(Mutex<VecDeque<T>>);

impl<T> Kept<T> {
    /// Nothing yet.
    pub(crate) const fn new() -> Self {
        Self(Mutex::new(VecDeque::new()))
    }

    /// The one that has been over for longest: nobody is likely to be in it any more.
    pub(crate) fn take_oldest(&self) -> Option<T> {
        lock(&self.0).pop_front()
    }

    /// The one that was over last: its memory is likely to be in a cache.
    pub(crate) fn take_latest(&self) -> Option<T> {
        lock(&self.0).pop_back()
    }

    /// Keeps one more, if there is room.
    pub(crate) fn keep(&self, over: T) {
        let mut kept = lock(&self.0);
        // All the room at once, so that keeping one more allocates no more than once.
        let room = KEPT_MAX.saturating_sub(kept.len());
        kept.reserve_exact(room);
        if kept.len() < KEPT_MAX {
            kept.push_back(over);
        }
    }
}

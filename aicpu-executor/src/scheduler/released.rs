//! Tasks that a thread has made ready and that no other thread knows yet.
//!
//! Within one step, a thread completes tasks, which makes others ready, and gives cores to what is
//! ready. What it made ready itself it takes first, the newest first, while its lines are in the
//! cache: a chain never goes through a queue. The rest it shares before the step ends, all at once.
//! So between two steps, nothing is hidden from anybody.

use super::Scheduler;
use super::task_store::{TaskHandle, TaskStore};
use crate::fault::FaultLatch;
use crate::platform::Platform;
use crate::region::SHAPE_COUNT;

/// Tasks of a shape that a thread keeps; more are shared at once.
pub(super) const LIMIT: usize = 32;

/// Where tasks are shared.
#[derive(Debug)]
pub(crate) struct Sink<'a, P: Platform, T: TaskStore> {
    pub(crate) scheduler: &'a Scheduler,
    pub(crate) platform: &'a P,
    pub(crate) tasks: &'a T,
    pub(crate) faults: &'a FaultLatch,
}

impl<P: Platform, T: TaskStore> Clone for Sink<'_, P, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<P: Platform, T: TaskStore> Copy for Sink<'_, P, T> {}

/// What a queue had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refilled {
    /// Nothing.
    Nothing,
    /// Less than there was room for: nothing is left, or its push is not finished yet.
    Last,
    /// As much as there was room for.
    Some,
}

/// The tasks, as raw handles, by shape.
#[derive(Debug, Default)]
pub(crate) struct ReleasedTasks {
    lists: [heapless::Vec<u32, LIMIT>; SHAPE_COUNT],
}

impl ReleasedTasks {
    /// Adds a task.
    pub(crate) fn add<P: Platform>(
        &mut self,
        sink: Sink<'_, P, impl TaskStore>,
        task: TaskHandle,
        shape: u8,
    ) {
        let at = usize::from(shape);
        let Some(list) = self.lists.get_mut(at) else { return };
        if list.is_full() {
            self.share(sink, at);
        }
        if let Some(list) = self.lists.get_mut(at) {
            // There is room by now.
            let _fits = list.push(task.raw());
        }
    }

    /// Whether there is a task of a shape.
    pub(super) fn has(&self, shape: usize) -> bool {
        self.lists.get(shape).is_some_and(|list| !list.is_empty())
    }

    /// Takes the newest task of a shape.
    #[inline]
    pub(super) fn take(&mut self, shape: usize) -> Option<TaskHandle> {
        self.lists.get_mut(shape)?.pop().map(TaskHandle::from_raw)
    }

    /// Takes tasks of a shape from their queue, up to `places`.
    pub(super) fn refill(
        &mut self,
        scheduler: &Scheduler,
        tasks: &impl TaskStore,
        shape: usize,
        places: usize,
    ) -> Refilled {
        let Some((queue, cells)) = scheduler.queue(tasks, shape) else { return Refilled::Nothing };
        let Some(list) = self.lists.get_mut(shape) else { return Refilled::Nothing };
        let mut taken = [0; LIMIT];
        let Some(into) = taken.get_mut(..places.min(LIMIT - list.len())) else {
            return Refilled::Nothing;
        };
        let wanted = into.len();
        let count = queue.pop(cells, into);
        let Some(taken) = taken.get_mut(..count) else { return Refilled::Nothing };
        // The oldest is taken first. There is room for all.
        let _fits = match *taken {
            [one] => list.push(one).is_ok(),
            _ => {
                taken.reverse();
                list.extend_from_slice(taken).is_ok()
            }
        };
        match count {
            0 => Refilled::Nothing,
            _ if count < wanted => Refilled::Last,
            _ => Refilled::Some,
        }
    }

    /// The same where the queue seems to have one task at most, and nothing is here.
    pub(super) fn refill_one(
        &mut self,
        scheduler: &Scheduler,
        tasks: &impl TaskStore,
        shape: usize,
    ) -> Refilled {
        let Some((queue, cells)) = scheduler.queue(tasks, shape) else { return Refilled::Nothing };
        let Some(list) = self.lists.get_mut(shape) else { return Refilled::Nothing };
        let mut taken = [0];
        if list.is_full() || queue.pop(cells, &mut taken) == 0 {
            return Refilled::Nothing;
        }
        list.extend(taken);
        Refilled::Last
    }

    /// Shares the tasks of a shape.
    #[inline]
    pub(super) fn share<P: Platform>(
        &mut self,
        Sink { scheduler, platform, tasks, faults }: Sink<'_, P, impl TaskStore>,
        shape: usize,
    ) {
        if let Some(list) = self.lists.get_mut(shape).filter(|list| !list.is_empty()) {
            scheduler.make_all_ready(platform, tasks, faults, list, shape);
            list.clear();
        }
    }

    /// Shares everything.
    #[inline]
    pub(crate) fn share_all<P: Platform>(&mut self, sink: Sink<'_, P, impl TaskStore>) {
        for shape in 0..SHAPE_COUNT {
            self.share(sink, shape);
        }
    }
}

//! The windows of communicators on the device of a context.

use std::sync::{Arc, PoisonError};

use host_runner::comm::RankMemory;
use host_runner::worker::Worker;

use super::{Context, lock};
use crate::communicator;
use crate::failure::Failure;

/// What the device of a context has of the windows of this process.
#[derive(Debug, Default)]
pub(super) struct AttachedWindows {
    /// Of the list that this is a copy of.
    version: u64,
    /// The worker's losses when they were attached.
    losses: u64,
    all: Vec<Arc<RankMemory>>,
}

impl AttachedWindows {
    /// Attaches what is new, and detaches what is gone. Cheap where nothing has changed.
    pub(super) fn update(&mut self, worker: &Worker) -> Result<(), Failure> {
        let losses = worker.losses();
        if losses != self.losses {
            // The device that took the place of the lost one has none of them.
            *self = Self { losses, ..Self::default() };
        }
        let mut version = self.version;
        let Some(listed) = communicator::newer_than(&mut version) else { return Ok(()) };
        for memory in self.all.iter().filter(|memory| !has(&listed, memory)) {
            worker.detach_windows(memory);
        }
        self.all.retain(|memory| has(&listed, memory));
        for memory in &listed {
            if !has(&self.all, memory) {
                worker.attach_windows(memory).map_err(|error| Failure::of(&error))?;
                self.all.push(Arc::clone(memory));
            }
        }
        self.version = version;
        Ok(())
    }
}

fn has(all: &[Arc<RankMemory>], memory: &Arc<RankMemory>) -> bool {
    all.iter().any(|it| Arc::ptr_eq(it, memory))
}

impl Context {
    /// Brings the windows on the device up to date, if there is a device.
    pub(crate) fn look_at_windows(&self) {
        let attached = self.attached.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(attached) = &*attached
            && let Err(failure) = lock(&attached.windows).update(&attached.worker)
        {
            // The next call that needs the device tries again, and says so.
            tracing::warn!(text = failure.text, "a device cannot have the windows");
        }
    }
}

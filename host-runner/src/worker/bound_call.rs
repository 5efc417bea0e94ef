//! Bound calls: a callable with its arguments, packed once and run any number of times.

use std::sync::Arc;
use std::time::Duration;

use super::handle::CallableHandle;
use super::submission::{self, RunCompletion, SubmitError};
use crate::arguments::{ArgumentsError, OwnedArguments, OwnedData, Spares};
use crate::run::{GraphSource, RunConfig, RunError, RunReport};

/// A callable with its arguments and settings.
///
/// The arguments are packed when it is bound; between runs, single tensors and scalars can be
/// exchanged. It holds its callable's handle, not a lease: an unregistration does not wait for it,
/// and makes it stale.
#[derive(Debug, Clone)]
pub struct BoundCall {
    handle: CallableHandle,
    arguments: OwnedArguments,
    config: RunConfig,
    /// Copies of the arguments whose runs are over.
    spares: Arc<Spares>,
}

impl BoundCall {
    pub(super) fn new(
        handle: CallableHandle,
        arguments: OwnedArguments,
        config: RunConfig,
    ) -> Self {
        Self { handle, arguments, config, spares: Arc::default() }
    }

    /// The callable.
    #[must_use]
    pub fn handle(&self) -> &CallableHandle {
        &self.handle
    }

    /// The arguments; after [`run`](Self::run), with what the callable wrote.
    #[must_use]
    pub fn arguments(&self) -> &OwnedArguments {
        &self.arguments
    }

    /// Puts other data in the place of a tensor's, of the same size.
    ///
    /// # Errors
    ///
    /// As [`OwnedArguments::set_tensor`].
    pub fn set_tensor(&mut self, index: usize, data: OwnedData) -> Result<(), ArgumentsError> {
        self.arguments.set_tensor(index, data)
    }

    /// Puts another bit pattern in the place of a scalar's.
    ///
    /// # Errors
    ///
    /// As [`OwnedArguments::set_scalar`].
    pub fn set_scalar(&mut self, index: usize, bits: u64) -> Result<(), ArgumentsError> {
        self.arguments.set_scalar(index, bits)
    }

    /// Runs once and waits; outputs are in [`arguments`](Self::arguments). Allocates nothing on the
    /// host, where the orchestration runs on the device (trb); for one that runs on the host, a graph is
    /// built there (hbg).
    ///
    /// # Errors
    ///
    /// As [`Worker::run`](super::Worker::run); the arguments are as they were then.
    pub fn run(&mut self) -> Result<RunReport, RunError> {
        let shared = self.handle.shared();
        let (callable, source) = (self.handle.callable(), &mut GraphSource::Entry);
        shared.run(callable, &mut self.arguments, &self.config, source)
    }

    /// Submits a run of the arguments as they are now. Any number may be in flight; what is only
    /// read is shared between them. The arguments of a run that is over are given back when its
    /// output is dropped, and later runs use their memory.
    ///
    /// # Errors
    ///
    /// As [`Worker::submit`](super::Worker::submit).
    pub fn submit(&self) -> Result<RunCompletion, SubmitError> {
        submission::submit(&self.handle, self.arguments.snapshot(&self.spares), &self.config, None)
    }

    /// As [`submit`](Self::submit), and waits at most `limit` for room.
    ///
    /// # Errors
    ///
    /// As [`submit`](Self::submit).
    pub fn submit_within(&self, limit: Duration) -> Result<RunCompletion, SubmitError> {
        submission::submit(
            &self.handle,
            self.arguments.snapshot(&self.spares),
            &self.config,
            Some(limit),
        )
    }
}

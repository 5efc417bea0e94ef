//! Runs that the caller does not wait for: accepted at once, carried out in order.
//!
//! ```text
//!  submit ── lease, bytes ──▶ run queue ── turn ──▶ run ──▶ Completion: report and arguments
//!     └─ refused: arguments come back   └─ cancelled, closed: Completion says so
//! ```

use std::sync::Arc;
use std::time::Duration;

use super::counters::Counting;
use super::handle::CallableHandle;
use super::shared::Lease;
use crate::arguments::OwnedArguments;
use crate::completion::{Completion, Unfinished};
use crate::run::{RunConfig, RunError, RunReport};
use crate::run_queue::{Job, Refusal};

/// A run that was submitted and has succeeded.
#[derive(Debug)]
#[non_exhaustive]
pub struct RunOutput {
    /// What it did.
    pub report: RunReport,
    /// Its arguments; what the callable wrote is in them.
    pub arguments: OwnedArguments,
}

/// A run that was submitted: its completion gives the output, or why there is none.
pub type RunCompletion = Completion<Result<RunOutput, RunError>>;

/// Why a run was not accepted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SubmitError {
    /// What is in flight holds too much memory.
    #[error(
        "no room for a run of {need} bytes: runs in flight hold {held} of {limit} bytes; wait for \
         one of them, or raise the worker's limit"
    )]
    Full {
        /// Bytes of this run.
        need: u64,
        /// Bytes that runs in flight hold.
        held: u64,
        /// Bytes that they may hold together.
        limit: u64,
    },
    /// It could not be accepted alone either.
    #[error(
        "a run of {need} bytes is more than all runs in flight may hold, {limit} bytes; raise the \
         worker's limit, or keep tensors on the device"
    )]
    TooLarge {
        /// Bytes of this run.
        need: u64,
        /// Bytes that all runs in flight may hold together.
        limit: u64,
    },
    /// The system refuses the thread that carries out submitted runs.
    #[error("the thread that carries out submitted runs cannot be started")]
    Thread(#[source] std::io::Error),
    /// The handle names nothing to run.
    #[error(transparent)]
    Run(#[from] RunError),
}

/// Submits a run of a lease. `wait` is how long to wait for room; `None` is not at all.
pub(super) fn submit(
    handle: &CallableHandle,
    mut arguments: OwnedArguments,
    config: &RunConfig,
    wait: Option<Duration>,
) -> Result<RunCompletion, SubmitError> {
    let shared = handle.shared();
    let lease = shared.lease(handle.callable())?;
    let bytes = arguments.host_bytes();
    let config = *config;
    let (completion, completer) = Completion::new(|why| {
        Err(match why {
            Unfinished::Cancelled => RunError::Cancelled,
            Unfinished::NeverStarted => RunError::Closed,
            Unfinished::Abandoned | Unfinished::Taken => RunError::Abandoned,
        })
    });
    let job: Job = Box::new(move |turn| {
        if !completer.start() {
            return;
        }
        let lease: Lease = lease;
        let end = lease.shared().carry_out(&turn, &lease, &mut arguments, &config);
        // Both are over for whoever learns of the end.
        drop(turn);
        drop(lease);
        completer.complete(end.map(|report| RunOutput { report, arguments }));
    });
    let accepted = match wait {
        None => shared.queue.submit(bytes, job),
        Some(limit) => shared.queue.submit_within(bytes, job, limit),
    };
    let ticket = accepted.map_err(|refused| SubmitError::from(refused.why))?;
    let of = Arc::downgrade(shared);
    completion.on_cancel(move || {
        if let Some(shared) = of.upgrade() {
            Counting::count(&shared.counting.failed_runs);
            shared.queue.forget(ticket);
        }
    });
    Ok(completion)
}

impl From<Refusal> for SubmitError {
    fn from(why: Refusal) -> Self {
        match why {
            Refusal::Full { need, held, limit } => Self::Full { need, held, limit },
            Refusal::TooLarge { need, limit } => Self::TooLarge { need, limit },
            Refusal::Closed => Self::Run(RunError::Closed),
            Refusal::Reentered => Self::Run(RunError::FromRun),
            Refusal::NoDriver(error) => Self::Thread(error),
        }
    }
}

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
use super::shared::{GivenBack, OwnedLease, Shared};
use crate::arguments::OwnedArguments;
use crate::completion::{Completer, Completion, OnCancel, Unfinished};
use crate::run::{GraphSource, RunConfig, RunError, RunReport};
use crate::run_queue::{Job, Refusal, Refused, Ticket, Turn};

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

/// A run that was not accepted, with its arguments as they were given.
#[derive(Debug, thiserror::Error)]
#[error("{why}")]
#[non_exhaustive]
pub struct SubmitError {
    /// Why not.
    #[source]
    pub why: SubmitRefusal,
    /// The arguments.
    pub arguments: Box<OwnedArguments>,
}

/// Why a run was not accepted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SubmitRefusal {
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
    /// The handle names nothing to run, or the worker is being closed.
    #[error(transparent)]
    Run(#[from] RunError),
}

/// Submits a run of a lease. `wait` is how long to wait for room; `None` is not at all.
pub(super) fn submit(
    handle: &CallableHandle,
    arguments: OwnedArguments,
    config: &RunConfig,
    wait: Option<Duration>,
) -> Result<RunCompletion, SubmitError> {
    let shared = handle.shared();
    let refused =
        |why: SubmitRefusal, arguments| SubmitError { why, arguments: Box::new(arguments) };
    let lease = match Shared::lease(Arc::clone(shared), Arc::clone(handle.callable())) {
        Ok(lease) => lease,
        Err(error) => return Err(refused(error.into(), arguments)),
    };
    let bytes = arguments.host_bytes();
    let (completion, completer) = shared.completions.take();
    let run = SubmittedRun { completer, lease, arguments, config: *config };
    let accepted = match wait {
        None => shared.queue.submit(bytes, run),
        Some(limit) => shared.queue.submit_within(bytes, run, limit),
    };
    match accepted {
        Ok(ticket) => {
            completion.on_cancel(Arc::clone(shared) as Arc<dyn OnCancel>, ticket.number());
            Ok(completion)
        }
        // With it go its lease and its completer.
        Err(Refused { why, job }) => Err(refused(why.into(), job.arguments)),
    }
}

/// What the waiter gets where a run was not carried out to its end.
pub(super) fn unfinished(why: Unfinished) -> Result<RunOutput, RunError> {
    Err(match why {
        Unfinished::Cancelled => RunError::Cancelled,
        Unfinished::NeverStarted => RunError::Closed,
        Unfinished::Abandoned | Unfinished::Taken => RunError::Abandoned,
    })
}

/// A run that was accepted, as it is in the queue.
pub(super) struct SubmittedRun {
    /// Goes before the lease: who learns that the callable is gone finds its last run ended.
    completer: Completer<Result<RunOutput, RunError>>,
    lease: OwnedLease,
    arguments: OwnedArguments,
    config: RunConfig,
}

impl Job for SubmittedRun {
    fn carry_out(self, turn: Turn<'_>) {
        let Self { lease, mut arguments, config, completer } = self;
        // Goes first, also where the run panics.
        let turn = turn;
        if !completer.start() {
            return;
        }
        let end = lease.shared().carry_out(
            &turn,
            &lease,
            &mut arguments,
            &config,
            &mut GraphSource::Entry,
        );
        // Both are over for whoever learns of the end.
        drop(turn);
        let given_back = lease.end();
        completer.complete(end.map(|report| RunOutput { report, arguments }));
        // After it: who learns that the callable is gone finds its last run done.
        GivenBack::tell(given_back);
    }
}

impl OnCancel for Shared {
    fn cancelled(&self, number: u64) {
        Counting::count(&self.counting.failed_runs);
        self.queue.forget(Ticket::of(number));
    }
}

impl From<Refusal> for SubmitRefusal {
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

//! Why the queue does not take a call.

use std::fmt;
use std::io;

/// Why a thread does not get a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TurnRefused {
    /// The queue is closed.
    #[error("the worker is being closed")]
    Closed,
    /// The turn in progress is this thread's own, or this is the driver, so waiting would be for
    /// ever.
    #[error("this thread carries out a run, or tells of its end, and cannot wait for another")]
    Reentered,
}

/// A job that was not accepted.
pub(crate) struct Refused<J> {
    /// The cause.
    pub(crate) why: Refusal,
    /// The job, as it was given.
    pub(crate) job: J,
}

/// Why a job is not accepted.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    /// The jobs before it hold too much.
    #[error("a submission of {need} bytes has no room: {held} of {limit} bytes are held")]
    Full {
        /// Bytes of the job.
        need: u64,
        /// Bytes that other jobs hold.
        held: u64,
        /// Bytes that may be held at once.
        limit: u64,
    },
    /// It could not be accepted by an empty queue either.
    #[error("a submission of {need} bytes is larger than the limit of {limit} bytes for all")]
    TooLarge {
        /// Bytes of the job.
        need: u64,
        /// Bytes that may be held at once.
        limit: u64,
    },
    /// The queue is closed.
    #[error("the worker is being closed")]
    Closed,
    /// The turn in progress is this thread's own, or this is the driver, so waiting would not make
    /// room.
    #[error("this thread carries out a run, or tells of its end, and cannot wait for room")]
    Reentered,
    /// The system does not give a thread for the driver.
    #[error("the thread that carries out submissions cannot be started")]
    NoDriver(#[source] io::Error),
}

impl<J> fmt::Debug for Refused<J> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Refused").field("why", &self.why).finish_non_exhaustive()
    }
}

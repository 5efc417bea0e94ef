//! Why a run did not succeed.

use std::time::Duration;

use protocol::{ArgsError, StatusCode};

use super::{RecordError, ReplayError};
use crate::device::{DeviceError, DeviceLost, MemoryError};
use crate::graph::GraphError;
use crate::host_orchestration::{BuildError, CallError, CallFault};
use crate::registry::{RegisterError, StaleCallable};
use crate::run_queue::TurnRefused;

/// Why a run did not succeed. The caller's outputs are untouched, and the next run works.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// The handle is of another worker.
    #[error("the handle is of another worker; register the callable with this one")]
    ForeignHandle,
    /// The registration has ended.
    #[error(transparent)]
    StaleCallable(#[from] StaleCallable),
    /// It was cancelled before it began.
    #[error("the run was cancelled before it began")]
    Cancelled,
    /// The worker was closed before the run began.
    #[error("the worker was closed before the run began")]
    Closed,
    /// The run broke off: a defect of this library; or its result was taken before.
    #[error("the run ended without a result; if nobody has taken it before, this is a defect")]
    Abandoned,
    /// It was called where a run of the same worker is carried out or its end is told, as in a
    /// waker: it would wait for itself.
    #[error(
        "this thread carries out a run of the worker, or tells of its end, so it cannot wait for \
         another one; submit without waiting, or call from another thread"
    )]
    FromRun,
    /// More clusters than there are, or none.
    #[error("block_dim {value} is out of range; this device has 1 to {max} clusters")]
    BlockDim {
        /// As given.
        value: u32,
        /// Clusters of the device.
        max: u32,
    },
    /// More AICPU threads than there are, or none.
    #[error("{value} AICPU threads are out of range; this device has 1 to {max}")]
    AicpuThreads {
        /// As given.
        value: u32,
        /// AICPU threads of the device.
        max: u32,
    },
    /// A time limit of nothing, or of more than a year.
    #[error("a time limit of {value:?} is out of range; give more than 0 and at most a year")]
    Timeout {
        /// As given.
        value: Duration,
    },
    /// The arguments do not fit the record of a run.
    #[error(transparent)]
    Arguments(#[from] ArgsError),
    /// Device memory for the tensors.
    #[error("a tensor cannot be moved to or from the device")]
    Memory(#[source] MemoryError),
    /// The orchestration on the host did not build a graph (hbg).
    #[error(transparent)]
    Build(BuildError),
    /// The orchestration on the host built a graph that cannot run (hbg).
    #[error("the orchestration built a graph that cannot run")]
    Graph(#[source] GraphError),
    /// The device has no room for the graph that the orchestration on the host has built (hbg).
    #[error(
        "the device has no room for the graph: {tasks} tasks and {edges} edges, which take {bytes} bytes \
         there; build fewer tasks in a run, free device memory, or unregister other callables"
    )]
    GraphMemory {
        /// Its tasks.
        tasks: u64,
        /// Its edges.
        edges: u64,
        /// Bytes that it needs, all in all.
        bytes: u64,
    },
    /// The orchestration on the host recorded an output in a tensor that is only read.
    #[error(
        "the orchestration records an output in tensor {index}, which is only read; declare it OUT or \
         INOUT, and pass memory that can be written"
    )]
    ReadOnlyOutput {
        /// The tensor.
        index: usize,
    },
    /// The entry of an orchestration on the host took longer than the run may.
    #[error(
        "the entry of the orchestration took {took:?}, and the run has {limit:?}; do less in it, or \
         raise the time limit of the run"
    )]
    EntryTooLong {
        /// How long.
        took: Duration,
        /// The time limit of the run.
        limit: Duration,
    },
    /// The run cannot be recorded (hbg).
    #[error("the run cannot be recorded")]
    NotRecordable(#[from] RecordError),
    /// A replay is not of what was recorded (hbg); replays give the [`ReplayError`] itself.
    #[error(transparent)]
    NotAsRecorded(#[from] Box<ReplayError>),
    /// The run ended with a fault.
    #[error(transparent)]
    Fault(#[from] RunFault),
    /// The device did not come back. The next run gets a fresh one.
    #[error(transparent)]
    DeviceLost(#[from] DeviceLost),
    /// The callable cannot be put on the device that took the place of a lost one.
    #[error("the callable cannot be put on the fresh device")]
    Replacement(#[source] Box<RegisterError>),
    /// The device failed before anything ran.
    #[error(transparent)]
    Device(DeviceError),
}

impl RunError {
    /// Whether the device was lost to something else, before anything of this run happened on it.
    pub(crate) fn is_gone(&self) -> bool {
        match self {
            Self::Device(error) => matches!(error, DeviceError::Gone),
            Self::Replacement(error) => error.is_gone(),
            _ => false,
        }
    }
}

impl From<MemoryError> for RunError {
    /// Of memory that is needed before anything runs.
    fn from(error: MemoryError) -> Self {
        match error {
            MemoryError::Gone => Self::Device(DeviceError::Gone),
            error => Self::Memory(error),
        }
    }
}

impl From<BuildError> for RunError {
    /// A device that is gone is nothing that the orchestration has done, whichever of its calls found out.
    fn from(error: BuildError) -> Self {
        match error {
            BuildError::Call(CallError { cause: CallFault::Memory(MemoryError::Gone), .. }) => {
                Self::Device(DeviceError::Gone)
            }
            error => Self::Build(error),
        }
    }
}

impl From<DeviceError> for RunError {
    fn from(error: DeviceError) -> Self {
        match error {
            DeviceError::Lost(lost) => Self::DeviceLost(lost),
            DeviceError::Memory(error) => Self::Memory(error),
            error => Self::Device(error),
        }
    }
}

impl From<TurnRefused> for RunError {
    fn from(refused: TurnRefused) -> Self {
        match refused {
            TurnRefused::Closed => Self::Closed,
            TurnRefused::Reentered => Self::FromRun,
        }
    }
}

/// A run that the executor ended with a status.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RunFault {
    /// What the status means; `None` for a number that the orchestration made up.
    pub code: Option<StatusCode>,
    /// The status as users of the reference see it: negative.
    pub status: i32,
    /// What happened, where, and the numbers that matter.
    pub text: String,
}

impl RunFault {
    /// A fault with a positive code, as the executor reports it.
    pub fn new(code: i32, text: &str) -> Self {
        Self { code: StatusCode::from_code(code), status: -code, text: text.to_owned() }
    }

    /// What the status means in general.
    pub fn meaning(&self) -> &'static str {
        match self.code {
            Some(code) => code.meaning(),
            None => "the orchestration ended the run with a number of its own",
        }
    }

    /// What to do next.
    pub fn remedy(&self) -> &'static str {
        match self.code {
            Some(code) => code.remedy(),
            None => "look for the number in the orchestration",
        }
    }

    /// The message by which users of the reference know the status.
    pub fn reference_message(&self) -> String {
        format!("run_prepared failed with code {}", self.status)
    }
}

impl std::fmt::Display for RunFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the run failed with status {}", self.status)?;
        if let Some(code) = self.code {
            write!(f, " ({})", code.name())?;
        }
        write!(f, ": {}; {}; {}", self.text, self.meaning(), self.remedy())
    }
}

impl std::error::Error for RunFault {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_says_status_text_meaning_and_remedy() {
        let fault = RunFault::new(9, "bad tile");
        assert_eq!((fault.code, fault.status), (Some(StatusCode::ExplicitFatal), -9));
        let text = fault.to_string();
        for part in ["-9", "EXPLICIT_ORCH_FATAL", "bad tile", fault.meaning(), fault.remedy()] {
            assert!(text.contains(part), "{text}");
        }
        assert_eq!(fault.reference_message(), "run_prepared failed with code -9");
    }

    #[test]
    fn a_number_of_the_orchestration_stays_as_it_is() {
        let fault = RunFault::new(4711, "mine");
        assert_eq!((fault.code, fault.status), (None, -4711));
        assert!(fault.to_string().contains("-4711: mine"), "{fault}");
    }
}

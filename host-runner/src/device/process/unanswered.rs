//! Why there is no answer, and which error that is to whom.

use protocol::CallableId;

use super::crash_record::Crashed;
use super::refusal::Refusal;
use crate::device::{
    Crash, DeviceError, DeviceLost, KernelError, LostCause, MemoryError, OrchestrationError,
};

/// What the program did when it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum During {
    /// A run.
    Run,
    /// Loading or unloading a kernel.
    Kernel,
    /// Loading or unloading the orchestration of a callable.
    Load(CallableId),
    /// Nothing that runs code of the user.
    Other,
}

/// Why there is no answer, or none that is wanted.
#[derive(Debug)]
pub(super) enum Unanswered {
    /// The program had ended before.
    Gone,
    /// It has ended meanwhile.
    Ended {
        /// How.
        cause: LostCause,
        /// What it has left behind.
        crashed: Option<Box<Crashed>>,
        /// What it did.
        during: During,
    },
    /// It has refused.
    Refused(Refusal),
    /// It has refused a run.
    Failed(DeviceError),
}

impl Unanswered {
    /// The same with the crash explained, if there was one.
    pub(super) fn explained(self, explain: impl FnOnce(&Crashed, During) -> Crash) -> Self {
        match self {
            Self::Ended { crashed: Some(crashed), during, .. } => {
                let cause = LostCause::Crash(Box::new(explain(&crashed, during)));
                Self::Ended { cause, crashed: None, during }
            }
            other => other,
        }
    }

    /// The error of a request about memory. Whatever has ended the program: it was not this request.
    pub(super) fn into_memory(self) -> MemoryError {
        match self {
            Self::Gone | Self::Ended { .. } | Self::Failed(_) => MemoryError::Gone,
            Self::Refused(refusal) => refusal.into_memory(),
        }
    }

    /// The error of a request about a kernel.
    pub(super) fn into_kernel(self) -> KernelError {
        match self {
            Self::Gone | Self::Failed(_) => KernelError::Gone,
            Self::Ended { cause, .. } => KernelError::Lost(DeviceLost { cause, fault: None }),
            Self::Refused(refusal) => refusal.into_kernel(),
        }
    }

    /// The error of a check. It runs no code of the user: whatever has ended the program, it was not the check.
    pub(super) fn into_orchestration(self) -> OrchestrationError {
        match self {
            Self::Gone | Self::Ended { .. } | Self::Failed(_) => OrchestrationError::Gone,
            Self::Refused(refusal) => refusal.into_orchestration(),
        }
    }

    /// The error of anything else.
    pub(super) fn into_device(self) -> DeviceError {
        match self {
            Self::Gone => DeviceError::Gone,
            Self::Ended { cause, .. } => DeviceError::Lost(DeviceLost { cause, fault: None }),
            Self::Refused(refusal) => refusal.into_device(),
            Self::Failed(error) => error,
        }
    }
}

//! Why there is no answer, and which error that is to whom.

use protocol::CallableId;

use super::crash_report::Wreck;
use super::refusal::Refusal;
use crate::device::{
    DeviceError, DeviceLost, KernelError, LostCause, MemoryError, OrchestrationError,
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
        /// What it did.
        during: During,
    },
    /// It has refused.
    Refused(Refusal),
    /// It has refused a run.
    Failed(DeviceError),
}

impl During {
    /// Whether it is something that can be tried again where the program was ended by something else.
    pub(super) fn is_load(self) -> bool {
        matches!(self, Self::Kernel | Self::Load(_))
    }
}

impl Unanswered {
    /// The same with what the program has left behind, if there is anything: what has ended it tells more than how.
    pub(super) fn explained(self, wreck: Option<&Wreck>) -> Self {
        match (self, wreck) {
            (Self::Ended { during, .. }, Some(wreck)) if !wreck.may_be_of(during) => Self::Gone,
            (Self::Ended { during, .. }, Some(wreck)) => {
                let cause = LostCause::Crash(Box::new(wreck.crash(during)));
                Self::Ended { cause, during }
            }
            (unanswered, _) => unanswered,
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

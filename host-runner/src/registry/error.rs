//! Why a callable cannot be registered, or not be unregistered.

use aicpu_executor::loader::ImageLabel;
use protocol::{CallableId, FuncId, WireError};

use crate::device::{DeviceError, DeviceLost, KernelError, MemoryError, OrchestrationError};
use crate::host_orchestration::{HostOrchestrationError, NotClosed};

/// Why a callable cannot be registered. Nothing of it stays behind.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RegisterError {
    /// The blob is damaged.
    #[error("the callable's blob is damaged")]
    Blob(#[from] WireError),
    /// All ids are taken.
    #[error("all {limit} callable ids are in use; unregister a callable first")]
    Full {
        /// Number of ids.
        limit: usize,
    },
    /// The id that was asked for is beyond what the device has.
    #[error("callable id {id} is out of range: this device has 0 to {max}", max = limit.saturating_sub(1))]
    IdOutOfRange {
        /// As given.
        id: CallableId,
        /// Number of ids.
        limit: usize,
    },
    /// The id that was asked for is taken.
    #[error(
        "callable id {id} is in use{}; unregister it first, or take another id",
        name.as_ref().map(|name| format!(" by `{name}`")).unwrap_or_default()
    )]
    IdInUse {
        /// As given.
        id: CallableId,
        /// Who has it; `None` while another registration or unregistration of it is under way.
        name: Option<String>,
    },
    /// The orchestration cannot be loaded.
    #[error("the orchestration of callable `{name}` {image} cannot be loaded")]
    Orchestration {
        /// Name of the callable.
        name: String,
        /// Which build of it.
        image: Box<ImageLabel>,
        /// Why.
        #[source]
        source: OrchestrationError,
    },
    /// The callable does not name the entry of its orchestration, which hbg has no default for.
    #[error(
        "the callable {image} names no entry, and hbg has no default; build it with the name of the \
         function that builds the graph"
    )]
    NoEntryOfHbg {
        /// Which build of its orchestration.
        image: Box<ImageLabel>,
    },
    /// The orchestration cannot be opened in this process (hbg).
    #[error("the orchestration of callable `{name}` {image} cannot be opened on the host")]
    HostOrchestration {
        /// Name of the callable.
        name: String,
        /// Which build of it.
        image: Box<ImageLabel>,
        /// Why.
        #[source]
        source: Box<HostOrchestrationError>,
    },
    /// A kernel cannot be loaded.
    #[error("the kernel of func_id {func_id} of callable `{name}` {image} cannot be loaded")]
    Kernel {
        /// Name of the callable.
        name: String,
        /// The kernel.
        func_id: FuncId,
        /// Which build of it.
        image: Box<ImageLabel>,
        /// Why.
        #[source]
        source: KernelError,
    },
    /// The device has no room for it.
    #[error("the device has no room for the orchestration of callable `{name}` {image}")]
    Memory {
        /// Name of the callable.
        name: String,
        /// Which build of it.
        image: Box<ImageLabel>,
        /// Why.
        #[source]
        source: MemoryError,
    },
    /// The device has not loaded it.
    #[error("the device has not loaded the orchestration of callable `{name}` {image}")]
    Load {
        /// Name of the callable.
        name: String,
        /// Which build of it.
        image: Box<ImageLabel>,
        /// What it says.
        #[source]
        source: DeviceError,
    },
    /// There is no device to register it on.
    #[error(transparent)]
    Device(#[from] DeviceError),
}

impl RegisterError {
    /// Whether code of the callable did not return, which has cost the device.
    pub(crate) fn is_lost(&self) -> bool {
        matches!(
            self,
            Self::Load { source: DeviceError::Lost(_), .. }
                | Self::Kernel { source: KernelError::Lost(_), .. }
        )
    }

    /// Whether the device was lost meanwhile, to something else.
    pub(crate) fn is_gone(&self) -> bool {
        match self {
            Self::Load { source, .. } | Self::Device(source) => matches!(source, DeviceError::Gone),
            Self::Memory { source, .. } => matches!(source, MemoryError::Gone),
            Self::Kernel { source, .. } => matches!(source, KernelError::Gone),
            Self::Orchestration { source, .. } => matches!(source, OrchestrationError::Gone),
            _ => false,
        }
    }
}

/// A handle of a registration that has ended: `StaleCallable`, as the device calls it too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the handle names callable {id} of generation {generation}, which is not registered any more; \
     use the handle of its last registration"
)]
pub struct StaleCallable {
    /// The id.
    pub id: CallableId,
    /// Which use of it.
    pub generation: u32,
}

/// Why unregistering did not go smoothly.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UnregisterError {
    /// The handle is of another worker.
    #[error("the handle is of another worker; unregister the callable there")]
    ForeignHandle,
    /// It is not registered any more.
    #[error(transparent)]
    StaleCallable(#[from] StaleCallable),
    /// A destructor of the orchestration does not return, or one of it or of a kernel has cost the process that the
    /// device is in. The callable is not registered any more; nothing can be given back to the device, which is
    /// given up.
    #[error(transparent)]
    DeviceLost(#[from] DeviceLost),
    /// An orchestration that runs on the host cannot be closed (hbg): its destructors do not return, for
    /// example. The callable is not registered any more, and the device goes on.
    #[error("the orchestration of callable `{name}` cannot be closed on the host")]
    HostOrchestration {
        /// Name of the callable.
        name: String,
        /// Why.
        #[source]
        source: NotClosed,
    },
    /// It was called where a run of the same worker is carried out or its end is told, as in a
    /// waker: it would wait for itself.
    #[error(
        "this thread carries out a run of the worker, or tells of its end, so it cannot wait for \
         runs; begin to unregister without waiting, or call from another thread"
    )]
    FromRun,
}

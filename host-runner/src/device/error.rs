//! What a device can fail with, whatever kind of device it is.

use std::time::Duration;

use aicpu_executor::loader::{ExportError, PlanError};
use aicpu_executor::{Fault, RunningCall};
use protocol::{DeviceAddr, FuncId};

use super::cann::error::{CallError, CannError};
use super::crash::Crash;
use super::image::ImageError;
use super::load::LoadFault;

/// A request that device memory cannot meet.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MemoryError {
    /// The device has no memory of that size.
    #[error(
        "no device memory for {bytes} bytes; free some, pass smaller tensors, or make the rings smaller"
    )]
    Exhausted {
        /// Bytes asked for.
        bytes: usize,
    },
    /// No live allocation starts there.
    #[error("{address} is not a live allocation: it was freed before, or never allocated here")]
    UnknownAddress {
        /// The address given.
        address: DeviceAddr,
    },
    /// The range is not inside one live allocation.
    #[error("{bytes} bytes at {address} are not inside one live allocation")]
    OutOfRange {
        /// First byte.
        address: DeviceAddr,
        /// Bytes.
        bytes: usize,
    },
    /// The vendor's runtime refused.
    #[error(transparent)]
    Call(#[from] CallError),
    /// The device was lost.
    #[error("the device was lost, and its memory with it; open another one")]
    Gone,
}

/// Why a kernel cannot be loaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KernelError {
    /// Its bytes are not a shared object with a kernel entry.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// The device's loader refused it.
    #[error("the loader refuses it: {reason}")]
    Loader {
        /// What the loader says.
        reason: String,
    },
    /// The system refused what loading needs.
    #[error("cannot hold the image in memory")]
    System(#[from] std::io::Error),
    /// A C++ exception left one of the kernel's functions while it was loaded.
    #[error("a C++ exception left its `{function}`: {text}")]
    Exception {
        /// The function.
        function: &'static str,
        /// Type and `what()` of the exception.
        text: String,
    },
    /// Its constructors or destructors do not return. A thread that nothing can stop is left in them;
    /// the device goes on.
    #[error(
        "its {function} have not returned within {} ms; look for an endless loop in them, or in \
         destructors of another object, which keep the system's loader",
        limit.as_millis()
    )]
    NotReturned {
        /// Which functions.
        function: &'static str,
        /// How long they had.
        limit: Duration,
    },
    /// There is no device memory for its record.
    #[error(transparent)]
    Memory(MemoryError),
    /// No loaded kernel has this address.
    #[error("no kernel is loaded at {address}")]
    Unknown {
        /// The address given.
        address: DeviceAddr,
    },
    /// Its constructors or destructors have ended the process that the device is in, or do not return there, so
    /// that it was ended.
    #[error(transparent)]
    Lost(DeviceLost),
    /// The device was lost.
    #[error("the device was lost, and its kernels with it; open another one")]
    Gone,
}

/// Why a device will not be able to load an orchestration.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OrchestrationError {
    /// Its bytes are not a shared object that exports the entry.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// The executor's loader refuses it.
    #[error("the executor's loader refuses it: {0}")]
    Plan(PlanError),
    /// The entry is there but cannot be called.
    #[error("its entry `{symbol}` cannot be called: {reason}")]
    Entry {
        /// Name of the entry.
        symbol: String,
        /// Why.
        reason: ExportError,
    },
    /// It imports names that the device does not offer.
    #[error(
        "it imports what the device does not offer: {}; link the code in, or do without",
        names.join(", ")
    )]
    Unresolved {
        /// All of them.
        names: Vec<String>,
    },
    /// The device, which is in another process, refuses it.
    #[error("the device refuses it: {reason}")]
    Refused {
        /// What it says.
        reason: String,
    },
    /// The device was lost, to something else: nothing is said of the orchestration.
    #[error("the device was lost before it could check it; open another one")]
    Gone,
}

/// What keeps a lost device from coming back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LostCause {
    /// A kernel does not return.
    Kernel {
        /// Index of the core that runs it.
        core: usize,
        /// Its func id in the callable that was run, if it is one of it.
        func_id: Option<FuncId>,
        /// How long it had been running.
        running: Duration,
    },
    /// The entry of the orchestration does not return.
    Orchestration,
    /// Another function of an orchestration does not return: a constructor, a destructor, its
    /// config function.
    Function(Box<RunningCall>),
    /// The executor broke off: a defect in it.
    Executor,
    /// What the device was to do has not ended in time, and the device cannot say more.
    NotEnded {
        /// What it was to do.
        what: &'static str,
        /// How long it had.
        limit: Duration,
    },
    /// A function of the vendor failed where something may be left running.
    Call(Box<CallError>),
    /// Code of the user ended the process that the device is in.
    Crash(Box<Crash>),
    /// The process that the device is in has ended by itself, or was ended from outside.
    Ended {
        /// How: "SIGKILL", "exit status 1".
        how: String,
    },
    /// The process that the device is in did not answer in time, and was ended.
    Silent {
        /// How long it had.
        limit: Duration,
    },
}

/// The device did not come back from a run, from loading, or from unloading.
///
/// Code of the user is still running on it, so nothing of it can be given back; the worker makes a
/// new one for the next run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceLost {
    /// What it hangs in.
    pub cause: LostCause,
    /// What the executor reported before, if it did.
    pub fault: Option<Box<Fault>>,
}

impl std::fmt::Display for DeviceLost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the device did not come back: ")?;
        match &self.cause {
            LostCause::Kernel { core, func_id, running } => {
                let milliseconds = running.as_millis();
                match func_id {
                    Some(id) => write!(f, "the kernel of func_id {id} on core {core}")?,
                    None => write!(f, "a kernel on core {core}")?,
                }
                write!(f, " has not returned for {milliseconds} ms; look for an endless loop")?;
            }
            LostCause::Orchestration => {
                f.write_str("the orchestration has not returned; look for an endless loop in it")?
            }
            LostCause::Function(call) => {
                let milliseconds = call.running_us / 1000;
                write!(f, "{call} has not returned for {milliseconds} ms; ")?;
                f.write_str("look for an endless loop in it")?;
            }
            LostCause::Executor => {
                f.write_str("the executor broke off, which is a defect in it; see its message")?;
            }
            LostCause::NotEnded { what, limit } => {
                let milliseconds = limit.as_millis();
                write!(f, "{what} has not ended within {milliseconds} ms; ")?;
                f.write_str("look for an endless loop in the orchestration or in a kernel")?;
            }
            LostCause::Call(error) => error.fmt(f)?,
            LostCause::Crash(crash) => write!(f, "its process was ended by {crash}")?,
            LostCause::Ended { how } => {
                write!(f, "its process has ended ({how}), and by no signal of its own making")?;
            }
            LostCause::Silent { limit } => {
                let milliseconds = limit.as_millis();
                write!(f, "its process has not answered for {milliseconds} ms, and was ended")?;
            }
        }
        match &self.fault {
            Some(fault) => write!(f, " (first fault: status -{}: {})", fault.code, fault.text),
            None => Ok(()),
        }
    }
}

impl std::error::Error for DeviceLost {}

/// What a device can fail with.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeviceError {
    /// Its memory.
    #[error(transparent)]
    Memory(MemoryError),
    /// A kernel.
    #[error(transparent)]
    Kernel(KernelError),
    /// It cannot load an orchestration.
    #[error(transparent)]
    Load(#[from] LoadFault),
    /// It hangs.
    #[error(transparent)]
    Lost(#[from] DeviceLost),
    /// It was lost in an earlier call, or in one of another thread.
    #[error("the device was lost in an earlier call; a worker opens another one at its next use")]
    Gone,
    /// The vendor's libraries, what they need, or one of their functions.
    #[error(transparent)]
    Cann(#[from] CannError),
    /// A device in a process of its own cannot be started.
    #[error("the program of the device cannot be used: {reason}")]
    Program {
        /// Why, and what to do.
        reason: String,
    },
    /// It is nothing that this kind of device does.
    #[error("this kind of device has no {what}; use the simulator in this process")]
    Unsupported {
        /// What it does not have.
        what: &'static str,
    },
    /// The system refused something that the device needs.
    #[error("the system refuses what the device needs: {what}")]
    System {
        /// What.
        what: &'static str,
        /// Its reason.
        #[source]
        source: std::io::Error,
    },
    /// It is not the caller's turn, and never will be: the worker is being closed, or the call was
    /// made from within a run of it.
    #[error("the device is not to be had: {reason}")]
    NoTurn {
        /// Why not.
        reason: String,
    },
    /// A launch that asks for more than the device has, or for nothing.
    #[error("{value} {what} are out of range; this device has 1 to {max}")]
    OutOfRange {
        /// "clusters" or "AICPU threads".
        what: &'static str,
        /// As given.
        value: u32,
        /// What the device has.
        max: u32,
    },
    /// Ring sizes that the executor cannot work with.
    #[error(
        "a task window of {task_window} with a dependency pool of {dep_pool} is not possible: the \
         window is a power of two from 4 to 2^26, the pool of a ring less than 2^30 - 1"
    )]
    Rings {
        /// Slots per ring, as given.
        task_window: u64,
        /// Dependency edges per ring, as given.
        dep_pool: u64,
    },
}

impl From<MemoryError> for DeviceError {
    fn from(error: MemoryError) -> Self {
        match error {
            MemoryError::Gone => Self::Gone,
            error => Self::Memory(error),
        }
    }
}

impl From<KernelError> for DeviceError {
    fn from(error: KernelError) -> Self {
        match error {
            KernelError::Gone => Self::Gone,
            KernelError::Lost(lost) => Self::Lost(lost),
            error => Self::Kernel(error),
        }
    }
}

impl From<MemoryError> for KernelError {
    fn from(error: MemoryError) -> Self {
        match error {
            MemoryError::Gone => Self::Gone,
            error => Self::Memory(error),
        }
    }
}

//! Errors of a device on their way from one process to the other.

use std::time::Duration;

use aicpu_executor::fault::FaultText;
use aicpu_executor::loader::{BuildId, ImageLabel, SymbolName};
use aicpu_executor::{Fault, ForeignFunction, RunningCall};
use protocol::{DeviceAddr, FuncId};
use serde::{Deserialize, Serialize};

use super::message::{WireRange, callable_id};
use crate::device::{
    DeviceError, DeviceLost, KernelError, LoadFault, LostCause, MemoryError, OrchestrationError,
    ThrowTrace,
};

/// Functions that errors name.
const FUNCTIONS: [&str; 3] = ["constructors", "destructors", "pto_sim_register_hooks"];
/// What a launch may have too much of.
const LIMITED: [&str; 2] = ["clusters", "AICPU threads"];

/// Why a request was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Refusal {
    Memory(WireMemoryError),
    /// A kernel: its image, or what the system's loader says.
    KernelLoader {
        reason: String,
    },
    KernelException {
        function: String,
        text: String,
    },
    KernelNotReturned {
        function: String,
        limit: Duration,
    },
    KernelUnknown {
        address: u64,
    },
    Unresolved {
        names: Vec<String>,
    },
    Orchestration {
        reason: String,
    },
    Load {
        id: i32,
        code: i32,
        text: String,
        thrown: Option<(WireRange, Vec<u64>)>,
    },
    Lost(WireLost),
    Gone,
    OutOfRange {
        what: String,
        value: u32,
        max: u32,
    },
    Rings {
        task_window: u64,
        dep_pool: u64,
    },
    /// Anything else, in words.
    Other {
        reason: String,
    },
}

/// A [`MemoryError`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum WireMemoryError {
    Exhausted { bytes: usize },
    UnknownAddress { address: u64 },
    OutOfRange { address: u64, bytes: usize },
    Gone,
}

/// A [`DeviceLost`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct WireLost {
    cause: WireCause,
    fault: Option<(i32, String)>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
enum WireCause {
    Kernel { core: usize, func_id: Option<i32>, running: Duration },
    Orchestration,
    Function(WireCall),
    Executor,
}

/// A [`RunningCall`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct WireCall {
    callable: i32,
    function: WireFunction,
    address: Option<u64>,
    label: Option<(Vec<u8>, Option<Vec<u8>>)>,
    running_us: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum WireFunction {
    Constructor(u16, u16),
    Config,
    Bind,
    Entry,
    Unbind,
    Destructor(u16, u16),
}

impl From<MemoryError> for WireMemoryError {
    fn from(error: MemoryError) -> Self {
        match error {
            MemoryError::Exhausted { bytes } => Self::Exhausted { bytes },
            MemoryError::UnknownAddress { address } => {
                Self::UnknownAddress { address: address.raw() }
            }
            MemoryError::OutOfRange { address, bytes } => {
                Self::OutOfRange { address: address.raw(), bytes }
            }
            // No function of the vendor is called where the simulator is.
            MemoryError::Call(_) | MemoryError::Gone => Self::Gone,
        }
    }
}

impl From<WireMemoryError> for MemoryError {
    fn from(error: WireMemoryError) -> Self {
        match error {
            WireMemoryError::Exhausted { bytes } => Self::Exhausted { bytes },
            WireMemoryError::UnknownAddress { address } => {
                Self::UnknownAddress { address: DeviceAddr::new(address) }
            }
            WireMemoryError::OutOfRange { address, bytes } => {
                Self::OutOfRange { address: DeviceAddr::new(address), bytes }
            }
            WireMemoryError::Gone => Self::Gone,
        }
    }
}

impl From<MemoryError> for Refusal {
    fn from(error: MemoryError) -> Self {
        Self::Memory(error.into())
    }
}

impl From<KernelError> for Refusal {
    fn from(error: KernelError) -> Self {
        match error {
            KernelError::Loader { reason } => Self::KernelLoader { reason },
            KernelError::Exception { function, text } => {
                Self::KernelException { function: function.to_owned(), text }
            }
            KernelError::NotReturned { function, limit } => {
                Self::KernelNotReturned { function: function.to_owned(), limit }
            }
            KernelError::Memory(error) => error.into(),
            KernelError::Unknown { address } => Self::KernelUnknown { address: address.raw() },
            KernelError::Lost(lost) => Self::Lost(lost.into()),
            KernelError::Gone => Self::Gone,
            error => Self::KernelLoader { reason: error.to_string() },
        }
    }
}

impl From<OrchestrationError> for Refusal {
    fn from(error: OrchestrationError) -> Self {
        match error {
            OrchestrationError::Unresolved { names } => Self::Unresolved { names },
            error => Self::Orchestration { reason: error.to_string() },
        }
    }
}

impl From<DeviceLost> for Refusal {
    fn from(lost: DeviceLost) -> Self {
        Self::Lost(lost.into())
    }
}

impl From<DeviceError> for Refusal {
    fn from(error: DeviceError) -> Self {
        match error {
            DeviceError::Memory(error) => error.into(),
            DeviceError::Kernel(error) => error.into(),
            DeviceError::Load(LoadFault { id, status, text, thrown, .. }) => {
                let thrown = thrown.map(|trace| ((&trace.range).into(), trace.addresses));
                Self::Load { id: id.raw(), code: -status, text, thrown }
            }
            DeviceError::Lost(lost) => lost.into(),
            DeviceError::Gone => Self::Gone,
            DeviceError::OutOfRange { what, value, max } => {
                Self::OutOfRange { what: what.to_owned(), value, max }
            }
            DeviceError::Rings { task_window, dep_pool } => Self::Rings { task_window, dep_pool },
            error => Self::Other { reason: error.to_string() },
        }
    }
}

impl Refusal {
    /// What code of the user still runs in the program, which is ended for it.
    pub(super) fn leaves_running(&self) -> Option<LostCause> {
        match self {
            Self::Lost(lost) => Some(DeviceLost::from(lost.clone()).cause),
            Self::KernelNotReturned { function, limit } => Some(not_ended(function, *limit)),
            _ => None,
        }
    }

    /// The error of a request about memory.
    pub(super) fn into_memory(self) -> MemoryError {
        match self {
            Self::Memory(error) => error.into(),
            refusal => {
                tracing::debug!(?refusal, "memory of a device that is of no use any more");
                MemoryError::Gone
            }
        }
    }

    /// The error of a request about a kernel.
    pub(super) fn into_kernel(self) -> KernelError {
        match self {
            Self::Memory(error) => MemoryError::from(error).into(),
            Self::KernelException { function, text } => {
                KernelError::Exception { function: known(&FUNCTIONS, &function), text }
            }
            Self::KernelNotReturned { function, limit } => {
                // In the host's process the device would go on.
                KernelError::Lost(DeviceLost { cause: not_ended(&function, limit), fault: None })
            }
            Self::KernelUnknown { address } => {
                KernelError::Unknown { address: DeviceAddr::new(address) }
            }
            Self::KernelLoader { reason } => KernelError::Loader { reason },
            Self::Lost(lost) => KernelError::Lost(lost.into()),
            Self::Gone => KernelError::Gone,
            refusal => KernelError::Loader { reason: format!("{refusal:?}") },
        }
    }

    /// The error of a check.
    pub(super) fn into_orchestration(self) -> OrchestrationError {
        match self {
            Self::Unresolved { names } => OrchestrationError::Unresolved { names },
            Self::Orchestration { reason } => OrchestrationError::Refused { reason },
            Self::Gone | Self::Memory(WireMemoryError::Gone) => OrchestrationError::Gone,
            refusal => OrchestrationError::Refused { reason: format!("{refusal:?}") },
        }
    }

    /// The error of anything else.
    pub(super) fn into_device(self) -> DeviceError {
        match self {
            Self::Memory(error) => MemoryError::from(error).into(),
            Self::Load { id, code, text, thrown } => load_fault(id, code, &text, thrown),
            Self::Lost(lost) => DeviceError::Lost(lost.into()),
            Self::Gone => DeviceError::Gone,
            Self::OutOfRange { what, value, max } => {
                DeviceError::OutOfRange { what: known(&LIMITED, &what), value, max }
            }
            Self::Rings { task_window, dep_pool } => DeviceError::Rings { task_window, dep_pool },
            Self::Other { reason } => DeviceError::Program { reason },
            refusal => refusal.into_kernel().into(),
        }
    }
}

/// What is said of a kernel that was neither loaded nor unloaded in time.
fn not_ended(function: &str, limit: Duration) -> LostCause {
    let is_end = function == "destructors";
    let what = if is_end { "a destructor of a kernel" } else { "a constructor of a kernel" };
    LostCause::NotEnded { what, limit }
}

/// The word of a list that a text is.
fn known<const N: usize>(words: &[&'static str; N], text: &str) -> &'static str {
    words.iter().find(|word| **word == text).copied().unwrap_or("functions")
}

fn load_fault(
    id: i32,
    code: i32,
    text: &str,
    thrown: Option<(WireRange, Vec<u64>)>,
) -> DeviceError {
    let Some(id) = callable_id(id) else { return DeviceError::Gone };
    let thrown =
        thrown.and_then(|(range, addresses)| Some(ThrowTrace { range: range.range()?, addresses }));
    LoadFault::new(id, &fault(code, text), thrown).into()
}

/// A fault that came as number and text.
pub(super) fn fault(code: i32, text: &str) -> Fault {
    let mut kept = FaultText::new();
    for character in text.chars() {
        if kept.push(character).is_err() {
            break;
        }
    }
    Fault { code, text: kept }
}

impl From<DeviceLost> for WireLost {
    fn from(lost: DeviceLost) -> Self {
        let cause = match lost.cause {
            LostCause::Kernel { core, func_id, running } => {
                WireCause::Kernel { core, func_id: func_id.map(FuncId::raw), running }
            }
            LostCause::Orchestration => WireCause::Orchestration,
            LostCause::Function(call) => WireCause::Function((*call).into()),
            _ => WireCause::Executor,
        };
        let fault = lost.fault.map(|fault| (fault.code, fault.text.as_str().to_owned()));
        Self { cause, fault }
    }
}

impl From<WireLost> for DeviceLost {
    fn from(lost: WireLost) -> Self {
        let cause = match lost.cause {
            WireCause::Kernel { core, func_id, running } => {
                let func_id = func_id.and_then(|id| FuncId::new(i64::from(id)).ok());
                LostCause::Kernel { core, func_id, running }
            }
            WireCause::Orchestration => LostCause::Orchestration,
            WireCause::Function(call) => match call.into_call() {
                Some(call) => LostCause::Function(Box::new(call)),
                None => LostCause::Orchestration,
            },
            WireCause::Executor => LostCause::Executor,
        };
        let fault = lost.fault.map(|(code, text)| Box::new(fault(code, &text)));
        Self { cause, fault }
    }
}

impl From<RunningCall> for WireCall {
    fn from(call: RunningCall) -> Self {
        let function = match call.function {
            ForeignFunction::Constructor { number, count } => {
                WireFunction::Constructor(number, count)
            }
            ForeignFunction::Config => WireFunction::Config,
            ForeignFunction::Bind => WireFunction::Bind,
            ForeignFunction::Unbind => WireFunction::Unbind,
            ForeignFunction::Destructor { number, count } => {
                WireFunction::Destructor(number, count)
            }
            _ => WireFunction::Entry,
        };
        let label = call.label.map(|label| {
            let id = label.build_id.map(|id| id.as_bytes().to_vec());
            (label.soname.as_bytes().to_vec(), id)
        });
        Self {
            callable: call.callable.raw(),
            function,
            address: call.address,
            label,
            running_us: call.running_us,
        }
    }
}

impl WireCall {
    fn into_call(self) -> Option<RunningCall> {
        let function = match self.function {
            WireFunction::Constructor(number, count) => {
                ForeignFunction::Constructor { number, count }
            }
            WireFunction::Config => ForeignFunction::Config,
            WireFunction::Bind => ForeignFunction::Bind,
            WireFunction::Entry => ForeignFunction::Entry,
            WireFunction::Unbind => ForeignFunction::Unbind,
            WireFunction::Destructor(number, count) => {
                ForeignFunction::Destructor { number, count }
            }
        };
        let label = self.label.map(|(soname, id)| ImageLabel {
            soname: SymbolName::new(&soname),
            build_id: id.and_then(|id| BuildId::new(&id)),
        });
        Some(RunningCall {
            callable: callable_id(self.callable)?,
            function,
            address: self.address,
            label,
            running_us: self.running_us,
        })
    }
}

#[cfg(test)]
mod tests;

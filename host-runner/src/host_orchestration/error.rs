//! What is wrong with an orchestration on the host, or with what it does.

use std::time::Duration;

use protocol::{ArgsError, DeviceAddr};

use crate::device::{ImageError, MemoryError};
use crate::foreign_code::anonymous_library::reason_of;
use crate::foreign_code::{NotDone, OpenError};
use crate::graph::GraphError;

/// Why an orchestration cannot be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HostOrchestrationError {
    /// Its bytes are not a shared object that exports the entry.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// The system's loader refuses it: it imports what is not there, for example.
    #[error("the system's loader refuses it: {reason}")]
    Loader {
        /// What the loader says.
        reason: String,
    },
    /// A C++ exception left one of its constructors.
    #[error("a C++ exception left one of its constructors: {text}")]
    Exception {
        /// Type and `what()` of the exception.
        text: String,
    },
    /// Its constructors do not return. A thread that nothing can stop is left in them.
    ///
    /// The system's loader opens nothing while destructors of another object run, so this is what an
    /// object gets as well that is opened meanwhile.
    #[error(
        "its {function} have not returned within {} ms; look for an endless loop in them, or in \
         destructors of an object that was closed before, which keep the system's loader",
        limit.as_millis()
    )]
    NotReturned {
        /// Which functions.
        function: &'static str,
        /// How long they had.
        limit: Duration,
    },
    /// The system refused what opening needs.
    #[error("the system refuses what it needs: {what}")]
    System {
        /// What.
        what: &'static str,
        /// Its reason.
        #[source]
        source: std::io::Error,
    },
}

/// Why an orchestration is not closed. What it has stays in memory.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotClosed {
    /// Its destructors do not return. A thread that nothing can stop is left in them.
    #[error(
        "its destructors have not returned within {} ms; look for an endless loop. Until they return, \
         the system's loader opens and closes no other object",
        limit.as_millis()
    )]
    NotReturned {
        /// How long they had.
        limit: Duration,
    },
    /// There is no thread for its destructors.
    #[error("the system has no thread for its destructors: {reason}")]
    NoThread {
        /// The system's reason.
        reason: String,
    },
}

/// Why a run has no graph.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The counts of the arguments are damaged. The entry was not called.
    #[error(transparent)]
    Arguments(#[from] ArgsError),
    /// The orchestration called the runtime wrongly; what it did after that, and what its entry
    /// returned, says nothing.
    #[error("the orchestration's call of {0}")]
    Call(#[from] CallError),
    /// Its entry returned something else than 0.
    #[error("the orchestration returned {status}{}", after(mentioned))]
    Returned {
        /// What it returned.
        status: i32,
        /// The last call before that which could not be granted.
        mentioned: Option<Box<CallError>>,
    },
    /// A C++ exception left its entry.
    #[error("a C++ exception left the orchestration: {text}{}", after(mentioned))]
    Exception {
        /// Type and `what()` of the exception.
        text: String,
        /// The last call before that which could not be granted.
        mentioned: Option<Box<CallError>>,
    },
}

/// A call that the runtime refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{call}: {cause}")]
pub struct CallError {
    /// Name of the function, as orchestrations have it.
    pub call: &'static str,
    /// Why.
    #[source]
    pub cause: CallFault,
}

/// Why the runtime refused a call.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CallFault {
    /// The graph cannot have it.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// The device refuses it.
    #[error(transparent)]
    Memory(#[from] MemoryError),
    /// A null pointer.
    #[error("{what} is null, for {bytes} bytes; pass the address of memory that large")]
    Null {
        /// Which pointer.
        what: &'static str,
        /// Bytes that should be there.
        bytes: usize,
    },
    /// Host memory that no object can have.
    #[error("{bytes} bytes of host memory at {address:#x} go beyond the end of memory")]
    HostRange {
        /// First byte.
        address: usize,
        /// Bytes.
        bytes: usize,
    },
    /// Device memory that the run may not use.
    #[error(
        "{bytes} bytes at {address} are neither in one live device_malloc of this run nor in the \
         user's device memory"
    )]
    DeviceRange {
        /// First byte.
        address: DeviceAddr,
        /// Bytes.
        bytes: usize,
    },
    /// The same memory as host memory and as device memory.
    #[error("host memory at {host:#x} is the device memory at {device}; pass a host pointer")]
    Overlap {
        /// First byte of what was given as host memory.
        host: usize,
        /// First byte of the device memory.
        device: DeviceAddr,
    },
    /// Memory of an output that was given back afterwards.
    #[error("output {index}, {bytes} bytes at {address}, was freed after it had been recorded")]
    OutputFreed {
        /// Its place in the order in which they were recorded.
        index: usize,
        /// First byte.
        address: DeviceAddr,
        /// Bytes.
        bytes: usize,
    },
    /// Another runtime object than the entry got.
    #[error("the runtime is not the one that the entry got as its first argument")]
    OtherRuntime,
    /// A thread of the orchestration's own.
    #[error("called from another thread than the entry's; make all calls from the entry's own")]
    OtherThread,
}

/// "; before that, …", or nothing.
fn after(mentioned: &Option<Box<CallError>>) -> String {
    mentioned.as_ref().map(|call| format!(", after {call}")).unwrap_or_default()
}

impl From<OpenError> for HostOrchestrationError {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::File(source) => Self::System { what: "an anonymous file", source },
            OpenError::Loader(error) => Self::Loader { reason: reason_of(&error) },
            OpenError::Constructor(text) => Self::Exception { text },
        }
    }
}

impl From<NotDone> for NotClosed {
    fn from(error: NotDone) -> Self {
        match error {
            NotDone::NotReturned { limit, .. } => Self::NotReturned { limit },
            NotDone::NoThread { source, .. } => Self::NoThread { reason: source.to_string() },
        }
    }
}

impl From<NotDone> for HostOrchestrationError {
    fn from(error: NotDone) -> Self {
        match error {
            NotDone::NotReturned { function, limit } => Self::NotReturned { function, limit },
            NotDone::NoThread { source, .. } => Self::System { what: "a thread", source },
        }
    }
}

//! What came of a call: the one place that knows how the worker says so.

use host_runner::device::DeviceError;
use host_runner::registry::{RegisterError, UnregisterError};
use host_runner::run::RunError;
use host_runner::worker::CallableHandle;

use crate::calls::{End, Registered};

/// What came of a run.
pub(crate) fn end<T>(result: Result<T, RunError>) -> End {
    match result {
        Ok(_) => End::Done,
        Err(RunError::StaleCallable(_)) => End::Stale,
        Err(RunError::ForeignHandle) => End::Foreign,
        Err(RunError::Cancelled) => End::Cancelled,
        Err(RunError::Fault(fault)) => End::Fault(fault.code.unwrap()),
        Err(RunError::DeviceLost(_)) => End::Lost,
        Err(RunError::BlockDim { .. } | RunError::AicpuThreads { .. }) => End::Settings,
        Err(RunError::Memory(_)) => End::OutOfRange,
        Err(other) => panic!("{other:?}"),
    }
}

/// The same of an unregistration.
pub(crate) fn end_of_unregistering<T>(result: Result<T, UnregisterError>) -> End {
    match result {
        Ok(_) => End::Done,
        Err(UnregisterError::StaleCallable(_)) => End::Stale,
        Err(UnregisterError::ForeignHandle) => End::Foreign,
        Err(UnregisterError::DeviceLost(_)) => End::Lost,
        Err(other) => panic!("{other:?}"),
    }
}

/// The same of a registration.
pub(crate) fn came_of_registering(result: &Result<CallableHandle, RegisterError>) -> Registered {
    match result {
        Ok(handle) => {
            let (id, generation) = (handle.id().index(), handle.generation());
            Registered::As { id, generation }
        }
        Err(RegisterError::Full { .. }) => Registered::Full,
        Err(RegisterError::IdInUse { .. }) => Registered::InUse,
        Err(RegisterError::IdOutOfRange { .. }) => Registered::OutOfRange,
        Err(RegisterError::Orchestration { .. }) => Registered::BadOrchestration,
        Err(RegisterError::Kernel { func_id, .. }) => Registered::BadKernel(func_id.index()),
        Err(RegisterError::Load { source: DeviceError::Load(fault), .. }) => {
            Registered::NotLoaded(fault.code.unwrap())
        }
        Err(other) => panic!("{other:?}"),
    }
}
